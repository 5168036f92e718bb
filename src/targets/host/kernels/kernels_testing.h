// What the kernels' tests share: the tables that this CPU can run, random numbers, and outputs with guard
// bytes on either side.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "targets/host/kernels/kernels.h"

namespace lockstep::targets::host {

// The vector tables that this build and CPU have.
inline std::vector<const KernelTable*> vector_tables() {
  std::vector<const KernelTable*> tables = available_kernels();
  tables.erase(tables.begin());  // the scalar one
  return tables;
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int64_t integer(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  float normal(float deviation) { return std::normal_distribution<float>(0.0f, deviation)(engine_); }
  bool chance(int64_t one_in) { return integer(1, one_in) == 1; }
  std::vector<float> normals(uint64_t n, float deviation) {
    std::vector<float> values(n);
    for (float& value : values) value = normal(deviation);
    return values;
  }

 private:
  std::mt19937_64 engine_;
};

// An output of n elements, every byte of which starts as 0xa5, as do 64 bytes on either side.
template <class T>
class Guarded {
 public:
  explicit Guarded(uint64_t n) : bytes_(n * sizeof(T)), memory_(bytes_ + 2 * kGuard + kGuard) {
    std::memset(memory_.data(), 0xa5, memory_.size());
  }
  T* data() { return reinterpret_cast<T*>(memory_.data() + start()); }
  std::vector<std::byte> bytes() {
    return {memory_.begin() + static_cast<std::ptrdiff_t>(start()),
            memory_.begin() + static_cast<std::ptrdiff_t>(start() + bytes_)};
  }
  bool intact() {
    for (uint64_t i = 0; i < memory_.size(); ++i) {
      if ((i < start() || i >= start() + bytes_) && memory_[i] != std::byte{0xa5}) return false;
    }
    return true;
  }

 private:
  static constexpr uint64_t kGuard = 64;
  // 64-byte aligned, as the program's regions are.
  uint64_t start() {
    return kGuard + (kGuard - reinterpret_cast<uintptr_t>(memory_.data()) % kGuard) % kGuard;
  }

  uint64_t bytes_;
  std::vector<std::byte> memory_;
};

// Whether two outputs hold the same bits and neither wrote past its ends.
template <class T>
testing::AssertionResult same_bits(Guarded<T>& expected, Guarded<T>& actual) {
  if (!expected.intact()) return testing::AssertionFailure() << "the reference wrote past its output";
  if (!actual.intact()) return testing::AssertionFailure() << "wrote past the output";
  const std::vector<std::byte> a = expected.bytes(), b = actual.bytes();
  for (uint64_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i])
      return testing::AssertionFailure() << "element " << i / sizeof(T) << " of " << a.size() / sizeof(T);
  }
  return testing::AssertionSuccess();
}

}  // namespace lockstep::targets::host
