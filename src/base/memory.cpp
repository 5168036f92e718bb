#include "base/memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "base/error.h"

namespace lockstep {

namespace {
constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;
}

AlignedBuffer::AlignedBuffer(uint64_t bytes, PageSize pages) : size_(bytes) {
  if (bytes == 0) return;
  const bool huge = pages == PageSize::Huge && bytes >= kHugePageBytes;
  map_bytes_ = huge ? bytes + kHugePageBytes : bytes;
  void* map =
      ::mmap(nullptr, map_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) {
    size_ = map_bytes_ = 0;
    machine_error("{} MB of memory cannot be had: {}", bytes >> 20, errno_text(errno));
  }
  map_ = data_ = static_cast<std::byte*>(map);
  if (!huge) return;
  const uint64_t address = reinterpret_cast<uint64_t>(map_);
  data_ = map_ + ((address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes - address);
  ::madvise(data_, size_, MADV_HUGEPAGE);  // a wish: without it the buffer works all the same
}

AlignedBuffer::~AlignedBuffer() {
  if (map_ != nullptr) ::munmap(map_, map_bytes_);
}

AlignedBuffer::AlignedBuffer(AlignedBuffer&& other) noexcept {
  *this = std::move(other);
}

AlignedBuffer& AlignedBuffer::operator=(AlignedBuffer&& other) noexcept {
  if (this != &other) {
    if (map_ != nullptr) ::munmap(map_, map_bytes_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    map_ = std::exchange(other.map_, nullptr);
    map_bytes_ = std::exchange(other.map_bytes_, 0);
  }
  return *this;
}

bool populate(std::span<std::byte> range) {
#if defined(MADV_POPULATE_WRITE)
  constexpr uint64_t kPageBytes = 4096;
  const uint64_t before = reinterpret_cast<uint64_t>(range.data()) % kPageBytes;
  if (range.empty()) return true;
  return ::madvise(range.data() - before, range.size() + before, MADV_POPULATE_WRITE) == 0;
#else
  return range.empty();
#endif
}

}  // namespace lockstep
