// Attention with the growing cache, for one or several rows of a step.
#include "compiler/lpu/lowering_state.h"

namespace lockstep::compiler::lpu {

namespace {

constexpr float kFarBelow = -0x1p100f;          // of a position that is not seen
constexpr uint64_t kWeightMax = (1 << 24) + 1;  // of a position: rint(e * 2^24 + j)

}  // namespace

std::vector<Lowering::State::Vectors> Lowering::State::attention(uint32_t id) {
  const Node& node = graph.nodes[id];
  const AttentionPlacement& placement_of = placed[id].attention;
  const HeadLayout& heads = layouts.heads(id);
  const int32_t source = static_cast<int32_t>(id);
  const std::vector<Vectors>&q = vectors.at(node.inputs[0]), &k = vectors.at(node.inputs[1]),
        &v = vectors.at(node.inputs[2]);
  const uint32_t span = node.head_width / 16, last = blocks - 1, groups = lanes / 16;
  const float factor = node.factor * numerics::kLog2E;
  const std::vector<ChipScheduler::Plane> key_planes = {{kEast, 0}, {kEast, 1}},
                                          value_planes = {{kWest, 0}, {kWest, 1}};
  const auto scales_of = [&](const Term& x, const std::string& name, uint32_t row) {
    const HeadScale scale = scale_of(maximum_over_lanes(magnitude_of(x), LpuOp::IntegerMaximum, span),
                                     node.name + "#" + name, source, row);
    return HeadScale{s->store(scale.scale, ChipScheduler::kInBoth), scale.inverse};
  };
  // A scale of each head, from its own lanes into all lanes.
  const auto spread = [&](const Term& scale, uint32_t head) {
    return s->distributed(s->permuted(scale, placement_of.spread), placement_of.head_lanes[head]);
  };
  std::vector<Vectors> out(rows);

  for (uint32_t set = 0; set < heads.sets; ++set) {
    const KvTile& current = placement_of.tiles[last][set];
    // New keys and values: into the staging rows, the last of the block.
    struct New {
      std::array<Term, 2> planes;  // for the scatter to their own row
      Term scale;
    };
    struct Staged {
      std::vector<New> rows;
      std::array<std::vector<Cycle>, 2> ready;  // of each plane's groups
    };
    const auto append = [&](const std::vector<Vectors>& xs, const std::string& name,
                            const std::array<Tile, 2>& tiles, ChipScheduler::Copies copies) {
      Staged result;
      for (std::vector<Cycle>& ready : result.ready) ready.assign(groups, 0);
      for (uint32_t r = 0; r < rows; ++r) {
        const Term& x = xs[r].words[set];
        const HeadScale scale = scales_of(x, name, r);
        const auto [high, low] = quantise_planes(*s, x, scale.inverse);
        const std::array<Term, 2> both = {high, low};
        New& added = result.rows.emplace_back();
        const uint32_t lane = lanes - rows + r;
        for (uint32_t part = 0; part < 2; ++part) {
          const Tile& tile = tiles[part];
          const Place place{tile.hemisphere, tile.slices[lane % 16],
                            static_cast<uint16_t>(tile.bases[lane % 16] + lane / 16)};
          Cycle& ready = result.ready[part][lane / 16];
          ready = std::max(ready, ChipScheduler::ready(s->store_at(both[part], place, 1)));
          added.planes[part] = s->store(both[part], copies, 1);
        }
        added.scale = scale.scale;
      }
      return result;
    };
    // The scales of a block's positions, the new ones in their staging lanes.
    const auto current_scales = [&](const Staged& staged, const std::vector<Place>& table, uint32_t head) {
      Term scales = constant(table[head]);
      for (uint32_t r = 0; r < rows; ++r)
        scales = s->op(LpuOp::Select, step_rows[r].staging, spread(staged.rows[r].scale, head), scales);
      return scales;
    };
    const Staged keys = append(k, "k", current.keys, ChipScheduler::kInEast);
    // Queries: a vector of planes for each head, zero in the other heads' lanes.
    const uint32_t per_row = heads.group * heads.vector_heads, count = rows * per_row;
    std::vector<std::array<Term, 2>> query;  // [row][group][head of the vector]
    std::vector<Term> query_scales;          // [row][group]
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t g = 0; g < heads.group; ++g) {
        const Term& x = q[r].words[set * heads.group + g];
        const HeadScale scale = scales_of(x, fmt::format("q{}", g), r);
        const auto [high, low] = quantise_planes(*s, x, scale.inverse);
        for (uint32_t head = 0; head < heads.vector_heads; ++head) {
          const Term mask = constant(placement_of.head_masks[head]);
          query.push_back({s->store(s->op(LpuOp::And, high, mask), ChipScheduler::kInEast, 1),
                           s->store(s->op(LpuOp::And, low, mask), ChipScheduler::kInEast, 1)});
        }
        query_scales.push_back(scale.scale);
      }
    }
    const Staged values = append(v, "v", current.values, ChipScheduler::kInWest);

    Cycle read_until = 0;  // of the staging rows
    // Scores, block by block.
    std::vector<std::vector<Term>> z(count);
    std::vector<Term> largest(count), stored_scales(heads.vector_heads);
    for (uint32_t block = 0; block < blocks; ++block) {
      const KvTile& tile = placement_of.tiles[block][set];
      for (uint32_t part = 0; part < 2; ++part) {
        const std::vector<Cycle> ready = block == last ? keys.ready[part] : std::vector<Cycle>();
        const Cycle done = s->install(key_planes[part], tile.keys[part], ready);
        if (block == last) read_until = std::max(read_until, done);
      }
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t head = i % heads.vector_heads, r = i / per_row;
        const Term hh = s->product(key_planes[0], query[i][0], 0),
                   hl = s->product(key_planes[0], query[i][1], 0);
        const Term lh = s->product(key_planes[1], query[i][0], 0),
                   ll = s->product(key_planes[1], query[i][1], 0);
        s->set_not_before(ChipScheduler::ready(ll));
        Term scales = constant(tile.key_scales[head]);
        if (block == last) {
          Term& stored = stored_scales[head];
          if (stored == nullptr) {
            stored = current_scales(keys, tile.key_scales, head);
            if (rows > 1) stored = s->store(stored, ChipScheduler::kInBoth);
          }
          scales = stored;
          if (rows == 1) stored = nullptr;
        }
        const Term query_scale =
            s->op(LpuOp::Multiply, spread(query_scales[i / heads.vector_heads], head), immediate(factor));
        s->set_not_before(0);
        Term score_term = score(*s, hh, s->op(LpuOp::IntegerAdd, hl, lh), ll,
                                PlaneBounds::of_terms(node.head_width), query_scale, scales);
        if (block == last)
          score_term = s->op(LpuOp::Select, step_rows[r].visible, score_term, immediate(kFarBelow));
        largest[i] = largest[i] == nullptr ? score_term : s->op(LpuOp::Maximum, largest[i], score_term);
        z[i].push_back(s->store(score_term, ChipScheduler::kInBoth));
        largest[i] = blocks == 1 ? z[i].back() : s->store(largest[i], ChipScheduler::kInBoth);
      }
    }

    // The block's values, positions across lanes: the array multiplies them with the identity.
    std::array<std::vector<Cycle>, 2> transposed;
    for (uint32_t part = 0; part < 2; ++part) {
      read_until =
          std::max(read_until, s->install(value_planes[part], current.values[part], values.ready[part]));
      const Tile& tile = current.values_transposed[part];
      transposed[part].assign(tile.groups, 0);
      for (uint32_t i = 0; i < heads.vector_heads * node.head_width; ++i) {
        const Term row = s->product(value_planes[part], s->constant(placement_of.identity[part][i], 1), 0);
        const Place place{tile.hemisphere, tile.slices[i % 16],
                          static_cast<uint16_t>(tile.bases[i % 16] + i / 16)};
        transposed[part][i / 16] = std::max(transposed[part][i / 16], s->result_to_row(row, place, 0));
      }
    }

    // Weights of the positions.
    install_ones(key_planes);
    std::vector<Term> maxima(count), magnitudes(count), value_scale(count), denominators(count);
    std::vector<std::vector<std::array<Term, 2>>> weights(count);
    std::vector<std::vector<Term>> weighted(count), digit_words(count);
    for (uint32_t i = 0; i < count; ++i)
      maxima[i] = s->store(maximum_over_lanes(largest[i], LpuOp::Maximum, 0), ChipScheduler::kInBoth);
    const auto dither_of = [&](uint32_t block) {
      if (block == last) return dither_last;
      std::vector<float> dither(lanes);
      for (uint32_t lane = 0; lane < lanes; ++lane) dither[lane] = numerics::dither(block * lanes + lane);
      return constant(placement.words(words_of(dither)));
    };
    std::ranges::fill(stored_scales, nullptr);
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t head = i % heads.vector_heads;
      for (uint32_t block = 0; block < blocks; ++block) {
        const auto e = exp2_parts(*s, s->op(LpuOp::Subtract, z[i][block], maxima[i]));
        const std::vector<Place>& table = placement_of.tiles[block][set].value_scales;
        Term scales = constant(table[head]);
        if (block == last) {
          Term& stored = stored_scales[head];
          if (stored == nullptr) {
            stored = current_scales(values, table, head);
            if (rows > 1) stored = s->store(stored, ChipScheduler::kInBoth);
          }
          scales = stored;
          if (rows == 1) stored = nullptr;
        }
        const Term product = exp2_times(*s, e, scales);
        const Term magnitude = magnitude_of(product);
        magnitudes[i] =
            magnitudes[i] == nullptr ? magnitude : s->op(LpuOp::IntegerMaximum, magnitudes[i], magnitude);
        weighted[i].push_back(s->store(product, ChipScheduler::kInBoth));
        const Term rounded = weight_of_exp2(*s, e, dither_of(block));
        digit_words[i].push_back(s->store(digits(*s, rounded), ChipScheduler::kInEast));
      }
      magnitudes[i] = s->store(magnitudes[i], ChipScheduler::kInBoth);
    }
    for (uint32_t i = 0; i < count; ++i) {
      const Term m = maximum_over_lanes(magnitudes[i], LpuOp::IntegerMaximum, 0);
      const HeadScale scale = scale_of(m, fmt::format("{}#p{}", node.name, i % per_row), source, i / per_row);
      for (uint32_t block = 0; block < blocks; ++block) {
        weights[i].push_back(
            stored_planes(quantise_planes_dithered(*s, weighted[i][block], scale.inverse, dither_of(block)),
                          ChipScheduler::kInWest));
      }
      value_scale[i] = s->store(scale.scale, ChipScheduler::kInBoth);
    }
    for (uint32_t i = 0; i < count; ++i) {
      const DigitBounds bounds{uint64_t{blocks} * lanes, uint64_t{blocks} * lanes * kWeightMax};
      const Term total = float_of_digit_sums(*s, digit_sums(digit_words[i], key_planes), bounds);
      const Term denominator = s->op(LpuOp::Multiply, total, immediate(0x1p-24f));
      denominators[i] = s->store(divide(*s, value_scale[i], denominator), ChipScheduler::kInBoth);
    }

    // Values: as many vectors of heads at once as their sums find accumulators, two in a plane for each head.
    const uint32_t vectors_at_once =
        std::max(1u, model.machine.geometry.accumulators * 7 / (16 * heads.vector_heads));
    const uint32_t heads_at_once = vectors_at_once * heads.vector_heads;
    for (uint32_t begin = 0; begin < count; begin += heads_at_once) {
      const uint32_t end = std::min(begin + heads_at_once, count);
      std::vector<std::array<Term, 4>> sums(count);
      for (uint32_t block = 0; block < blocks; ++block) {
        for (uint32_t part = 0; part < 2 && (begin == 0 || blocks > 1); ++part) {
          const std::vector<Cycle> ready = block == last ? transposed[part] : std::vector<Cycle>();
          s->install(value_planes[part], placement_of.tiles[block][set].values_transposed[part], ready);
        }
        for (uint32_t i = begin; i < end; ++i) {
          for (uint32_t part = 0; part < 4; ++part)
            sums[i][part] = s->product(value_planes[part / 2], weights[i][block][part % 2], 0, sums[i][part]);
        }
      }
      for (uint32_t i = begin; i < end; i += heads.vector_heads) {
        Term vector;
        for (uint32_t head = 0; head < heads.vector_heads; ++head) {
          const std::array<Term, 4>& part = sums[i + head];
          const Term exact = float_of_plane_sums(*s, part[0], s->op(LpuOp::IntegerAdd, part[1], part[2]),
                                                 part[3], PlaneBounds::of_terms(uint64_t{blocks} * lanes));
          const Term scaled = s->op(LpuOp::Multiply, exact, denominators[i + head]);
          const Term mask = constant(placement_of.head_masks[head]);
          vector = vector == nullptr ? s->op(LpuOp::And, scaled, mask)
                                     : s->op(LpuOp::Select, mask, scaled, vector);
        }
        Vectors& y = out[i / per_row];
        add_magnitude(y, vector);
        y.words.push_back(s->store(vector, ChipScheduler::kInBoth));
      }
    }
    for (Vectors& y : out)
      if (rows > 1) y.magnitude = s->store(y.magnitude, ChipScheduler::kInBoth);

    // New keys and values to the rows of their positions, for later steps.
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t part = 0; part < 2; ++part) {
        for (uint32_t slot = 0; slot < 16; ++slot) {
          const auto to = [&](const Tile& tile) {
            return Place{tile.hemisphere, tile.slices[slot], tile.bases[slot]};
          };
          const Term& map = step_rows[r].slot_maps[slot];
          s->scatter(keys.rows[r].planes[part], 0, to(current.keys[part]), map, read_until);
          s->scatter(values.rows[r].planes[part], 0, to(current.values[part]), map, read_until);
        }
      }
    }
    for (uint32_t head = 0; head < heads.vector_heads; ++head) {
      const auto update = [&](Place place, const Staged& staged) {
        Term scales = constant(place);
        for (uint32_t r = 0; r < rows; ++r)
          scales = s->op(LpuOp::Select, step_rows[r].is_new, spread(staged.rows[r].scale, head), scales);
        s->store_at(scales, place, 4);
      };
      update(current.key_scales[head], keys);
      update(current.value_scales[head], values);
    }
  }
  return out;
}

}  // namespace lockstep::compiler::lpu
