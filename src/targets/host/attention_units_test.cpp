// How attention is shared: every page of every unit has one worker, units fit a block, shares are even.
#include "targets/host/attention_units.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep::targets::host {
namespace {

using program::isa::kPagePositions;

struct Rows {
  uint32_t position, rows;
};

struct Step {
  std::vector<Rows> sequences;
  uint32_t kv_heads, group, workers;
};

StepRows rows_of(const std::vector<Rows>& sequences) {
  uint32_t rows = 0;
  for (const Rows& sequence : sequences) rows += sequence.rows;
  StepRows step(rows, 1);
  const std::vector<int32_t> tokens(rows);
  std::vector<StepSequence> list;
  for (const Rows& sequence : sequences) {
    StepSequence entry{};
    entry.position = sequence.position;
    entry.tokens = std::span(tokens).first(sequence.rows);
    list.push_back(entry);
  }
  step.set(list, [](uint32_t) { return static_cast<const std::byte*>(nullptr); });
  return step;
}

const Step kSteps[] = {
    {{{0, 1}}, 3, 3, 2},
    {{{2047, 1}}, 3, 3, 2},
    {{{2047, 1}}, 3, 3, 16},
    {{{70000, 1}}, 1, 71, 5},
    {{{3840, 256}}, 3, 3, 2},
    {{{0, 256}}, 8, 4, 7},
    {{{100, 1}, {4000, 1}, {63, 1}, {64, 3}, {1000, 28}}, 3, 3, 4},
    {{{8000, 1}, {8000, 1}, {8000, 1}, {8000, 1}, {8000, 1}}, 2, 7, 3},
};

TEST(AttentionUnits, CoverEveryRowHeadAndPageOnce) {
  for (const Step& step : kSteps) {
    const StepRows rows = rows_of(step.sequences);
    const AttentionUnits units(rows, step.kv_heads, step.group, step.workers);
    std::vector<uint32_t> covered(rows.count() * step.kv_heads * step.group);
    units.for_each([&](const AttentionUnit& unit) {
      EXPECT_LE(unit.rows * unit.heads, kBlockQueries);
      EXPECT_EQ(unit.head / step.group, unit.kv_head);
      EXPECT_EQ(unit.position, rows.position(unit.row));
      EXPECT_EQ(unit.pages, (rows.position(unit.row + unit.rows - 1) / kPagePositions) + 1);
      EXPECT_LE(uint64_t{unit.rows} * unit.heads * unit.pages * kPagePositions * sizeof(float),
                AttentionUnits::weights_bytes_max(rows.position(unit.row) + unit.rows, step.group));
      for (uint32_t row = unit.row; row < unit.row + unit.rows; ++row) {
        for (uint32_t head = unit.head; head < unit.head + unit.heads; ++head)
          ++covered[row * step.kv_heads * step.group + head];
      }
      uint64_t page = 0;
      for (uint32_t worker = 0; worker < step.workers; ++worker) {
        const Share pages = units.pages(unit, worker);
        EXPECT_EQ(pages.begin, page);
        EXPECT_TRUE(units.cut() || pages.begin == pages.end || pages.end - pages.begin == unit.pages);
        page = pages.end;
      }
      EXPECT_EQ(page, unit.pages);
    });
    for (uint32_t count : covered) EXPECT_EQ(count, 1u);
  }
}

// A worker has one rest of a unit and one start of a unit at the most, for which it has memory.
TEST(AttentionUnits, AreCutOnceAtEachEndOfAShare) {
  for (const Step& step : kSteps) {
    const StepRows rows = rows_of(step.sequences);
    const AttentionUnits units(rows, step.kv_heads, step.group, step.workers);
    for (uint32_t worker = 0; worker < step.workers; ++worker) {
      uint32_t rests = 0, starts = 0;
      units.for_each([&](const AttentionUnit& unit) {
        const Share pages = units.pages(unit, worker);
        if (pages.begin == pages.end || pages.end - pages.begin == unit.pages) return;
        ++(pages.begin == 0 ? starts : rests);
      });
      EXPECT_LE(rests, 1u);
      EXPECT_LE(starts, 1u);
    }
  }
}

TEST(AttentionUnits, LongRowsAreSharedEvenly) {
  const StepRows rows = rows_of({{2047, 1}});
  const AttentionUnits units(rows, 3, 3, 2);
  EXPECT_TRUE(units.cut());
  uint64_t first = 0;
  units.for_each([&](const AttentionUnit& unit) {
    const Share pages = units.pages(unit, 0);
    first += pages.end - pages.begin;
  });
  EXPECT_EQ(first, 48u);  // of 3 * 32 pages
  EXPECT_FALSE(AttentionUnits(rows, 3, 3, 1).cut());
  EXPECT_FALSE(AttentionUnits(rows_of({{10, 1}}), 3, 3, 2).cut());
}

}  // namespace
}  // namespace lockstep::targets::host
