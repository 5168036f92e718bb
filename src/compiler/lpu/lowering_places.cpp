// Where everything that lasts stands on a chip.
#include "compiler/lpu/lowering_state.h"

namespace lockstep::compiler::lpu {

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

}  // namespace lockstep::compiler::lpu
