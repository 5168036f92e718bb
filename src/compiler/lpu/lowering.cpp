#include "compiler/lpu/lowering.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

#include "base/error.h"
#include "compiler/lpu/vector_integers.h"
#include "compiler/lpu/vector_math.h"
#include "numerics/functions.h"
#include "numerics/q16.h"

namespace lockstep::compiler::lpu {

using namespace vector_math;
using graph::Node;
using graph::Op;
using program::isa::OperandKind;

namespace {

constexpr uint32_t kMagnitudeMask = 0x7fffffff;
constexpr uint32_t kNoAccess = 0x8000;  // a map's value that reads and writes nothing
constexpr float kFarBelow = -0x1p100f;  // of a position that is not seen
constexpr uint64_t kSquareMax = 32512 * 32512;
constexpr uint64_t kWeightMax = (1 << 24) + 1;  // of a position: rint(e * 2^24 + j)
constexpr uint32_t kRotations = 16, kRotationsAtOnce = 8;

std::vector<uint32_t> words_of(const std::vector<float>& values) {
  std::vector<uint32_t> words(values.size());
  for (size_t i = 0; i < values.size(); ++i) words[i] = std::bit_cast<uint32_t>(values[i]);
  return words;
}

}  // namespace

// ------------------------------------------------------------------------------------------- model

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

// ------------------------------------------------------------------------------------------- state

struct Lowering::State {
  // A binary32 value of the graph: its vectors, as words in memory or results of ALUs, and the largest
  // magnitude of each lane over the vectors.
  struct Vectors {
    std::vector<Term> words;
    Term magnitude;
  };
  // A Q16 value: two planes of bytes a vector, in both hemispheres, and the scale in every lane.
  struct Quantised {
    std::vector<Term> high, low;
    Term scale;
  };
  // The sums of one row tile on one plane: S = 255 * (255 * high + middle) + low for weights of two parts,
  // 255 * high + low for one.
  struct Sums {
    Term high, middle, low;
  };
  struct HeadScale {
    Term scale, inverse;
  };
  struct AttentionPlacement {
    std::vector<std::vector<KvTile>> tiles;  // [block][set]
    std::vector<Place> head_masks;           // words, all ones in the lanes of a head of a vector
    std::array<std::vector<Place>, 2> identity;
    uint32_t spread = 0;               // permutation that takes each head's scale to every superlane
    std::vector<uint32_t> head_lanes;  // distributions that take it from there to every lane
  };
  struct NodePlacement {
    MatrixPlacement matrix;
    std::vector<Place> turned_scales, turned_biases;  // in the lanes of each lane's partner
    std::vector<Place> gains;
    uint32_t partner = 0;  // permutation of RoPE's pairs
    AttentionPlacement attention;
  };

  // The sums of a row tile for one row of the step, one for each plane that works on it.
  using TileSums = std::vector<Sums>;

  State(ChipModel& chip_model, uint32_t context, uint32_t rows_max);

  // ---- before scheduling
  void place_nodes(uint32_t context);
  void place_attention(uint32_t id, NodePlacement& placed, uint32_t blocks);
  void place_rope(const Node& node, NodePlacement& placed);
  std::vector<Place> vector_constants(const Layout& layout, const std::vector<float>& values,
                                      const std::vector<uint16_t>* permutation = nullptr);
  Place uniform(uint32_t bits) { return placement.words(std::vector<uint32_t>(lanes, bits)); }
  bool is_last() const { return model.share.is_last(); }
  bool is_alone() const { return model.share.groups == 1; }
  uint32_t parts() const { return model.share.parts; }
  std::string part_name(const std::string& name, const char* separator) const;
  graph::WeightId weight_of(Op op) const;
  Port& add_port(const std::string& name, Place place, uint32_t rows, int32_t node);

  // ---- one step
  void begin(const Extent& extent);
  Handover embed_tokens();
  Handover run(const Handover& received);
  Handover sent_before(uint32_t node, bool position);
  std::vector<uint32_t> crossing(uint32_t node) const;
  void keep_next_token();
  void begin_step();
  void end_step();
  void run_node(uint32_t id);
  uint32_t last_taker(uint32_t value) const;
  bool feeds(uint32_t id, Op op) const;  // nothing but operators of this kind takes the value
  Vectors embed(uint32_t id, uint32_t row);
  Vectors rms_norm(uint32_t id, uint32_t row);
  // Of all rows of the step.
  std::vector<Vectors> matmul(uint32_t id);
  std::vector<Vectors> rope(uint32_t id);
  std::vector<Vectors> silu_gate(uint32_t id);
  std::vector<Vectors> attention(uint32_t id);
  void head(uint32_t id);
  Term first_of_parts(Term largest, Term negative_id);

  Term constant(Place place) { return s->constant(place); }
  Term magnitude_of(const Term& x) { return s->op(LpuOp::And, x, immediate(kMagnitudeMask)); }
  void add_magnitude(Vectors& value, const Term& x);
  const Vectors& whole(uint32_t id, uint32_t row);
  std::vector<ChipScheduler::Sent> broadcast(const std::vector<Term>& words);
  Vectors joined_or(const Vectors& value);
  Term fold(std::vector<Term> terms, LpuOp op);
  Term maximum_over_lanes(const Term& x, LpuOp op, uint32_t span);
  std::vector<uint16_t> window_map(uint32_t first, uint32_t count) const;
  std::vector<uint16_t> span_map(uint32_t span) const;
  HeadScale scale_of(const Term& magnitude, const std::string& name, int32_t node, uint32_t row);
  void watch(const Term& magnitude, const std::string& name, int32_t node, uint32_t row);
  std::array<Term, 2> stored_planes(const Planes<Term>& planes, ChipScheduler::Copies copies);
  Quantised quantised(const Vectors& value, const std::string& name, int32_t node, uint32_t row);
  std::vector<TileSums> multiply_tile(const MatrixPlacement& matrix, uint32_t tile,
                                      const std::vector<Quantised>& xs);
  uint32_t tiles_at_once(uint32_t share) const;
  Term epilogue(const std::vector<Sums>& sums, const Quantised& x, const MatrixPlacement& matrix,
                Place scales, const Place* bias, const uint32_t* permutation);
  void install_ones(const std::vector<ChipScheduler::Plane>& planes);
  std::array<Term, 4> digit_sums(const std::vector<Term>& digits,
                                 const std::vector<ChipScheduler::Plane>& planes);

  ChipModel& model;
  const graph::Graph& graph;
  Placement& placement;
  uint32_t lanes, superlanes, blocks_max = 0, rows_max = 1;
  Layouts layouts;
  Links links;
  std::vector<std::vector<uint32_t>> users;  // of each node
  std::vector<NodePlacement> placed;
  VocabularyPlacement embedding, output;
  Place token_port, position_port, next_token_port, logits_port;
  Place dither_table, rope_table;
  uint32_t rope_rows = 0;
  std::map<std::string, Place> fault_ports;
  std::vector<uint32_t> rope_key;  // head width and lanes per head that the table is for

  // of a step
  std::unique_ptr<ChipScheduler> s;
  uint32_t blocks = 0, rows = 1;
  std::map<uint32_t, std::vector<Vectors>> vectors;  // by node, of each row
  std::map<uint32_t, std::vector<Quantised>> quantised_values;
  // A row's place: `staging` is its lane among the last of the block, where the step holds it; `is_new` and
  // slot_maps are of the place that it keeps.
  struct Row {
    Term position, cosines, sines, visible, is_new, staging;
    std::vector<Term> slot_maps;
  };
  std::vector<Row> step_rows;
  Term dither_last, next_token;
};

Lowering::State::State(ChipModel& chip_model, uint32_t context, uint32_t most_rows)
    : model(chip_model),
      graph(chip_model.graph),
      placement(chip_model.placement),
      lanes(placement.lanes()),
      superlanes(chip_model.machine.geometry.superlanes),
      rows_max(most_rows),
      layouts(graph, chip_model.machine, chip_model.share.part, chip_model.share.parts),
      links{chip_model.share.parts, chip_model.machine.geometry.links},
      users(graph.nodes.size()),
      placed(graph.nodes.size()) {
  for (uint32_t id = 0; id < graph.nodes.size(); ++id)
    for (const graph::ValueId input : graph.nodes[id].inputs) users[input].push_back(id);
  place_nodes(context);
}

// A name that each of the chips that share a node has for its own.
std::string Lowering::State::part_name(const std::string& name, const char* separator) const {
  return model.share.part == 0 ? name : fmt::format("{}{}{}", name, separator, model.share.part);
}

std::vector<Place> Lowering::State::vector_constants(const Layout& where, const std::vector<float>& values,
                                                     const std::vector<uint16_t>* permutation) {
  std::vector<Place> places;
  for (uint32_t v = 0; v < where.vectors; ++v) {
    std::vector<float> all(lanes);
    for (uint32_t lane = 0; lane < lanes; ++lane) {
      const uint32_t from = permutation == nullptr ? lane : (*permutation)[lane];
      const int32_t element = where.elements[v * lanes + from];
      if (element >= 0 && !values.empty()) all[lane] = values[static_cast<size_t>(element)];
    }
    places.push_back(placement.own_words(words_of(all)));
  }
  return places;
}

Port& Lowering::State::add_port(const std::string& name, Place place, uint32_t count, int32_t node) {
  model.ports.push_back({name, place, count, node});
  return model.ports.back();
}

graph::WeightId Lowering::State::weight_of(Op op) const {
  for (const Node& node : graph.nodes)
    if (node.op == op) return node.weight;
  return graph::kNone;
}

void Lowering::State::place_nodes(uint32_t context) {
  const std::vector<Node>& nodes = graph.nodes;
  blocks_max = (context + lanes - 1) / lanes;
  // The vocabulary first, so that its rows stand in order in every slice.
  for (uint32_t id = 0; id < nodes.size() && is_last(); ++id) {
    const Node& node = nodes[id];
    if (node.op == Op::Embed) {
      embedding = placement.vocabulary(graph.weights[node.weight], layouts.whole(id), layouts.first_token(),
                                       layouts.tokens());
    } else if (id == graph.logits) {
      LOCKSTEP_CHECK(node.op == Op::MatMul);
      output = weight_of(Op::Embed) == node.weight
                   ? embedding
                   : placement.vocabulary(graph.weights[node.weight], layouts.whole(node.inputs[0]),
                                          layouts.first_token(), layouts.tokens());
      model.logit_ids = output.ids;
      if (node.vector != graph::kNone) {
        output.matrix.biases =
            vector_constants({output.matrix.row_tiles, output.ids}, graph.vectors[node.vector].values);
      }
    }
  }
  uint32_t plane = 0;
  int32_t layer = -1;
  for (uint32_t id = model.share.first; id < model.share.end; ++id) {
    const Node& node = nodes[id];
    NodePlacement& place = placed[id];
    if (node.layer != layer) plane = 0;
    layer = node.layer;
    if (node.op == Op::MatMul && id != graph.logits) {
      place.matrix =
          placement.matrix(graph.weights[node.weight], layouts.own(id), layouts.whole(node.inputs[0]), plane);
      plane += place.matrix.row_tiles;
      if (node.vector != graph::kNone)
        place.matrix.biases = vector_constants(layouts.own(id), graph.vectors[node.vector].values);
    }
    if (node.op == Op::RmsNorm)
      place.gains = vector_constants(layouts.whole(id), graph.vectors[node.vector].values);
    if (node.op == Op::Rope) place_rope(node, place);
    if (node.op == Op::Attention) place_attention(id, place, blocks_max);
  }
  if (is_last()) {
    position_port = placement.word_rows(kEast, rows_max);
    token_port = placement.word_rows(kEast, rows_max);
    next_token_port = placement.word_rows(kEast, 1);
    logits_port = placement.word_rows(kEast, rows_max * output.matrix.row_tiles);
    add_port(part_name("token", "."), token_port, rows_max, -1);
    add_port(part_name("position", "."), position_port, rows_max, -1);
    add_port(part_name("next_token", "."), next_token_port, 1, -1);
    add_port(part_name("logits", "."), logits_port, rows_max * output.matrix.row_tiles,
             static_cast<int32_t>(graph.logits));
  }
  dither_table = placement.word_rows(kEast, 256);
  for (uint32_t i = 0; i < 256; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(numerics::dither(i));
    placement.set_words(dither_table, dither_table.row + i, std::vector<uint32_t>(lanes, bits));
  }
}

void Lowering::State::place_rope(const Node& node, NodePlacement& place) {
  const graph::RopeTable& table = graph.rope;
  const uint32_t pairs = static_cast<uint32_t>(table.turns.size()), width = node.head_width;
  const bool adjacent = table.pairs == graph::RopePairs::Adjacent;
  const uint32_t heads = std::min(lanes / width, std::max(1u, node.heads / parts()));
  const uint32_t used = heads * width;
  std::vector<uint16_t> partner(lanes);
  std::iota(partner.begin(), partner.end(), uint16_t{0});
  // Of each lane: its pair, and whether it is the pair's second element.
  std::vector<int32_t> pair(lanes, -1);
  std::vector<bool> second(lanes);
  for (uint32_t lane = 0; lane < used; ++lane) {
    const uint32_t base = lane / width * width, i = lane % width;
    if (i >= 2 * pairs) continue;
    second[lane] = adjacent ? i % 2 == 1 : i >= pairs;
    pair[lane] = static_cast<int32_t>(adjacent ? i / 2 : i % pairs);
    partner[lane] = static_cast<uint16_t>(base + (adjacent ? i ^ 1 : (i + pairs) % (2 * pairs)));
  }
  place.partner = model.maps.permutation(partner);
  const uint32_t matmul = node.inputs[0];
  NodePlacement& source = placed[matmul];
  const Node& product = graph.nodes[matmul];
  const graph::Weight& weight = graph.weights[product.weight];
  source.turned_scales = vector_constants(layouts.own(matmul), weight.integers.row_scales, &partner);
  if (product.vector != graph::kNone)
    source.turned_biases =
        vector_constants(layouts.own(matmul), graph.vectors[product.vector].values, &partner);
  const std::vector<uint32_t> key{width};
  if (rope_rows != 0) {
    LOCKSTEP_CHECK(rope_key == key);
    return;
  }
  rope_key = key;
  rope_rows = blocks_max * lanes;
  rope_table = placement.word_rows(kEast, 2 * rope_rows);
  for (uint32_t p = 0; p < rope_rows; ++p) {
    std::vector<float> cosine(lanes, 1.0f), sine(lanes, 0.0f);
    for (uint32_t lane = 0; lane < lanes; ++lane) {
      if (pair[lane] < 0) continue;
      const uint64_t turn = uint64_t{p} * table.turns[static_cast<size_t>(pair[lane])];
      const auto [c, si] = numerics::cos_sin(static_cast<int32_t>(static_cast<uint32_t>(turn >> 32)));
      cosine[lane] = c;
      sine[lane] = second[lane] ? si : -si;
    }
    placement.set_words(rope_table, rope_table.row + p, words_of(cosine));
    placement.set_words(rope_table, rope_table.row + rope_rows + p, words_of(sine));
  }
}

void Lowering::State::place_attention(uint32_t node_id, NodePlacement& place, uint32_t count) {
  AttentionPlacement& attention = place.attention;
  const HeadLayout& heads = layouts.heads(node_id);
  for (uint32_t block = 0; block < count; ++block) {
    attention.tiles.emplace_back();
    for (uint32_t set = 0; set < heads.sets; ++set)
      attention.tiles[block].push_back(placement.kv_tile(heads));
  }
  const uint32_t width = heads.head_width;
  std::vector<uint16_t> spread(lanes);
  std::vector<bool> taken(lanes), filled(lanes);
  for (uint32_t head = 0; head < heads.vector_heads; ++head) {
    std::vector<uint32_t> mask(lanes);
    std::fill_n(mask.begin() + head * width, width, ~0u);
    attention.head_masks.push_back(placement.words(mask));
    for (uint32_t superlane = 0; superlane < superlanes; ++superlane) {
      const uint32_t to = superlane * 16 + head, from = head * width + superlane;
      spread[to] = static_cast<uint16_t>(from);
      taken[from] = filled[to] = true;
    }
    attention.head_lanes.push_back(
        model.maps.distribution(std::vector<uint8_t>(16, static_cast<uint8_t>(head))));
  }
  uint32_t next = 0;
  for (uint32_t to = 0; to < lanes; ++to) {
    if (filled[to]) continue;
    while (taken[next]) ++next;
    spread[to] = static_cast<uint16_t>(next++);
  }
  attention.spread = model.maps.permutation(spread);
  // One identity for all layers.
  static_assert(kWest == 1);
  for (uint32_t id = 0; id < graph.nodes.size(); ++id) {
    if (graph.nodes[id].op != Op::Attention || placed[id].attention.identity[0].empty()) continue;
    attention.identity = placed[id].attention.identity;
    return;
  }
  for (uint32_t part = 0; part < 2; ++part) {
    const uint32_t length = heads.vector_heads * width;
    const Place first = placement.byte_rows(kWest, part, length);
    for (uint32_t i = 0; i < length; ++i) {
      Place row = first;
      row.row = static_cast<uint16_t>(row.row + i);
      model.memory.image_row(row.hemisphere, row.slice, row.row)[i] = 1;
      attention.identity[part].push_back(row);
    }
  }
}

// -------------------------------------------------------------------------------- pieces of a step

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

// The place `row` rows behind another.
static Place row_of(Place place, uint32_t row) {
  place.row = static_cast<uint16_t>(place.row + row);
  return place;
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
