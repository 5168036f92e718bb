// How many cycles a step of a large model takes: scheduled from its shape alone, int8 weights without values.
// With `simulate`, a simulator without arithmetic counts them too.
//
//   bench_lpu_shapes NAME MACHINE CHIPS TENSOR-PARALLEL [LAYERS [ROWS [simulate]]]     JSON
//
// NAME: llama-2-70b, llama-3-8b, or bert-base and bert-large: their widths, heads, layers and as many
// weights, with this compiler's operators (RMSNorm, a gated feed-forward network of two thirds of the width).
// CHIPS 0: as few as hold it. LAYERS 0: all of them. ROWS: tokens a step; 1 unless given.
#include <map>

#include "bench_main.h"
#include "compiler/lpu/compile_lpu.h"
#include "shaped_model.h"
#include "targets/lpu/simulator.h"

namespace lockstep::bench {

namespace {

using tests::ModelShape;

ModelShape shape_of(const std::string& name) {
  ModelShape shape;
  shape.contents = false;
  shape.tied = false;
  shape.context = 320;
  if (name == "llama-2-70b" || name == "llama-3-8b") {
    const bool large = name == "llama-2-70b";
    shape.width = large ? 8192 : 4096;
    shape.layers = large ? 80 : 32;
    shape.heads = large ? 64 : 32;
    shape.kv_heads = 8;
    shape.head_width = 128;
    shape.feed_forward = large ? 28672 : 14336;
    shape.vocabulary = large ? 32000 : 128256;
  } else if (name == "bert-base" || name == "bert-large") {
    const bool large = name == "bert-large";
    shape.width = large ? 1024 : 768;
    shape.layers = large ? 24 : 12;
    shape.heads = shape.kv_heads = large ? 16 : 12;
    shape.head_width = 64;
    shape.feed_forward = shape.width * 8 / 3;
    shape.vocabulary = 320;  // classes, not words: the host looks embeddings up
  } else {
    user_error("{}: bert-base, bert-large, llama-2-70b or llama-3-8b is wanted", name);
  }
  return shape;
}

void run(std::span<char*> words) {
  const auto number = [&](size_t i, uint32_t without) {
    return i < words.size() ? static_cast<uint32_t>(std::stoul(words[i])) : without;
  };
  ModelShape shape = shape_of(words[0]);
  if (const uint32_t layers = number(4, 0); layers != 0) shape.layers = layers;
  const uint32_t rows = number(5, 1);
  const machine::Machine machine = machine::find_machine(words[1]);
  tests::ShapedModel model;
  tests::shape_model(model, shape, {numerics::WeightVariant::Int8, 16});
  for (graph::Weight& weight : model.graph.weights) {
    weight.integers.rows = weight.rows();
    weight.integers.columns = weight.columns();
    weight.integers.kind = numerics::MatrixKind::Plain8;
  }
  const compiler::LpuOptions options{.context = machine.geometry.lanes(),
                                     .chips = number(2, 0),
                                     .tensor_parallel = number(3, 0),
                                     .rows = rows};
  const auto [cycles, chips] = compiler::predict_for_lpu(model.graph, machine, options);
  // A text of BERT's has 128 tokens.
  const uint64_t steps = std::string(words[0]).starts_with("bert") ? (128 + rows - 1) / rows : 1;
  Json json = {{"name", words[0]},
               {"machine", machine.name},
               {"layers", shape.layers},
               {"rows", rows},
               {"chips", chips},
               {"steps", steps},
               {"cycles", steps * cycles},
               {"clock_hz", machine.clock_hz},
               {"per_second", machine.clock_hz / static_cast<double>(steps * cycles)}};
  if (words.size() > 6) {
    const compiler::CompiledProgram compiled = compiler::compile_for_lpu(model.graph, machine, {}, options);
    targets::lpu::Simulator simulator(compiled.program, machine, {.arithmetic = false});
    json["simulated_cycles"] = simulator.run(compiled.program.entries.back().name).cycles;
  }
  print_line(json);
}

}  // namespace

}  // namespace lockstep::bench

int main(int count, char** words) {
  return lockstep::bench::bench_main(
      count, words, "bench_lpu_shapes NAME MACHINE CHIPS TENSOR-PARALLEL [LAYERS [ROWS [simulate]]]", 4, 7,
      lockstep::bench::run);
}
