// How the host instruction set holds a Q16 vector of n columns, padded with zeros to P = padded_columns(n):
//   int8 hi[P], int8 lo[P]              the balanced planes
//   int16 hi_sums[P/16], lo_sums[P/16]  their sums over every 16 columns
//   float scale                         s; the row is padded to 64 bytes
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "program/isa/host_panels.h"

namespace lockstep::program::isa {

struct Q16Layout {
  uint64_t columns = 0;
  uint64_t padded = 0;

  explicit Q16Layout(uint64_t n) : columns(n), padded(padded_columns(n)) {}
  uint64_t lo() const { return padded; }
  uint64_t hi_sums() const { return 2 * padded; }
  uint64_t lo_sums() const { return 2 * padded + padded / 8; }
  uint64_t scale() const { return 2 * padded + padded / 4; }
  uint64_t row_bytes() const { return align_up(scale() + sizeof(float), 64); }
};

// The integers of a vector of a.size() columns.
inline void unpack_q16(Bytes row, std::span<int16_t> a) {
  const auto* hi = reinterpret_cast<const int8_t*>(row.data());
  const int8_t* lo = hi + Q16Layout(a.size()).lo();
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<int16_t>(255 * int32_t{hi[i]} + int32_t{lo[i]});
}

}  // namespace lockstep::program::isa
