// Where everything that lasts stands in a chip's memory: weight tiles, constants, tables, the KV cache and
// what the host reads and writes. Fixed before anything is scheduled, and the same for all entries.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "compiler/lpu/chip_scheduler.h"
#include "compiler/lpu/slice_memory.h"
#include "compiler/lpu/vector_integers.h"
#include "graph/graph.h"

namespace lockstep::compiler::lpu {

// Which element of a value each lane of its vectors holds; -1 where a lane holds zero.
struct Layout {
  uint32_t vectors = 0;
  std::vector<int32_t> elements;  // [vectors][lanes]
};
// Element first + 320 v + l in lane l of vector v (for 320 lanes).
Layout dense_layout(uint32_t first, uint32_t width, uint32_t lanes);
// One behind the other.
Layout joined(const std::vector<Layout>& parts);

// Heads side by side: a vector holds as many KV heads as fit; query heads that share KV heads stand in
// as many vectors as there are queries to a KV head, each where its KV head stands.
struct HeadLayout {
  uint32_t head_width = 0, kv_heads = 0, group = 0;  // group: query heads of a KV head
  uint32_t vector_heads = 0;                         // KV heads of a vector
  uint32_t sets = 0;                                 // vectors of KV heads
  Layout keys, queries;                              // queries: vector set * group + r
};
// The layout of `kv_heads` heads from `first_kv_head` on.
HeadLayout head_layout(uint32_t first_kv_head, uint32_t kv_heads, uint32_t group, uint32_t head_width,
                       uint32_t lanes);

// The planes of a chip in the order in which work is dealt to them.
std::vector<ChipScheduler::Plane> planes_of(const machine::Machine& machine);

struct MatrixPlacement {
  uint32_t row_tiles = 0, column_tiles = 0, parts = 0;  // parts: int8 planes of a weight, 1 or 2
  std::vector<Tile> tiles;                              // [row_tiles][column_tiles][parts]
  std::vector<ChipScheduler::Plane> planes;             // [row_tiles][column_tiles]
  std::vector<Place> scales;                            // [row_tiles] row scales, words
  std::vector<Place> biases;                            // the same, or empty
  vector_math::PlaneBounds bounds;                      // of the sums; of two products in h and ll
  const Tile& tile(uint32_t row, uint32_t column, uint32_t part) const {
    return tiles[(row * column_tiles + column) * parts + part];
  }
  ChipScheduler::Plane plane(uint32_t row, uint32_t column) const {
    return planes[row * column_tiles + column];
  }
  const Place* bias(uint32_t row) const { return biases.empty() ? nullptr : &biases[row]; }
};

// The vocabulary's rows, so that a token's row can be gathered: row id is at base[column tile][part] + id / n
// of slice id % n, the n slices those of all planes, sixteen each. Ids count from the first that is there.
struct VocabularyPlacement {
  MatrixPlacement matrix;
  uint32_t first = 0, count = 0;               // the tokens that are there
  uint32_t slices = 0;                         // n
  std::vector<std::vector<Place>> candidates;  // [column_tile * parts + part][n]: row 0
  std::vector<int32_t> ids;  // [row_tiles][lanes]: the token of each lane of the logits, or -1
};

// One block of as many positions as a vector has lanes.
struct KvTile {
  std::array<Tile, 2> keys, values, values_transposed;  // high and low planes
  std::vector<Place> key_scales, value_scales;          // by head of the vector, words, a position a lane
};

class Placement {
 public:
  Placement(const machine::Machine& machine, SliceMemory& memory, SchedulerOptions options);

  // A vector of 32-bit words in memory, in the hemisphere that is emptier; equal ones stand there once.
  Place words(const std::vector<uint32_t>& lanes);
  // The same in a place of its own: what differs from chip to chip of those that run one schedule.
  Place own_words(const std::vector<uint32_t>& lanes);
  // `count` rows of words side by side, in the last four scratch slices; zero.
  Place word_rows(Hemisphere hemisphere, uint32_t count);
  void set_words(Place place, uint32_t row, const std::vector<uint32_t>& lanes);

  // A tile of up to `rows` output lanes in the slices of a plane; zero.
  Tile tile(ChipScheduler::Plane plane, uint32_t rows);
  void set_tile_row(const Tile& tile, uint32_t row, const std::vector<int8_t>& lanes);
  // A row of bytes in one slice far out; zero.
  Place byte_rows(Hemisphere hemisphere, uint32_t slice_from_end, uint32_t count);

  MatrixPlacement matrix(const graph::Weight& weight, const Layout& rows, const Layout& columns,
                         uint32_t first_plane);
  // `count` tokens from `first` on; there may be fewer rows.
  VocabularyPlacement vocabulary(const graph::Weight& weight, const Layout& columns, uint32_t first,
                                 uint32_t count);
  KvTile kv_tile(const HeadLayout& layout);
  const Tile& ones(ChipScheduler::Plane plane) const;

  uint32_t lanes() const { return machine_.geometry.lanes(); }

 private:
  std::array<uint16_t, 16> emptiest_slices(ChipScheduler::Plane plane) const;
  Tile tile_in(Hemisphere hemisphere, const std::array<uint16_t, 16>& slices, uint32_t groups);
  // Row scales go to `scale_rows`, one after the other, or where there is room if that is slice 0.
  void fill(MatrixPlacement& placement, const graph::Weight& weight, const Layout& rows,
            const Layout& columns, Place scale_rows);

  const machine::Machine& machine_;
  SliceMemory& memory_;
  SchedulerOptions options_;
  std::map<std::vector<uint32_t>, Place> known_;
  std::vector<Tile> ones_;
};

}  // namespace lockstep::compiler::lpu
