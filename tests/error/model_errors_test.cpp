// Models that lie: each change to a sound checkpoint must be a user's error that names what is wrong.
#include <gtest/gtest.h>

#include "../diff/small_model.h"

namespace lockstep::tests {
namespace {

class ModelErrors : public testing::Test {
 protected:
  // Builds the graph of a changed checkpoint; the error's text, or nothing when it is taken.
  std::string refusal(const std::function<void(importer::Checkpoint&)>& change) {
    const auto model = make_small_model();
    change(model->checkpoint);
    try {
      graph::Graph graph = models::build_graph(model->checkpoint, {});
      compiler::compile_for_host(graph, api::import_assets(model->checkpoint.metadata), {});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::User) << error.what();
      return error.what();
    }
    return {};
  }

  // The checkpoint with one key of its metadata replaced.
  static void set(importer::Checkpoint& checkpoint, const std::string& key, importer::MetadataValue value) {
    importer::Metadata changed("small model");
    for (const auto& [name, old] : checkpoint.metadata.values()) {
      if (name != key) changed.insert(name, old);
    }
    changed.insert(key, std::move(value));
    checkpoint.metadata = std::move(changed);
  }

  void expect(const char* part, const std::function<void(importer::Checkpoint&)>& change) {
    const std::string text = refusal(change);
    EXPECT_NE(text.find(part), std::string::npos) << part << ": '" << text << "'";
  }

  static numerics::Tensor& tensor(importer::Checkpoint& checkpoint, const char* name) {
    for (numerics::Tensor& t : checkpoint.tensors) {
      if (t.name == name) return t;
    }
    throw std::logic_error(name);
  }
};

TEST_F(ModelErrors, ASoundModelIsTaken) {
  EXPECT_EQ(refusal([](importer::Checkpoint&) {}), "");
}

TEST_F(ModelErrors, MissingAndMisshapenTensors) {
  for (const char* name :
       {"token_embd.weight", "blk.1.attn_q.weight", "blk.0.ffn_norm.weight", "output_norm.weight"}) {
    expect(name, [&](importer::Checkpoint& c) { tensor(c, name).name = "elsewhere"; });
  }
  expect("blk.0.attn_k.weight has the shape", [](importer::Checkpoint& c) {
    tensor(c, "blk.0.attn_k.weight").shape = {8, 40};
  });
  expect("has 20 elements; 40 are wanted", [](importer::Checkpoint& c) {
    numerics::Tensor& t = tensor(c, "output_norm.weight");
    t.shape = {20};
    t.bytes = t.bytes.first(80);
  });
}

TEST_F(ModelErrors, AbsurdMetadata) {
  auto with = [&](const char* key, importer::MetadataValue value) {
    return [=](importer::Checkpoint& c) { set(c, key, value); };
  };
  expect("architecture mamba", with("general.architecture", std::string("mamba")));
  expect("llama.block_count is 0", with("llama.block_count", uint64_t{0}));
  expect("llama.block_count", with("llama.block_count", uint64_t{1} << 40));
  expect("blk.2.", with("llama.block_count", uint64_t{3}));
  expect("no multiple", with("llama.attention.head_count_kv", uint64_t{2}));
  expect("embedding_length", with("llama.embedding_length", ~uint64_t{0}));
  expect("narrower than its number of heads", with("llama.attention.head_count", uint64_t{50}));
  expect("eps below", with("llama.attention.layer_norm_rms_epsilon", 0.0));
  expect("context_length", with("llama.context_length", uint64_t{0}));
  expect("not a positive number", with("llama.rope.freq_base", -1.0));
  expect("yarn", with("llama.rope.scaling.type", std::string("yarn")));
  expect("rope_freqs.weight", with("llama.rope.scaling.type", std::string("llama3")));
  expect("must be even", with("llama.rope.dimension_count", uint64_t{7}));
  expect("mixtures of experts", with("llama.expert_count", uint64_t{8}));
  expect("tokenizer", with("tokenizer.ggml.model", std::string("wordpiece")));
  expect("token types", with("tokenizer.ggml.token_type", std::vector<int64_t>{1, 1}));
}

TEST_F(ModelErrors, ValuesThatAreNotFinite) {
  const float bad = std::numeric_limits<float>::infinity();
  expect("not finite", [&](importer::Checkpoint& c) {
    numerics::Tensor& t = tensor(c, "blk.1.ffn_up.weight");
    const_cast<float*>(reinterpret_cast<const float*>(t.bytes.data()))[77] = bad;
  });
  expect("not finite", [&](importer::Checkpoint& c) {
    numerics::Tensor& t = tensor(c, "blk.0.attn_norm.weight");
    const_cast<float*>(reinterpret_cast<const float*>(t.bytes.data()))[3] = bad;
  });
}

}  // namespace
}  // namespace lockstep::tests
