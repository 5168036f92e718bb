#include "store/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <utility>

#include "base/error.h"

namespace lockstep::store {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPoll{20};
constexpr milliseconds kNotice{1000};

// Whether the locked file is the one that others would find under `path`: the holder before us removes
// the file when it lets go.
bool is_current(int descriptor, const std::filesystem::path& path) {
  struct stat locked {};
  struct stat named {};
  return ::fstat(descriptor, &locked) == 0 && ::stat(path.c_str(), &named) == 0 &&
         locked.st_ino == named.st_ino && locked.st_dev == named.st_dev;
}

}  // namespace

LockFile::LockFile(const std::filesystem::path& path, const OnWait& on_wait) : path_(path) {
  const auto start = steady_clock::now();
  milliseconds next_notice = kNotice;
  while (!acquire()) {
    std::this_thread::sleep_for(kPoll);
    auto waited = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
    if (on_wait && waited >= next_notice) {
      on_wait(waited);
      next_notice = waited + kNotice;
    }
  }
}

std::optional<LockFile> LockFile::try_lock(const std::filesystem::path& path) {
  LockFile lock;
  lock.path_ = path;
  if (!lock.acquire()) return std::nullopt;
  return lock;
}

bool LockFile::acquire() {
  while (true) {
    int descriptor = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) {
      if (errno == EINTR) continue;
      machine_error("{}: cannot be created: {}", path_.string(), errno_text(errno));
    }
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      int code = errno;
      ::close(descriptor);
      if (code == EWOULDBLOCK) return false;
      if (code == EINTR) continue;
      machine_error("{}: cannot be locked: {}", path_.string(), errno_text(code));
    }
    if (is_current(descriptor, path_)) {
      descriptor_ = descriptor;
      return true;
    }
    ::close(descriptor);
  }
}

void LockFile::release() {
  if (descriptor_ < 0) return;
  ::unlink(path_.c_str());
  ::close(std::exchange(descriptor_, -1));
}

LockFile::~LockFile() {
  release();
}

LockFile::LockFile(LockFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

LockFile& LockFile::operator=(LockFile&& other) noexcept {
  if (this != &other) {
    release();
    path_ = std::move(other.path_);
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

}  // namespace lockstep::store
