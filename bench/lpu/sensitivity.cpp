// How much a step's cycles depend on each number of a machine file: one number changed at a time, the model
// compiled again, and the program run on a simulator of the same changed machine.
//
//   bench_lpu_sensitivity MODEL.gguf [MACHINE]     a line of JSON for each machine; int8 weights, one block
//
// Latencies are halved, raised by a cycle and doubled, distances raised by a hop and doubled, and what units
// hold or take at once is halved and doubled, where the standing is assumed or derived; published latencies
// are changed likewise, to compare with. What belongs to links is changed with the model on two chips.
#include <algorithm>
#include <cmath>

#include "api/loaded_model.h"
#include "bench_main.h"
#include "compiler/lpu/compile_lpu.h"
#include "targets/lpu/look/run_entry.h"

namespace lockstep::bench {

namespace {

using machine::Datum;
using machine::Machine;

// The values that a number is changed to.
std::vector<double> changes(const Datum& datum) {
  const double half = std::floor(datum.value / 2);
  std::vector<double> values;
  if (datum.key.starts_with("latency.")) {
    values = {half, datum.value + 1, 2 * datum.value};
  } else if (datum.standing == "published" && datum.key != "link.rate") {
    return {};
  } else if (datum.key.starts_with("hops.")) {
    values = {datum.value + 1, 2 * datum.value};
  } else if (datum.key.starts_with("geometry.") || datum.key == "link.rate") {
    values = {half, 2 * datum.value};
  }
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
  std::erase(values, 0);
  return values;
}

bool of_links(const Datum& datum) {
  return datum.key.starts_with("link.") || datum.key.find(".c2c") != std::string::npos;
}

// Cycles of a step in the first block, predicted and simulated, on a machine with one number changed (no key:
// none). Where it is not to be had, the sentence of the refusal or of the chip that stopped.
Json step_cycles(graph::Graph& graph, const Machine& unchanged, const std::string& key, double value,
                 uint32_t chips) {
  Json line;
  const char* stage = "refused";
  try {
    const Machine machine = key.empty() ? unchanged : with_value(unchanged, key, value);
    const compiler::CompiledProgram compiled =
        compiler::compile_for_lpu(graph, machine, {}, {.context = 0, .chips = chips});
    const program::Program& program = compiled.program;
    const std::string& entry = program.entries.at(0).name;
    stage = "stopped";
    const targets::lpu::Run run = targets::lpu::run_entry(program, machine, entry, nullptr);
    line["cycles"] = program.parameter(entry + ".cycles").max;
    line["simulated"] = run.cycles;
  } catch (const Error& error) {
    line[stage] = error.what();
  }
  return line;
}

void study(graph::Graph& graph, const Machine& machine, uint32_t chips) {
  Json base = {{"machine", machine.name}, {"chips", chips}};
  base.update(step_cycles(graph, machine, "", 0, chips));
  print_line(base);
  for (const Datum& datum : machine.data) {
    if (of_links(datum) != (chips > 1)) continue;
    for (const double value : changes(datum)) {
      Json line = {{"key", datum.key},   {"from", datum.value}, {"to", value},
                   {"unit", datum.unit}, {"chips", chips},      {"standing", datum.standing}};
      line.update(step_cycles(graph, machine, datum.key, value, chips));
      print_line(line);
    }
  }
}

void run(std::span<char*> words) {
  api::LoadOptions options;
  options.weights = numerics::WeightVariant::Int8;
  const auto source = api::load_graph(words[0], options);
  const Machine machine = machine::find_machine(words.size() > 1 ? words[1] : "lpu-v1");
  for (const uint32_t chips : {1u, 2u}) study(source->graph, machine, chips);
}

}  // namespace

}  // namespace lockstep::bench

int main(int count, char** words) {
  return lockstep::bench::bench_main(count, words, "bench_lpu_sensitivity MODEL.gguf [MACHINE]", 1, 2,
                                     lockstep::bench::run);
}
