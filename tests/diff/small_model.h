// A llama of a few thousand weights, made in memory: for tests that need a whole model and no file.
#pragma once

#include "api/model_assets.h"
#include "compiler/compile.h"
#include "shaped_model.h"
#include "text/tokenizer.h"

namespace lockstep::tests {

struct SmallModel : ShapedModel {
  compiler::CompiledProgram compiled;
  std::unique_ptr<text::Tokenizer> tokenizer;
};

// Width 40, 5 heads of 8 on 1 KV head, feed-forward 52, 2 layers, byte tokenizer of 260 tokens, context 256.
// `gain` scales the second layer's feed-forward norm: with a huge one the numerics refuse its values.
inline std::unique_ptr<SmallModel> make_small_model(graph::NumericOptions options = {}, float gain = 1.0f) {
  auto model = std::make_unique<SmallModel>();
  importer::Metadata& metadata = model->checkpoint.metadata;
  auto put = [&](const char* key, importer::MetadataValue value) { metadata.insert(key, std::move(value)); };
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

  ModelShape shape;
  shape.last_gain = gain;
  shape_model(*model, shape, options);
  model->compiled = compiler::compile_for_host(model->graph, api::import_assets(metadata), {});
  model->tokenizer = std::make_unique<text::Tokenizer>(api::import_vocabulary(metadata));
  return model;
}

}  // namespace lockstep::tests
