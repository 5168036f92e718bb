#include "cli/step_parts.h"

#include <gtest/gtest.h>

#include <numeric>

#include "../../tests/diff/small_model.h"
#include "program/isa/host.h"
#include "program/isa/host_kv.h"
#include "program/isa/host_panels.h"

namespace lockstep::cli {
namespace {

using program::Program;

const Program& small_program(uint32_t kv_bits = 16, bool int8 = false) {
  static std::map<std::pair<uint32_t, bool>, std::unique_ptr<tests::SmallModel>> models;
  auto& model = models[{kv_bits, int8}];
  if (model == nullptr) {
    graph::NumericOptions options;
    options.kv_bits = kv_bits;
    if (int8) options.weights = numerics::WeightVariant::Int8;
    model = tests::make_small_model(options);
  }
  return model->compiled.program;
}

using program::isa::PanelKind;

uint64_t products(const PartCost& cost, PanelKind kind) {
  return cost.products[static_cast<size_t>(kind)];
}
uint64_t all_products(const PartCost& cost) {
  return std::accumulate(cost.products.begin(), cost.products.end(), cost.wide_products);
}

const PartCost& of(const PartCosts& costs, Part part) {
  return costs[static_cast<size_t>(part)];
}

// The small model: width 40, 5 heads of 8 on 1 KV head, feed-forward 52, 2 layers, vocabulary 260.
constexpr uint64_t kLayerWeights = 40 * (40 + 8 + 8 + 40) + 3 * 40 * 52, kHeadWeights = 40 * 260;

TEST(PartCosts, ProductsOfADecodeStep) {
  const SequenceShape shape = {.rows = 1, .position = 10, .wanted = 1};
  const PartCost cost = of(part_costs(small_program(), {&shape, 1}), Part::MatrixProducts);
  EXPECT_EQ(all_products(cost), 2 * kLayerWeights + kHeadWeights);
  EXPECT_EQ(cost.wide_products, 0u);
  uint64_t bytes = 0;
  for (const program::Matrix& matrix : small_program().matrices) {
    const program::isa::PanelLayout layout = program::isa::panel_layout(matrix);
    bytes += layout.bytes() + layout.panels() * program::isa::kPanelRows * sizeof(float);
  }
  EXPECT_EQ(cost.streamed_bytes, bytes);
}

TEST(PartCosts, RowsMultiplyAndWeightsAreReadOnce) {
  const SequenceShape shapes[] = {{.rows = 7, .position = 0, .wanted = 0},
                                  {.rows = 1, .position = 3, .wanted = 1}};
  const SequenceShape one = {.rows = 1, .position = 0, .wanted = 1};
  const PartCost many = of(part_costs(small_program(16, true), shapes), Part::MatrixProducts);
  const PartCost single = of(part_costs(small_program(16, true), {&one, 1}), Part::MatrixProducts);
  EXPECT_EQ(products(many, PanelKind::Plain8), 8 * 2 * kLayerWeights + kHeadWeights);
  EXPECT_EQ(all_products(many), products(many, PanelKind::Plain8));
  EXPECT_EQ(many.streamed_bytes, single.streamed_bytes);
  const SequenceShape unwanted = {.rows = 1, .position = 0, .wanted = 0};
  EXPECT_LT(of(part_costs(small_program(16, true), {&unwanted, 1}), Part::MatrixProducts).streamed_bytes,
            single.streamed_bytes);
}

TEST(PartCosts, AttentionSeesEachEarlierPosition) {
  // Rows at positions 5, 6, 7 see 6 + 7 + 8 positions; 2 layers, 5 heads, 8 + 8 elements.
  const SequenceShape shape = {.rows = 3, .position = 5, .wanted = 1};
  for (uint32_t kv_bits : {8u, 16u}) {
    const Program& program = small_program(kv_bits);
    const PartCost cost = of(part_costs(program, {&shape, 1}), Part::Attention);
    EXPECT_EQ(kv_bits == 8 ? products(cost, PanelKind::Plain8) : cost.wide_products, 21u * 2 * 5 * 16);
    EXPECT_EQ(all_products(cost), 21u * 2 * 5 * 16);
    const program::isa::KvLayout kv(program.state);
    EXPECT_EQ(cost.streamed_bytes, 8 * kv.page_bytes() / program::isa::kPagePositions);
  }
}

TEST(PartCosts, SyncsGrowWhereRowsAreSplit) {
  auto syncs = [](uint32_t rows) {
    const SequenceShape shape = {.rows = rows, .position = 0, .wanted = 1};
    return of(part_costs(small_program(), {&shape, 1}), Part::Barriers).syncs;
  };
  EXPECT_GT(syncs(1), 0u);
  EXPECT_EQ(syncs(1), syncs(program::isa::kCopiesRowsMax));
  EXPECT_LT(syncs(1), syncs(program::isa::kCopiesRowsMax + 1));
}

TEST(PartCosts, SamplingReadsTheWantedLogits) {
  const SequenceShape shapes[] = {{.rows = 4, .position = 0, .wanted = 2},
                                  {.rows = 1, .position = 9, .wanted = 1}};
  EXPECT_EQ(of(part_costs(small_program(), shapes), Part::Sampling).cached_bytes, 3u * 260 * sizeof(float));
}

TEST(Bound, IsTheSlowestOfItsKinds) {
  MachineLimits limits = {
      .stream_bytes_s = 100, .cached_bytes_s = 1000, .sync_s = 0.5, .products_s = {200, 100, 50, 25}};
  EXPECT_EQ(bound_s({}, limits), 0);
  EXPECT_EQ(bound_s({.streamed_bytes = 200, .products = {10, 10, 10, 10}}, limits), 2);
  EXPECT_EQ(bound_s({.streamed_bytes = 200, .products = {200, 100, 50, 25}}, limits), 4);
  EXPECT_EQ(bound_s({.cached_bytes = 3000}, limits), 3);
  EXPECT_EQ(bound_s({.syncs = 5}, limits), 2.5);
  // Products of 16-bit numbers take what those of the kind take that stands for them.
  EXPECT_EQ(bound_s({.products = {0, 0, 50, 0}, .wide_products = 50}, limits), 2);
  limits.wide_products = PanelKind::Plain16;
  EXPECT_EQ(bound_s({.products = {0, 0, 50, 0}, .wide_products = 50}, limits), 3);
  EXPECT_EQ(bound_s({.products = {100, 100, 100, 100}}, {}), 0);  // not known
}

}  // namespace
}  // namespace lockstep::cli
