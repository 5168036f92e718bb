#include "graph/graph.h"

#include <gtest/gtest.h>

#include "graph/interpreter.h"
#include "numerics/functions.h"

namespace lockstep::graph {
namespace {

// embed -> select -> norm -> quantise -> matmul (tied): vocabulary 3, width 4.
class GraphTest : public testing::Test {
 protected:
  GraphTest() {
    graph_.model_name = "tiny";
    graph_.architecture = "test";
    graph_.vocabulary = 3;
    graph_.context_max = 8;
    graph_.layers = 1;
    graph_.weights.push_back(
        {"w", {"w", numerics::TensorType::F32, {4, 3}, std::as_bytes(std::span(values_))}, {}});
    graph_.vectors.push_back({"gain", {1, 1, 1, 1}});
    add({.op = Op::Embed, .name = "embed", .inputs = {}, .width = 4, .weight = 0});
    add({.op = Op::Select, .name = "wanted", .inputs = {0}, .width = 4});
    add({.op = Op::RmsNorm, .name = "norm", .inputs = {1}, .width = 4, .vector = 0, .factor = 1e-5f});
    add({.op = Op::Quantise, .name = "norm.q16", .inputs = {2}, .width = 4});
    add({.op = Op::MatMul, .name = "output", .inputs = {3}, .width = 3, .weight = 0});
    graph_.logits = 4;
  }

  void add(Node node) { graph_.nodes.push_back(std::move(node)); }

  // Verifies a changed copy and gives the error's text; empty when it is taken.
  std::string refusal(const std::function<void(Graph&)>& change) const {
    Graph copy = graph_;
    change(copy);
    try {
      verify(copy);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::User);
      return error.what();
    }
    return {};
  }

  std::vector<float> values_ = {1, 2, 3, 4, -1, 0.5f, 0, 2, 0, 0, 0, 1};
  Graph graph_;
};

TEST_F(GraphTest, ASoundGraphIsTaken) {
  EXPECT_EQ(refusal([](Graph&) {}), "");
}

TEST_F(GraphTest, EveryRuleIsNamed) {
  auto expect = [&](const char* rule, const std::function<void(Graph&)>& change) {
    const std::string text = refusal(change);
    EXPECT_NE(text.find(rule), std::string::npos) << rule << ": '" << text << "'";
  };
  expect("not computed before", [](Graph& g) { g.nodes[1].inputs = {1}; });
  expect("changes the width", [](Graph& g) { g.nodes[2].width = 5; });
  expect("weight that is not there", [](Graph& g) { g.nodes[0].weight = 7; });
  expect("weight of another shape", [](Graph& g) { g.vocabulary = 4; });
  expect("no gain", [](Graph& g) { g.vectors[0].values.pop_back(); });
  expect("eps below", [](Graph& g) { g.nodes[2].factor = 0; });
  expect("value of another kind", [](Graph& g) { g.nodes[4].inputs = {2}; });
  expect("wrong number of inputs", [](Graph& g) { g.nodes[3].inputs = {2, 2}; });
  expect("two nodes are named", [](Graph& g) { g.nodes[3].name = "norm"; });
  expect("no logits", [](Graph& g) { g.logits = 99; });
  expect("below 2^32", [](Graph& g) { g.vectors[0].values[1] = 0x1p32f; });
  expect("not known; 16 or 8", [](Graph& g) { g.options.kv_bits = 4; });
  expect("no elements", [](Graph& g) { g.nodes[1].width = 0; });
}

TEST_F(GraphTest, TheFingerprintFollowsWhatIsComputed) {
  auto fingerprint_with = [&](const std::function<void(Graph&)>& change) {
    Graph copy = graph_;
    change(copy);
    copy.weights[0].integers = numerics::import_matrix(copy.weights[0].tensor, copy.options.weights);
    return fingerprint(copy);
  };
  const Hash256 plain = fingerprint_with([](Graph&) {});
  EXPECT_EQ(fingerprint_with([](Graph& g) { g.model_name = "another name"; }), plain);
  EXPECT_NE(fingerprint_with([](Graph& g) { g.options.weights = numerics::WeightVariant::Int8; }), plain);
  EXPECT_NE(fingerprint_with([](Graph& g) { g.options.kv_bits = 8; }), plain);
  EXPECT_NE(fingerprint_with([](Graph& g) { g.vectors[0].values[2] = 2; }), plain);
  EXPECT_NE(fingerprint_with([](Graph& g) { g.nodes[2].factor = 2e-5f; }), plain);
}

TEST_F(GraphTest, TheInterpreterComputesTheContract) {
  graph_.weights[0].integers =
      numerics::import_matrix(graph_.weights[0].tensor, numerics::WeightVariant::Faithful);
  Interpreter interpreter(graph_);
  std::vector<float> normed;
  interpreter.probe = [&](ValueId id, const Value& value) {
    if (id == 2) normed = value.x;
  };
  const std::span<const float> logits = interpreter.step(0, true);
  // Row 0 is (1, 2, 3, 4): its mean square is 7.5, and the logits are its products with the rows.
  ASSERT_EQ(normed.size(), 4u);
  EXPECT_NEAR(normed[3], 4 / std::sqrt(7.5f), 1e-3);
  EXPECT_NEAR(logits[0], 30 / std::sqrt(7.5f), 1e-2);
  EXPECT_NEAR(logits[1], 8 / std::sqrt(7.5f), 1e-2);
  EXPECT_NEAR(logits[2], 4 / std::sqrt(7.5f), 1e-2);
  EXPECT_TRUE(interpreter.step(1, false).empty());
  EXPECT_EQ(interpreter.position(), 2u);
}

}  // namespace
}  // namespace lockstep::graph
