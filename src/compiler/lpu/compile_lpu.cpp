#include "compiler/lpu/compile_lpu.h"

#include <cstring>
#include <set>

#include "base/error.h"
#include "compiler/lpu/entry_scheduler.h"
#include "compiler/lpu/settle.h"
#include "numerics/integer_matrix.h"
#include "program/isa/lpu.h"
#include "program/verify.h"

namespace lockstep::compiler {

using lpu::Chip;
using lpu::ChipModel;
using lpu::Chips;
using lpu::Hemisphere;
using lpu::WrittenChip;
using lpu::WrittenQueue;
using program::isa::LpuUnit;

namespace {

// A File memory with these bytes.
template <class T>
uint32_t add_file(CompiledProgram& compiled, const std::string& name, const std::vector<T>& values) {
  AlignedBuffer buffer(std::max<size_t>(values.size() * sizeof(T), 1));
  if (!values.empty()) std::memcpy(buffer.data(), values.data(), values.size() * sizeof(T));
  compiled.storage.push_back(std::move(buffer));
  const auto memory = static_cast<uint32_t>(compiled.program.memories.size());
  const AlignedBuffer& kept = compiled.storage.back();
  compiled.program.memories.push_back({name, program::MemoryKind::File, kept.size()});
  compiled.program.contents[memory] = {kept.data(), kept.size()};
  return memory;
}

// A File memory of `bytes` bytes that nobody is to read: all of them are the first storage's zeros.
uint32_t add_empty_file(CompiledProgram& compiled, const std::string& name, uint64_t bytes,
                        const machine::Machine& machine) {
  if (compiled.storage.empty())
    compiled.storage.emplace_back(uint64_t{machine.geometry.slice_rows} * machine.geometry.lanes());
  const auto memory = static_cast<uint32_t>(compiled.program.memories.size());
  compiled.program.memories.push_back({name, program::MemoryKind::File, bytes});
  compiled.program.contents[memory] = {compiled.storage.front().data(), bytes};
  return memory;
}

struct SliceMemories {
  std::array<std::vector<uint32_t>, 2> index;
};

// `lowered` is the model's, or that of another chip with the same schedule.
SliceMemories add_memories(CompiledProgram& compiled, const ChipModel& model,
                           const lpu::SliceMemory& lowered) {
  SliceMemories memories;
  for (uint32_t h = 0; h < 2; ++h) {
    for (uint32_t slice = 0; slice < model.machine.geometry.slices; ++slice) {
      const uint32_t lanes = model.machine.geometry.lanes();
      const auto hemisphere = static_cast<Hemisphere>(h);
      const std::string name = program::isa::unit_name({model.share.chip(), LpuUnit::Mem, h, slice});
      const uint64_t bytes = uint64_t{std::max(lowered.image_rows(hemisphere, slice), 1u)} * lanes;
      if (!model.memory.has_contents()) {
        memories.index[h].push_back(add_empty_file(compiled, name, bytes, model.machine));
        continue;
      }
      std::vector<uint8_t> image = model.memory.image(hemisphere, slice);
      image.resize(bytes);
      memories.index[h].push_back(add_file(compiled, name, image));
    }
  }
  return memories;
}

template <class T>
std::vector<T> flat(const std::vector<std::vector<T>>& rows) {
  std::vector<T> all;
  for (const std::vector<T>& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

void add_queues(program::Program& program, program::Entry& entry, const ChipModel& model,
                const SliceMemories& memories, WrittenChip written) {
  for (WrittenQueue& each : written.queues) {
    const lpu::QueueKey& key = each.key;
    program::Queue queue;
    queue.unit = program::isa::unit_name({model.share.chip(), key.unit, key.hemisphere, key.place});
    if (key.unit == LpuUnit::Mem) queue.memory = memories.index[key.hemisphere][key.place];
    const auto index = static_cast<uint32_t>(program.queues.size());
    entry.queues.push_back(index);
    // A line where the node changes.
    int32_t last = -1;
    for (size_t i = 0; i < each.sources.size(); ++i) {
      if (each.sources[i] == last || each.sources[i] < 0) continue;
      last = each.sources[i];
      const graph::Node& node = model.graph.nodes[static_cast<size_t>(last)];
      program.source_map.push_back({index, static_cast<uint32_t>(i), node.name, node.layer, program::kNone});
    }
    queue.instructions = std::move(each.instructions);
    program.queues.push_back(std::move(queue));
  }
}

// "step.320" for a token at a position below 320, "rows8.320" for eight at once.
std::string entry_name(uint32_t rows, uint32_t end) {
  return (rows == 1 ? "step." : "rows" + std::to_string(rows) + ".") + std::to_string(end);
}

// The wires of lowering.h's Links: chip, link, chip, link.
std::vector<uint32_t> wires(const Chips& chips) {
  const lpu::ChipShare& share = chips[0]->model.share;
  const lpu::Links links{share.parts, chips[0]->model.machine.geometry.links};
  const auto count = static_cast<uint32_t>(chips.size());
  std::vector<uint32_t> all;
  for (uint32_t chip = 0; chip < count; ++chip) {
    const uint32_t part = chip % share.parts, first = chip - part;
    for (uint32_t distance = 1; part + distance < share.parts; ++distance) {
      all.insert(all.end(), {chip, links.to_part(distance), first + part + distance,
                             links.to_part(share.parts - distance)});
    }
    if (share.groups > 1)
      all.insert(all.end(), {chip, links.to_next(), (chip + share.parts) % count, links.from_last()});
  }
  return all;
}

// Refuses what the lowering has no instructions for.
void require_lowering(const graph::Graph& graph, const machine::Machine& machine) {
  if (graph.options.kv_bits != 16) {
    user_error("{}: the LPU keeps keys and values in 16 bits; --kv {} is for the host alone",
               graph.model_name, graph.options.kv_bits);
  }
  for (const graph::Node& node : graph.nodes) {
    if (node.op != graph::Op::Attention || node.head_width > machine.geometry.lanes()) continue;
    const uint32_t together = std::min(node.kv_heads, machine.geometry.lanes() / node.head_width);
    // A plane keeps two sums of each head while all heads of a vector are at work.
    if (2 * together > machine.geometry.accumulators) {
      user_error("{}: {} has {} heads side by side; a plane of {} has sums for {}", graph.model_name,
                 node.name, together, machine.name, machine.geometry.accumulators / 2);
    }
  }
}

}  // namespace

LpuPrediction predict_for_lpu(const graph::Graph& graph, const machine::Machine& machine,
                              const LpuOptions& options) {
  require_lowering(graph, machine);
  return lpu::predicted(graph, machine, lpu::settled(graph, machine, options), 1);
}

CompiledProgram compile_for_lpu(graph::Graph& graph, const machine::Machine& machine,
                                std::vector<program::Asset> assets, const LpuOptions& options) {
  require_lowering(graph, machine);
  CompileOptions import_options;
  import_options.progress = options.progress;
  import_weights(graph, import_options);
  const uint32_t lanes = machine.geometry.lanes();
  LpuOptions chosen = lpu::settled(graph, machine, options);
  if (chosen.context > graph.context_max) {
    user_error("--context {}: {} was made for up to {} positions", chosen.context, graph.model_name,
               graph.context_max);
  }
  lpu::SwitchMaps maps;
  Chips chips = lpu::place_with_room(graph, machine, maps, chosen);
  const uint32_t parts = chips[0]->model.share.parts;
  const uint32_t blocks_max = chips[0]->lowering.blocks_max();

  CompiledProgram compiled;
  program::Program& program = compiled.program;
  program.model_name = graph.model_name;
  program.isa = program::isa::lpu().name;
  program.isa_version = program::isa::lpu().version;
  program.compiler_version = kCompilerVersion;
  program.machine = machine.name;
  if (chips[0]->model.memory.has_contents()) program.fingerprint = graph::fingerprint(graph);
  program.weight_variant = numerics::weight_variant_name(graph.options.weights);
  program.vocabulary = graph.vocabulary;
  program.context_max = std::min(blocks_max * lanes, graph.context_max);
  program.assets = std::move(assets);
  const std::span<const std::byte> text = as_bytes(machine.text);
  program.assets.push_back({kMachineAsset, {text.begin(), text.end()}});

  struct Scheduled {
    uint32_t blocks, rows;
    std::vector<WrittenChip> chips;
  };
  std::vector<Scheduled> entries;
  lpu::each_entry(blocks_max, options.rows, [&](uint32_t blocks, uint32_t rows) {
    if (options.progress) options.progress("schedule", blocks, blocks_max);
    entries.push_back({blocks, rows, lpu::schedule_entry(chips, parts, blocks, rows, true)});
  });
  std::vector<SliceMemories> memories;
  for (const std::unique_ptr<Chip>& chip : chips) {
    const bool contents = chip->model.memory.has_contents();
    const Chip& lowered = contents ? *chip : *chips[chip->model.share.chip() - chip->model.share.part];
    memories.push_back(add_memories(compiled, chip->model, lowered.model.memory));
  }
  for (Scheduled& scheduled : entries) {
    program::Entry entry{entry_name(scheduled.rows, scheduled.blocks * lanes), {}, {}};
    lpu::Cycle cycles = 0;
    for (size_t c = 0; c < chips.size(); ++c) {
      cycles = std::max(cycles, scheduled.chips[c].cycles);
      add_queues(program, entry, chips[c]->model, memories[c], std::move(scheduled.chips[c]));
    }
    entry.parameters.push_back(static_cast<uint32_t>(program.parameters.size()));
    const auto predicted = static_cast<uint64_t>(cycles);
    program.parameters.push_back({entry.name + ".cycles", predicted, predicted});
    program.entries.push_back(std::move(entry));
  }
  add_file(compiled, "permutations", flat(maps.permutations));
  add_file(compiled, "distributions", flat(maps.distributions));
  for (const std::unique_ptr<Chip>& chip : chips) {
    const lpu::ChipShare& share = chip->model.share;
    if (share.is_last())
      add_file(compiled, share.part == 0 ? "logit_ids" : fmt::format("logit_ids.{}", share.part),
               chip->model.logit_ids);
  }
  if (chips.size() > 1) add_file(compiled, "links", wires(chips));
  for (const std::unique_ptr<Chip>& chip : chips) {
    for (const lpu::Port& port : chip->model.ports) {
      const uint32_t memory =
          memories[chip->model.share.chip()].index[port.place.hemisphere][port.place.slice];
      program.regions.push_back({port.name, memory, uint64_t{port.place.row} * lanes, program::Element::Bytes,
                                 port.rows * lanes, uint64_t{port.rows} * lanes, program::RowCount::One});
    }
  }
  program::verify_structure(program, graph.model_name);
  return compiled;
}

}  // namespace lockstep::compiler
