// For tests of compiled models on simulated chips: a model of any shape, its program, the chips, and what is
// compared with the reference interpreter.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <numeric>

#include "base/error.h"
#include "compiler/lpu/compile_lpu.h"
#include "graph/interpreter.h"
#include "numerics/sampling.h"
#include "shaped_model.h"
#include "targets/lpu/lpu_target.h"

namespace lockstep::tests {

using compiler::CompiledProgram;
using compiler::LpuOptions;
using machine::Machine;
using targets::lpu::LpuTarget;
using targets::lpu::Simulator;

struct LpuCase {
  const char* name;
  ModelShape shape;
  const char* machine = "lpu-v1";
  numerics::WeightVariant weights = numerics::WeightVariant::Int8;
  uint32_t chips = 1, context = 0, tokens = 3;
  uint32_t superlanes = 0;  // of the machine; 0: as its file has it
  uint32_t tensor_parallel = 1;
  uint32_t rows = 1;  // more: entries for so many tokens at once besides
};

inline std::ostream& operator<<(std::ostream& out, const LpuCase& tried) {
  return out << tried.name;
}

// A model, its program and the chips that run it.
struct OnChips {
  explicit OnChips(const LpuCase& tried) : machine(machine::find_machine(tried.machine)) {
    if (tried.superlanes != 0) machine = with_value(machine, "geometry.superlanes", tried.superlanes);
    shape_model(model, tried.shape, {tried.weights, 16});
    compiled = compiler::compile_for_lpu(model.graph, machine, {},
                                         {.context = tried.context,
                                          .chips = tried.chips,
                                          .tensor_parallel = tried.tensor_parallel,
                                          .rows = tried.rows});
  }
  const program::Program& program() const { return compiled.program; }

  Machine machine;
  ShapedModel model;
  CompiledProgram compiled;
};

inline const program::Region& region(const program::Program& program, const std::string& name) {
  for (const program::Region& each : program.regions)
    if (each.name == name) return each;
  throw Error(ErrorKind::Internal, "no region " + name);
}

inline std::vector<uint32_t> words_of(Simulator& simulator, const program::Region& words) {
  const uint32_t vectors = simulator.vectors(words), lanes = words.width / vectors;
  std::vector<uint32_t> all(words.width);
  for (uint32_t v = 0; v < vectors; ++v)
    simulator.read_words(words, v, std::span(all).subspan(v * lanes, lanes));
  return all;
}

inline void step(LpuTarget& target, int32_t token, uint32_t position) {
  const uint32_t page = 0;
  const int32_t row = 0;
  const targets::StepSequence sequence{{&token, 1}, position, {&page, 1}, {&row, 1}};
  target.step({&sequence, 1});
}

// The entry for a position.
inline const program::Entry& entry_for(const program::Program& program, const Machine& machine,
                                       uint32_t position) {
  const uint32_t lanes = machine.geometry.lanes();
  return program.entry("step." + std::to_string((position / lanes + 1) * lanes));
}

inline uint64_t predicted_cycles(const program::Program& program, const program::Entry& entry) {
  return program.parameter(entry.name + ".cycles").max;
}

inline void expect_bits(std::span<const float> wanted, std::span<const float> got, uint32_t position) {
  ASSERT_EQ(wanted.size(), got.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(wanted[i]), std::bit_cast<uint32_t>(got[i]))
        << "logit " << i << " at position " << position << ": " << got[i] << ", not " << wanted[i];
  }
}

// Runs tokens one by one beside the interpreter.
inline void expect_bits_and_cycles(const LpuCase& tried) {
  OnChips chips(tried);
  const auto target = targets::lpu::load(chips.program(), chips.machine, {});
  ASSERT_EQ(target->chips(), tried.chips);
  graph::Interpreter interpreter(chips.model.graph);
  const program::Region& next_token = region(chips.program(), "next_token");
  const std::vector<int32_t> tokens = small_tokens(tried.tokens);
  for (uint32_t position = 0; position < tokens.size(); ++position) {
    const std::span<const float> wanted = interpreter.step(tokens[position], true);
    step(*target, tokens[position], position);
    ASSERT_EQ(target->refused_row(0), program::kNone) << target->refusal(0).what();
    ASSERT_NO_FATAL_FAILURE(expect_bits(wanted, target->logits(0), position));
    const auto next = static_cast<uint32_t>(numerics::argmax(wanted));
    ASSERT_EQ(words_of(target->simulator(), next_token),
              std::vector<uint32_t>(chips.machine.geometry.lanes(), next))
        << "position " << position;
    const program::Entry& entry = entry_for(chips.program(), chips.machine, position);
    ASSERT_EQ(target->last_run().cycles, predicted_cycles(chips.program(), entry));
  }
}

// Runs tokens in steps of the given numbers of rows beside the interpreter.
inline void expect_bits_of_steps(const LpuCase& tried, std::span<const uint32_t> steps) {
  OnChips chips(tried);
  const auto target = targets::lpu::load(chips.program(), chips.machine, {});
  graph::Interpreter interpreter(chips.model.graph);
  const std::vector<int32_t> tokens = small_tokens(std::accumulate(steps.begin(), steps.end(), uint32_t{0}));
  std::vector<int32_t> wanted(targets::lpu::kStepRowsMax);
  std::iota(wanted.begin(), wanted.end(), 0);
  const uint32_t page = 0;
  uint32_t position = 0;
  for (const uint32_t rows : steps) {
    const targets::StepSequence sequence{
        std::span(tokens).subspan(position, rows), position, {&page, 1}, std::span(wanted).first(rows)};
    target->step({&sequence, 1});
    ASSERT_EQ(target->refused_row(0), program::kNone) << target->refusal(0).what();
    for (uint32_t row = 0; row < rows; ++row, ++position) {
      const std::span<const float> right = interpreter.step(tokens[position], true);
      ASSERT_NO_FATAL_FAILURE(expect_bits(right, target->logits(row), position));
    }
  }
  ASSERT_EQ(target->counters().rows, tokens.size());
}

inline const ModelShape kSmall{
    .width = 96, .layers = 2, .heads = 3, .kv_heads = 1, .head_width = 32, .feed_forward = 160};

inline ModelShape with(ModelShape shape, const std::function<void(ModelShape&)>& change) {
  change(shape);
  return shape;
}

inline ModelShape heads(uint32_t width, uint32_t count, uint32_t kv_count) {
  return with(kSmall, [&](ModelShape& shape) {
    shape.head_width = width;
    shape.heads = count;
    shape.kv_heads = kv_count;
  });
}

// What becomes of a program with one instruction moved by a cycle.
struct Verdicts {
  uint32_t stopped = 0;  // the simulator reports a hazard
  uint32_t other_bits = 0, other_cycles = 0;
  uint32_t harmless = 0;  // the same logits in the same time: the instruction had a cycle to spare
  uint32_t all() const { return stopped + other_bits + other_cycles + harmless; }
  void record() const {
    testing::Test::RecordProperty("stopped", static_cast<int>(stopped));
    testing::Test::RecordProperty("other_bits", static_cast<int>(other_bits));
    testing::Test::RecordProperty("other_cycles", static_cast<int>(other_cycles));
    testing::Test::RecordProperty("harmless", static_cast<int>(harmless));
  }
};

// Issues the instruction a cycle later and what follows it as before, where it has a Nop behind it.
inline bool delay(program::Queue& queue, size_t index) {
  using program::isa::LpuOp;
  std::vector<program::Instruction>& text = queue.instructions;
  const auto is = [&](size_t i, LpuOp op) { return text[i].opcode == static_cast<uint16_t>(op); };
  if (index + 1 >= text.size() || program::isa::lpu_unit(text[index].opcode) == program::isa::LpuUnit::Icu)
    return false;
  size_t after = index + 1;
  if (is(after, LpuOp::Repeat)) ++after;
  if (after >= text.size() || !is(after, LpuOp::Nop)) return false;
  if (--text[after].words[0] == 0) text.erase(text.begin() + static_cast<ptrdiff_t>(after));
  text.insert(text.begin() + static_cast<ptrdiff_t>(index),
              {static_cast<uint16_t>(LpuOp::Nop), std::vector<uint64_t>{1}});
  return true;
}

inline constexpr uint32_t kVerdictSteps = 17;  // so that keys and values of every slice of a tile count

// Runs steps and hands each one's logits and cycles to `same` until that says no.
template <class Same>
bool steps_are(const program::Program& program, const OnChips& chips, Same same) {
  const auto target = targets::lpu::load(program, chips.machine, {});
  step(*target, 77, 0);
  uint64_t cycles = target->last_run().cycles;
  for (uint32_t position = 0; position < kVerdictSteps; ++position) {
    if (position > 0) cycles = target->simulator().run(program.entries[0].name).cycles;
    if (!same(position, words_of(target->simulator(), region(program, "logits")), cycles)) return false;
  }
  return true;
}

inline Verdicts move_instructions(const OnChips& chips, uint32_t tries) {
  Verdicts verdicts;
  // The target refuses a number of cycles that is not the predicted one; here the cycles are compared.
  program::Program right = chips.program();
  for (program::Entry& entry : right.entries) entry.parameters.clear();
  std::vector<std::vector<uint32_t>> bits;
  uint64_t right_cycles = 0;
  steps_are(right, chips, [&](uint32_t, std::vector<uint32_t> logits, uint64_t cycles) {
    bits.push_back(std::move(logits));
    right_cycles = cycles;
    return true;
  });
  uint32_t state = 1;
  const auto random = [&](size_t below) {
    state = state * 1664525u + 1013904223u;
    return static_cast<size_t>(uint64_t{state} * below >> 32);
  };
  while (verdicts.all() < tries) {
    program::Program wrong = right;
    program::Queue& queue = wrong.queues[wrong.entries[0].queues[random(wrong.entries[0].queues.size())]];
    if (!delay(queue, random(queue.instructions.size()))) continue;
    bool same_cycles = true;
    try {
      const bool same_bits =
          steps_are(wrong, chips, [&](uint32_t i, const std::vector<uint32_t>& logits, uint64_t cycles) {
            same_cycles = same_cycles && cycles == right_cycles;
            return logits == bits[i];
          });
      ++(!same_bits ? verdicts.other_bits : same_cycles ? verdicts.harmless : verdicts.other_cycles);
    } catch (const Error& stopped) {
      EXPECT_EQ(stopped.kind(), ErrorKind::User) << stopped.what();
      ++verdicts.stopped;
    }
  }
  return verdicts;
}

}  // namespace lockstep::tests
