#include "store/atomic_file.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/file.h"
#include "store/test_processes.h"

namespace lockstep::store {
namespace {

namespace fs = std::filesystem;

uint64_t files_in(const fs::path& folder) {
  return static_cast<uint64_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

// The error that `function` throws.
template <class Function>
Error error_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::Internal, "nothing was thrown");
}

TEST(AtomicFile, WritesPiecesAndReplaces) {
  TemporaryFolder folder;
  fs::path path = folder / "program";
  write_file(path, as_bytes("old"));
  AtomicFile file(path);
  file.append(as_bytes("new "));
  file.append({});
  file.append(as_bytes("bytes"));
  EXPECT_EQ(read_text_file(path), "old");
  file.commit();
  EXPECT_EQ(read_text_file(path), "new bytes");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, WithoutCommitNothingStays) {
  TemporaryFolder folder;
  { AtomicFile(folder / "program").append(as_bytes("bytes")); }
  EXPECT_EQ(files_in(folder.path()), 0u);
}

TEST(AtomicFile, FollowsALinkToAFile) {
  TemporaryFolder folder;
  write_file(folder / "target", as_bytes("old"));
  fs::create_symlink("target", folder / "link");
  write_file(folder / "link", as_bytes("new"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_text_file(folder / "target"), "new");
}

TEST(AtomicFile, TakesAShortRelativePathAndALongName) {
  TemporaryFolder folder;
  write_file(folder / std::string(255, 'n'), as_bytes("x"));
  EXPECT_EQ(files_in(folder.path()), 1u);
  EXPECT_EQ(wait_for(start_child([&] {
              fs::current_path(folder.path());
              write_file("short", as_bytes("x"));
              return 0;
            })),
            0);
  EXPECT_EQ(read_text_file(folder / "short"), "x");
}

TEST(AtomicFile, RefusesWhatIsNoRegularFile) {
  TemporaryFolder folder;
  for (const fs::path& path : {folder.path(), fs::path("/dev/null")}) {
    Error error = error_of([&] { write_file(path, as_bytes("x")); });
    EXPECT_EQ(error.kind(), ErrorKind::User);
    EXPECT_TRUE(contains(error.what(), path.string()));
  }
  Error error = error_of([&] { write_file(folder / "missing/program", as_bytes("x")); });
  EXPECT_EQ(error.kind(), ErrorKind::User);
  EXPECT_TRUE(contains(error.what(), (folder / "missing").string() + " is not a folder"));
}

TEST(AtomicFile, UnwritableFolderIsTheMachinesError) {
  TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(0555));
  EXPECT_EQ(wait_for(start_child([&] {
              if (!give_up_root()) return 77;
              Error error = error_of([&] { write_file(folder / "program", as_bytes("x")); });
              EXPECT_EQ(error.what(),
                        (folder / "program").string() + ": cannot be created: Permission denied");
              return testing::Test::HasFailure() ? 1 : error.exit_code();
            })),
            3);
}

// Writes 1 MiB where less fits and checks what is left of it.
int write_too_much(const fs::path& folder, const char* reason) {
  write_file(folder / "program", as_bytes("old"));
  std::string mebibyte(1 << 20, 'x');
  Error error = error_of([&] { write_file(folder / "program", as_bytes(mebibyte)); });
  EXPECT_EQ(error.kind(), ErrorKind::Machine);
  EXPECT_EQ(error.what(), (folder / "program").string() + ": cannot be written: " + reason);
  EXPECT_EQ(read_text_file(folder / "program"), "old");
  EXPECT_EQ(files_in(folder), 1u);
  return testing::Test::HasFailure() ? 1 : 0;
}

TEST(AtomicFile, FullDiskLeavesTheOldFile) {
  TemporaryFolder folder;
  int code = wait_for(start_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 77;
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("none", folder.path().c_str(), "tmpfs", 0, "size=64k") != 0) return 77;
    return write_too_much(folder.path(), "No space left on device");
  }));
  if (code == 77) GTEST_SKIP() << "mounting a small disk is not permitted here";
  EXPECT_EQ(code, 0);
}

TEST(AtomicFile, FileSizeLimitLeavesTheOldFile) {
  TemporaryFolder folder;
  EXPECT_EQ(wait_for(start_child([&] {
              ::signal(SIGXFSZ, SIG_IGN);
              struct rlimit limit = {65536, 65536};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              return write_too_much(folder.path(), "File too large");
            })),
            0);
}

TEST(AtomicFile, AKilledWriterLeavesTheOldFileAndIsCleanedUpAfter) {
  TemporaryFolder folder;
  fs::path path = folder / "program";
  write_file(path, as_bytes("old"));
  Signal writing;
  pid_t child = start_child([&] {
    AtomicFile file(path);
    std::string piece(65536, 'x');
    for (int i = 0; i < 100; ++i) file.append(as_bytes(piece));
    writing.raise();
    while (true) ::pause();
    return 0;
  });
  writing.await();
  EXPECT_EQ(remove_stale_temporaries(folder.path()), 0u) << "the writer lives";
  EXPECT_EQ(files_in(folder.path()), 2u);
  ::kill(child, SIGKILL);
  EXPECT_EQ(wait_for(child), -SIGKILL);
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(files_in(folder.path()), 2u);
  write_file(path, as_bytes("new"));
  EXPECT_EQ(read_text_file(path), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, CleaningLeavesOtherFilesAlone) {
  TemporaryFolder folder;
  fs::create_directory(folder / ".lockstep-tmp-1-0");
  fs::create_symlink("/dev/null", folder / ".lockstep-tmp-1-1");
  write_file(folder / "lockstep-tmp-1-2", as_bytes("x"));
  EXPECT_EQ(remove_stale_temporaries(folder.path()), 0u);
  EXPECT_EQ(files_in(folder.path()), 3u);
  EXPECT_EQ(remove_stale_temporaries(folder / "missing"), 0u);
}

// Every writer cleans the folder first, so that each races with the others' new temporaries.
TEST(AtomicFile, ManyWritersOfOneFileNeverMix) {
  TemporaryFolder folder;
  std::vector<pid_t> children;
  for (char letter : {'a', 'b', 'c', 'd'}) {
    children.push_back(start_child([&folder, letter] {
      for (int i = 0; i < 50; ++i) write_file(folder / "program", as_bytes(std::string(5000, letter)));
      return 0;
    }));
  }
  for (pid_t child : children) EXPECT_EQ(wait_for(child), 0);
  std::string text = read_text_file(folder / "program");
  EXPECT_EQ(text, std::string(5000, text.at(0)));
  EXPECT_EQ(files_in(folder.path()), 1u);
}

}  // namespace
}  // namespace lockstep::store
