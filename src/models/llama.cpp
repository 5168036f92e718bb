// The llama family: RMSNorm, grouped-query attention with RoPE on neighbouring pairs (GGUF stores q and k
// permuted for it), SwiGLU. Touvron et al., "LLaMA", 2023, and Grattafiori et al., "The Llama 3 herd of
// models", 2024; the metadata's names are GGUF's.
#include <cmath>

#include "models/model_builder.h"
#include "models/models.h"
#include "models/rope_table.h"

namespace lockstep::models {

using graph::Graph;
using graph::Op;
using graph::ValueId;

namespace {

constexpr uint64_t kWidthMax = 1u << 20;

struct LlamaShape {
  uint32_t layers, width, feed_forward, heads, kv_heads, key_width, value_width, rotary;
  float eps;
  float attention_scale;
};

LlamaShape read_shape(const ModelBuilder& builder) {
  LlamaShape shape{};
  shape.layers = static_cast<uint32_t>(builder.require_uint("block_count", 4096));
  shape.width = static_cast<uint32_t>(builder.require_uint("embedding_length", kWidthMax));
  shape.feed_forward = static_cast<uint32_t>(builder.require_uint("feed_forward_length", kWidthMax));
  shape.heads = static_cast<uint32_t>(builder.require_uint("attention.head_count", 65536));
  shape.kv_heads = static_cast<uint32_t>(builder.uint_or("attention.head_count_kv", shape.heads, 65536));
  if (shape.heads % shape.kv_heads != 0) {
    builder.refuse(fmt::format("{} query heads are no multiple of {} KV heads", shape.heads, shape.kv_heads));
  }
  const uint64_t fallback = shape.width / shape.heads;
  if (fallback == 0) builder.refuse("the embedding is narrower than its number of heads");
  shape.key_width = static_cast<uint32_t>(builder.uint_or("attention.key_length", fallback, 1024));
  shape.value_width = static_cast<uint32_t>(builder.uint_or("attention.value_length", fallback, 1024));
  shape.rotary = static_cast<uint32_t>(builder.uint_or("rope.dimension_count", shape.key_width, 1024));
  if (shape.key_width > 1024 || shape.value_width > 1024)
    builder.refuse("a head is wider than 1024 elements");
  if (shape.key_width % 2 != 0 || shape.rotary % 2 != 0 || shape.rotary > shape.key_width) {
    builder.refuse(
        fmt::format("heads of {} elements with {} turned by RoPE are not possible: both must be even",
                    shape.key_width, shape.rotary));
  }
  shape.eps = static_cast<float>(builder.float_or("attention.layer_norm_rms_epsilon", 1e-5));
  shape.attention_scale = static_cast<float>(builder.float_or("attention.scale", 0.0));
  if (shape.attention_scale == 0.0f) {
    shape.attention_scale = 1.0f / std::sqrt(static_cast<float>(shape.key_width));
  }
  return shape;
}

graph::RopeTable read_rope(const ModelBuilder& builder, const importer::Metadata& metadata, uint32_t rotary) {
  const float base = static_cast<float>(builder.float_or("rope.freq_base", 10000.0));
  if (!(base > 0) || !std::isfinite(base)) builder.refuse("rope.freq_base is not a positive number");
  const std::string type = metadata.find_string(builder.key("rope.scaling.type")).value_or("none");
  float linear = 1.0f;
  if (type == "linear" || type == "none") {
    linear = static_cast<float>(builder.float_or("rope.scale_linear", 1.0));
    if (type == "linear") linear = static_cast<float>(builder.float_or("rope.scaling.factor", linear));
  } else if (type != "llama3") {
    builder.refuse(
        fmt::format("RoPE scaling of type {} is not supported; none, linear and llama3 are", type));
  }
  if (!(linear > 0) || !std::isfinite(linear))
    builder.refuse("the RoPE scaling factor is not a positive number");
  std::vector<float> factors;
  if (const numerics::Tensor* tensor = builder.find("rope_freqs.weight")) {
    factors = builder.floats(*tensor);
    if (factors.size() != rotary / 2) {
      builder.refuse(
          fmt::format("rope_freqs.weight has {} elements; {} are wanted", factors.size(), rotary / 2));
    }
    for (float factor : factors) {
      if (!(factor > 0) || !std::isfinite(factor))
        builder.refuse("rope_freqs.weight holds a factor that is not positive");
    }
  } else if (type == "llama3") {
    builder.refuse("RoPE scaling of type llama3 needs the tensor rope_freqs.weight, which is missing");
  }
  return {graph::RopePairs::Adjacent, rope_turns(base, rotary, linear, factors)};
}

// x -> x + attention(norm(x)) of the current layer.
ValueId attention_block(ModelBuilder& builder, const LlamaShape& shape, int32_t layer, ValueId x) {
  const std::string prefix = fmt::format("blk.{}.", layer);
  const ValueId norm =
      builder.rms_norm("attn_norm", x, builder.vector(prefix + "attn_norm.weight", shape.width), shape.eps);
  const ValueId in = builder.quantise("attn_norm", norm);
  ValueId q = builder.linear("attn_q", in, shape.heads * shape.key_width);
  ValueId k = builder.linear("attn_k", in, shape.kv_heads * shape.key_width);
  const ValueId v = builder.linear("attn_v", in, shape.kv_heads * shape.value_width);
  auto rope = [&](const char* name, ValueId value, uint32_t heads) {
    return builder.add_node({.op = Op::Rope,
                             .name = name,
                             .inputs = {value},
                             .width = builder.width(value),
                             .heads = heads,
                             .head_width = shape.key_width});
  };
  q = rope("attn_q.rope", q, shape.heads);
  k = rope("attn_k.rope", k, shape.kv_heads);
  const ValueId attention = builder.add_node({.op = Op::Attention,
                                              .name = "attn",
                                              .inputs = {q, k, v},
                                              .width = shape.heads * shape.value_width,
                                              .factor = shape.attention_scale,
                                              .heads = shape.heads,
                                              .kv_heads = shape.kv_heads,
                                              .head_width = shape.key_width,
                                              .value_width = shape.value_width});
  const ValueId out = builder.linear("attn_output", builder.quantise("attn", attention), shape.width);
  return builder.add_node({.op = Op::Add, .name = "attn_residual", .inputs = {x, out}, .width = shape.width});
}

// x -> x + down(silu(gate(norm(x))) * up(norm(x))) of the current layer.
ValueId feed_forward_block(ModelBuilder& builder, const LlamaShape& shape, int32_t layer, ValueId x) {
  const std::string prefix = fmt::format("blk.{}.", layer);
  const ValueId norm =
      builder.rms_norm("ffn_norm", x, builder.vector(prefix + "ffn_norm.weight", shape.width), shape.eps);
  const ValueId in = builder.quantise("ffn_norm", norm);
  const ValueId gate = builder.linear("ffn_gate", in, shape.feed_forward);
  const ValueId up = builder.linear("ffn_up", in, shape.feed_forward);
  const ValueId gated = builder.add_node(
      {.op = Op::SiluGate, .name = "ffn_gated", .inputs = {gate, up}, .width = shape.feed_forward});
  const ValueId down = builder.linear("ffn_down", builder.quantise("ffn_gated", gated), shape.width);
  return builder.add_node({.op = Op::Add, .name = "ffn_residual", .inputs = {x, down}, .width = shape.width});
}

}  // namespace

Graph build_llama(const importer::Checkpoint& checkpoint, const graph::NumericOptions& options) {
  ModelBuilder builder(checkpoint, "llama", options);
  if (builder.uint_or("expert_count", 0, 65536) != 0) builder.refuse("mixtures of experts are not supported");
  const LlamaShape shape = read_shape(builder);
  const numerics::Tensor* embedding = builder.find("token_embd.weight");
  if (embedding == nullptr) builder.refuse("tensor token_embd.weight is missing");
  Graph& graph = builder.graph;
  graph.layers = shape.layers;
  graph.vocabulary = static_cast<uint32_t>(embedding->rows());
  graph.context_max = static_cast<uint32_t>(builder.require_uint("context_length", 1u << 24));
  graph.rope = read_rope(builder, checkpoint.metadata, shape.rotary);

  const graph::WeightId token_embedding = builder.weight("token_embd.weight", graph.vocabulary, shape.width);
  ValueId x = builder.embed(token_embedding, shape.width);
  for (uint32_t layer = 0; layer < shape.layers; ++layer) {
    builder.set_layer(static_cast<int32_t>(layer));
    x = attention_block(builder, shape, static_cast<int32_t>(layer), x);
    x = feed_forward_block(builder, shape, static_cast<int32_t>(layer), x);
  }
  builder.set_layer(-1);
  x = builder.add_node({.op = Op::Select, .name = "wanted", .inputs = {x}, .width = shape.width});
  x = builder.rms_norm("output_norm", x, builder.vector("output_norm.weight", shape.width), shape.eps);
  x = builder.quantise("output_norm", x);
  const bool separate = builder.find("output.weight") != nullptr;
  const graph::WeightId head =
      separate ? builder.weight("output.weight", graph.vocabulary, shape.width) : token_embedding;
  graph.logits = builder.matmul("output", x, head, builder.optional_vector("output.bias", graph.vocabulary));
  return std::move(builder.graph);
}

Graph build_graph(const importer::Checkpoint& checkpoint, const graph::NumericOptions& options) {
  const std::string architecture = checkpoint.metadata.require_string("general.architecture");
  if (architecture != "llama") {
    user_error("{}: architecture {} is not supported; llama is", checkpoint.metadata.source(), architecture);
  }
  Graph graph = build_llama(checkpoint, options);
  graph::verify(graph);
  return graph;
}

}  // namespace lockstep::models
