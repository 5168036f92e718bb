// The host target against the interpreter on a whole small model: every instruction set of this CPU, several
// workers and chunks, and the numerics' refusals. Also run under the thread sanitizer.
#include <gtest/gtest.h>

#include "engine/evaluate.h"
#include "graph/interpreter.h"
#include "program/encode.h"
#include "small_model.h"
#include "targets/host/host_target.h"

namespace lockstep::tests {
namespace {

std::string interpreter_digest(const graph::Graph& graph, std::span<const int32_t> tokens) {
  graph::Interpreter interpreter(graph);
  engine::Evaluator evaluator(tokens);
  for (uint32_t i = 0; i < tokens.size(); ++i) evaluator.add(i, interpreter.step(tokens[i], true));
  return evaluator.result().digest;
}

TEST(Host, HasTheInterpretersBits) {
  for (uint32_t kv_bits : {16u, 8u}) {
    const auto model = make_small_model({.weights = numerics::WeightVariant::Faithful, .kv_bits = kv_bits});
    const std::vector<int32_t> tokens = small_tokens(70);
    const std::string digest = interpreter_digest(model->graph, tokens);
    for (const std::string& isa : targets::host::available_isas()) {
      for (uint32_t workers : {1u, 2u, 3u}) {
        const auto target = targets::host::load(model->compiled.program, {isa, workers, 128});
        for (uint32_t chunk : {1u, 4u, 5u, 64u}) {
          EXPECT_EQ(engine::evaluate(*target, tokens, chunk, {}).digest, digest) << isa << workers << chunk;
        }
      }
    }
  }
}

// Enough positions that workers share the pages of one row's attention.
TEST(Host, WorkersShareLongAttention) {
  for (uint32_t kv_bits : {16u, 8u}) {
    const auto model = make_small_model({.weights = numerics::WeightVariant::Faithful, .kv_bits = kv_bits});
    const std::vector<int32_t> tokens = small_tokens(220);
    const std::string digest = interpreter_digest(model->graph, tokens);
    for (const std::string& isa : targets::host::available_isas()) {
      for (uint32_t workers : {1u, 2u, 3u, 7u}) {
        const auto target = targets::host::load(model->compiled.program, {isa, workers, 256});
        for (uint32_t chunk : {1u, 3u, 64u}) {
          EXPECT_EQ(engine::evaluate(*target, tokens, chunk, {}).digest, digest) << isa << workers << chunk;
        }
      }
    }
  }
}

TEST(Host, StepsMayGoBack) {
  const auto model = make_small_model();
  const std::vector<int32_t> tokens = small_tokens(40);
  const auto target = targets::host::load(model->compiled.program, {"", 2, 128});
  const std::string first = engine::evaluate(*target, tokens, 7, {}).digest;
  engine::evaluate(*target, small_tokens(100), 9, {});
  EXPECT_EQ(engine::evaluate(*target, tokens, 40, {}).digest, first);
}

TEST(Host, NamesOperatorLayerAndPositionOfARefusedValue) {
  // The gain makes the feed-forward norm's output leave the range at the first position already.
  const auto model = make_small_model({}, 0x1.8p31f);
  const std::vector<int32_t> tokens = small_tokens(6);
  std::string expected;
  try {
    graph::Interpreter interpreter(model->graph);
    for (int32_t token : tokens) interpreter.step(token, false);
    FAIL() << "the interpreter took a value that the contract refuses";
  } catch (const Error& error) {
    expected = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::User);
    EXPECT_NE(expected.find("blk.1.ffn_"), std::string::npos) << expected;
    EXPECT_NE(expected.find("position 0"), std::string::npos) << expected;
  }
  for (const std::string& isa : targets::host::available_isas()) {
    for (uint32_t workers : {1u, 3u}) {
      for (uint32_t chunk : {1u, 6u}) {
        const auto target = targets::host::load(model->compiled.program, {isa, workers, 128});
        try {
          engine::evaluate(*target, tokens, chunk, {});
          FAIL() << isa << workers << chunk;
        } catch (const Error& error) {
          EXPECT_EQ(std::string(error.what()), expected);
        }
      }
    }
  }
}

TEST(Host, RefusesKernelsByName) {
  EXPECT_THROW(targets::host::select_kernels("mmx"), Error);
  EXPECT_NO_THROW(targets::host::select_kernels("scalar"));
}

TEST(Compiler, EqualModelsGiveEqualBytes) {
  const auto a = make_small_model(), b = make_small_model();
  EXPECT_EQ(program::encode(a->compiled.program), program::encode(b->compiled.program));
  const auto int8 = make_small_model({.weights = numerics::WeightVariant::Int8, .kv_bits = 16});
  const auto kv8 = make_small_model({.weights = numerics::WeightVariant::Faithful, .kv_bits = 8});
  EXPECT_NE(a->compiled.program.fingerprint, int8->compiled.program.fingerprint);
  EXPECT_NE(a->compiled.program.fingerprint, kv8->compiled.program.fingerprint);
}

TEST(Compiler, ImportsAWeightOnce) {
  const auto model = make_small_model();
  numerics::IntegerMatrix& first = model->graph.weights[0].integers;
  numerics::IntegerMatrix& second = model->graph.weights[1].integers;
  const float scale = second.row_scales[0];
  first.row_scales[0] = -1.0f;
  second = {};
  compiler::import_weights(model->graph, {});
  EXPECT_EQ(first.row_scales[0], -1.0f);
  EXPECT_EQ(second.row_scales[0], scale);
}

TEST(Compiler, AProgramSurvivesItsByteForm) {
  const auto model = make_small_model();
  const std::vector<std::byte> bytes = program::encode(model->compiled.program);
  const program::Program decoded = program::decode(bytes, "small");
  const std::vector<int32_t> tokens = small_tokens(20);
  const auto direct = targets::host::load(model->compiled.program, {"", 1, 64});
  const auto read = targets::host::load(decoded, {"", 1, 64});
  EXPECT_EQ(engine::evaluate(*direct, tokens, 8, {}).digest, engine::evaluate(*read, tokens, 8, {}).digest);
}

}  // namespace
}  // namespace lockstep::tests
