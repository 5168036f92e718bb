#include "compiler/lpu/compile_lpu.h"

#include <cstring>
#include <set>

#include "base/error.h"
#include "compiler/lpu/lowering.h"
#include "compiler/lpu/queues.h"
#include "compiler/lpu/share_out.h"
#include "numerics/integer_matrix.h"
#include "program/isa/lpu.h"
#include "program/verify.h"

namespace lockstep::compiler {

using lpu::ChipModel;
using lpu::ChipScheduler;
using lpu::Hemisphere;
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

// A chip's part of an entry, written out.
struct WrittenQueue {
  lpu::QueueKey key;
  std::vector<program::Instruction> instructions;
  std::vector<int32_t> sources;
};
struct WrittenChip {
  lpu::Cycle cycles = 0;
  std::vector<WrittenQueue> queues;
};

// Queues whose text comes too late are added to `late` instead.
WrittenChip write_chip(ChipScheduler& schedule, const machine::Machine& machine,
                       std::set<lpu::QueueKey>& late) {
  WrittenChip chip{schedule.length(), {}};
  for (auto& [key, issues] : schedule.take_queues()) {
    WrittenQueue& queue = chip.queues.emplace_back();
    queue.key = key;
    try {
      queue.instructions = lpu::queue_instructions(issues, chip.queues.size() == 1, machine, queue.sources);
    } catch (const lpu::TextLate&) {
      late.insert(key);
    }
  }
  return chip;
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

// A chip with its model and lowering.
struct Chip {
  Chip(const graph::Graph& graph, const machine::Machine& machine, lpu::ChipShare share,
       lpu::SwitchMaps& maps, uint32_t context, uint32_t rows_max)
      : model(graph, machine, share, maps, {}), lowering(model, context, rows_max) {}
  ChipModel model;
  lpu::Lowering lowering;
  SliceMemories memories;
};

using Chips = std::vector<std::unique_ptr<Chip>>;

// Group by group, all chips of each or the first `of_group` ones.
Chips place_chips(const graph::Graph& graph, const machine::Machine& machine, lpu::SwitchMaps& maps,
                  const LpuOptions& options, uint32_t of_group = ~0u) {
  Chips chips;
  for (lpu::ChipShare share :
       lpu::share_out(graph, machine, options.chips, options.tensor_parallel, options.context)) {
    for (share.part = 0; share.part < std::min(share.parts, of_group); ++share.part) {
      if (options.progress) options.progress("place", share.chip() + 1, share.chips());
      chips.push_back(
          std::make_unique<Chip>(graph, machine, share, maps, options.context, std::max(1u, options.rows)));
    }
  }
  return chips;
}

// The same; where the number of chips is open and shares that fit by size leave one slice too full, on a
// group more.
Chips place_with_room(const graph::Graph& graph, const machine::Machine& machine, lpu::SwitchMaps& maps,
                      LpuOptions& options, uint32_t of_group = ~0u) {
  constexpr uint32_t kMoreGroups = 3;
  if (options.chips != 0) return place_chips(graph, machine, maps, options, of_group);
  LpuOptions more = options;
  more.chips = lpu::share_out(graph, machine, 0, options.tensor_parallel, options.context)[0].chips();
  for (uint32_t i = 0; i <= kMoreGroups; ++i, more.chips += options.tensor_parallel) {
    try {
      Chips chips = place_chips(graph, machine, maps, more, of_group);
      options.chips = more.chips;
      return chips;
    } catch (const Error& refused) {
      if (refused.kind() != ErrorKind::User) throw;
    }
  }
  return place_chips(graph, machine, maps, options, of_group);  // which says what is missing
}

// One entry of chips that are placed: `placed` of each group.
class EntryScheduler {
 public:
  EntryScheduler(Chips& chips, size_t placed, uint32_t blocks, uint32_t rows)
      : chips_(chips),
        placed_(placed),
        lowered_(chips[0]->model.memory.has_contents() ? placed : 1),
        extents_(chips.size(), {blocks, rows}) {}

  // Without `text` the cycles alone.
  std::vector<WrittenChip> run(bool text) {
    while (true) {
      if (!lower()) continue;
      std::vector<WrittenChip> written;
      bool in_time = true;
      for (size_t c = 0; c < chips_.size(); ++c) {
        if (c % placed_ >= lowered_) {
          written.push_back(written.back());
          continue;
        }
        std::set<lpu::QueueKey> late;
        const std::unique_ptr<ChipScheduler> schedule = chips_[c]->lowering.finish();
        written.push_back(write_chip(*schedule, chips_[c]->model.machine, late));
        if (!text) written.back().queues.clear();
        for (const lpu::QueueKey& key : late)
          each_of_group(c / placed_, [&](lpu::Extent& extent) { extent.fetching.insert(key); });
        in_time = in_time && late.empty();
        if (c % placed_ > 0 && written[c].cycles != written[c - 1].cycles)
          internal_error("chips of a group take {} and {} cycles", written[c - 1].cycles, written[c].cycles);
      }
      if (in_time) return written;
      if (++rounds_ > kRoundsMax) internal_error("a queue's text comes too late");
    }
  }

 private:
  static constexpr uint32_t kRoundsMax = 8;

  template <class Change>
  void each_of_group(size_t group, const Change& change) {
    for (size_t c = group * placed_; c < (group + 1) * placed_; ++c) change(extents_[c]);
  }

  // Fills all schedules; false where a group has to start with copies for safety. The last group has the
  // vocabulary: the tokens' embeddings come to the first from there.
  bool lower() {
    const size_t groups = chips_.size() / placed_;
    for (size_t c = 0; c < chips_.size(); ++c) chips_[c]->lowering.begin(extents_[c]);
    std::vector<lpu::Handover> handover(placed_);
    for (size_t step = 0; step <= groups; ++step) {
      const size_t group = step == 0 ? groups - 1 : step - 1;
      try {
        for (size_t part = 0; part < lowered_; ++part) {
          lpu::Lowering& lowering = chips_[group * placed_ + part]->lowering;
          handover[part] = step == 0 ? lowering.embed() : lowering.run(handover[part]);
          if (handover[part] != handover[0]) internal_error("chips of a group do not run one schedule");
        }
      } catch (const lpu::ResultLost&) {
        each_of_group(group, [&](lpu::Extent& extent) {
          if (extent.copies_for_safety) internal_error("a result with a copy in memory is lost");
          extent.copies_for_safety = true;
        });
        return false;
      }
    }
    return true;
  }

  Chips& chips_;
  // Chips of a group that are there, and that are lowered: without contents one's schedule is every one's.
  const size_t placed_, lowered_;
  std::vector<lpu::Extent> extents_;
  uint32_t rounds_ = 0;
};

std::vector<WrittenChip> schedule_chips(Chips& chips, uint32_t blocks, uint32_t rows) {
  return EntryScheduler(chips, chips[0]->model.share.parts, blocks, rows).run(true);
}

// The entries of a program: of one row and of several, for each block.
template <class Visit>
void each_entry(uint32_t blocks_max, uint32_t rows_max, const Visit& visit) {
  for (uint32_t blocks = 1; blocks <= blocks_max; ++blocks)
    for (const uint32_t rows : std::set<uint32_t>{1, std::max(1u, rows_max)}) visit(blocks, rows);
}

// What a program's last entry takes, `of_group` chips of each group placed.
LpuPrediction predicted(const graph::Graph& graph, const machine::Machine& machine, LpuOptions options,
                        uint32_t of_group) {
  lpu::SwitchMaps maps;
  Chips chips = place_with_room(graph, machine, maps, options, of_group);
  const size_t placed = std::min(of_group, chips[0]->model.share.parts);
  lpu::Cycle cycles = 0;
  each_entry(chips[0]->lowering.blocks_max(), options.rows, [&](uint32_t blocks, uint32_t rows) {
    cycles = 0;
    for (const WrittenChip& chip : EntryScheduler(chips, placed, blocks, rows).run(false))
      cycles = std::max(cycles, chip.cycles);
  });
  return {static_cast<uint64_t>(cycles), chips[0]->model.share.chips()};
}

// "step.320" for a token at a position below 320, "rows8.320" for eight at once.
std::string entry_name(uint32_t rows, uint32_t end) {
  return (rows == 1 ? "step." : "rows" + std::to_string(rows) + ".") + std::to_string(end);
}

// The number of chips that share matrices: of those that options.chips allows, the one whose schedule of a
// token is the shortest; where that is left open too, the one that takes the fewest chips.
uint32_t choose_tensor_parallel(const graph::Graph& graph, const machine::Machine& machine,
                                LpuOptions options) {
  uint32_t best = 0;
  uint64_t least = 0;
  std::vector<uint32_t> fitting;
  std::map<uint32_t, uint64_t> chips;
  for (uint32_t parts = 1; parts <= machine.geometry.links; ++parts) {
    if (!lpu::can_share(graph, parts) || options.chips % parts != 0) continue;
    try {
      const auto shares = lpu::share_out(graph, machine, options.chips, parts, options.context);
      fitting.push_back(parts);
      chips[parts] = shares[0].chips();
    } catch (const Error& refused) {
      if (refused.kind() != ErrorKind::User) throw;
    }
  }
  if (fitting.empty()) return 1;  // which is refused for the clearest of reasons
  for (const uint32_t parts : fitting) {
    uint64_t cost = chips[parts];
    if (options.chips > 1 && fitting.size() > 1) {
      options.tensor_parallel = parts;
      options.rows = 1;
      try {
        cost = predicted(graph, machine, options, parts).cycles;
      } catch (const Error& refused) {
        if (refused.kind() != ErrorKind::User) throw;
        continue;
      }
    }
    if (best != 0 && cost >= least) continue;
    best = parts;
    least = cost;
  }
  return best == 0 ? fitting[0] : best;
}

// Whether the chips have room for a context.
bool has_room(const graph::Graph& graph, const machine::Machine& machine, const LpuOptions& options) {
  try {
    lpu::SwitchMaps maps;
    Chips chips = place_chips(graph, machine, maps, options);
    for (const uint32_t rows : std::set<uint32_t>{1, std::max(1u, options.rows)})
      schedule_chips(chips, chips[0]->lowering.blocks_max(), rows);
    return true;
  } catch (const Error& refused) {
    if (refused.kind() != ErrorKind::User) throw;
    return false;
  }
}

// The largest context that as many chips have room for as one block takes, or as options.chips says.
uint32_t largest_context(const graph::Graph& graph, const machine::Machine& machine, LpuOptions options) {
  const uint32_t lanes = machine.geometry.lanes();
  options.context = std::min(lanes, graph.context_max);
  if (options.chips == 0)
    options.chips = lpu::share_out(graph, machine, 0, options.tensor_parallel, options.context)[0].chips();
  uint32_t fits = 1, too_many = (graph.context_max + lanes - 1) / lanes + 1;
  while (fits + 1 < too_many) {
    const uint32_t blocks = (fits + too_many) / 2;
    options.context = std::min(blocks * lanes, graph.context_max);
    (has_room(graph, machine, options) ? fits : too_many) = blocks;
  }
  return std::min(fits * lanes, graph.context_max);
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

// Options with nothing left open but the context's maximum.
LpuOptions settled(const graph::Graph& graph, const machine::Machine& machine, const LpuOptions& options) {
  const uint32_t block = std::min(machine.geometry.lanes(), graph.context_max);
  LpuOptions chosen = options;
  if (options.context == 0) chosen.context = block;
  if (options.tensor_parallel == 0) {
    LpuOptions least = chosen;
    if (options.context == kContextMax) least.context = block;
    chosen.tensor_parallel = choose_tensor_parallel(graph, machine, least);
  }
  return chosen;
}

}  // namespace

LpuPrediction predict_for_lpu(const graph::Graph& graph, const machine::Machine& machine,
                              const LpuOptions& options) {
  require_lowering(graph, machine);
  return predicted(graph, machine, settled(graph, machine, options), 1);
}

CompiledProgram compile_for_lpu(graph::Graph& graph, const machine::Machine& machine,
                                std::vector<program::Asset> assets, const LpuOptions& options) {
  require_lowering(graph, machine);
  CompileOptions import_options;
  import_options.progress = options.progress;
  import_weights(graph, import_options);
  const uint32_t lanes = machine.geometry.lanes();
  LpuOptions chosen = settled(graph, machine, options);
  if (options.context == kContextMax) chosen.context = largest_context(graph, machine, chosen);
  if (chosen.context > graph.context_max) {
    user_error("--context {}: {} was made for up to {} positions", chosen.context, graph.model_name,
               graph.context_max);
  }
  lpu::SwitchMaps maps;
  Chips chips = place_with_room(graph, machine, maps, chosen);
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
  each_entry(blocks_max, options.rows, [&](uint32_t blocks, uint32_t rows) {
    if (options.progress) options.progress("schedule", blocks, blocks_max);
    entries.push_back({blocks, rows, schedule_chips(chips, blocks, rows)});
  });
  for (const std::unique_ptr<Chip>& chip : chips) {
    const bool contents = chip->model.memory.has_contents();
    const Chip& lowered = contents ? *chip : *chips[chip->model.share.chip() - chip->model.share.part];
    chip->memories = add_memories(compiled, chip->model, lowered.model.memory);
  }
  for (Scheduled& scheduled : entries) {
    program::Entry entry{entry_name(scheduled.rows, scheduled.blocks * lanes), {}, {}};
    lpu::Cycle cycles = 0;
    for (size_t c = 0; c < chips.size(); ++c) {
      cycles = std::max(cycles, scheduled.chips[c].cycles);
      add_queues(program, entry, chips[c]->model, chips[c]->memories, std::move(scheduled.chips[c]));
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
      const uint32_t memory = chip->memories.index[port.place.hemisphere][port.place.slice];
      program.regions.push_back({port.name, memory, uint64_t{port.place.row} * lanes, program::Element::Bytes,
                                 port.rows * lanes, uint64_t{port.rows} * lanes, program::RowCount::One});
    }
  }
  program::verify_structure(program, graph.model_name);
  return compiled;
}

}  // namespace lockstep::compiler
