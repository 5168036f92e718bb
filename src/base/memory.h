// Memory for activations, state and weights: page-aligned, zero-filled, taken from the system page by page
// as it is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lockstep {

// An anonymous map. OWNS it. Throws a machine's error when the system refuses.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(uint64_t bytes);
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
};

}  // namespace lockstep
