// What several operators are made of: maxima, scales, products and their ends, exchanges between chips.
#include "compiler/lpu/lowering_state.h"

namespace lockstep::compiler::lpu {

namespace {

constexpr uint32_t kRotations = 16, kRotationsAtOnce = 8;

}  // namespace

void Lowering::State::add_magnitude(Vectors& value, const Term& x) {
  const Term magnitude = magnitude_of(x);
  value.magnitude =
      value.magnitude == nullptr ? magnitude : s->op(LpuOp::IntegerMaximum, value.magnitude, magnitude);
}

// Sends words to all other chips of the group.
std::vector<ChipScheduler::Sent> Lowering::State::broadcast(const std::vector<Term>& words) {
  std::vector<uint32_t> to;
  for (uint32_t distance = 1; distance < parts(); ++distance) to.push_back(links.to_part(distance));
  std::vector<ChipScheduler::Sent> sent;
  for (const Term& word : words) sent.push_back(s->send(s->store(word, ChipScheduler::kInBoth), to));
  return sent;
}

// A value with the other chips' parts behind the own one. They all send theirs when this one does.
const Lowering::State::Vectors& Lowering::State::whole(uint32_t id, uint32_t row) {
  Vectors& x = vectors.at(id)[row];
  const std::vector<Term> own = x.words;
  if (own.size() == layouts.whole(id).vectors) return x;
  const std::vector<ChipScheduler::Sent> sent = broadcast(own);
  for (uint32_t distance = 1; distance < parts(); ++distance) {
    for (const ChipScheduler::Sent& each : sent) {
      x.words.push_back(s->receive(links.to_part(distance), each));
      add_magnitude(x, x.words.back());
    }
  }
  if (rows > 1) x.magnitude = s->store(x.magnitude, ChipScheduler::kInBoth);
  return x;
}

// All chips' words or-ed: each has its parts in its own order.
Lowering::State::Vectors Lowering::State::joined_or(const Vectors& value) {
  const std::vector<ChipScheduler::Sent> sent = broadcast(value.words);
  const size_t part = value.words.size() / parts();
  std::vector<Term> words = value.words;
  for (uint32_t distance = 1; distance < parts(); ++distance) {
    for (size_t i = 0; i < words.size(); ++i) {
      const size_t at = (i + distance * part) % words.size();
      words[at] = s->store(s->op(LpuOp::Or, words[at], s->receive(links.to_part(distance), sent[i])),
                           ChipScheduler::kInBoth);
    }
  }
  Vectors all;
  for (const Term& word : words) {
    all.words.push_back(word);
    add_magnitude(all, word);
  }
  return all;
}

// A tree over terms that arrive together.
Term Lowering::State::fold(std::vector<Term> terms, LpuOp op) {
  bool first = true;
  while (terms.size() > 1) {
    std::vector<Term> next;
    for (size_t i = 0; i + 1 < terms.size(); i += 2) {
      const uint32_t together = first && i == 0 ? static_cast<uint32_t>(terms.size() / 2) : 1;
      next.push_back(s->op_among(together, op, terms[i], terms[i + 1]));
    }
    if (terms.size() % 2 != 0) next.push_back(terms.back());
    terms = std::move(next);
    first = false;
  }
  return terms[0];
}

// A permutation after which superlane j holds, in its lanes, the values of the superlanes j + first ...
// j + first + count - 1 (around), each as often: for values that are equal in all lanes of a superlane.
std::vector<uint16_t> Lowering::State::window_map(uint32_t first, uint32_t count) const {
  std::vector<uint16_t> map(lanes);
  const uint32_t copies = 16 / count;
  for (uint32_t j = 0; j < superlanes; ++j) {
    for (uint32_t lane = 0; lane < 16; ++lane) {
      const uint32_t offset = lane % count, from = (j + first + offset) % superlanes;
      map[j * 16 + lane] = static_cast<uint16_t>(from * 16 + offset * copies + lane / count);
    }
  }
  return map;
}

// The same over aligned groups of `span` superlanes; what is left of them at the end stays.
std::vector<uint16_t> Lowering::State::span_map(uint32_t span) const {
  std::vector<uint16_t> map(lanes);
  const uint32_t copies = 16 / span;
  for (uint32_t j = 0; j < superlanes; ++j) {
    const uint32_t base = j / span * span, in_span = j - base;
    const bool whole = base + span <= superlanes;
    for (uint32_t lane = 0; lane < 16; ++lane) {
      const uint32_t from = (base + lane % span) * 16 + in_span * copies + lane / span;
      map[j * 16 + lane] = static_cast<uint16_t>(whole ? from : j * 16 + lane);
    }
  }
  return map;
}

// The largest of each `span` superlanes (0: of all lanes), in all of their lanes.
Term Lowering::State::maximum_over_lanes(const Term& x, LpuOp op, uint32_t span) {
  const auto rotations = [&](const Term& source, uint32_t count) {
    Term largest;
    for (uint32_t first = 0; first < count; first += kRotationsAtOnce) {
      const Term part = fold(s->rotated(source, first, std::min(count - first, kRotationsAtOnce)), op);
      largest = largest == nullptr ? part : s->op(op, largest, part);
    }
    return largest;
  };
  const Term within = rotations(s->store(x, ChipScheduler::kInBoth), kRotations);
  if (span == 1 || superlanes == 1) return within;
  const Term stored = s->store(within, ChipScheduler::kInBoth);
  if (span != 0 || superlanes <= kRotations) {
    const uint32_t all = span != 0 ? span : superlanes;
    LOCKSTEP_CHECK(kRotations % all == 0);
    return rotations(s->permuted(stored, model.maps.permutation(span_map(all))), all);
  }
  const uint32_t rest = std::bit_ceil(superlanes - kRotations);
  const Term most =
      rotations(s->permuted(stored, model.maps.permutation(window_map(0, kRotations))), kRotations);
  const Term others =
      rotations(s->permuted(stored, model.maps.permutation(window_map(kRotations, rest))), rest);
  return s->op(op, most, others);
}

// Leaves the largest magnitude that a quantisation saw where the host finds it.
void Lowering::State::watch(const Term& magnitude, const std::string& name, int32_t node, uint32_t row) {
  const std::string whole = "fault." + name;
  const std::string port = part_name(whole, whole.find('#') == std::string::npos ? "#part" : ".");
  if (!fault_ports.contains(port)) {
    fault_ports[port] = placement.word_rows(kWest, rows_max);
    add_port(port, fault_ports[port], rows_max, node);
  }
  s->store_at(magnitude, row_of(fault_ports[port], row), 4);
}

Lowering::State::HeadScale Lowering::State::scale_of(const Term& magnitude, const std::string& name,
                                                     int32_t node, uint32_t row) {
  watch(magnitude, name, node, row);
  const Term clamped = s->op(LpuOp::IntegerMaximum, magnitude, immediate(0x1p-65f));
  const auto [scale, inverse] = reciprocal_scale<numerics::kQ16Levels>(*s, clamped);
  return {scale, inverse};
}

std::array<Term, 2> Lowering::State::stored_planes(const Planes<Term>& both, ChipScheduler::Copies copies) {
  return {s->store(both.hi, copies, 1), s->store(both.lo, copies, 1)};
}

Lowering::State::Quantised Lowering::State::quantised(const Vectors& value, const std::string& name,
                                                      int32_t node, uint32_t row) {
  const Term largest = maximum_over_lanes(value.magnitude, LpuOp::IntegerMaximum, 0);
  const HeadScale scale = scale_of(largest, name, node, row);
  Quantised result;
  for (const Term& x : value.words) {
    const auto [high, low] = stored_planes(quantise_planes(*s, x, scale.inverse), ChipScheduler::kInBoth);
    result.high.push_back(high);
    result.low.push_back(low);
  }
  result.scale = s->store(scale.scale, ChipScheduler::kInBoth);
  return result;
}

// How many row tiles may wait for their epilogues together, `share` matrices side by side: their sums fit the
// accumulators.
uint32_t Lowering::State::tiles_at_once(uint32_t share) const {
  return std::max(1u, model.machine.geometry.accumulators * 3 / (8 * rows * share));
}

// The sums of a row tile, for each row of the step.
std::vector<Lowering::State::TileSums> Lowering::State::multiply_tile(const MatrixPlacement& matrix,
                                                                      uint32_t tile,
                                                                      const std::vector<Quantised>& xs) {
  std::vector<TileSums> all(xs.size());
  std::vector<ChipScheduler::Plane> planes;
  for (uint32_t column = 0; column < matrix.column_tiles; ++column) {
    const ChipScheduler::Plane plane = matrix.plane(tile, column);
    size_t at = 0;
    while (at < planes.size() &&
           (planes[at].hemisphere != plane.hemisphere || planes[at].index != plane.index))
      ++at;
    if (at == planes.size()) {
      planes.push_back(plane);
      for (TileSums& sums : all) sums.emplace_back();
    }
    for (uint32_t part = 0; part < matrix.parts; ++part) {
      s->install(plane, matrix.tile(tile, column, part));
      // Of the first part high and, beside a second, middle; of the last one middle and low.
      Term Sums::*const with_high = part == 0 ? &Sums::high : &Sums::middle;
      Term Sums::*const with_low = part + 1 == matrix.parts ? &Sums::low : &Sums::middle;
      for (size_t row = 0; row < xs.size(); ++row) {
        Sums& sums = all[row][at];
        sums.*with_high = s->product(plane, xs[row].high[column], 0, sums.*with_high);
        sums.*with_low = s->product(plane, xs[row].low[column], 0, sums.*with_low);
      }
    }
  }
  return all;
}

// f32(S) * (sw * s) and the bias; `permutation` turns the lanes first.
Term Lowering::State::epilogue(const std::vector<Sums>& sums, const Quantised& x,
                               const MatrixPlacement& matrix, Place scales, const Place* bias,
                               const uint32_t* permutation) {
  const auto total = [&](Term Sums::*part) {
    Term sum;
    for (const Sums& each : sums) {
      const Term term = permutation == nullptr ? each.*part : s->permuted(each.*part, *permutation);
      sum = sum == nullptr ? term : s->op(LpuOp::IntegerAdd, sum, term);
    }
    return sum;
  };
  const Term exact = matrix.parts == 1 ? float_of_plane_sums(*s, total(&Sums::high), total(&Sums::low),
                                                             std::max(matrix.bounds.h, matrix.bounds.ll))
                                       : float_of_plane_sums(*s, total(&Sums::high), total(&Sums::middle),
                                                             total(&Sums::low), matrix.bounds);
  s->set_not_before(ChipScheduler::ready(exact) - model.machine.latency.vxm_operation);
  const Term scale = s->op(LpuOp::Multiply, constant(scales), x.scale);
  s->set_not_before(0);
  const Term y = s->op(LpuOp::Multiply, exact, scale);
  return bias == nullptr ? y : s->op(LpuOp::Add, y, constant(*bias));
}

void Lowering::State::install_ones(const std::vector<ChipScheduler::Plane>& planes) {
  for (const ChipScheduler::Plane plane : planes) s->install(plane, placement.ones(plane));
}

// The sums over lanes and vectors of each of the four digits. REQUIRES: install_ones.
std::array<Term, 4> Lowering::State::digit_sums(const std::vector<Term>& digits,
                                                const std::vector<ChipScheduler::Plane>& planes) {
  std::array<Term, 4> sums;
  for (uint32_t byte = 0; byte < 4; ++byte)
    for (const Term& vector : digits)
      sums[byte] = s->product(planes[byte % planes.size()], vector, byte, sums[byte]);
  return sums;
}

}  // namespace lockstep::compiler::lpu
