// A llama of a few thousand weights, made in memory: for tests that need a whole model and no file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/model_assets.h"
#include "compiler/compile.h"
#include "graph/graph.h"
#include "models/models.h"
#include "text/tokenizer.h"

namespace lockstep::tests {

struct SmallModel {
  importer::Checkpoint checkpoint{{}, importer::Metadata("small model"), {}};
  std::vector<std::unique_ptr<std::vector<float>>> storage;  // behind the tensors
  graph::Graph graph;
  compiler::CompiledProgram compiled;
  std::unique_ptr<text::Tokenizer> tokenizer;
};

// Width 40, 5 heads of 8 on 1 KV head, feed-forward 52, 2 layers, byte tokenizer of 260 tokens, context 256.
// `gain` scales the second layer's feed-forward norm: with a huge one the numerics refuse its values.
inline std::unique_ptr<SmallModel> make_small_model(graph::NumericOptions options = {}, float gain = 1.0f) {
  auto model = std::make_unique<SmallModel>();
  importer::Metadata& metadata = model->checkpoint.metadata;
  auto put = [&](const char* key, importer::MetadataValue value) { metadata.insert(key, std::move(value)); };
  put("general.architecture", std::string("llama"));
  put("general.name", std::string("small"));
  put("llama.block_count", uint64_t{2});
  put("llama.context_length", uint64_t{256});
  put("llama.embedding_length", uint64_t{40});
  put("llama.feed_forward_length", uint64_t{52});
  put("llama.attention.head_count", uint64_t{5});
  put("llama.attention.head_count_kv", uint64_t{1});
  put("llama.attention.layer_norm_rms_epsilon", 1e-5);
  put("tokenizer.ggml.model", std::string("gpt2"));
  put("tokenizer.ggml.pre", std::string("gpt-2"));
  std::vector<std::string> tokens;
  std::vector<int64_t> types;
  for (int byte = 0; byte < 256; ++byte) {
    // GPT-2's printable characters: bytes that are not printable stand at U+0100 and up.
    static int next = 0;
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    if (byte == 0) next = 0;
    const int code_point = printable ? byte : 256 + next++;
    std::string text;
    if (code_point < 128) {
      text.push_back(static_cast<char>(code_point));
    } else {
      text.push_back(static_cast<char>(0xc0 | (code_point >> 6)));
      text.push_back(static_cast<char>(0x80 | (code_point & 63)));
    }
    tokens.push_back(text);
    types.push_back(1);
  }
  for (const char* special : {"<|im_start|>", "<|im_end|>", "<|unused0|>", "<|unused1|>"}) {
    tokens.push_back(special);
    types.push_back(3);
  }
  put("tokenizer.ggml.tokens", tokens);
  put("tokenizer.ggml.token_type", types);
  put("tokenizer.ggml.eos_token_id", uint64_t{257});

  uint32_t state = 7;
  auto add = [&](const std::string& name, std::vector<uint64_t> shape, float scale, float offset) {
    uint64_t count = 1;
    for (uint64_t extent : shape) count *= extent;
    auto values = std::make_unique<std::vector<float>>(count);
    for (float& value : *values) {
      state = state * 1664525u + 1013904223u;
      value = offset + scale * (static_cast<float>(state >> 8) / 8388608.0f - 1.0f);
    }
    model->checkpoint.tensors.push_back(
        {name, numerics::TensorType::F32, shape, std::as_bytes(std::span(*values))});
    model->storage.push_back(std::move(values));
  };
  add("token_embd.weight", {40, 260}, 1.0f, 0.0f);
  for (int layer = 0; layer < 2; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    add(prefix + "attn_norm.weight", {40}, 0.1f, 1.0f);
    add(prefix + "attn_q.weight", {40, 40}, 0.5f, 0.0f);
    add(prefix + "attn_k.weight", {40, 8}, 0.5f, 0.0f);
    add(prefix + "attn_v.weight", {40, 8}, 0.5f, 0.0f);
    add(prefix + "attn_output.weight", {40, 40}, 0.3f, 0.0f);
    add(prefix + "ffn_norm.weight", {40}, 0.0f, layer == 1 ? gain : 1.0f);
    add(prefix + "ffn_gate.weight", {40, 52}, 0.4f, 0.0f);
    add(prefix + "ffn_up.weight", {40, 52}, 0.4f, 0.0f);
    add(prefix + "ffn_down.weight", {52, 40}, 0.3f, 0.0f);
  }
  add("output_norm.weight", {40}, 0.1f, 1.0f);
  model->graph = models::build_graph(model->checkpoint, options);
  model->compiled = compiler::compile_for_host(model->graph, api::import_assets(metadata), {});
  model->tokenizer = std::make_unique<text::Tokenizer>(api::import_vocabulary(metadata));
  return model;
}

inline std::vector<int32_t> small_tokens(uint32_t count) {
  std::vector<int32_t> tokens(count);
  for (uint32_t i = 0; i < count; ++i) tokens[i] = static_cast<int32_t>((i * i * 7 + 13 * i + 5) % 256);
  return tokens;
}

}  // namespace lockstep::tests
