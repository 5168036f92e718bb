// How a step's attention is shared by the workers: its units, and which pages of a unit are whose. All of it
// follows from the step's rows and the number of workers, so that every worker finds the same without asking.
#pragma once

#include <algorithm>
#include <cstdint>

#include "program/isa/host_kv.h"
#include "targets/host/kernels/kernels.h"
#include "targets/host/step_rows.h"
#include "targets/host/work.h"

namespace lockstep::targets::host {

// Successive rows of one sequence and heads that share a KV head: the queries that one block holds.
struct AttentionUnit {
  const StepRows::Sequence* sequence = nullptr;
  uint32_t row = 0, rows = 0;    // of the step
  uint32_t head = 0, heads = 0;  // of all query heads
  uint32_t kv_head = 0;
  uint32_t position = 0;    // of the first row
  uint32_t pages = 0;       // that its last row sees
  uint64_t cost_begin = 0;  // of the units before
  uint64_t page_cost = 0;   // of a page

  uint64_t cost() const { return pages * page_cost; }
};

// Bytes of the weights of a block: they stay in a core's own cache. A single row may need more.
inline constexpr uint64_t kBlockWeightsBytes = 512 << 10;

class AttentionUnits {
 public:
  // `group`: query heads for each KV head.
  AttentionUnits(const StepRows& rows, uint32_t kv_heads, uint32_t group, uint32_t workers)
      : rows_(rows), kv_heads_(kv_heads), group_(group), workers_(workers) {
    uint64_t largest = 0;
    for_each([&](const AttentionUnit& unit) {
      total_ = unit.cost_begin + unit.cost();
      largest = std::max(largest, unit.cost());
    });
    cut_ = workers > 1 && largest >= kCutCost && largest * workers * 8 > total_;
  }

  // Whether units are cut between pages, so that workers must wait for one another.
  bool cut() const { return cut_; }

  // The pages of a unit that are a worker's.
  Share pages(const AttentionUnit& unit, uint32_t worker) const {
    return {page_at(unit, worker), page_at(unit, worker + 1)};
  }

  // Calls visit(unit) for all units in order.
  template <class Visit>
  void for_each(Visit visit) const {
    using program::isa::kPagePositions;
    const uint32_t heads_at_once = std::min(group_, kBlockQueries);
    AttentionUnit unit;
    for (const StepRows::Sequence& sequence : rows_.sequences()) {
      const uint32_t rows_at_once = block_rows(sequence, heads_at_once);
      unit.sequence = &sequence;
      for (unit.kv_head = 0; unit.kv_head < kv_heads_; ++unit.kv_head) {
        for (uint32_t head = 0; head < group_; head += heads_at_once) {
          unit.head = unit.kv_head * group_ + head;
          unit.heads = std::min(heads_at_once, group_ - head);
          for (uint32_t row = 0; row < sequence.rows; row += rows_at_once) {
            unit.row = sequence.first_row + row;
            unit.rows = std::min(rows_at_once, sequence.rows - row);
            unit.position = sequence.position + row;
            unit.pages = (unit.position + unit.rows + kPagePositions - 1) / kPagePositions;
            unit.page_cost = uint64_t{unit.rows} * unit.heads + kPageCost;
            visit(unit);
            unit.cost_begin += unit.cost();
          }
        }
      }
    }
  }

  // The most bytes of the weights of a unit, for sequences of up to this many positions.
  static uint64_t weights_bytes_max(uint64_t positions, uint32_t group) {
    const uint64_t pages = (positions + program::isa::kPagePositions - 1) / program::isa::kPagePositions;
    return std::max(kBlockWeightsBytes, pages * std::min(group, kBlockQueries) * kPageWeightsBytes);
  }

 private:
  static constexpr uint64_t kPageWeightsBytes = program::isa::kPagePositions * sizeof(float);
  static constexpr uint64_t kPageCost = 3;  // of a page's bytes, in queries
  static constexpr uint64_t kCutCost = 24;  // a smaller unit is done before the workers have met three times

  uint32_t block_rows(const StepRows::Sequence& sequence, uint32_t heads) const {
    using program::isa::kPagePositions;
    const uint64_t pages =
        (uint64_t{sequence.position} + sequence.rows + kPagePositions - 1) / kPagePositions;
    const uint64_t in_cache = kBlockWeightsBytes / (pages * heads * kPageWeightsBytes);
    // Several units for each worker.
    const uint64_t balanced = uint64_t{rows_.count()} * kv_heads_ / (4 * workers_);
    const uint64_t rows = std::min<uint64_t>({kBlockQueries / heads, in_cache, balanced});
    return static_cast<uint32_t>(std::max<uint64_t>(rows, 1));
  }

  // The page of the unit at which the workers before `worker` end.
  uint64_t page_at(const AttentionUnit& unit, uint32_t worker) const {
    const uint64_t boundary = total_ * worker / workers_;
    if (cut_) {
      if (boundary <= unit.cost_begin) return 0;
      return std::min<uint64_t>((boundary - unit.cost_begin + unit.page_cost / 2) / unit.page_cost,
                                unit.pages);
    }
    return unit.cost_begin + unit.cost() / 2 < boundary ? unit.pages : 0;
  }

  const StepRows& rows_;
  const uint32_t kv_heads_, group_, workers_;
  uint64_t total_ = 0;
  bool cut_ = false;
};

}  // namespace lockstep::targets::host
