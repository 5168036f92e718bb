// For tests and fuzzers: makes the hashes and sizes of an edited program file right again, so that what
// stands behind them is reached. Offsets as in docs/program-format.md.
#pragma once

#include <algorithm>
#include <vector>

#include "program/encode.h"

namespace lockstep::program {

inline constexpr uint64_t kHeaderBytesForTests = 256;

// Overwrites T at an offset of a file.
template <class T>
void put_at(std::vector<std::byte>& file, uint64_t offset, T value) {
  std::memcpy(file.data() + offset, &value, sizeof(value));
}
template <class T>
T get_at(const std::vector<std::byte>& file, uint64_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(value));
  return value;
}

// Takes the end of the file as its leaf hashes. Leaves a file that is too short for any alone.
inline void reseal(std::vector<std::byte>& file) {
  constexpr uint64_t kHash = sizeof(Hash256);
  if (file.size() <= kHeaderBytesForTests + kHash) return;
  const uint64_t count = (file.size() - kHeaderBytesForTests + kLeafBytes + kHash - 1) / (kLeafBytes + kHash);
  const uint64_t leaves = file.size() - count * kHash;
  put_at<uint64_t>(file, 48, leaves);
  put_at<uint64_t>(file, 56, file.size());
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t begin = kHeaderBytesForTests + i * kLeafBytes;
    const uint64_t end = std::min(begin + kLeafBytes, leaves);
    put_at(file, leaves + i * kHash, blake2b(Bytes(file).subspan(begin, end - begin)));
  }
  put_at(file, 64, Hash256{});
  Blake2b hasher;
  hasher.update(Bytes(file).first(kHeaderBytesForTests));
  hasher.update(Bytes(file).subspan(leaves));
  put_at(file, 64, hasher.finish());
}

}  // namespace lockstep::program
