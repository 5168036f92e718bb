#include "base/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <utility>

namespace lockstep {

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // O_NONBLOCK: a FIFO without a writer is refused below instead of waited for.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) user_error("{}: cannot be opened: {}", path.string(), errno_text(errno));
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    user_error("{}: not a regular file", path.string());
  }
  size_ = static_cast<size_t>(status.st_size);
  if (size_ > 0) {
    void* map = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    int code = errno;
    ::close(descriptor);
    if (map == MAP_FAILED) {
      size_ = 0;
      machine_error("{}: cannot be mapped: {}", path.string(), errno_text(code));
    }
    data_ = map;
  } else {
    ::close(descriptor);
  }
}

void MappedFile::release_memory(Bytes range) const {
  constexpr uint64_t kPageBytes = 4096;
  const uint64_t begin = static_cast<uint64_t>(range.data() - bytes().data()) / kPageBytes * kPageBytes;
  const uint64_t end = static_cast<uint64_t>(range.data() - bytes().data()) + range.size();
  if (data_ != nullptr && begin < end)
    ::madvise(static_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    path_ = std::move(other.path_);
  }
  return *this;
}

std::string read_text_file(const std::filesystem::path& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  if (std::filesystem::is_directory(path)) {
    user_error("{}: is a folder; a file is wanted", path.string());
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) user_error("{}: cannot be opened: {}", path.string(), errno_text(errno));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) machine_error("{}: cannot be read: {}", path.string(), errno_text(errno));
  return text;
}

namespace {
void on_bus_error(int) {
  static constexpr char kMessage[] =
      "lockstep: a mapped model or program file became shorter or unreadable while in use; restore it and "
      "run again\n";
  // Of several threads that meet the hole, one speaks and ends the process; the others wait for that.
  static std::atomic_flag spoken = ATOMIC_FLAG_INIT;
  while (spoken.test_and_set()) ::pause();
  [[maybe_unused]] ssize_t ignored = ::write(2, kMessage, sizeof(kMessage) - 1);
  ::_exit(3);
}
}  // namespace

void install_bus_error_handler() {
  struct sigaction action {};
  action.sa_handler = on_bus_error;
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace lockstep
