#include "store/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "base/error.h"

namespace lockstep::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporaryPrefix = ".lockstep-tmp-";

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// The file that a write to `path` would change.
fs::path resolve(const fs::path& path) {
  std::error_code code;
  fs::file_status status = fs::status(path, code);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    user_error("{}: cannot be replaced, because it is not a regular file", path.string());
  }
  if (!fs::exists(status) || !fs::is_symlink(fs::symlink_status(path, code))) return path;
  fs::path target = fs::canonical(path, code);
  return code ? path : target;
}

// Whether the name `path` still leads to the open file `descriptor`.
bool still_named(int descriptor, const fs::path& path) {
  struct stat by_descriptor {};
  struct stat by_name {};
  return ::fstat(descriptor, &by_descriptor) == 0 && ::lstat(path.c_str(), &by_name) == 0 &&
         by_descriptor.st_ino == by_name.st_ino && by_descriptor.st_dev == by_name.st_dev;
}

// Removes `path` if it is a regular file that nobody holds the lock of.
bool remove_if_stale(const fs::path& path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return false;
  struct stat status {};
  bool removed = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
                 ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && still_named(descriptor, path) &&
                 ::unlink(path.c_str()) == 0;
  ::close(descriptor);
  return removed;
}

// Makes a rename in `folder` durable; gives errno's value or 0. Some file systems cannot do this for a
// folder and say EINVAL: there is nothing more to do then.
int synchronise_folder(const fs::path& folder) {
  int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno == EACCES ? 0 : errno;
  int code = ::fsync(descriptor) == 0 || errno == EINVAL ? 0 : errno;
  ::close(descriptor);
  return code;
}

}  // namespace

AtomicFile::AtomicFile(const fs::path& path, Leftovers leftovers) : path_(resolve(path)) {
  std::error_code code;
  fs::path folder = folder_of(path_);
  fs::file_type kind = fs::status(folder, code).type();  // none: not known, for example not permitted
  if (!path_.has_filename() || (kind != fs::file_type::directory && kind != fs::file_type::none)) {
    user_error("{}: cannot be written, because {} is not a folder", path.string(), folder.string());
  }
  if (leftovers == Leftovers::Remove) remove_stale_temporaries(folder);
  create_temporary();
}

void AtomicFile::create_temporary() {
  static std::atomic<uint64_t> counter{0};
  while (descriptor_ < 0) {
    fs::path name = folder_of(path_) / fmt::format("{}{}-{}", kTemporaryPrefix, ::getpid(), counter++);
    descriptor_ = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
      if (errno == EEXIST || errno == EINTR) continue;
      fail("created", errno);
    }
    temporary_ = name;
    // Where a file system has no locks, cleaners cannot take them either and leave the file alone. A
    // cleaner that came before the lock is waited for; it has then removed the file.
    while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
    }
    if (!still_named(descriptor_, temporary_)) ::close(std::exchange(descriptor_, -1));
  }
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  if (descriptor_ >= 0) ::close(descriptor_);
}

void AtomicFile::fail(const char* action, int code) const {
  machine_error("{}: cannot be {}: {}", path_.string(), action, errno_text(code));
}

void AtomicFile::append(Bytes bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      fail("written", errno);
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

void AtomicFile::commit(Durability durability) {
  LOCKSTEP_CHECK(!temporary_.empty());
  const bool durable = durability == Durability::Durable;
  if (durable && ::fsync(descriptor_) != 0) fail("written", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("replaced", errno);
  temporary_.clear();
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail("written", errno);
  if (!durable) return;
  if (int code = synchronise_folder(folder_of(path_))) fail("made durable", code);
}

void write_file(const fs::path& path, Bytes bytes, Leftovers leftovers) {
  AtomicFile file(path, leftovers);
  file.append(bytes);
  file.commit();
}

uint64_t remove_stale_temporaries(const fs::path& folder) noexcept {
  uint64_t removed = 0;
  try {
    std::error_code code;
    for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
      if (entry->path().filename().native().starts_with(kTemporaryPrefix)) {
        removed += remove_if_stale(entry->path()) ? 1 : 0;
      }
    }
  } catch (const std::exception&) {  // out of memory: the leftovers wait for the next writer
  }
  return removed;
}

}  // namespace lockstep::store
