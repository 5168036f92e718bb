// Tokens to vectors and back: embedding, logits, the next token.
#include "compiler/lpu/lowering_state.h"

namespace lockstep::compiler::lpu {

// The token's row of the vocabulary: gathered from every slice that could hold it, the right one kept.
Lowering::State::Vectors Lowering::State::embed(uint32_t id, uint32_t step_row) {
  const Node& node = graph.nodes[id];
  const MatrixPlacement& matrix = embedding.matrix;
  Term token = constant(row_of(token_port, step_row)), is_here;
  if (parts() > 1) {
    token = s->op(LpuOp::IntegerSubtract, token, immediate(embedding.first));
    is_here = s->op(LpuOp::And, s->op(LpuOp::IntegerLess, token, immediate(embedding.count)),
                    s->op(LpuOp::IntegerLess, constant(uniform(~0u)), token));
    is_here = s->store(is_here, ChipScheduler::kInBoth);
    token = s->store(s->op(LpuOp::And, token, is_here), ChipScheduler::kInBoth);
  }
  const uint32_t slices = embedding.slices, groups = lanes / 16;
  const uint32_t shift = static_cast<uint32_t>(std::countr_zero(slices));
  LOCKSTEP_CHECK(std::has_single_bit(slices));
  const Term row = s->store(s->op(LpuOp::ShiftRight, token, immediate(shift)), ChipScheduler::kInBoth);
  const Term slice = s->store(s->op(LpuOp::And, token, immediate(slices - 1)), ChipScheduler::kInBoth);
  std::vector<Term> found(embedding.candidates.size());
  for (uint32_t i = 0; i < slices; ++i) {
    const Term here = s->op(LpuOp::IntegerEqual, slice, immediate(i));
    for (size_t part = 0; part < found.size(); ++part) {
      Operand candidate = s->gathered(embedding.candidates[part][i], 1, row);
      candidate.form = OperandKind::Int8;
      const Term kept = s->op(LpuOp::And, here, candidate);
      found[part] = found[part] == nullptr ? kept : s->op(LpuOp::Or, found[part], kept);
    }
  }
  // The scale: of row tile (row / groups) * planes + slice / 16, lane 16 * (row % groups) + slice % 16.
  const Term block = s->op(LpuOp::FloatToInt32, [&] {
    // row / groups for rows below 2^16: the quotient less a half, to the nearest, never on the wrong side.
    const Term x = s->op(LpuOp::Int32ToFloat, row);
    const Term quotient = s->op(LpuOp::Multiply, x, immediate(1.0f / static_cast<float>(groups)));
    return s->op(LpuOp::Add, quotient, immediate(-0.5f + 0.25f / static_cast<float>(groups)));
  }());
  const uint32_t planes = slices / 16;
  const Term plane = s->op(LpuOp::ShiftRight, slice, immediate(4u));
  const Term tile = s->op(LpuOp::IntegerAdd, s->op(LpuOp::IntegerMultiply, block, immediate(planes)), plane);
  const Term group =
      s->op(LpuOp::IntegerAdd, row, s->op(LpuOp::IntegerMultiply, block, immediate(0u - groups)));
  const Term lane = s->op(LpuOp::IntegerAdd, s->op(LpuOp::ShiftLeft, group, immediate(4u)),
                          s->op(LpuOp::And, slice, immediate(15u)));
  std::vector<uint32_t> lane_numbers(lanes);
  std::iota(lane_numbers.begin(), lane_numbers.end(), 0u);
  const Term is_lane = s->op(LpuOp::IntegerEqual, constant(placement.words(lane_numbers)), lane);
  const Term scales = s->gathered(embedding.matrix.scales[0], 4, s->store(tile, ChipScheduler::kInBoth));
  const Term scale = maximum_over_lanes(s->op(LpuOp::And, is_lane, scales), LpuOp::IntegerMaximum, 0);
  Vectors x;
  for (uint32_t column = 0; column < matrix.column_tiles; ++column) {
    Term w = found[column * matrix.parts];
    if (matrix.parts == 2)
      w = s->op(LpuOp::IntegerMultiplyAdd, w, immediate(255u), found[column * matrix.parts + 1]);
    Term value = s->op(LpuOp::Multiply, s->op(LpuOp::Int32ToFloat, w), scale);
    if (node.factor != 1.0f) value = s->op(LpuOp::Multiply, value, immediate(node.factor));
    if (parts() > 1) value = s->op(LpuOp::And, value, is_here);
    add_magnitude(x, value);
    x.words.push_back(s->store(value, ChipScheduler::kInBoth));
  }
  return parts() > 1 ? joined_or(x) : x;
}

// Logits tile by tile; beside them the largest of each lane and the tile that it came from.
void Lowering::State::head(uint32_t id) {
  const Node& node = graph.nodes[id];
  const std::vector<Quantised>& xs = quantised_values.at(node.inputs[0]);
  const MatrixPlacement& matrix = output.matrix;
  Term best, best_tile;
  for (uint32_t tile = 0; tile < matrix.row_tiles; ++tile) {
    const std::vector<TileSums> sums = multiply_tile(matrix, tile, xs);
    Term logit;
    for (uint32_t r = 0; r < rows; ++r) {
      logit = epilogue(sums[r], xs[r], matrix, matrix.scales[tile], matrix.bias(tile), nullptr);
      s->store_at(logit, row_of(logits_port, r * matrix.row_tiles + tile), 4);
    }
    if (rows > 1) continue;  // of several rows the host takes what it wants
    std::vector<uint32_t> real(lanes);
    for (uint32_t lane = 0; lane < lanes; ++lane) real[lane] = output.ids[tile * lanes + lane] >= 0 ? ~0u : 0;
    // A chip of the group has fewer tokens than the others.
    const uint32_t all = output.slices / 16, last_group = tile / all * (lanes / 16) + lanes / 16 - 1;
    if (output.slices * last_group + tile % all * 16 + 15 >= graph.vocabulary - (parts() - 1) * output.count)
      logit = s->op(LpuOp::Select, constant(placement.own_words(real)), logit, immediate(-HUGE_VALF));
    if (best == nullptr) {
      best = logit;
      best_tile = s->op(LpuOp::And, logit, immediate(0u));
      continue;
    }
    const Term better = s->op(LpuOp::Less, best, logit);
    best = s->op(LpuOp::Maximum, best, logit);
    best_tile = s->op(LpuOp::Select, better, immediate(tile), best_tile);
  }
  if (rows > 1) return;
  // The lowest id among the lanes that hold the largest: ids are below 2^24, so binary32 holds them.
  best = s->store(best, ChipScheduler::kInBoth);
  best_tile = s->store(best_tile, ChipScheduler::kInBoth);
  const Term largest = maximum_over_lanes(best, LpuOp::Maximum, 0);
  const uint32_t planes = output.slices / 16, groups = lanes / 16;
  std::vector<uint32_t> in_tile(lanes);
  for (uint32_t lane = 0; lane < lanes; ++lane)
    in_tile[lane] = output.first + output.slices * (lane / 16) + lane % 16;
  // id = slices * groups * (tile / planes) + 16 * (tile % planes) + in_tile
  LOCKSTEP_CHECK(std::has_single_bit(planes));
  const Term block =
      s->op(LpuOp::ShiftRight, best_tile, immediate(static_cast<uint32_t>(std::countr_zero(planes))));
  const Term plane = s->op(LpuOp::And, best_tile, immediate(planes - 1));
  const Term base = s->op(LpuOp::IntegerMultiplyAdd, block, immediate(output.slices * groups),
                          constant(placement.own_words(in_tile)));
  const Term ids = s->op(LpuOp::IntegerAdd, base, s->op(LpuOp::ShiftLeft, plane, immediate(4u)));
  const Term lower = s->op(LpuOp::Less, best, largest);
  const Term negative = s->op(LpuOp::Multiply, s->op(LpuOp::Int32ToFloat, ids), immediate(-1.0f));
  const Term none = constant(uniform(std::bit_cast<uint32_t>(-0x1p30f)));
  const Term candidate = s->op(LpuOp::Select, lower, none, negative);
  Term first = maximum_over_lanes(candidate, LpuOp::Maximum, 0);
  if (parts() > 1) first = first_of_parts(largest, first);
  const Term next = s->op(LpuOp::FloatToInt32, s->op(LpuOp::Multiply, first, immediate(-1.0f)));
  s->store_at(next, next_token_port, 4);
  next_token = s->store(next, ChipScheduler::kInEast);
}

// Of the chips' largest logits and the ids less than zero of these, the id of the largest; of equal ones the
// lowest.
Term Lowering::State::first_of_parts(Term largest, Term negative_id) {
  largest = s->store(largest, ChipScheduler::kInBoth);
  negative_id = s->store(negative_id, ChipScheduler::kInBoth);
  const std::vector<ChipScheduler::Sent> sent = broadcast({largest, negative_id});
  for (uint32_t distance = 1; distance < parts(); ++distance) {
    const uint32_t link = links.to_part(distance);
    const Term other = s->receive(link, sent[0]), id = s->receive(link, sent[1]);
    const Term better = s->store(s->op(LpuOp::Less, largest, other), ChipScheduler::kInBoth);
    const Term worse = s->store(s->op(LpuOp::Less, other, largest), ChipScheduler::kInBoth);
    const Term either = s->op(LpuOp::Maximum, negative_id, id);
    const Term kept = s->op(LpuOp::Select, worse, negative_id, either);
    negative_id = s->store(s->op(LpuOp::Select, better, id, kept), ChipScheduler::kInBoth);
    largest = s->store(s->op(LpuOp::Maximum, largest, other), ChipScheduler::kInBoth);
  }
  return negative_id;
}

}  // namespace lockstep::compiler::lpu
