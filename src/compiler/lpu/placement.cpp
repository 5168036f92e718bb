#include "compiler/lpu/placement.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"

namespace lockstep::compiler::lpu {

namespace {

constexpr uint32_t kTileStreams = 16;

constexpr uint32_t ceil_div(uint32_t a, uint32_t b) {
  return (a + b - 1) / b;
}

// The high part of w = 255 * high + low, both in [-127, 127]: NUMERICS.md section 2.
constexpr int32_t high_part(int32_t w) {
  return (w + (w >> 8) + 128) >> 8;
}

}  // namespace

Layout dense_layout(uint32_t first, uint32_t width, uint32_t lanes) {
  Layout layout{ceil_div(width, lanes), {}};
  layout.elements.assign(size_t{layout.vectors} * lanes, -1);
  std::iota(layout.elements.begin(), layout.elements.begin() + width, static_cast<int32_t>(first));
  return layout;
}

Layout joined(const std::vector<Layout>& parts) {
  Layout all;
  for (const Layout& part : parts) {
    all.vectors += part.vectors;
    all.elements.insert(all.elements.end(), part.elements.begin(), part.elements.end());
  }
  return all;
}

HeadLayout head_layout(uint32_t first_kv_head, uint32_t kv_heads, uint32_t group, uint32_t head_width,
                       uint32_t lanes) {
  HeadLayout layout;
  layout.head_width = head_width;
  layout.kv_heads = kv_heads;
  layout.group = group;
  layout.vector_heads = std::min(kv_heads, lanes / head_width);
  layout.sets = ceil_div(kv_heads, layout.vector_heads);
  layout.keys = {layout.sets, std::vector<int32_t>(size_t{layout.sets} * lanes, -1)};
  layout.queries = {layout.sets * layout.group,
                    std::vector<int32_t>(size_t{layout.sets} * layout.group * lanes, -1)};
  for (uint32_t i = 0; i < kv_heads; ++i) {
    const uint32_t kv = first_kv_head + i;
    const uint32_t set = i / layout.vector_heads, lane = i % layout.vector_heads * head_width;
    for (uint32_t e = 0; e < head_width; ++e) {
      layout.keys.elements[set * lanes + lane + e] = static_cast<int32_t>(kv * head_width + e);
      for (uint32_t r = 0; r < layout.group; ++r) {
        layout.queries.elements[(set * layout.group + r) * lanes + lane + e] =
            static_cast<int32_t>((kv * layout.group + r) * head_width + e);
      }
    }
  }
  return layout;
}

std::vector<ChipScheduler::Plane> planes_of(const machine::Machine& machine) {
  std::vector<ChipScheduler::Plane> planes;
  for (uint32_t index = 0; index < machine.geometry.planes; ++index) {
    planes.push_back({kEast, index});
    planes.push_back({kWest, index});
  }
  return planes;
}

Placement::Placement(const machine::Machine& machine, SliceMemory& memory, SchedulerOptions options)
    : machine_(machine), memory_(memory), options_(options) {
  for (const ChipScheduler::Plane plane : planes_of(machine)) {
    Tile ones = tile(plane, kTileStreams);
    ones.groups = lanes() / kTileStreams;
    ones.step = 0;
    for (uint32_t k = 0; k < kTileStreams; ++k)
      std::ranges::fill(memory_.image_row(ones.hemisphere, ones.slices[k], ones.bases[k]), uint8_t{1});
    ones_.push_back(ones);
  }
}

const Tile& Placement::ones(ChipScheduler::Plane plane) const {
  return ones_[2 * plane.index + plane.hemisphere];
}

Place Placement::words(const std::vector<uint32_t>& lanes) {
  const auto [it, is_new] = known_.try_emplace(lanes);
  if (is_new) it->second = own_words(lanes);
  return it->second;
}

Place Placement::own_words(const std::vector<uint32_t>& lanes) {
  const Hemisphere hemisphere = memory_.rows_taken(kEast, 0) <= memory_.rows_taken(kWest, 0) ? kEast : kWest;
  Place place{hemisphere, 0, memory_.take_rows(hemisphere, 0, 1)};
  for (uint16_t k = 1; k < 4; ++k) LOCKSTEP_CHECK(memory_.take_rows(hemisphere, k, 1) == place.row);
  set_words(place, place.row, lanes);
  return place;
}

Place Placement::word_rows(Hemisphere hemisphere, uint32_t count) {
  const uint32_t slice = 4 * (options_.scratch_quads - 1);
  Place place{hemisphere, static_cast<uint16_t>(slice), memory_.take_rows(hemisphere, slice, count)};
  for (uint32_t k = 0; k < 4; ++k) {
    if (k > 0) LOCKSTEP_CHECK(memory_.take_rows(hemisphere, slice + k, count) == place.row);
    memory_.image_row(hemisphere, slice + k, place.row + count - 1);
  }
  return place;
}

void Placement::set_words(Place place, uint32_t row, const std::vector<uint32_t>& lanes) {
  LOCKSTEP_CHECK(lanes.size() == this->lanes());
  for (uint32_t k = 0; k < 4; ++k) {
    const std::span<uint8_t> image = memory_.image_row(place.hemisphere, place.slice + k, row);
    for (size_t lane = 0; lane < lanes.size(); ++lane)
      image[lane] = static_cast<uint8_t>(lanes[lane] >> (8 * k));
  }
}

Tile Placement::tile_in(Hemisphere hemisphere, const std::array<uint16_t, 16>& slices, uint32_t groups) {
  Tile tile{hemisphere, slices, {}, groups, 1};
  for (uint32_t k = 0; k < kTileStreams; ++k) {
    tile.bases[k] = memory_.take_rows(hemisphere, slices[k], groups);
    memory_.image_row(hemisphere, slices[k], tile.bases[k] + groups - 1);
  }
  return tile;
}

// The sixteen emptiest slices of a plane's share.
std::array<uint16_t, 16> Placement::emptiest_slices(ChipScheduler::Plane plane) const {
  const uint32_t first = 4 * options_.scratch_quads;
  const uint32_t share = (machine_.geometry.slices - first) / machine_.geometry.planes;
  LOCKSTEP_CHECK(share >= kTileStreams);
  std::vector<uint16_t> order(share);
  std::iota(order.begin(), order.end(), static_cast<uint16_t>(first + plane.index * share));
  std::stable_sort(order.begin(), order.end(), [&](uint16_t a, uint16_t b) {
    return memory_.rows_taken(plane.hemisphere, a) < memory_.rows_taken(plane.hemisphere, b);
  });
  std::array<uint16_t, 16> slices{};
  std::copy_n(order.begin(), kTileStreams, slices.begin());
  std::sort(slices.begin(), slices.end());
  return slices;
}

Tile Placement::tile(ChipScheduler::Plane plane, uint32_t rows) {
  return tile_in(plane.hemisphere, emptiest_slices(plane), ceil_div(rows, kTileStreams));
}

void Placement::set_tile_row(const Tile& tile, uint32_t row, const std::vector<int8_t>& lanes) {
  const uint32_t k = row % kTileStreams;
  const std::span<uint8_t> image =
      memory_.image_row(tile.hemisphere, tile.slices[k], tile.bases[k] + row / kTileStreams * tile.step);
  for (size_t lane = 0; lane < lanes.size(); ++lane) image[lane] = static_cast<uint8_t>(lanes[lane]);
}

Place Placement::byte_rows(Hemisphere hemisphere, uint32_t slice_from_end, uint32_t count) {
  const uint32_t slice = machine_.geometry.slices - 1 - slice_from_end;
  Place place{hemisphere, static_cast<uint16_t>(slice), memory_.take_rows(hemisphere, slice, count)};
  memory_.image_row(hemisphere, slice, place.row + count - 1);
  return place;
}

namespace {

// What one more row can make of the sums.
void widen_bounds(vector_math::PlaneBounds& bounds, const std::vector<int16_t>& w, uint32_t parts) {
  uint64_t whole = 0, high = 0, low = 0;
  for (const int32_t value : w) {
    const int32_t upper = high_part(value);
    whole += static_cast<uint64_t>(std::abs(value));
    high += static_cast<uint64_t>(std::abs(upper));
    low += static_cast<uint64_t>(std::abs(value - 255 * upper));
  }
  const auto widen = [](uint64_t& bound, uint64_t value) { bound = std::max(bound, value); };
  if (parts == 1) {
    widen(bounds.h, whole * 127);
    widen(bounds.ll, whole * 127);
    return;
  }
  widen(bounds.hh, high * 127);
  widen(bounds.middle, (high + low) * 127);
  widen(bounds.ll, low * 127);
  widen(bounds.h, (255 * high + high + low) * 127);
  widen(bounds.total, whole * 32512);
}

// Of weights that are not known: a quarter of the largest in the middle, as in trained models.
vector_math::PlaneBounds likely_bounds(uint64_t columns, uint32_t parts) {
  vector_math::PlaneBounds bounds = vector_math::PlaneBounds::of_terms(columns / 4);
  if (parts == 1) bounds.h = bounds.ll;
  return bounds;
}

}  // namespace

void Placement::fill(MatrixPlacement& placement, const graph::Weight& weight, const Layout& rows,
                     const Layout& columns, Place scale_rows) {
  const numerics::IntegerMatrix& matrix = weight.integers;
  std::vector<int16_t> w(matrix.columns);
  std::vector<int8_t> bytes(lanes());
  const bool filled = matrix.has_values();
  if (!filled) placement.bounds = likely_bounds(matrix.columns, placement.parts);
  // Of all rows, wherever they are: chips that share a matrix run one schedule.
  for (uint64_t row = 0; row < matrix.rows && filled; ++row) {
    matrix.row(row, w);
    widen_bounds(placement.bounds, w, placement.parts);
  }
  for (uint32_t j = 0; j < placement.row_tiles; ++j) {
    std::vector<uint32_t> scales(lanes());
    for (uint32_t lane = 0; lane < lanes() && filled; ++lane) {
      const int32_t row = rows.elements[j * lanes() + lane];
      if (row < 0) continue;
      scales[lane] = std::bit_cast<uint32_t>(matrix.row_scales[static_cast<size_t>(row)]);
      matrix.row(static_cast<uint64_t>(row), w);
      for (uint32_t c = 0; c < placement.column_tiles; ++c) {
        for (uint32_t part = 0; part < placement.parts; ++part) {
          for (uint32_t k = 0; k < lanes(); ++k) {
            const int32_t column = columns.elements[c * lanes() + k];
            const int32_t value = column < 0 ? 0 : w[static_cast<size_t>(column)];
            const int32_t high = high_part(value);
            bytes[k] = static_cast<int8_t>(placement.parts == 1 ? value
                                           : part == 0          ? high
                                                                : value - 255 * high);
          }
          set_tile_row(placement.tile(j, c, part), lane, bytes);
        }
      }
    }
    if (scale_rows.slice == 0) {
      placement.scales.push_back(own_words(scales));
      continue;
    }
    Place place = scale_rows;
    place.row = static_cast<uint16_t>(place.row + j);
    set_words(place, place.row, scales);
    placement.scales.push_back(place);
  }
}

namespace {

// Output lanes up to the last that is used.
uint32_t used_rows(const Layout& rows, uint32_t vector, uint32_t lanes) {
  uint32_t used = 0;
  for (uint32_t lane = 0; lane < lanes; ++lane)
    if (rows.elements[vector * lanes + lane] >= 0) used = lane + 1;
  return used;
}

uint32_t parts_of(const graph::Weight& weight) {
  return weight.integers.kind == numerics::MatrixKind::Plain8 ? 1 : 2;
}

}  // namespace

MatrixPlacement Placement::matrix(const graph::Weight& weight, const Layout& rows, const Layout& columns,
                                  uint32_t first_plane) {
  MatrixPlacement placement{rows.vectors, columns.vectors, parts_of(weight), {}, {}, {}, {}, {}};
  const std::vector<ChipScheduler::Plane> planes = planes_of(machine_);
  const uint32_t all = static_cast<uint32_t>(planes.size());
  // Few row tiles with many columns: each on two planes at once.
  const uint32_t share = rows.vectors <= all / 2 && columns.vectors > 2 ? 2 : 1;
  for (uint32_t j = 0; j < rows.vectors; ++j) {
    for (uint32_t c = 0; c < columns.vectors; ++c) {
      const ChipScheduler::Plane plane = planes[(first_plane + j * share + c % share) % all];
      placement.planes.push_back(plane);
      for (uint32_t part = 0; part < placement.parts; ++part)
        placement.tiles.push_back(tile(plane, used_rows(rows, j, lanes())));
    }
  }
  fill(placement, weight, rows, columns, {});
  return placement;
}

VocabularyPlacement Placement::vocabulary(const graph::Weight& weight, const Layout& columns, uint32_t from,
                                          uint32_t count) {
  VocabularyPlacement result;
  result.first = from;
  result.count = count;
  const std::vector<ChipScheduler::Plane> planes = planes_of(machine_);
  const uint32_t all = static_cast<uint32_t>(planes.size()), groups = lanes() / kTileStreams;
  result.slices = all * kTileStreams;
  const uint32_t blocks = ceil_div(count, result.slices * groups);
  MatrixPlacement& matrix = result.matrix;
  matrix.row_tiles = blocks * all;
  matrix.column_tiles = columns.vectors;
  matrix.parts = parts_of(weight);
  matrix.tiles.resize(size_t{matrix.row_tiles} * matrix.column_tiles * matrix.parts);
  Layout rows{matrix.row_tiles, std::vector<int32_t>(size_t{matrix.row_tiles} * lanes(), -1)};
  result.candidates.resize(size_t{matrix.column_tiles} * matrix.parts);
  for (uint32_t column = 0; column < matrix.column_tiles; ++column) {
    for (uint32_t part = 0; part < matrix.parts; ++part) {
      for (uint32_t p = 0; p < all; ++p) {
        const std::array<uint16_t, 16> slices = emptiest_slices(planes[p]);
        const Tile whole = tile_in(planes[p].hemisphere, slices, blocks * groups);
        for (uint32_t k = 0; k < kTileStreams; ++k)
          result.candidates[column * matrix.parts + part].push_back(
              {planes[p].hemisphere, slices[k], whole.bases[k]});
        for (uint32_t b = 0; b < blocks; ++b) {
          Tile tile = whole;
          tile.groups = groups;
          for (uint16_t& base : tile.bases) base = static_cast<uint16_t>(base + b * groups);
          matrix.tiles[((b * all + p) * matrix.column_tiles + column) * matrix.parts + part] = tile;
        }
      }
    }
  }
  for (uint32_t j = 0; j < matrix.row_tiles; ++j) {
    for (uint32_t column = 0; column < matrix.column_tiles; ++column)
      matrix.planes.push_back(planes[j % all]);
    for (uint32_t lane = 0; lane < lanes(); ++lane) {
      const uint32_t id = result.slices * (j / all * groups + lane / kTileStreams) + j % all * kTileStreams +
                          lane % kTileStreams;
      if (id < count && from + id < weight.rows())
        rows.elements[j * lanes() + lane] = static_cast<int32_t>(from + id);
    }
  }
  fill(matrix, weight, rows, columns, word_rows(kEast, matrix.row_tiles));
  result.ids = rows.elements;
  return result;
}

KvTile Placement::kv_tile(const HeadLayout& layout) {
  KvTile result;
  for (uint32_t part = 0; part < 2; ++part) {
    result.keys[part] = tile({kEast, part}, lanes());
    result.values[part] = tile({kWest, part}, lanes());
    result.values_transposed[part] = tile({kWest, part}, layout.vector_heads * layout.head_width);
  }
  for (uint32_t head = 0; head < layout.vector_heads; ++head) {
    result.key_scales.push_back(word_rows(kEast, 1));
    result.value_scales.push_back(word_rows(kWest, 1));
  }
  return result;
}

}  // namespace lockstep::compiler::lpu
