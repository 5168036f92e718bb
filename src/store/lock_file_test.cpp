#include "store/lock_file.h"

#include <signal.h>

#include <fstream>
#include <vector>

#include "base/error.h"
#include "store/test_processes.h"

namespace lockstep::store {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

TEST(LockFile, ExcludesUntilReleasedAndLeavesNoFile) {
  TemporaryFolder folder;
  {
    LockFile lock(folder / "lock");
    EXPECT_FALSE(LockFile::try_lock(folder / "lock").has_value());
    LockFile moved = std::move(lock);
    EXPECT_FALSE(LockFile::try_lock(folder / "lock").has_value());
  }
  EXPECT_FALSE(fs::exists(folder / "lock"));
  EXPECT_TRUE(LockFile::try_lock(folder / "lock").has_value());
}

TEST(LockFile, UnusableFolderIsTheMachinesError) {
  TemporaryFolder folder;
  try {
    LockFile lock(folder / "missing/lock");
    FAIL() << "locked a file in a missing folder";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Machine);
  }
}

TEST(LockFile, TellsOfWaitingAndCanGiveUp) {
  TemporaryFolder folder;
  LockFile held(folder / "lock");
  int calls = 0;
  EXPECT_THROW(LockFile(folder / "lock",
                        [&](milliseconds waited) {
                          EXPECT_GE(waited.count(), 1000 * (calls + 1));
                          if (++calls == 2) throw Error(ErrorKind::User, "enough");
                        }),
               Error);
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(fs::exists(folder / "lock")) << "giving up must not take the holder's file away";
}

TEST(LockFile, EndsWithAKilledHolder) {
  TemporaryFolder folder;
  Signal locked;
  pid_t child = start_child([&] {
    LockFile lock(folder / "lock");
    locked.raise();
    while (true) ::pause();
    return 0;
  });
  locked.await();
  EXPECT_FALSE(LockFile::try_lock(folder / "lock").has_value());
  ::kill(child, SIGKILL);
  EXPECT_EQ(wait_for(child), -SIGKILL);
  EXPECT_TRUE(fs::exists(folder / "lock"));
  EXPECT_TRUE(LockFile::try_lock(folder / "lock").has_value());
}

// Processes add to a number in a file, reading and writing apart. They spin, so that some open the file
// while its holder is removing it.
TEST(LockFile, OnlyOneProcessAtATime) {
  TemporaryFolder folder;
  std::ofstream(folder / "number") << 0;
  std::vector<pid_t> children;
  for (int process = 0; process < 4; ++process) {
    children.push_back(start_child([&] {
      for (int i = 0; i < 500;) {
        std::optional<LockFile> lock = LockFile::try_lock(folder / "lock");
        if (!lock) continue;
        int number = -1;
        std::ifstream(folder / "number") >> number;
        std::ofstream(folder / "number") << number + 1;
        ++i;
      }
      return 0;
    }));
  }
  for (pid_t child : children) EXPECT_EQ(wait_for(child), 0);
  int number = 0;
  std::ifstream(folder / "number") >> number;
  EXPECT_EQ(number, 2000);
  EXPECT_FALSE(fs::exists(folder / "lock"));
}

TEST(LockFile, WaitsForItsTurn) {
  TemporaryFolder folder;
  Signal locked;
  pid_t child = start_child([&] {
    LockFile lock(folder / "lock");
    locked.raise();
    ::usleep(100'000);
    std::ofstream(folder / "made") << 1;
    return 0;
  });
  locked.await();
  LockFile lock(folder / "lock");
  EXPECT_TRUE(fs::exists(folder / "made"));
  EXPECT_EQ(wait_for(child), 0);
}

}  // namespace
}  // namespace lockstep::store
