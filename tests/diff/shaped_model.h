// A llama of any shape, made in memory: for tests that need a whole model and no file.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "import/checkpoint.h"
#include "models/models.h"

namespace lockstep::tests {

struct ModelShape {
  uint32_t width = 40, layers = 2, heads = 5, kv_heads = 1, head_width = 8, feed_forward = 52;
  uint32_t vocabulary = 260, context = 256;
  uint32_t rotary = 0;       // elements of a head that RoPE turns; 0: all
  bool tied = true;          // one matrix for embedding and head
  bool biases = false;       // of all matrices but those of the next line
  bool gate_biases = false;  // of gate, up and a head of its own
  graph::RopePairs pairs = graph::RopePairs::Adjacent;
  float last_gain = 1.0f;  // of the last layer's feed-forward norm; the numerics refuse huge ones' values
  uint32_t seed = 7;
  bool contents = true;  // false: matrices have their shape alone
};

struct ShapedModel {
  importer::Checkpoint checkpoint{{}, importer::Metadata("small model"), {}};
  std::vector<std::unique_ptr<std::vector<float>>> storage;  // behind the tensors
  graph::Graph graph;
};

// Adds random tensors to a model, the same for the same seed on every machine.
class TensorMaker {
 public:
  TensorMaker(ShapedModel& model, const ModelShape& shape)
      : model_(model), contents_(shape.contents), state_(shape.seed) {}

  // Uniform in offset -+ scale. `extents` as in a file: columns first.
  void add(const std::string& name, std::vector<uint64_t> extents, float scale, float offset) {
    uint64_t count = 1;
    for (uint64_t extent : extents) count *= extent;
    if (extents.size() > 1 && !contents_) count = 0;
    auto values = std::make_unique<std::vector<float>>(count);
    for (float& value : *values) {
      state_ = state_ * 1664525u + 1013904223u;
      value = offset + scale * (static_cast<float>(state_ >> 8) / 8388608.0f - 1.0f);
    }
    model_.checkpoint.tensors.push_back(
        {name, numerics::TensorType::F32, std::move(extents), std::as_bytes(std::span(*values))});
    model_.storage.push_back(std::move(values));
  }
  // A matrix, and a bias where `biases`. `scale` is what one of 40 columns has.
  void add_linear(const std::string& name, float scale, uint64_t columns, uint64_t rows, bool biases) {
    add(name + ".weight", {columns, rows}, scale * std::sqrt(40.0f / static_cast<float>(columns)), 0.0f);
    if (biases) add(name + ".bias", {rows}, 0.3f, 0.0f);
  }

 private:
  ShapedModel& model_;
  bool contents_;
  uint32_t state_;
};

inline void add_layer(TensorMaker& maker, const ModelShape& shape, uint32_t layer) {
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  const uint64_t queries = uint64_t{shape.heads} * shape.head_width;
  const uint64_t keys = uint64_t{shape.kv_heads} * shape.head_width;
  maker.add(prefix + "attn_norm.weight", {shape.width}, 0.1f, 1.0f);
  maker.add_linear(prefix + "attn_q", 0.5f, shape.width, queries, shape.biases);
  maker.add_linear(prefix + "attn_k", 0.5f, shape.width, keys, shape.biases);
  maker.add_linear(prefix + "attn_v", 0.5f, shape.width, keys, shape.biases);
  maker.add_linear(prefix + "attn_output", 0.3f, queries, shape.width, shape.biases);
  const bool last = layer + 1 == shape.layers;
  maker.add(prefix + "ffn_norm.weight", {shape.width}, 0.0f, last ? shape.last_gain : 1.0f);
  maker.add_linear(prefix + "ffn_gate", 0.4f, shape.width, shape.feed_forward, shape.gate_biases);
  maker.add_linear(prefix + "ffn_up", 0.4f, shape.width, shape.feed_forward, shape.gate_biases);
  maker.add_linear(prefix + "ffn_down", 0.342f, shape.feed_forward, shape.width, shape.biases);
}

// Fills checkpoint and graph of a model; what its metadata has already stays.
inline void shape_model(ShapedModel& model, const ModelShape& shape, graph::NumericOptions options) {
  importer::Metadata& metadata = model.checkpoint.metadata;
  metadata.insert("general.architecture", std::string("llama"));
  metadata.insert("general.name", std::string("small"));
  metadata.insert("llama.attention.layer_norm_rms_epsilon", 1e-5);
  for (const auto& [key, value] : {std::pair("block_count", shape.layers),
                                   {"context_length", shape.context},
                                   {"embedding_length", shape.width},
                                   {"feed_forward_length", shape.feed_forward},
                                   {"attention.head_count", shape.heads},
                                   {"attention.head_count_kv", shape.kv_heads},
                                   {"attention.key_length", shape.head_width},
                                   {"attention.value_length", shape.head_width},
                                   {"rope.dimension_count", shape.rotary ? shape.rotary : shape.head_width}})
    metadata.insert(std::string("llama.") + key, uint64_t{value});
  TensorMaker maker(model, shape);
  maker.add("token_embd.weight", {shape.width, shape.vocabulary}, 1.0f, 0.0f);
  for (uint32_t layer = 0; layer < shape.layers; ++layer) add_layer(maker, shape, layer);
  maker.add("output_norm.weight", {shape.width}, 0.1f, 1.0f);
  if (!shape.tied) maker.add_linear("output", 0.5f, shape.width, shape.vocabulary, shape.gate_biases);
  model.graph = models::build_graph(model.checkpoint, options);
  model.graph.rope.pairs = shape.pairs;
}

inline std::vector<int32_t> small_tokens(uint32_t count) {
  std::vector<int32_t> tokens(count);
  for (uint32_t i = 0; i < count; ++i) tokens[i] = static_cast<int32_t>((i * i * 7 + 13 * i + 5) % 256);
  return tokens;
}

}  // namespace lockstep::tests
