#include "compiler/lpu/share_out.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace lockstep::compiler::lpu {

namespace {

using graph::Node;
using graph::Op;

machine::Machine chip() {
  return machine::find_machine("lpu-v1");
}

// An embedding, layers of one matrix each, and a head; no contents, for sizes alone.
graph::Graph layers(uint32_t count, uint64_t rows, uint32_t vocabulary = 1000) {
  graph::Graph graph;
  graph.model_name = "tower";
  graph.vocabulary = vocabulary;
  graph.context_max = 320;
  graph.layers = count;
  const auto weight = [&](uint64_t weight_rows) {
    graph::Weight added;
    added.tensor.shape = {320, weight_rows};
    added.integers.kind = numerics::MatrixKind::Plain8;
    graph.weights.push_back(added);
    return static_cast<graph::WeightId>(graph.weights.size() - 1);
  };
  const auto node = [&](Op op, const std::string& name, int32_t layer, graph::WeightId uses) {
    Node added{.op = op, .name = name, .layer = layer, .inputs = {}, .width = 320, .weight = uses};
    if (op == Op::MatMul) added.width = static_cast<uint32_t>(graph.weights[uses].rows());
    if (!graph.nodes.empty()) added.inputs.push_back(static_cast<uint32_t>(graph.nodes.size() - 1));
    graph.nodes.push_back(added);
  };
  const graph::WeightId embedding = weight(vocabulary);
  node(Op::Embed, "embed", -1, embedding);
  for (uint32_t layer = 0; layer < count; ++layer) {
    node(Op::MatMul, "up" + std::to_string(layer), static_cast<int32_t>(layer), weight(rows));
    node(Op::Add, "add" + std::to_string(layer), static_cast<int32_t>(layer), graph::kNone);
  }
  node(Op::MatMul, "output", -1, embedding);
  graph.logits = static_cast<uint32_t>(graph.nodes.size() - 1);
  return graph;
}

// One after the other, everything behind the embedding once, cut between layers alone.
void expect_whole(const graph::Graph& graph, const std::vector<ChipShare>& shares) {
  uint32_t next = 1;
  for (uint32_t i = 0; i < shares.size(); ++i) {
    EXPECT_EQ(shares[i].group, i);
    EXPECT_EQ(shares[i].groups, shares.size());
    EXPECT_EQ(shares[i].embed_end, 1u);
    EXPECT_EQ(shares[i].first, next);
    EXPECT_LT(shares[i].first, shares[i].end);
    next = shares[i].end;
    if (next < graph.nodes.size()) {
      EXPECT_NE(graph.nodes[next].layer, graph.nodes[next - 1].layer);
    }
  }
  EXPECT_EQ(next, graph.nodes.size());
}

std::string refusal(const graph::Graph& graph, uint32_t chips) {
  try {
    share_out(graph, chip(), chips, 1, 320);
  } catch (const Error& refused) {
    EXPECT_EQ(refused.kind(), ErrorKind::User);
    return refused.what();
  }
  return "";
}

TEST(ShareOut, TakesOneChipWhereThatHoldsAll) {
  const graph::Graph graph = layers(4, 10000);
  const std::vector<ChipShare> shares = share_out(graph, chip(), 0, 1, 320);
  ASSERT_EQ(shares.size(), 1u);
  expect_whole(graph, shares);
}

TEST(ShareOut, TakesAsFewAsHoldAll) {
  // A chip has 2 x 36 slices of 8192 rows for weights: 580000 rows. Ten layers of 160000 need four.
  const graph::Graph graph = layers(10, 160000);
  const std::vector<ChipShare> shares = share_out(graph, chip(), 0, 1, 320);
  ASSERT_EQ(shares.size(), 4u);
  expect_whole(graph, shares);
}

TEST(ShareOut, MakesThePartsEven) {
  const graph::Graph graph = layers(12, 1000, 16);
  const std::vector<ChipShare> shares = share_out(graph, chip(), 3, 1, 320);
  ASSERT_EQ(shares.size(), 3u);
  expect_whole(graph, shares);
  for (const ChipShare& share : shares) {
    EXPECT_GE(share.end - share.first, 5u);
    EXPECT_LE(share.end - share.first, 10u);
  }
}

TEST(ShareOut, AsManyChipsAsParts) {
  const graph::Graph graph = layers(3, 1000);
  const std::vector<ChipShare> shares = share_out(graph, chip(), 4, 1, 320);
  ASSERT_EQ(shares.size(), 4u);
  expect_whole(graph, shares);
}

// The chip with the head has the embedding too; where that is another matrix, it takes room of its own.
TEST(ShareOut, AVocabularyStandsOnceOnTheLastChip) {
  const graph::Graph graph = layers(1, 160000, 250000);
  EXPECT_EQ(share_out(graph, chip(), 0, 1, 320).size(), 1u);
  graph::Graph apart = graph;
  apart.weights.push_back(apart.weights[0]);
  apart.nodes.back().weight = static_cast<graph::WeightId>(apart.weights.size() - 1);
  EXPECT_EQ(share_out(apart, chip(), 0, 1, 320).size(), 2u);
}

// Chips that share matrices have half of the rows each: three layers instead of one find room.
TEST(ShareOut, GroupsShareMatrices) {
  graph::Graph graph = layers(9, 160000);
  for (Node& node : graph.nodes)
    if (node.width == 320) node.width = 640;
  EXPECT_EQ(share_out(graph, chip(), 0, 1, 320).size(), 9u);
  const std::vector<ChipShare> shares = share_out(graph, chip(), 0, 2, 320);
  ASSERT_EQ(shares.size(), 3u);
  expect_whole(graph, shares);
  EXPECT_EQ(shares[1].parts, 2u);
  EXPECT_EQ(shares[1].chips(), 6u);
  EXPECT_EQ(shares[1].chip(), 2u);
  EXPECT_EQ(share_out(graph, chip(), 10, 2, 320).size(), 5u);
}

TEST(ShareOut, RefusesWhatDoesNotGo) {
  const auto shared_refusal = [](uint32_t chips, uint32_t parts) -> std::string {
    try {
      share_out(layers(10, 160000), chip(), chips, parts, 320);
    } catch (const Error& refused) {
      return refused.what();
    }
    return "";
  };
  EXPECT_EQ(shared_refusal(5, 2), "--chips 5: chips that share matrices by 2 come in groups of 2");
  EXPECT_EQ(shared_refusal(0, 7), "tower: 7 chips cannot share its key heads and matrices evenly");
  EXPECT_EQ(shared_refusal(0, 16),
            "tower: 16 chips of lpu-v1 that share matrices take 17 links each; it has 11");
  EXPECT_EQ(refusal(layers(10, 160000), 3), "tower: takes 4 chips of lpu-v1 for 320 positions, not 3");
  EXPECT_EQ(refusal(layers(3, 1000), 6), "--chips 6: tower can be cut into 4 parts at the most");
  EXPECT_EQ(refusal(layers(3, 700000), 0),
            "tower: up0 and what follows it take 224 MB on one lpu-v1 chip, which has room for 186 MB");
}

}  // namespace

}  // namespace lockstep::compiler::lpu
