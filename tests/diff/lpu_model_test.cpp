// Whole models on simulated chips against the reference interpreter: every bit of every logit, the next
// token, and the number of cycles that the compiler predicts.
#include "lpu_model.h"

#include <algorithm>
#include <cstring>

namespace lockstep::tests {

namespace {

std::vector<LpuCase> cases() {
  using numerics::WeightVariant;
  const auto faithful = WeightVariant::Faithful;
  const auto biased = [](ModelShape& shape) { shape.biases = true; };
  const auto one_layer = [](ModelShape& shape) { shape.layers = 1; };
  const auto gate_biased = [](ModelShape& shape) { shape.gate_biases = true; };
  std::vector<LpuCase> all{
      {"heads_of_32_grouped", heads(32, 6, 2)},
      {"heads_of_64", heads(64, 2, 2)},
      {"heads_of_64_grouped_separate_head", with(heads(64, 9, 3), [](ModelShape& s) { s.tied = false; })},
      {"more_heads_than_accumulators", with(heads(64, 40, 5), one_layer)},
      {"heads_of_128", heads(128, 2, 1)},
      {"biases", with(kSmall, biased)},
      {"gate_biases", with(kSmall, gate_biased)},
      {"gate_and_head_biases_two_chips",
       with(kSmall,
            [](ModelShape& s) {
              s.gate_biases = true;
              s.tied = false;
            }),
       "lpu-v1", WeightVariant::Int8, 2},
      {"half_pairs", with(kSmall, [](ModelShape& s) { s.pairs = graph::RopePairs::Halves; })},
      {"partial_rope", with(kSmall, [](ModelShape& s) { s.rotary = 16; })},
      {"partial_rope_half_pairs_biases", with(heads(64, 2, 1),
                                              [](ModelShape& s) {
                                                s.rotary = 32;
                                                s.pairs = graph::RopePairs::Halves;
                                                s.biases = true;
                                              })},
      {"wide", with(heads(64, 6, 2),
                    [](ModelShape& s) {
                      s.width = 384;
                      s.feed_forward = 900;
                      s.layers = 1;
                    })},
      {"two_chips", kSmall, "lpu-v1", WeightVariant::Int8, 2},
      {"three_chips", with(kSmall, [](ModelShape& s) { s.layers = 3; }), "lpu-v1", WeightVariant::Int8, 3},
  };
  LpuCase precise{"faithful", kSmall};
  precise.weights = faithful;
  all.push_back(precise);
  precise = {"faithful_biases_separate_head",
             with(heads(64, 2, 1),
                  [](ModelShape& s) {
                    s.biases = s.gate_biases = true;
                    s.tied = false;
                  }),
             "lp30", faithful};
  all.push_back(precise);
  all.push_back({"faithful_two_chips", kSmall, "lpu-v1", faithful, 2});
  const auto shared = [&](const char* name, const ModelShape& shape, uint32_t groups, uint32_t parts) {
    LpuCase tried{name, shape};
    tried.chips = groups * parts;
    tried.tensor_parallel = parts;
    all.push_back(tried);
    return &all.back();
  };
  shared("two_share", heads(32, 6, 2), 1, 2);
  shared("three_share", with(heads(32, 9, 3), [](ModelShape& s) { s.feed_forward = 192; }), 1, 3)->weights =
      faithful;
  shared("four_share_twice", with(heads(32, 8, 4), biased), 2, 4);
  shared("eight_share_separate_head", with(heads(32, 16, 8), [](ModelShape& s) { s.tied = false; }), 1, 8);
  // A chip with vectors of 64 lanes: three blocks of positions.
  LpuCase blocks{"across_blocks", with(kSmall, [](ModelShape& s) { s.layers = 1; })};
  blocks.superlanes = 4;
  blocks.context = 130;
  blocks.tokens = 130;
  all.push_back(blocks);
  blocks.name = "more_heads_than_accumulators_across_blocks";
  blocks.shape = with(heads(16, 48, 4), one_layer);
  blocks.context = 128;
  blocks.tokens = 67;
  all.push_back(blocks);
  return all;
}

class LpuModel : public testing::TestWithParam<LpuCase> {};

TEST_P(LpuModel, HasTheBitsAndCyclesOfItsPrediction) {
  expect_bits_and_cycles(GetParam());
}
INSTANTIATE_TEST_SUITE_P(Shapes, LpuModel, testing::ValuesIn(cases()),
                         [](const auto& tried) { return std::string(tried.param.name); });

// Chips that run on alone, with what the step before left them, give what the host's greedy choice gives.
void expect_chips_go_on_alone(uint32_t count) {
  const OnChips chips({.name = "", .shape = kSmall, .chips = count});
  const auto led = targets::lpu::load(chips.program(), chips.machine, {});
  const auto alone = targets::lpu::load(chips.program(), chips.machine, {});
  const program::Region& logits = region(chips.program(), "logits");
  int32_t token = 11;
  step(*alone, token, 0);
  for (uint32_t position = 0; position < 5; ++position) {
    step(*led, token, position);
    token = numerics::argmax(led->logits(0));
    if (position > 0) alone->simulator().run(entry_for(chips.program(), chips.machine, position).name);
    ASSERT_EQ(words_of(alone->simulator(), logits), words_of(led->simulator(), logits))
        << "position " << position;
  }
}

// Full and partly filled entries, single rows between them, over the end of a block.
TEST(LpuModel, TakesSeveralRowsAtOnce) {
  LpuCase tried{"", kSmall};
  tried.superlanes = 4;
  tried.context = 100;
  tried.rows = 8;
  expect_bits_of_steps(tried, std::vector<uint32_t>{8, 1, 5, 8, 8, 8, 8, 8, 3, 7, 8, 2, 1, 8, 6});
}

TEST(LpuModel, TakesSeveralRowsAtOnceOnTwoChips) {
  LpuCase tried{"", with(heads(64, 6, 2), [](ModelShape& shape) { shape.biases = true; })};
  tried.chips = 2;
  tried.rows = 5;
  tried.weights = numerics::WeightVariant::Faithful;
  expect_bits_of_steps(tried, std::vector<uint32_t>{5, 4, 1, 8});
}

TEST(LpuModel, TakesSeveralRowsOfManyHeadsAtOnce) {
  LpuCase tried{"", with(heads(64, 20, 5), [](ModelShape& s) { s.layers = 1; })};
  tried.rows = 4;
  expect_bits_of_steps(tried, std::vector<uint32_t>{4, 4});
}

TEST(LpuModel, OneChipGoesOnAlone) {
  expect_chips_go_on_alone(1);
}
TEST(LpuModel, TwoChipsGoOnAlone) {
  expect_chips_go_on_alone(2);
}

TEST(LpuModel, TakesAsManyCyclesWithoutArithmetic) {
  for (const uint32_t count : {1u, 2u}) {
    const OnChips chips({.name = "", .shape = kSmall, .chips = count});
    const program::Entry& entry = chips.program().entries.at(0);
    Simulator simulator(chips.program(), chips.machine, {.arithmetic = false});
    for (uint32_t run = 0; run < 2; ++run)
      EXPECT_EQ(simulator.run(entry.name).cycles, predicted_cycles(chips.program(), entry));
  }
}

// A model of which nobody knows the weights takes about as long as one whose weights are known.
TEST(LpuModel, IsTimedWithoutWeights) {
  for (const uint32_t parts : {1u, 2u}) {
    ModelShape shape = with(heads(32, 6, 2), [](ModelShape& s) { s.contents = false; });
    ShapedModel model;
    shape_model(model, shape, {numerics::WeightVariant::Int8, 16});
    for (graph::Weight& weight : model.graph.weights) {
      weight.integers.rows = weight.rows();
      weight.integers.columns = weight.columns();
      weight.integers.kind = numerics::MatrixKind::Plain8;
    }
    const Machine machine = machine::find_machine("lpu-v1");
    const LpuOptions options{.chips = 2, .tensor_parallel = parts, .rows = 4};
    const compiler::LpuPrediction prediction = compiler::predict_for_lpu(model.graph, machine, options);
    EXPECT_EQ(prediction.chips, 2u);
    const CompiledProgram compiled = compiler::compile_for_lpu(model.graph, machine, {}, options);
    Simulator simulator(compiled.program, machine, {.arithmetic = false});
    EXPECT_EQ(simulator.run("rows4.320").cycles, prediction.cycles);
    LpuCase known{"", heads(32, 6, 2)};
    known.chips = 2;
    known.tensor_parallel = parts;
    known.rows = 4;
    const OnChips chips(known);
    const auto cycles =
        static_cast<double>(predicted_cycles(chips.program(), chips.program().entry("rows4.320")));
    EXPECT_NEAR(cycles, static_cast<double>(prediction.cycles), 0.02 * cycles);
  }
}

// The way of cutting that takes the fewest cycles.
TEST(LpuModel, ChoosesHowManyChipsShareMatrices) {
  LpuCase tried{"", with(heads(64, 6, 2), [](ModelShape& s) { s.width = 640; })};
  tried.chips = 2;
  std::vector<uint64_t> cycles;
  for (const uint32_t parts : {0u, 1u, 2u}) {
    tried.tensor_parallel = parts;
    const OnChips chips(tried);
    cycles.push_back(predicted_cycles(chips.program(), chips.program().entry("step.320")));
  }
  EXPECT_NE(cycles[1], cycles[2]);
  EXPECT_EQ(cycles[0], std::min(cycles[1], cycles[2]));
}

TEST(LpuModel, NamesTheNodeWhoseValuesLeaveTheRange) {
  LpuCase tried{"", kSmall};
  tried.shape.last_gain = 0x1p31f;
  const OnChips chips(tried);
  const auto target = targets::lpu::load(chips.program(), chips.machine, {});
  graph::Interpreter interpreter(chips.model.graph);
  std::string wanted;
  try {
    interpreter.step(5, true);
  } catch (const Error& refused) {
    wanted = refused.what();
  }
  step(*target, 5, 0);
  ASSERT_EQ(target->refused_row(0), 0u);
  EXPECT_EQ(target->refusal(0).what(), wanted);
}

TEST(LpuModel, MovedInstructionsAreNoticed) {
  LpuCase tried{"", kSmall};
  tried.shape.layers = 1;
  const Verdicts verdicts = move_instructions(OnChips(tried), 100);
  verdicts.record();
  EXPECT_GT(verdicts.stopped, verdicts.all() / 2);
  EXPECT_LT(verdicts.harmless, verdicts.all() / 10);
}

// -------------------------------------------------------------------------------------------- bad input

// `changed`: a value of the machine that is another one than in its file.
std::string refusal(const LpuCase& tried, uint32_t kv_bits = 16, const std::string& changed = "",
                    uint64_t value = 0) {
  ShapedModel model;
  shape_model(model, tried.shape, {tried.weights, kv_bits});
  try {
    Machine machine = machine::find_machine(tried.machine);
    if (!changed.empty()) machine = with_value(machine, changed, value);
    compiler::compile_for_lpu(model.graph, machine, {}, {.context = tried.context, .chips = tried.chips});
  } catch (const Error& refused) {
    EXPECT_EQ(refused.kind(), ErrorKind::User) << refused.what();
    return refused.what();
  }
  return "";
}

TEST(LpuModel, RefusesWhatItCannotCompile) {
  LpuCase tried{"", kSmall};
  EXPECT_EQ(refusal(tried, 8),
            "small: the LPU keeps keys and values in 16 bits; --kv 8 is for the host alone");
  tried.context = 257;
  EXPECT_EQ(refusal(tried), "--context 257: small was made for up to 256 positions");
  tried.context = 0;
  tried.chips = 9;
  EXPECT_EQ(refusal(tried), "--chips 9: small can be cut into 3 parts at the most");
  tried = {"", heads(24, 4, 2)};
  EXPECT_EQ(refusal(tried),
            "small: blk.0.attn has heads of 24 elements, which the LPU's attention is not made for");
  tried = {"", heads(32, 6, 6)};
  EXPECT_EQ(refusal(tried, 16, "geometry.accumulators", 11),
            "small: blk.0.attn has 6 heads side by side; a plane of lpu-v1 has sums for 5");
}

TEST(LpuModel, SaysHowManyRowsTablesTake) {
  LpuCase tried{"", kSmall};
  tried.shape.context = tried.context = 2600;  // nine blocks: cosines and sines in 2 * 9 * 320 rows
  const std::string said = refusal(tried);
  EXPECT_NE(said.find("small: tables and constants take "), std::string::npos) << said;
  EXPECT_NE(said.find("on a chip of lpu-v1, which has 5120 for them; a smaller --context"), std::string::npos)
      << said;
}

TEST(LpuModel, SaysHowManyChipsItTakes) {
  LpuCase tried{"", kSmall};
  tried.shape.layers = 12;
  tried.shape.context = tried.context = 20000;
  EXPECT_EQ(refusal(tried), "small: takes 2 chips of lpu-v1 for 20000 positions, not 1");
  tried.chips = 0;
  tried.shape.context = tried.context = 1 << 20;
  EXPECT_EQ(refusal(tried),
            "small: blk.0.attn_norm and what follows it take 1409 MB on one lpu-v1 chip, which has room for "
            "186 MB");
}

}  // namespace

}  // namespace lockstep::tests
