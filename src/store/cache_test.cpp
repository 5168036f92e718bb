#include "store/cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <set>
#include <thread>

#include "base/error.h"
#include "store/test_processes.h"

namespace lockstep::store {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> keys(const CacheFolder& folder) {
  std::vector<std::string> names;
  for (const CacheEntry& entry : folder.list()) names.push_back(entry.key);
  return names;
}

std::set<std::string> key_set(const CacheFolder& folder) {
  std::vector<std::string> names = keys(folder);
  return {names.begin(), names.end()};
}

void set_last_used(const fs::path& path, int64_t seconds) {
  struct timespec times[2] = {{seconds, 0}, {seconds, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
}

// Entries of 100 bytes called a, b, ... used at second 1, 2, ...
void fill(const CacheFolder& folder, const std::string& names) {
  int64_t second = 0;
  for (char name : names) {
    write_file(folder.path(std::string(1, name)), as_bytes(std::string(100, name)));
    set_last_used(folder.path(std::string(1, name)), ++second);
  }
}

TEST(Cache, OpensMakingItsFolders) {
  TemporaryFolder folder;
  Cache::Opened opened = Cache::open({.root = folder / "a/b"});
  ASSERT_TRUE(opened.cache.has_value()) << opened.reason;
  EXPECT_TRUE(fs::is_directory(folder / "a/b/models"));
  EXPECT_EQ(opened.cache->models().maximum_bytes(), CacheFolder::kUnlimited);
  EXPECT_EQ(opened.cache->programs().maximum_bytes(), 20'000'000'000u);
}

TEST(Cache, ReportsWhyThereIsNone) {
  TemporaryFolder folder;
  write_file(folder / "file", as_bytes("x"));
  Cache::Opened opened = Cache::open({.root = folder / "file"});
  EXPECT_FALSE(opened.cache.has_value());
  EXPECT_TRUE(contains(opened.reason, (folder / "file/models").string() + " cannot be made: "));
  EXPECT_TRUE(contains(Cache::open({}).reason, "LOCKSTEP_CACHE"));
}

TEST(Cache, ReportsAFolderWithoutPermission) {
  TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(0755));
  fs::create_directories(folder / "made/models");
  fs::permissions(folder / "made/models", fs::perms(0555));
  fs::permissions(folder / "made", fs::perms(0555));
  EXPECT_EQ(wait_for(start_child([&] {
              if (!give_up_root()) return 77;
              for (const char* root : {"made", "made/new"}) {
                Cache::Opened opened = Cache::open({.root = folder / root});
                EXPECT_FALSE(opened.cache.has_value());
                EXPECT_TRUE(contains(opened.reason, "Permission denied"));
              }
              return testing::Test::HasFailure() ? 1 : 0;
            })),
            0);
  fs::permissions(folder / "made", fs::perms(0755));
}

TEST(Cache, SettingsComeFromTheEnvironment) {
  EXPECT_EQ(
      wait_for(start_child([] {
        ::setenv("HOME", "/home/someone", 1);
        ::unsetenv("LOCKSTEP_CACHE");
        ::unsetenv("LOCKSTEP_CACHE_MAX_BYTES");
        ::setenv("XDG_CACHE_HOME", "relative/is/ignored", 1);
        EXPECT_EQ(cache_settings_from_environment().root, "/home/someone/.cache/lockstep");
        ::setenv("XDG_CACHE_HOME", "/xdg", 1);
        EXPECT_EQ(cache_settings_from_environment().root, "/xdg/lockstep");
        ::setenv("LOCKSTEP_CACHE", "here", 1);
        EXPECT_EQ(cache_settings_from_environment().root, fs::current_path() / "here");
        ::setenv("LOCKSTEP_CACHE_MAX_BYTES", "12345", 1);
        EXPECT_EQ(cache_settings_from_environment().maximum_program_bytes, 12345u);
        for (const char* wrong : {"20GB", "-1", "1e9", "99999999999999999999999"}) {
          ::setenv("LOCKSTEP_CACHE_MAX_BYTES", wrong, 1);
          EXPECT_THROW(cache_settings_from_environment(), Error) << wrong;
        }
        for (const char* name : {"HOME", "XDG_CACHE_HOME", "LOCKSTEP_CACHE", "LOCKSTEP_CACHE_MAX_BYTES"}) {
          ::unsetenv(name);
        }
        EXPECT_TRUE(cache_settings_from_environment().root.empty());
        return testing::Test::HasFailure() ? 1 : 0;
      })),
      0);
}

TEST(CacheFolder, PutOpenListClear) {
  TemporaryFolder folder;
  CacheFolder cache(folder.path(), 1000);
  EXPECT_FALSE(cache.open("abc").has_value());
  cache.put("abc", as_bytes("bytes"));
  cache.put("model.Q4_1.gguf", as_bytes("more bytes"));
  EXPECT_EQ(as_text(cache.open("abc")->bytes()), "bytes");
  EXPECT_EQ(key_set(cache), (std::set<std::string>{"abc", "model.Q4_1.gguf"}));
  auto age = std::chrono::system_clock::now() - cache.list().at(0).last_used;
  EXPECT_LT(std::chrono::abs(age), std::chrono::minutes(1));
  MappedFile map = *cache.open("abc");
  EXPECT_EQ(cache.clear(), 15u);
  EXPECT_EQ(as_text(map.bytes()), "bytes") << "a map outlives its entry";
  EXPECT_TRUE(cache.list().empty());
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(CacheFolder, RefusesKeysThatAreNoNames) {
  TemporaryFolder folder;
  CacheFolder cache(folder.path(), 1000);
  for (const char* key : {"", "..", "a/b", ".hidden", "a b", "a.lock", "-x"})
    EXPECT_THROW(cache.path(key), Error);
  EXPECT_THROW(cache.path(std::string(201, 'a')), Error);
}

TEST(CacheFolder, ListsOnlyEntries) {
  TemporaryFolder folder;
  CacheFolder cache(folder.path(), 1000);
  cache.put("entry", as_bytes("x"));
  fs::create_directory(folder / "folder");
  fs::create_symlink("entry", folder / "link");
  LockFile lock = cache.lock("other");
  AtomicFile writing(cache.path("third"));
  EXPECT_EQ(keys(cache), std::vector<std::string>{"entry"});
}

TEST(CacheFolder, RemovesTheLeastRecentlyUsed) {
  TemporaryFolder folder;
  CacheFolder cache(folder.path(), 350);
  fill(cache, "abcd");
  ASSERT_TRUE(cache.open("a").has_value());  // the oldest becomes the newest
  EXPECT_EQ(cache.trim(), 100u);
  EXPECT_EQ(keys(cache), (std::vector<std::string>{"a", "d", "c"}));
  cache.put("e", as_bytes(std::string(150, 'e')));
  EXPECT_EQ(key_set(cache), (std::set<std::string>{"e", "a", "d"}));
}

TEST(CacheFolder, NeverRemovesTheEntryJustWritten) {
  TemporaryFolder folder;
  CacheFolder cache(folder.path(), 350);
  fill(cache, "abc");
  cache.put("large", as_bytes(std::string(1000, 'x')));
  EXPECT_EQ(keys(cache), std::vector<std::string>{"large"});
  fill(cache, "ab");
  set_last_used(cache.path("large"), 0);
  EXPECT_EQ(cache.trim("large"), 200u);
  EXPECT_EQ(keys(cache), std::vector<std::string>{"large"});
}

TEST(CacheFolder, WithoutALimitNothingIsRemovedOrTouched) {
  TemporaryFolder folder;
  CacheFolder cache(folder.path(), CacheFolder::kUnlimited);
  fill(cache, "ab");
  ASSERT_TRUE(cache.open("a").has_value());
  EXPECT_EQ(cache.trim(), 0u);
  EXPECT_EQ(keys(cache), (std::vector<std::string>{"b", "a"}));
}

// Four processes make and read the same entries in a cache that holds only half of them.
TEST(CacheFolder, ManyProcesses) {
  TemporaryFolder folder;
  std::vector<pid_t> children;
  for (int process = 0; process < 4; ++process) {
    children.push_back(start_child([&folder, process] {
      CacheFolder cache(folder.path(), 4 * 2000);
      for (int i = 0; i < 100; ++i) {
        char letter = static_cast<char>('a' + (i * (process + 1)) % 8);
        std::string key(1, letter);
        LockFile lock = cache.lock(key);
        std::optional<MappedFile> found = cache.open(key);
        if (found && as_text(found->bytes()) != std::string(2000, letter)) return 1;
        if (!found) cache.put(key, as_bytes(std::string(2000, letter)));
      }
      return 0;
    }));
  }
  for (pid_t child : children) EXPECT_EQ(wait_for(child), 0);
  uint64_t total = 0;
  CacheFolder cache(folder.path(), 4 * 2000);
  for (const CacheEntry& entry : cache.list()) total += entry.bytes;
  EXPECT_LE(total, 5u * 2000);
  EXPECT_GT(total, 0u);
  cache.clear();
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(CacheFolder, ManyThreads) {
  TemporaryFolder folder;
  CacheFolder cache(folder.path(), 4 * 2000);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 50; ++i) {
        char letter = static_cast<char>('a' + (i * (thread + 1)) % 8);
        std::string key(1, letter);
        cache.put(key, as_bytes(std::string(2000, letter)));
        std::optional<MappedFile> found = cache.open(key);
        if (found && as_text(found->bytes()) != std::string(2000, letter)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace lockstep::store
