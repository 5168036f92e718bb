#include "store/prefix_store.h"

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>

#include "store/prefix_test_blocks.h"

namespace {
std::atomic<bool> locks_hang{false};
}

// In place of the C library's: every block is written under a lock.
extern "C" int flock(int descriptor, int operation) noexcept {
  while (locks_hang) ::pause();
  return static_cast<int>(::syscall(SYS_flock, descriptor, operation));
}

namespace lockstep::store {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// What a store's warnings were.
class Warnings {
 public:
  std::function<void(const std::string&)> callback() {
    return [this](const std::string& message) {
      std::lock_guard lock(mutex_);
      messages_.push_back(message);
    };
  }
  std::vector<std::string> get() {
    std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> messages_;
};

void save(PrefixStore& store, const Hash256& parent, const std::vector<int32_t>& tokens) {
  store.save(parent, tokens, [&](std::span<std::byte> payload) { fill_state(parent, tokens, payload); });
}

TEST(PrefixStore, KeepsBlocksOverItsLife) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity();
  const Hash256& root = identity.fingerprint;
  const std::vector<int32_t> first = tokens_from(0, 64), second = tokens_from(64, 30);
  const Hash256 key = prefix_key(root, first);
  Warnings warnings;
  const PrefixStoreOptions options{.folder = folder / "a/b", .warn = warnings.callback()};
  {
    PrefixStore store(identity, options);
    save(store, root, first);
    save(store, key, second);
  }
  PrefixStore store(identity, options);
  EXPECT_TRUE(is_block(store.load(root, first, 0), root, first));
  EXPECT_TRUE(is_block(store.load(key, tokens_from(64, 64), 0), key, second));
  EXPECT_TRUE(warnings.get().empty());
}

TEST(PrefixStore, SavesABlockOnce) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity();
  const Hash256& root = identity.fingerprint;
  const std::vector<int32_t> tokens = tokens_from(0, 64);
  uint32_t fills = 0;
  auto count = [&](std::span<std::byte> payload) {
    ++fills;
    fill_state(root, tokens, payload);
  };
  {
    PrefixStore store(identity, {.folder = folder.path()});
    store.save(root, tokens, count);
    store.save(root, tokens, count);
    EXPECT_EQ(fills, 1u);
  }
  PrefixStore store(identity, {.folder = folder.path()});
  ASSERT_TRUE(store.load(root, tokens, 0).has_value());
  store.save(root, tokens, count);
  EXPECT_EQ(fills, 1u) << "what was loaded is there";
}

TEST(PrefixStore, ADamagedBlockIsToldOfAndSavedAgain) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity();
  const Hash256& root = identity.fingerprint;
  const std::vector<int32_t> tokens = tokens_from(0, 64);
  Warnings warnings;
  PrefixStore store(identity, {.folder = folder.path(), .warn = warnings.callback()});
  save(store, root, tokens);
  ASSERT_TRUE(store.flush(10s));
  const fs::path path = folder.path() / ("v1-" + hex(root)) / prefix_name(root, tokens);
  fs::resize_file(path, 200);
  EXPECT_FALSE(store.load(root, tokens, 0).has_value());
  EXPECT_FALSE(store.load(root, tokens, 0).has_value());
  ASSERT_EQ(warnings.get().size(), 1u);
  EXPECT_TRUE(contains(warnings.get()[0], path.string()));
  save(store, root, tokens);
  ASSERT_TRUE(store.flush(10s));
  EXPECT_TRUE(is_block(store.load(root, tokens, 0), root, tokens));
}

TEST(PrefixStore, DropsWhatTheQueueCannotHold) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity();
  const Hash256& root = identity.fingerprint;
  constexpr uint64_t kBlocks = 200;
  PrefixStore store(identity, {.folder = folder.path(), .queue_bytes = 1});
  for (uint64_t i = 0; i < kBlocks; ++i) save(store, root, tokens_from(static_cast<int32_t>(i) * 100, 64));
  ASSERT_TRUE(store.flush(20s));
  const PrefixStore::Counters counters = store.counters();
  EXPECT_EQ(counters.written + counters.dropped, kBlocks);
  EXPECT_GE(counters.written, 1u);
  EXPECT_GE(counters.dropped, 1u);
  // What was dropped may be saved later.
  for (int32_t i = 0; i < 200; ++i) {
    save(store, root, tokens_from(i * 100, 64));
    ASSERT_TRUE(store.flush(20s));
    EXPECT_TRUE(store.load(root, tokens_from(i * 100, 64), 0).has_value());
  }
}

TEST(PrefixStore, WhatWasTrimmedIsSavedAgain) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity();
  const Hash256& root = identity.fingerprint;
  PrefixStore store(identity,
                    {.folder = folder.path(), .maximum_bytes = 8 * prefix_file_bytes(identity, 64)});
  for (int32_t i = 0; i < 20; ++i) {
    save(store, root, tokens_from(i * 100, 64));
    ASSERT_TRUE(store.flush(20s));
  }
  EXPECT_FALSE(store.load(root, tokens_from(0, 64), 0).has_value());
  save(store, root, tokens_from(0, 64));
  ASSERT_TRUE(store.flush(20s));
  EXPECT_TRUE(store.load(root, tokens_from(0, 64), 0).has_value());
}

// One warning, and on without it.
TEST(PrefixStore, AVanishedFolderIsOneWarning) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity();
  const Hash256& root = identity.fingerprint;
  Warnings warnings;
  PrefixStore store(identity, {.folder = folder / "gone", .warn = warnings.callback()});
  fs::remove_all(folder / "gone");
  for (int32_t i = 0; i < 5; ++i) {
    save(store, root, tokens_from(i * 100, 64));
    ASSERT_TRUE(store.flush(20s));
  }
  ASSERT_EQ(warnings.get().size(), 1u);
  EXPECT_TRUE(contains(warnings.get()[0], (folder / "gone").string()));
  EXPECT_TRUE(contains(warnings.get()[0], "prefixes are not kept from now on"));
  for (int32_t i = 0; i < 5; ++i) EXPECT_FALSE(store.load(root, tokens_from(i * 100, 64), 0).has_value());
  EXPECT_EQ(warnings.get().size(), 2u);
}

TEST(PrefixStore, AFolderThatCannotBeMadeIsOneWarning) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity();
  { std::ofstream(folder / "file") << "x"; }
  for (const char* name : {"file", "file/below"}) {
    Warnings warnings;
    PrefixStore store(identity, {.folder = folder / name, .warn = warnings.callback()});
    save(store, identity.fingerprint, tokens_from(0, 64));
    EXPECT_FALSE(store.load(identity.fingerprint, tokens_from(0, 64), 0).has_value());
    ASSERT_EQ(warnings.get().size(), 1u) << name;
    EXPECT_TRUE(contains(warnings.get()[0], (folder / name).string()));
  }
}

TEST(PrefixStore, AReadOnlyFolderIsReadAndWarnedOfOnce) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity();
  const Hash256& root = identity.fingerprint;
  const fs::path blocks = folder.path() / ("v1-" + hex(root));
  {
    PrefixStore store(identity, {.folder = folder.path()});
    save(store, root, tokens_from(0, 64));
    save(store, root, tokens_from(100, 64));
  }
  fs::resize_file(blocks / prefix_name(root, tokens_from(100, 64)), 100);
  fs::permissions(folder.path(), fs::perms(0755));
  fs::permissions(blocks, fs::perms(0555));
  for (const auto& entry : fs::directory_iterator(blocks)) fs::permissions(entry.path(), fs::perms(0444));
  EXPECT_EQ(wait_for(start_child([&] {
              if (!give_up_root()) return 77;
              Warnings warnings;
              PrefixStore store(identity, {.folder = folder.path(), .warn = warnings.callback()});
              EXPECT_TRUE(is_block(store.load(root, tokens_from(0, 64), 0), root, tokens_from(0, 64)));
              // Damaged and not removable: told of once all the same.
              for (int i = 0; i < 3; ++i) EXPECT_FALSE(store.load(root, tokens_from(100, 64), 0).has_value());
              EXPECT_EQ(warnings.get().size(), 1u);
              EXPECT_TRUE(contains(warnings.get().back(), "; it is ignored"));
              for (int32_t i = 5; i < 10; ++i) {
                save(store, root, tokens_from(i * 100, 64));
                EXPECT_TRUE(store.flush(20s));
              }
              EXPECT_EQ(warnings.get().size(), 2u);
              EXPECT_TRUE(contains(warnings.get().back(), "Permission denied"));
              return testing::Test::HasFailure() ? 1 : 0;
            })),
            0);
  fs::permissions(blocks, fs::perms(0755));
}

// A limit on the size of files stands for the full disk: both fail in the middle of a write.
TEST(PrefixStore, AFullDiskIsOneWarning) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity(1, 1000);
  const Hash256& root = identity.fingerprint;
  EXPECT_EQ(wait_for(start_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              const struct rlimit limit = {10000, 10000};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 77;
              Warnings warnings;
              PrefixStore store(identity, {.folder = folder.path(), .warn = warnings.callback()});
              for (int32_t i = 0; i < 5; ++i) {
                save(store, root, tokens_from(i * 100, 64));
                EXPECT_TRUE(store.flush(20s));
                EXPECT_FALSE(store.load(root, tokens_from(i * 100, 64), 0).has_value());
              }
              EXPECT_EQ(warnings.get().size(), 1u);
              EXPECT_TRUE(contains(warnings.get()[0], "cannot be written: File too large"));
              return testing::Test::HasFailure() ? 1 : 0;
            })),
            0);
  EXPECT_TRUE(fs::is_empty(folder.path() / ("v1-" + hex(root)))) << "nothing half-written stays";
}

// The writing thread never comes back from a system call; the end does.
TEST(PrefixStore, ADiskThatHangsDoesNotHoldTheEnd) {
  TemporaryFolder folder;
  const PrefixIdentity identity = test_identity();
  EXPECT_EQ(wait_for(start_child([&] {
              PrefixStore store(identity, {.folder = folder.path()});
              locks_hang = true;
              save(store, identity.fingerprint, tokens_from(0, 64));
              save(store, identity.fingerprint, tokens_from(100, 64));
              EXPECT_FALSE(store.flush(1ms));
              return 0;
            })),
            0);
}

}  // namespace
}  // namespace lockstep::store
