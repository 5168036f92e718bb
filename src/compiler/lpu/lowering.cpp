#include "compiler/lpu/lowering_state.h"

namespace lockstep::compiler::lpu {

namespace {

constexpr uint32_t kNoAccess = 0x8000;  // a map's value that reads and writes nothing
constexpr uint64_t kSquareMax = 32512 * 32512;

}  // namespace

static bool has_values(const graph::Graph& graph) {
  return std::ranges::all_of(graph.weights,
                             [](const graph::Weight& weight) { return weight.integers.has_values(); });
}

ChipModel::ChipModel(const graph::Graph& model_graph, const machine::Machine& chip, ChipShare part,
                     SwitchMaps& switch_maps, SchedulerOptions chosen)
    : graph(model_graph),
      machine(chip),
      share(part),
      maps(switch_maps),
      options(chosen),
      memory(chip, chosen, model_graph.model_name, has_values(model_graph)),
      placement(chip, memory, chosen) {}

namespace {

template <class Map>
uint32_t index_of(std::vector<Map>& maps, const Map& map) {
  const auto it = std::find(maps.begin(), maps.end(), map);
  if (it != maps.end()) return static_cast<uint32_t>(it - maps.begin());
  maps.push_back(map);
  return static_cast<uint32_t>(maps.size() - 1);
}

}  // namespace

uint32_t SwitchMaps::permutation(const std::vector<uint16_t>& map) {
  return index_of(permutations, map);
}
uint32_t SwitchMaps::distribution(const std::vector<uint8_t>& map) {
  return index_of(distributions, map);
}

// ------------------------------------------------------------------------------------------ a step

void Lowering::State::begin_step() {
  const uint32_t base = (blocks - 1) * lanes;
  std::vector<uint32_t> lane_numbers(lanes);
  std::iota(lane_numbers.begin(), lane_numbers.end(), 0u);
  const Term numbers = constant(placement.words(lane_numbers));
  const Term none = constant(uniform(kNoAccess));
  const Term first = s->op(LpuOp::IntegerSubtract, step_rows[0].position, immediate(base));
  const Term before = s->store(s->op(LpuOp::IntegerLess, numbers, first), ChipScheduler::kInBoth);
  std::vector<float> dither(lanes);
  for (uint32_t lane = 0; lane < lanes; ++lane) dither[lane] = numerics::dither(base + lane);
  dither_last = constant(placement.words(words_of(dither)));
  Place sine_table = rope_table;
  sine_table.row = static_cast<uint16_t>(sine_table.row + rope_rows);
  for (uint32_t r = 0; r < rows; ++r) {
    Row& row = step_rows[r];
    // The lane in which the step holds the row, and those in which it holds what the row sees.
    std::vector<uint32_t> own(lanes), seen(lanes);
    own[lanes - rows + r] = ~0u;
    std::fill_n(seen.begin() + lanes - rows, r + 1, ~0u);
    row.staging = constant(placement.words(own));
    row.visible = s->store(s->op(LpuOp::Or, before, constant(placement.words(seen))), ChipScheduler::kInBoth);
    const Term slot = s->op(LpuOp::IntegerSubtract, row.position, immediate(base));
    row.is_new = s->store(s->op(LpuOp::IntegerEqual, numbers, slot), ChipScheduler::kInBoth);
    const Term in_group = s->op(LpuOp::And, slot, immediate(15u));
    const Term group = s->op(LpuOp::ShiftRight, slot, immediate(4u));
    for (uint32_t k = 0; k < 16; ++k) {
      const Term here = s->op(LpuOp::IntegerEqual, in_group, immediate(k));
      row.slot_maps.push_back(s->store(s->op(LpuOp::Select, here, group, none), ChipScheduler::kInBoth));
    }
    const Term turn = s->store(s->op(LpuOp::Move, row.position), ChipScheduler::kInEast);
    row.cosines = s->store(s->gathered(rope_table, 4, turn), ChipScheduler::kInBoth);
    row.sines = s->store(s->gathered(sine_table, 4, turn), ChipScheduler::kInBoth);
    const Term phase = s->store(s->op(LpuOp::And, row.position, immediate(255u)), ChipScheduler::kInEast);
    dither_last =
        s->store(s->op(LpuOp::Select, row.staging, s->gathered(dither_table, 4, phase), dither_last),
                 ChipScheduler::kInBoth);
  }
}

// REQUIRES: ones on all planes.
Lowering::State::Vectors Lowering::State::rms_norm(uint32_t id, uint32_t row) {
  const Node& node = graph.nodes[id];
  const Vectors& x = whole(node.inputs[0], row);
  const Term largest = maximum_over_lanes(x.magnitude, LpuOp::IntegerMaximum, 0);
  const HeadScale scale = scale_of(largest, node.name, static_cast<int32_t>(id), row);
  std::vector<Term> squares;
  for (const Term& word : x.words) {
    const Term a = quantise(*s, word, scale.inverse);
    squares.push_back(s->store(square_digits(*s, a), ChipScheduler::kInBoth));
  }
  const DigitBounds bounds{node.width, uint64_t{node.width} * kSquareMax};
  const Term inverse = inverse_root_mean_square(*s, digit_sums(squares, planes_of(model.machine)), bounds,
                                                scale.scale, node.width, node.factor);
  Vectors y;
  for (size_t v = 0; v < x.words.size(); ++v) {
    const Term value =
        s->op(LpuOp::Multiply, s->op(LpuOp::Multiply, x.words[v], inverse), constant(placed[id].gains[v]));
    add_magnitude(y, value);
    y.words.push_back(s->store(value, ChipScheduler::kInBoth));
  }
  return y;
}

std::vector<Lowering::State::Vectors> Lowering::State::matmul(uint32_t id) {
  const Node& node = graph.nodes[id];
  const MatrixPlacement& matrix = placed[id].matrix;
  const std::vector<Quantised>& xs = quantised_values.at(node.inputs[0]);
  std::vector<Vectors> ys(rows);
  std::vector<std::vector<TileSums>> sums;
  uint32_t done = 0;
  while (done < matrix.row_tiles) {
    const uint32_t end = std::min(done + tiles_at_once(1), matrix.row_tiles);
    sums.clear();
    for (uint32_t tile = done; tile < end; ++tile) sums.push_back(multiply_tile(matrix, tile, xs));
    for (uint32_t tile = done; tile < end; ++tile) {
      for (uint32_t r = 0; r < rows; ++r) {
        const Term value =
            epilogue(sums[tile - done][r], xs[r], matrix, matrix.scales[tile], matrix.bias(tile), nullptr);
        const bool soon = rows == 1 && feeds(id, Op::Add);
        ys[r].words.push_back(soon ? value : s->store(value, ChipScheduler::kInBoth));
      }
    }
    done = end;
  }
  return ys;
}

// x * cos + partner * (+-sin), the partner's sums turned to its lane on their way.
std::vector<Lowering::State::Vectors> Lowering::State::rope(uint32_t id) {
  const uint32_t product = graph.nodes[id].inputs[0];
  const NodePlacement& source = placed[product];
  const MatrixPlacement& matrix = source.matrix;
  const std::vector<Quantised>& xs = quantised_values.at(graph.nodes[product].inputs[0]);
  std::vector<Vectors> ys(rows);
  std::vector<std::vector<TileSums>> sums;
  uint32_t done = 0;
  while (done < matrix.row_tiles) {
    const uint32_t end = std::min(done + tiles_at_once(1), matrix.row_tiles);
    sums.clear();
    for (uint32_t tile = done; tile < end; ++tile) sums.push_back(multiply_tile(matrix, tile, xs));
    for (uint32_t tile = done; tile < end; ++tile) {
      for (uint32_t r = 0; r < rows; ++r) {
        const TileSums& tile_sums = sums[tile - done][r];
        const Term turned =
            epilogue(tile_sums, xs[r], matrix, source.turned_scales[tile],
                     matrix.bias(tile) ? &source.turned_biases[tile] : nullptr, &placed[id].partner);
        const Term partner = s->op(LpuOp::Multiply, turned, step_rows[r].sines);
        const Term own = epilogue(tile_sums, xs[r], matrix, matrix.scales[tile], matrix.bias(tile), nullptr);
        const Term value = s->op(LpuOp::Add, s->op(LpuOp::Multiply, own, step_rows[r].cosines), partner);
        ys[r].words.push_back(s->store(value, ChipScheduler::kInBoth));
      }
    }
    done = end;
  }
  return ys;
}

std::vector<Lowering::State::Vectors> Lowering::State::silu_gate(uint32_t id) {
  const Node& node = graph.nodes[id];
  const uint32_t gate = node.inputs[0], up = node.inputs[1];
  const MatrixPlacement &gates = placed[gate].matrix, &ups = placed[up].matrix;
  const std::vector<Quantised>& xs = quantised_values.at(graph.nodes[gate].inputs[0]);
  std::vector<Vectors> ys(rows);
  std::vector<std::vector<TileSums>> gate_sums, up_sums;
  uint32_t done = 0;
  while (done < gates.row_tiles) {
    const uint32_t end = std::min(done + tiles_at_once(2), gates.row_tiles);
    gate_sums.clear();
    up_sums.clear();
    for (uint32_t tile = done; tile < end; ++tile) {
      gate_sums.push_back(multiply_tile(gates, tile, xs));
      up_sums.push_back(multiply_tile(ups, tile, xs));
    }
    for (uint32_t tile = done; tile < end; ++tile) {
      for (uint32_t r = 0; r < rows; ++r) {
        const Term gated =
            epilogue(gate_sums[tile - done][r], xs[r], gates, gates.scales[tile], gates.bias(tile), nullptr);
        const Term upper =
            epilogue(up_sums[tile - done][r], xs[r], ups, ups.scales[tile], ups.bias(tile), nullptr);
        const Term value = vector_math::silu_gate(*s, gated, upper);
        add_magnitude(ys[r], value);
        ys[r].words.push_back(s->store(value, ChipScheduler::kInBoth));
      }
    }
    // The running magnitudes wait in memory where many rows would fill the ALUs.
    for (Vectors& y : ys)
      if (rows > 1) y.magnitude = s->store(y.magnitude, ChipScheduler::kInBoth);
    done = end;
  }
  return ys;
}

bool Lowering::State::feeds(uint32_t id, Op op) const {
  return !users[id].empty() &&
         std::ranges::all_of(users[id], [&](uint32_t user) { return graph.nodes[user].op == op; });
}

// The last node that takes a value: products wait for the node that they feed.
uint32_t Lowering::State::last_taker(uint32_t value) const {
  uint32_t last = value;
  for (const uint32_t user : users[value]) {
    const bool waits =
        graph.nodes[user].op == Op::MatMul && (feeds(user, Op::Rope) || feeds(user, Op::SiluGate));
    last = std::max(last, waits ? last_taker(user) : user);
  }
  return last;
}

void Lowering::State::run_node(uint32_t id) {
  const Node& node = graph.nodes[id];
  s->set_source(static_cast<int32_t>(id));
  const auto each_row = [&](auto make) {
    std::vector<Vectors> values;
    for (uint32_t row = 0; row < rows; ++row) values.push_back(make(row));
    vectors[id] = std::move(values);
  };
  switch (node.op) {
    case Op::Embed:
      each_row([&](uint32_t row) { return embed(id, row); });
      break;
    case Op::RmsNorm:
      install_ones(planes_of(model.machine));
      each_row([&](uint32_t row) { return rms_norm(id, row); });
      break;
    case Op::Quantise:
      for (uint32_t row = 0; row < rows; ++row) {
        const Vectors& x = whole(node.inputs[0], row);
        quantised_values[id].push_back(quantised(x, node.name, static_cast<int32_t>(id), row));
      }
      break;
    case Op::MatMul:
      if (id == graph.logits) {
        head(id);
      } else if (!feeds(id, Op::Rope) && !feeds(id, Op::SiluGate)) {
        vectors[id] = matmul(id);
      }
      break;
    case Op::Rope:
      vectors[id] = rope(id);
      break;
    case Op::Attention:
      vectors[id] = attention(id);
      break;
    case Op::SiluGate:
      vectors[id] = silu_gate(id);
      break;
    case Op::Add:
      each_row([&](uint32_t row) {
        Vectors sum;
        const Vectors &a = vectors.at(node.inputs[0])[row], &b = vectors.at(node.inputs[1])[row];
        for (uint32_t v = 0; v < layouts.own(id).vectors; ++v) {
          const Term value = s->op(LpuOp::Add, a.words[v], b.words[v]);
          add_magnitude(sum, value);
          sum.words.push_back(s->store(value, ChipScheduler::kInBoth));
        }
        return sum;
      });
      break;
    case Op::Select:
      vectors[id] = vectors.at(node.inputs[0]);
      break;
  }
  // The rows' magnitudes wait in memory where they would fill the ALUs.
  if (rows > 1 && vectors.contains(id)) {
    for (Vectors& x : vectors.at(id))
      if (x.magnitude != nullptr) x.magnitude = s->store(x.magnitude, ChipScheduler::kInBoth);
  }
  // What no later node takes is let go of.
  for (uint32_t value = 0; value < id; ++value) {
    if (last_taker(value) > id) continue;
    vectors.erase(value);
    quantised_values.erase(value);
  }
}

// Values of earlier chips that this or a later one takes.
std::vector<uint32_t> Lowering::State::crossing(uint32_t node) const {
  std::vector<uint32_t> values;
  for (uint32_t value = 0; value < node; ++value)
    if (last_taker(value) >= node) values.push_back(value);
  return values;
}

void Lowering::State::begin(const Extent& extent) {
  end_step();
  SchedulerOptions options = model.options;
  options.copies_for_safety = extent.copies_for_safety;
  options.fetching = extent.fetching;
  s = std::make_unique<ChipScheduler>(model.machine, options,
                                      [this](uint32_t bits) { return uniform(bits); });
  blocks = extent.blocks;
  rows = extent.rows;
  step_rows.assign(rows, {});
}

// Sends what the chips behind need to go on from a node.
Handover Lowering::State::sent_before(uint32_t node, bool position) {
  Handover sent;
  const std::array<uint32_t, 1> to = {links.to_next()};
  const auto send = [&](const Term& words) {
    sent.push_back(s->send(s->store(words, ChipScheduler::kInBoth), to));
  };
  for (uint32_t r = 0; r < rows && position; ++r) send(step_rows[r].position);
  for (const uint32_t value : crossing(node)) {
    LOCKSTEP_CHECK(vectors.contains(value));
    for (const Vectors& x : vectors.at(value))
      for (uint32_t v = 0; v < layouts.own(value).vectors; ++v) send(x.words[v]);
  }
  return sent;
}

Handover Lowering::State::embed_tokens() {
  for (uint32_t r = 0; r < rows; ++r) step_rows[r].position = constant(row_of(position_port, r));
  begin_step();
  for (uint32_t id = 0; id < model.share.embed_end; ++id) run_node(id);
  if (is_alone()) return {};
  const Handover sent = sent_before(model.share.embed_end, true);
  vectors.clear();
  return sent;
}

Handover Lowering::State::run(const Handover& received) {
  size_t next = 0;
  if (!is_last()) {
    for (Row& row : step_rows) row.position = s->receive(links.from_last(), received[next++]);
    begin_step();
  }
  for (const uint32_t value : crossing(model.share.first)) {
    if (is_alone()) break;
    s->set_source(static_cast<int32_t>(value));
    std::vector<Vectors>& xs = vectors[value];
    for (uint32_t r = 0; r < rows; ++r) {
      Vectors& x = xs.emplace_back(Vectors());
      for (uint32_t v = 0; v < layouts.own(value).vectors; ++v) {
        x.words.push_back(s->receive(links.from_last(), received[next++]));
        add_magnitude(x, x.words.back());
      }
      if (rows > 1) x.magnitude = s->store(x.magnitude, ChipScheduler::kInBoth);
    }
  }
  for (uint32_t id = model.share.first; id < model.share.end; ++id) run_node(id);
  if (!is_last()) return sent_before(model.share.end, model.share.group + 2 < model.share.groups);
  if (rows == 1) keep_next_token();
  return {};
}

// The next step's token and position, once this step is done with its own.
void Lowering::State::keep_next_token() {
  s->set_not_before(std::max(s->length(), ChipScheduler::ready(next_token)));
  s->store_at(next_token, token_port, 4);
  s->store_at(s->op(LpuOp::IntegerAdd, constant(position_port), immediate(1)), position_port, 4);
  s->set_not_before(0);
}

// Lets go of every value: none outlives its scheduler.
void Lowering::State::end_step() {
  vectors.clear();
  quantised_values.clear();
  step_rows.clear();
  next_token = dither_last = nullptr;
}

Lowering::Lowering(ChipModel& model, uint32_t context, uint32_t rows_max)
    : state_(std::make_unique<State>(model, context, rows_max)) {}
Lowering::~Lowering() {
  state_->end_step();
}

void Lowering::begin(const Extent& extent) {
  state_->begin(extent);
}

Handover Lowering::embed() {
  return state_->embed_tokens();
}

Handover Lowering::run(const Handover& received) {
  return state_->run(received);
}

std::unique_ptr<ChipScheduler> Lowering::finish() {
  state_->end_step();
  return std::move(state_->s);
}

uint32_t Lowering::blocks_max() const {
  return state_->blocks_max;
}

}  // namespace lockstep::compiler::lpu
