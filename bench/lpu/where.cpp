// Where a step's cycles go: a recorded run's longest chain of causes, cut by layer and operator, beside what
// the loading of their weights and their products would take alone.
//
//   bench_lpu_where PROGRAM [ENTRY]     JSON
#include "api/loaded_model.h"
#include "bench_main.h"
#include "program/encode.h"
#include "targets/lpu/look/activity.h"
#include "targets/lpu/look/run_entry.h"

namespace lockstep::bench {

namespace {

using namespace targets::lpu;
using program::isa::LpuOp;

uint64_t issues(const NodeUse& use, UnitKind kind) {
  return use.issues[static_cast<size_t>(kind)];
}

// By node of the map: how many LoadWeights issue for it.
std::vector<uint64_t> loads_of(const program::Program& program, const program::Entry& entry,
                               const NodeMap& map) {
  std::vector<uint64_t> loads(map.nodes().size());
  for (const uint32_t queue : entry.queues) {
    const std::vector<program::Instruction>& instructions = program.queues[queue].instructions;
    bool loading = false;
    for (uint32_t i = 0; i < instructions.size(); ++i) {
      const auto op = static_cast<LpuOp>(instructions[i].opcode);
      if (op != LpuOp::Repeat) loading = op == LpuOp::LoadWeights;
      const uint32_t node = map.node(queue, i);
      if (loading && node != program::kNone)
        loads[node] += op == LpuOp::Repeat ? instructions[i].words[0] : 1;
    }
  }
  return loads;
}

Json nodes_json(const Activity& activity, const NodeMap& map, const std::vector<uint64_t>& loads) {
  Json nodes = Json::array();
  for (size_t n = 0; n < map.nodes().size(); ++n) {
    const NodeUse& use = activity.nodes[n];
    nodes.push_back({{"kind", map.nodes()[n].kind()},
                     {"layer", map.nodes()[n].layer},
                     {"end", use.end},
                     {"chain_cycles", use.chain_cycles},
                     {"loads", loads[n]},
                     {"products", issues(use, UnitKind::MxmActivations)},
                     {"vector_operations", issues(use, UnitKind::Vxm)}});
  }
  return nodes;
}

Json passing_json(const Activity& activity) {
  std::array<uint64_t, static_cast<size_t>(Passing::Count)> cycles{};
  for (const Stretch& stretch : activity.chain)
    cycles[static_cast<size_t>(stretch.passing)] += stretch.cycles;
  Json json;
  for (size_t i = 0; i < cycles.size(); ++i) json[passing_name(static_cast<Passing>(i))] = cycles[i];
  return json;
}

void run(std::span<char*> words) {
  const MappedFile file(words[0]);
  const program::Program program = program::decode(file.bytes(), words[0]);
  const machine::Machine machine = api::program_machine(program);
  const program::Entry& entry = words.size() > 1 ? program.entry(words[1]) : program.entries.at(0);
  Recorder recorder(program, machine);
  const Run done = run_entry(program, machine, entry.name, &recorder);
  const NodeMap map(program);
  const Activity activity = analyse(recorder, program, machine, entry, map, done.cycles, {}, 1);
  // All outward streams of all chips bring weights, load_streams to a LoadWeights.
  const machine::Geometry& geometry = machine.geometry;
  const uint32_t loads = 2 * std::min(geometry.planes, geometry.streams / geometry.load_streams);
  print_line({{"entry", entry.name},
              {"machine", machine.name},
              {"chips", chips_of(program)},
              {"cycles", done.cycles},
              {"chain_busy_cycles", activity.least_cycles},
              {"loads_a_cycle", loads},
              {"products_a_cycle", 2 * geometry.planes},
              {"vector_operations_a_cycle", geometry.alus},
              {"passing", passing_json(activity)},
              {"nodes", nodes_json(activity, map, loads_of(program, entry, map))}});
}

}  // namespace

}  // namespace lockstep::bench

int main(int count, char** words) {
  return lockstep::bench::bench_main(count, words, "bench_lpu_where PROGRAM [ENTRY]", 1, 2,
                                     lockstep::bench::run);
}
