// How the host instruction set holds a Q16 vector of n columns, padded with zeros to P = padded_columns(n):
//   int8 hi[P], int8 lo[P]              the balanced planes
//   int16 hi_sums[P/16], lo_sums[P/16]  their sums over every 16 columns
//   float scale                         s; the row is padded to 64 bytes
#pragma once

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

}  // namespace lockstep::program::isa
