#include "graph/interpreter.h"

#include <algorithm>

#include "numerics/functions.h"
#include "numerics/q16.h"

namespace lockstep::graph {

using numerics::f32;

Interpreter::Interpreter(const Graph& graph)
    : graph_(graph), values_(graph.nodes.size()), caches_(graph.layers) {}

std::span<const float> Interpreter::step(int32_t token, bool logits_wanted) {
  bool past_select = false;
  for (ValueId id = 0; id < graph_.nodes.size(); ++id) {
    past_select = past_select || graph_.nodes[id].op == Op::Select;
    if (past_select && !logits_wanted) break;
    run_node(id, token);
    if (probe) probe(id, values_[id]);
  }
  ++position_;
  if (!logits_wanted) return {};
  return values_[graph_.logits].x;
}

void Interpreter::quantise_or_fail(const Node& node, std::span<const float> x, int32_t levels,
                                   std::vector<int16_t>& a, float& scale) const {
  a.resize(x.size());
  if (!numerics::quantise(x, levels, a, scale)) {
    user_error(
        "{}: {} (layer {}) leaves the range of the numerics at position {}: a magnitude of 2^32 or more",
        graph_.model_name, node.name, node.layer, position_);
  }
}

void Interpreter::run_node(ValueId id, int32_t token) {
  const Node& node = graph_.nodes[id];
  Value& out = values_[id];
  auto in = [&](size_t i) -> const Value& { return values_[node.inputs[i]]; };
  out.x.resize(value_kind(node.op) == ValueKind::F32 ? node.width : 0);
  switch (node.op) {
    case Op::Embed: {
      const numerics::IntegerMatrix& matrix = graph_.weights[node.weight].integers;
      const uint64_t row = static_cast<uint64_t>(token);
      std::vector<int16_t> w(matrix.columns);
      matrix.row(row, w);
      for (uint32_t k = 0; k < node.width; ++k) {
        out.x[k] = f32(w[k]) * matrix.row_scales[row];
        if (node.factor != 1.0f) out.x[k] = out.x[k] * node.factor;
      }
      break;
    }
    case Op::RmsNorm: {
      std::vector<int16_t> a;
      float s = 0;
      quantise_or_fail(node, in(0).x, numerics::kQ16Levels, a, s);
      int64_t total = 0;
      for (int64_t element : a) total += element * element;
      const float v = ((f32(total) / f32(node.width)) * s) * s;
      const float inverse = 1.0f / numerics::sqrt32(v + node.factor);
      const std::vector<float>& gain = graph_.vectors[node.vector].values;
      for (uint32_t i = 0; i < node.width; ++i) out.x[i] = (in(0).x[i] * inverse) * gain[i];
      break;
    }
    case Op::Quantise:
      quantise_or_fail(node, in(0).x, numerics::kQ16Levels, out.a, out.scale);
      break;
    case Op::MatMul:
      run_matmul(node, in(0), out);
      break;
    case Op::Rope:
      run_rope(node, in(0), out);
      break;
    case Op::Attention:
      run_attention(node, out);
      break;
    case Op::SiluGate:
      for (uint32_t i = 0; i < node.width; ++i) out.x[i] = numerics::silu(in(0).x[i]) * in(1).x[i];
      break;
    case Op::Add:
      for (uint32_t i = 0; i < node.width; ++i) out.x[i] = in(0).x[i] + in(1).x[i];
      break;
    case Op::Select:
      out.x = in(0).x;
      break;
  }
}

void Interpreter::run_matmul(const Node& node, const Value& in, Value& out) const {
  const numerics::IntegerMatrix& matrix = graph_.weights[node.weight].integers;
  std::vector<int16_t> w(matrix.columns);
  for (uint64_t r = 0; r < matrix.rows; ++r) {
    matrix.row(r, w);
    int64_t sum = 0;
    for (uint64_t k = 0; k < matrix.columns; ++k) sum += int64_t{w[k]} * in.a[k];
    float y = f32(sum) * (matrix.row_scales[r] * in.scale);
    if (node.vector != kNone) y = y + graph_.vectors[node.vector].values[r];
    out.x[r] = y;
  }
}

void Interpreter::run_rope(const Node& node, const Value& in, Value& out) const {
  const RopeTable& table = graph_.rope;
  const size_t pairs = table.turns.size();
  out.x = in.x;
  for (uint32_t head = 0; head < node.heads; ++head) {
    const size_t base = size_t{head} * node.head_width;
    for (size_t i = 0; i < pairs; ++i) {
      const uint64_t turn = uint64_t{position_} * table.turns[i];
      const auto [cos, sin] = numerics::cos_sin(static_cast<int32_t>(static_cast<uint32_t>(turn >> 32)));
      const size_t first = base + (table.pairs == RopePairs::Adjacent ? 2 * i : i);
      const size_t second = table.pairs == RopePairs::Adjacent ? first + 1 : first + pairs;
      const float x = in.x[first], y = in.x[second];
      out.x[first] = x * cos - y * sin;
      out.x[second] = x * sin + y * cos;
    }
  }
}

void Interpreter::run_attention(const Node& node, Value& out) {
  LayerCache& cache = caches_[static_cast<size_t>(node.layer)];
  const int32_t levels = graph_.options.kv_bits == 16 ? numerics::kQ16Levels : numerics::kQ8Levels;
  const std::vector<float>& k = values_[node.inputs[1]].x;
  const std::vector<float>& v = values_[node.inputs[2]].x;
  cache.keys.emplace_back(node.kv_heads);
  cache.values.emplace_back(node.kv_heads);
  for (uint32_t head = 0; head < node.kv_heads; ++head) {
    CachedVector& key = cache.keys.back()[head];
    CachedVector& value = cache.values.back()[head];
    quantise_or_fail(node, std::span(k).subspan(size_t{head} * node.head_width, node.head_width), levels,
                     key.a, key.scale);
    quantise_or_fail(node, std::span(v).subspan(size_t{head} * node.value_width, node.value_width), levels,
                     value.a, value.scale);
  }
  for (uint32_t head = 0; head < node.heads; ++head) attend_head(node, cache, head, out);
}

void Interpreter::attend_head(const Node& node, const LayerCache& cache, uint32_t head, Value& out) const {
  const uint32_t kv_head = static_cast<uint32_t>(uint64_t{head} * node.kv_heads / node.heads);
  const size_t positions = cache.keys.size();
  const std::vector<float>& q = values_[node.inputs[0]].x;
  std::vector<int16_t> qa;
  float qs = 0;
  quantise_or_fail(node, std::span(q).subspan(size_t{head} * node.head_width, node.head_width),
                   numerics::kQ16Levels, qa, qs);
  const float c = node.factor * numerics::kLog2E;

  std::vector<float> z(positions);
  for (size_t t = 0; t < positions; ++t) {
    const CachedVector& key = cache.keys[t][kv_head];
    int64_t sum = 0;
    for (uint32_t d = 0; d < node.head_width; ++d) sum += int64_t{qa[d]} * key.a[d];
    z[t] = f32(sum) * ((qs * c) * key.scale);
  }
  const float max = *std::max_element(z.begin(), z.end());

  int64_t total = 0;
  std::vector<float> weighted(positions);  // e_t * vs_t
  for (size_t t = 0; t < positions; ++t) {
    const float e = numerics::exp2(z[t] - max);
    total += static_cast<int64_t>(numerics::rint32(e * 0x1p24f + numerics::dither(static_cast<uint32_t>(t))));
    weighted[t] = e * cache.values[t][kv_head].scale;
  }
  // Q16 over t with the dither added before rounding.
  uint32_t m_bits = 0;
  for (float w : weighted) m_bits = std::max(m_bits, numerics::bits_of(w) & 0x7fffffffu);
  float cs = 0, r = 0;
  if (m_bits >= numerics::kQ16ErrorBits) {
    user_error("{}: {} (layer {}) leaves the range of the numerics at position {}", graph_.model_name,
               node.name, node.layer, position_);
  }
  if (m_bits >= numerics::kQ16ZeroBits) {
    const float m = numerics::from_bits(m_bits);
    cs = m / 32512.0f;
    r = 32512.0f / m;
  }
  std::vector<int64_t> sums(node.value_width, 0);
  for (size_t t = 0; t < positions; ++t) {
    const int64_t ca = r == 0 ? 0
                              : static_cast<int64_t>(numerics::rint32(
                                    weighted[t] * r + numerics::dither(static_cast<uint32_t>(t))));
    for (uint32_t d = 0; d < node.value_width; ++d) sums[d] += ca * cache.values[t][kv_head].a[d];
  }
  const float scale = cs / (f32(total) * 0x1p-24f);
  for (uint32_t d = 0; d < node.value_width; ++d) {
    out.x[size_t{head} * node.value_width + d] = f32(sums[d]) * scale;
  }
}

}  // namespace lockstep::graph
