// One memory slice (MEM): rows of a byte a lane, one access a cycle.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "targets/lpu/unit_context.h"

namespace lockstep::targets::lpu {

class MemorySlice {
 public:
  // `context` must outlive the slice.
  MemorySlice(const UnitContext& context, Place place);

  // Read, Write, Gather or Scatter.
  void execute(const Issue& issue);
  // After a run: what was written is there.
  void settle();

  // The host's access between runs. REQUIRES rows inside the slice.
  void load(Bytes first_rows);
  void set_known_rows(uint32_t rows);  // without arithmetic: the first rows are written
  bool written(uint32_t row) const { return superlanes_written(row) == all_superlanes_; }
  std::span<const std::byte> row(uint32_t row) const { return {row_data(row), lanes_}; }
  std::span<std::byte> writable_row(uint32_t row);  // counts as written

 private:
  // A row that a Write or Scatter has taken and that reads do not see yet. Written: a bit a superlane.
  struct Pending {
    uint64_t visible;
    uint32_t row;
    uint32_t superlanes;
    Vector value;
  };

  void accessed(uint32_t row, bool writes) const;
  void read(const Issue& issue);
  void write(const Issue& issue);
  void gather(const Issue& issue);
  void scatter(const Issue& issue);

  void apply_until(uint64_t cycle);
  void apply(const Pending& pending);
  void require_row(const Issue& issue, uint64_t row) const;
  void require_written(const Issue& issue, uint32_t row, uint32_t superlanes) const;
  uint32_t superlanes_written(uint32_t row) const {
    if (row < known_rows_) return all_superlanes_;
    return row - known_rows_ < written_.size() ? written_[row - known_rows_] : 0;
  }
  void mark_written(uint32_t row, uint32_t superlanes);
  // The row of each superlane by the map on two streams, or kNoRow. Only with arithmetic.
  static constexpr uint32_t kNoRow = ~0u;
  void map_rows(const Issue& issue, const Vector* low, const Vector* high, std::span<uint32_t> rows) const;

  std::byte* row_data(uint32_t row) const { return bytes_.data() + uint64_t{row} * lanes_; }

  const UnitContext& context_;
  const Place place_;
  const uint32_t lanes_;
  const uint32_t all_superlanes_;
  AlignedBuffer bytes_;  // empty without arithmetic
  uint32_t known_rows_ = 0;
  std::vector<uint32_t> written_;  // of the rows after the known ones, as far as any was written
  std::deque<Pending> pending_;    // by `visible`, rising
};

}  // namespace lockstep::targets::lpu
