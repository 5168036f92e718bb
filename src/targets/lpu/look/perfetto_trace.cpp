#include "targets/lpu/look/perfetto_trace.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "program/isa/lpu_text.h"
#include "targets/lpu/look/unit_kinds.h"

namespace lockstep::targets::lpu {

namespace {

constexpr size_t kBufferBytes = size_t{1} << 20;
constexpr uint32_t kGraphProcess = 1;
constexpr uint32_t kBlocks = static_cast<uint32_t>(Block::Count);

uint32_t process_of(const program::isa::UnitName& unit) {
  return kGraphProcess + 1 + unit.chip * kBlocks + static_cast<uint32_t>(unit_block(unit));
}

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Of the format's microseconds; a cycle is a nanosecond.
std::string time_text(uint64_t cycle) {
  return fmt::format("{}.{:03}", cycle / 1000, cycle % 1000);
}

}  // namespace

void PerfettoTrace::Span::add(uint64_t cycle) {
  begin = empty() ? cycle : std::min(begin, cycle);
  end = std::max(end, cycle + 1);
}

PerfettoTrace::PerfettoTrace(const program::Program& program, const std::string& entry, Window window,
                             Append append)
    : program_(program),
      map_(program),
      window_(window),
      append_(std::move(append)),
      tracks_(program.queues.size()),
      node_spans_(map_.nodes().size()) {
  buffer_ = "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"model\":" + quoted(program.model_name) +
            ",\"entry\":" + quoted(entry) + ",\"machine\":" + quoted(program.machine) +
            ",\"unit of time\":\"1 ns is 1 cycle of the schedule\"},\"traceEvents\":[";
  describe(kGraphProcess, 0, "process", "graph", kGraphProcess);
  name_tracks(program.entry(entry));
}

void PerfettoTrace::name_tracks(const program::Entry& entry) {
  std::set<uint32_t> named;
  for (uint32_t queue : entry.queues) {
    const std::string& name = program_.queues[queue].unit;
    const program::isa::UnitName unit = program::isa::parse_unit_name(name);
    Track& track = tracks_[queue];
    track.process = process_of(unit);
    const UnitKind kind = unit_kind(unit);
    track.computes = kind != UnitKind::Mem && kind != UnitKind::MxmWeights;
    if (named.insert(track.process).second) {
      describe(track.process, 0, "process",
               fmt::format("chip {}: {}", unit.chip, block_name(unit_block(unit))), track.process);
    }
    describe(track.process, queue + 1, "thread", fmt::format("{} ({})", unit_title(unit), name), unit.place);
  }
}

// The name of a process or thread, and its place among the others.
void PerfettoTrace::describe(uint32_t process, uint32_t thread, const char* kind, const std::string& name,
                             uint32_t order) {
  const auto metadata = [&](const char* what, const char* key, const std::string& value) {
    event(fmt::format(R"({{"ph":"M","pid":{},"tid":{},"name":"{}_{}","args":{{"{}":{}}}}})", process, thread,
                      kind, what, key, value));
  };
  metadata("name", "name", quoted(name));
  metadata("sort_index", "sort_index", std::to_string(order));
}

void PerfettoTrace::event(std::string_view text) {
  buffer_ += first_event_ ? "\n" : ",\n";
  first_event_ = false;
  buffer_ += text;
  if (buffer_.size() < kBufferBytes) return;
  append_(buffer_);
  buffer_.clear();
}

void PerfettoTrace::slice(uint32_t queue, const Track& track, const Span& span, const char* category,
                          const std::string& name, const std::string& arguments) {
  ++slices_;
  event(fmt::format(R"({{"ph":"X","pid":{},"tid":{},"ts":{},"dur":{},"cat":"{}","name":{},"args":{{{}}}}})",
                    track.process, queue + 1, time_text(span.begin), time_text(span.end - span.begin),
                    category, quoted(name), arguments));
}

void PerfettoTrace::flush_instruction(uint32_t queue, Track& track) {
  if (track.instruction == program::kNone) return;
  slice(queue, track, track.instruction_span, "instruction",
        program::isa::instruction_text(program_.queues[queue].instructions[track.instruction]),
        fmt::format(R"("instruction":{},"times":{})", track.instruction,
                    track.instruction_span.end - track.instruction_span.begin));
  track.instruction = program::kNone;
  track.instruction_span = {};
}

void PerfettoTrace::flush_node(uint32_t queue, Track& track) {
  if (track.node == program::kNone) return;
  const NodeMap::Node& node = map_.nodes()[track.node];
  slice(queue, track, track.node_span, "node", node.name, fmt::format(R"("layer":{})", node.layer));
  track.node = program::kNone;
  track.node_span = {};
}

void PerfettoTrace::issued(const Issue& issue, uint64_t) {
  const InstructionQueue& queue = issue.queue;
  const uint64_t start = queue.schedule_start();
  if (is_barrier(issue) || issue.cycle < start || !window_.contains(issue.cycle - start)) return;
  const uint64_t cycle = issue.cycle - start;
  const uint32_t index = queue.queue_index(), instruction = queue.instruction_index();
  Track& track = tracks_[index];
  if (track.instruction != instruction || track.instruction_span.end != cycle || issue.repetition == 0) {
    flush_instruction(index, track);
  }
  const uint32_t node = map_.node(index, instruction);
  if (track.node != node) flush_node(index, track);
  track.instruction = instruction;
  track.instruction_span.add(cycle);
  track.node = node;
  if (node == program::kNone) return;
  track.node_span.add(cycle);
  if (track.computes) node_spans_[node].add(cycle);
}

void PerfettoTrace::graph_slice(const char* category, uint64_t id, const std::string& name,
                                const Span& span) {
  if (span.empty()) return;
  ++slices_;
  const auto half = [&](char phase, uint64_t cycle) {
    event(fmt::format(R"({{"ph":"{}","pid":{},"tid":0,"ts":{},"cat":"{}","id":{},"name":{}}})", phase,
                      kGraphProcess, time_text(cycle), category, id, quoted(name)));
  };
  half('b', span.begin);
  half('e', span.end);
}

void PerfettoTrace::finish() {
  for (uint32_t queue = 0; queue < tracks_.size(); ++queue) {
    flush_instruction(queue, tracks_[queue]);
    flush_node(queue, tracks_[queue]);
  }
  std::map<int32_t, Span> layers;
  for (uint32_t i = 0; i < node_spans_.size(); ++i) {
    const NodeMap::Node& node = map_.nodes()[i];
    const Span& span = node_spans_[i];
    if (span.empty()) continue;
    graph_slice("node", i, node.name, span);
    if (node.layer < 0) continue;
    layers[node.layer].add(span.begin);
    layers[node.layer].add(span.end - 1);
  }
  for (const auto& [layer, span] : layers) {
    graph_slice("layer", node_spans_.size() + static_cast<uint64_t>(layer), fmt::format("layer {}", layer),
                span);
  }
  buffer_ += "\n]}\n";
  append_(buffer_);
  buffer_.clear();
}

}  // namespace lockstep::targets::lpu
