#include "store/prefix_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>

#include "base/error.h"
#include "store/atomic_file.h"
#include "store/prefix_test_blocks.h"

namespace lockstep::store {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kNoLimit = uint64_t{1} << 40;

class PrefixFolderTest : public testing::Test {
 protected:
  bool write(const Hash256& parent, const std::vector<int32_t>& tokens) {
    return folder_.write(parent, tokens, make_block(identity_, parent, tokens));
  }
  std::optional<PrefixBlock> load(const Hash256& parent, const std::vector<int32_t>& tokens,
                                  uint32_t more_than = 0) {
    return folder_.load(parent, tokens, more_than, [this](const std::string& m) { damage_.push_back(m); });
  }
  fs::path file_of(const Hash256& parent, const std::vector<int32_t>& tokens) const {
    return folder_.folder() / prefix_name(parent, tokens);
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_.folder()), {}));
  }

  TemporaryFolder temporary_;
  const PrefixIdentity identity_ = test_identity();
  const Hash256 root_ = identity_.fingerprint;
  PrefixFolder folder_{temporary_ / "prefixes", identity_, kNoLimit};
  std::vector<std::string> damage_;
};

TEST_F(PrefixFolderTest, FullBlocksAreFoundByTheirChain) {
  const std::vector<int32_t> first = tokens_from(0, 64), second = tokens_from(64, 64);
  const Hash256 key = prefix_key(root_, first);
  write(root_, first);
  write(key, second);
  EXPECT_TRUE(is_block(load(root_, first), root_, first));
  EXPECT_TRUE(is_block(load(key, second), key, second));
  EXPECT_FALSE(load(root_, second).has_value());
  EXPECT_FALSE(load(key, first).has_value());
  EXPECT_TRUE(is_block(load(root_, tokens_from(0, 100)), root_, first)) << "more tokens than a block has";
}

TEST_F(PrefixFolderTest, TheLongestCommonBeginningIsFound) {
  std::vector<std::vector<int32_t>> blocks;
  for (int32_t shared : {5, 17, 40}) {
    blocks.push_back(tokens_from(0, 50));
    std::fill(blocks.back().begin() + shared, blocks.back().end(), 7000 + shared);
    write(root_, blocks.back());
  }
  EXPECT_TRUE(is_block(load(root_, tokens_from(0, 64)), root_, blocks[2]));
  EXPECT_TRUE(is_block(load(root_, tokens_from(0, 41)), root_, blocks[2]));
  EXPECT_FALSE(load(root_, tokens_from(0, 64), 40).has_value()) << "not more than is there already";
  EXPECT_TRUE(is_block(load(root_, tokens_from(0, 64), 39), root_, blocks[2]));
  std::vector<int32_t> wanted = tokens_from(0, 20);
  std::fill(wanted.begin() + 17, wanted.end(), 7017);
  EXPECT_TRUE(is_block(load(root_, wanted), root_, blocks[1]));
  EXPECT_FALSE(load(root_, tokens_from(1, 64)).has_value());
  EXPECT_FALSE(load(root_, {}).has_value());
}

// A digit a token: other tokens may have the same digits.
TEST_F(PrefixFolderTest, EqualDigitsAreNoEqualTokens) {
  const std::vector<int32_t> tokens = tokens_from(0, 4);
  std::vector<int32_t> others = tokens;
  for (int32_t& token : others) {
    const std::string digit = prefix_token_digits(std::span(&token, 1));
    do ++token;
    while (prefix_token_digits(std::span(&token, 1)) != digit);
  }
  ASSERT_EQ(prefix_token_digits(tokens), prefix_token_digits(others));
  write(root_, others);
  EXPECT_FALSE(load(root_, tokens).has_value());
  write(root_, tokens);
  EXPECT_EQ(files(), 2u) << "neither replaces the other";
  EXPECT_TRUE(is_block(load(root_, tokens), root_, tokens));
  EXPECT_TRUE(is_block(load(root_, others), root_, others));
  EXPECT_TRUE(damage_.empty());
}

TEST_F(PrefixFolderTest, ALongerBlockReplacesItsBeginning) {
  write(root_, tokens_from(0, 10));
  write(root_, tokens_from(500, 10));
  write(root_, tokens_from(0, 30));
  EXPECT_EQ(files(), 2u);
  EXPECT_TRUE(is_block(load(root_, tokens_from(0, 10)), root_, tokens_from(0, 30)));
  write(root_, tokens_from(0, 20));
  EXPECT_EQ(files(), 2u) << "a beginning of what is there is not written";
}

class Damage : public PrefixFolderTest, public testing::WithParamInterface<int> {};

// Each kind of damage to the file of one block: noticed once, removed, and the others unharmed.
TEST_P(Damage, IsNoticedAndIgnored) {
  const std::vector<int32_t> tokens = tokens_from(0, 64), other = tokens_from(300, 64);
  write(root_, tokens);
  write(root_, other);
  const fs::path path = file_of(root_, tokens);
  std::vector<std::byte> file = make_block(identity_, root_, tokens);
  auto flip = [&](uint64_t offset) { file.at(offset) ^= std::byte{0x10}; };
  switch (GetParam()) {
    case 0:
      flip(0);
      break;  // magic
    case 1:
      flip(8);
      break;  // version
    case 2:
      flip(12);
      break;  // number of tokens
    case 3:
      flip(20);
      break;  // payload bytes
    case 4:
      flip(40);
      break;  // fingerprint
    case 5:
      flip(80);
      break;  // parent
    case 6:
      flip(96 + 63 * 4);
      break;  // tokens
    case 7:
      flip(96 + 64 * 4);
      break;  // the payload's first byte
    case 8:
      flip(file.size() - 17);
      break;  // and last
    case 9:
      flip(file.size() - 1);
      break;  // hash
    case 10:
      file.clear();
      break;  // truncation
    case 11:
      file.resize(100);
      break;
    case 12:
      file.resize(file.size() - 1);
      break;
    case 13:
      file.resize(file.size() + 1);
      break;  // extension
    case 14:
      file.resize(file.size() * 50);
      break;
    case 15:
      file = make_block(identity_, root_, other);
      break;  // swapped
    case 16:
      file = make_block(identity_, prefix_key(root_, other), tokens);
      break;
    case 17:
      file = make_block(test_identity(2), root_, tokens);
      break;  // another model's
    case 18:
      file = make_block(test_identity(1, 48), root_, tokens);
      break;
    case 19:
      file.assign(file.size(), std::byte{});
      break;  // what a crash may leave
    default:
      FAIL();
  }
  write_file(path, file);
  EXPECT_FALSE(load(root_, tokens).has_value());
  ASSERT_EQ(damage_.size(), 1u);
  EXPECT_TRUE(contains(damage_[0], path.string() + ": damaged"));
  EXPECT_TRUE(contains(damage_[0], "; it is removed"));
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(load(root_, tokens).has_value());
  EXPECT_EQ(damage_.size(), 1u);
  EXPECT_TRUE(is_block(load(root_, other), root_, other));
  write(root_, tokens);
  EXPECT_TRUE(is_block(load(root_, tokens), root_, tokens)) << "it can be kept again";
}

INSTANTIATE_TEST_SUITE_P(PrefixFolder, Damage, testing::Range(0, 20));

TEST_F(PrefixFolderTest, TheNextBestServesWhereTheBestIsDamaged) {
  std::vector<int32_t> shorter = tokens_from(0, 40);
  shorter.back() = 9999;
  write(root_, shorter);
  write(root_, tokens_from(0, 50));
  fs::resize_file(file_of(root_, tokens_from(0, 50)), 1000);
  EXPECT_TRUE(is_block(load(root_, tokens_from(0, 64)), root_, shorter));
  EXPECT_EQ(damage_.size(), 1u);
}

TEST_F(PrefixFolderTest, WhatIsNoFileIsNoBlock) {
  const std::vector<int32_t> tokens = tokens_from(0, 64);
  const fs::path path = file_of(root_, tokens);
  fs::create_directory(path);
  EXPECT_FALSE(load(root_, tokens).has_value());
  fs::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(load(root_, tokens).has_value());
  fs::remove(path);
  write_file(temporary_ / "elsewhere", make_block(identity_, root_, tokens));
  fs::create_symlink(temporary_ / "elsewhere", path);
  EXPECT_FALSE(load(root_, tokens).has_value());
  EXPECT_TRUE(damage_.empty());
}

TEST_F(PrefixFolderTest, ModelsDoNotMeet) {
  write(root_, tokens_from(0, 64));
  PrefixFolder other(temporary_ / "prefixes", test_identity(2), kNoLimit);
  EXPECT_FALSE(other.load(root_, tokens_from(0, 64), 0, {}).has_value());
  EXPECT_NE(other.folder(), folder_.folder());
}

TEST_F(PrefixFolderTest, TheFolderIsItsOwnersAlone) {
  EXPECT_EQ(fs::status(folder_.folder()).permissions(), fs::perms::owner_all);
}

// Blocks of 64 tokens, used at second 1, 2, ...: the longest unused go, of every model, and nothing else.
TEST(PrefixFolderLimit, TheLongestUnusedGo) {
  TemporaryFolder temporary;
  const PrefixIdentity identity = test_identity(1, 1000), other = test_identity(2, 1000);
  const uint64_t block_bytes = prefix_file_bytes(identity, 64);
  {
    PrefixFolder unlimited(temporary.path(), identity, kNoLimit);
    PrefixFolder others(temporary.path(), other, kNoLimit);
    for (int32_t i = 0; i < 20; ++i) {
      PrefixFolder& folder = i == 3 ? others : unlimited;
      const PrefixIdentity& whose = i == 3 ? other : identity;
      const std::vector<int32_t> tokens = tokens_from(i * 100, 64);
      folder.write(whose.fingerprint, tokens, make_block(whose, whose.fingerprint, tokens));
      const struct timespec times[2] = {{i + 1, 0}, {i + 1, 0}};
      const fs::path path = folder.folder() / prefix_name(whose.fingerprint, tokens);
      ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    }
  }
  const std::string bystanders[] = {"note.txt", "v1-" + hex(identity.fingerprint) + "/note"};
  for (const std::string& name : bystanders) {
    write_file(temporary / name, std::vector<std::byte>(100 * block_bytes));
  }
  PrefixFolder folder(temporary.path(), identity, 16 * block_bytes);
  // Loading is use.
  EXPECT_TRUE(folder.load(identity.fingerprint, tokens_from(0, 64), 0, {}).has_value());
  const std::vector<int32_t> newest = tokens_from(5000, 64);
  EXPECT_TRUE(folder.write(identity.fingerprint, newest, make_block(identity, identity.fingerprint, newest)));
  // 21 blocks are brought down to 15: 2 to 7 go, the third of which is the other model's.
  EXPECT_TRUE(fs::is_empty(temporary / ("v1-" + hex(other.fingerprint))));
  for (int32_t i = 0; i < 20; ++i) {
    const bool kept = i == 0 || i >= 7;
    EXPECT_EQ(folder.load(identity.fingerprint, tokens_from(i * 100, 64), 0, {}).has_value(), kept) << i;
  }
  EXPECT_TRUE(folder.load(identity.fingerprint, newest, 0, {}).has_value());
  for (const std::string& name : bystanders) EXPECT_TRUE(fs::exists(temporary / name)) << name;
}

// However much is written, the folder stays within its limit.
TEST(PrefixFolderLimit, IsKept) {
  TemporaryFolder temporary;
  const PrefixIdentity identity = test_identity(1, 100);
  const uint64_t maximum_bytes = 40 * prefix_file_bytes(identity, 64);
  PrefixFolder folder(temporary.path(), identity, maximum_bytes);
  for (int32_t i = 0; i < 200; ++i) {
    const std::vector<int32_t> tokens = tokens_from(i * 100, 64);
    folder.write(identity.fingerprint, tokens, make_block(identity, identity.fingerprint, tokens));
    uint64_t total = 0;
    for (const auto& entry : fs::directory_iterator(folder.folder())) total += entry.file_size();
    ASSERT_LE(total, maximum_bytes) << i;
  }
  EXPECT_TRUE(folder.load(identity.fingerprint, tokens_from(19900, 64), 0, {}).has_value());
}

// Two processes write and read the same blocks while a third trims without pause: what is read is right.
TEST(PrefixFolderProcesses, ShareAFolder) {
  TemporaryFolder temporary;
  const PrefixIdentity identity = test_identity(1, 3000);
  const Hash256& root = identity.fingerprint;
  auto work = [&](int32_t step, uint64_t maximum_bytes) {
    PrefixFolder folder(temporary.path(), identity, maximum_bytes);
    int wrong = 0, found = 0;
    for (int32_t round = 0; round < 300; ++round) {
      const std::vector<int32_t> tokens = tokens_from(round * step % 17 * 1000, round % 2 == 0 ? 64 : 40);
      folder.write(root, tokens, make_block(identity, root, tokens));
      const std::vector<int32_t> wanted = tokens_from(round * 5 % 17 * 1000, 64);
      const auto block = folder.load(root, wanted, 0, [&](const std::string&) { ++wrong; });
      if (!block) continue;
      ++found;
      const std::vector<int32_t> its(block->tokens().begin(), block->tokens().end());
      if (its[0] != wanted[0] || !is_block(block, root, its)) ++wrong;
    }
    return wrong != 0 ? 1 : found < 30 ? 2 : 0;
  };
  const uint64_t block_bytes = prefix_file_bytes(identity, 64);
  const pid_t first = start_child([&] { return work(3, kNoLimit); });
  const pid_t second = start_child([&] { return work(7, kNoLimit); });
  const pid_t third = start_child([&] { return work(11, 12 * block_bytes); });
  EXPECT_EQ(wait_for(first), 0);
  EXPECT_EQ(wait_for(second), 0);
  EXPECT_EQ(wait_for(third), 0);
}

}  // namespace
}  // namespace lockstep::store
