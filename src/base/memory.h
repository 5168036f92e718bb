// Memory for activations, state and weights: page-aligned, zero-filled, taken from the system page by page
// as it is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lockstep {

enum class PageSize : uint8_t {
  Normal,
  Huge,  // 2 MiB where the system grants them: a stream over them misses the TLB less
};

// An anonymous map. OWNS it. Throws a machine's error when the system refuses.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(uint64_t bytes, PageSize pages = PageSize::Normal);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept;
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept;
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
  std::byte* map_ = nullptr;  // the map's own begin and size; data_ lies in it, aligned to the page
  uint64_t map_bytes_ = 0;
};

// Has the system back every page of the range now, so that no later access to it waits for one. The bytes
// keep their values. False when the system cannot (before Linux 5.14, or out of memory): then pages come as
// touched.
bool populate(std::span<std::byte> range);

}  // namespace lockstep
