// A run as a trace for Perfetto (ui.perfetto.dev) and other viewers of the Chrome trace format: JSON, written
// while the run goes on. A cycle is a nanosecond, so that a viewer's times are cycles of the schedule.
//
// Each block of a chip is a process and each queue a thread. On it lie the graph's nodes that the queue works
// for, and in them its instructions; one that a Repeat issues every cycle is one slice. The process "graph"
// has the time of each layer and node: from the first to the last instruction of VXM, SXM or MXM, without the
// loading of weights, which runs ahead.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "targets/lpu/look/node_map.h"
#include "targets/lpu/look/window.h"
#include "targets/lpu/trace.h"

namespace lockstep::targets::lpu {

class PerfettoTrace final : public TraceSink {
 public:
  // Takes the bytes of the file, in order. May throw.
  using Append = std::function<void(std::string_view)>;

  // What issues in the window comes into the trace. REQUIRES a verified program of the LPU that has the
  // entry; it must outlive the trace.
  PerfettoTrace(const program::Program& program, const std::string& entry, Window window, Append append);

  void issued(const Issue& issue, uint64_t cycles) override;
  void put(Place, uint32_t, uint64_t) override {}
  // After the run: the rest of the file.
  void finish();

  uint64_t slices() const { return slices_; }

 private:
  struct Span {
    uint64_t begin = 0, end = 0;
    bool empty() const { return end == 0; }
    void add(uint64_t cycle);
  };
  struct Track {
    uint32_t process = 0;
    bool computes = false;  // what it does belongs to a node's time
    // The slices that may still grow.
    Span instruction_span, node_span;
    uint32_t instruction = program::kNone, node = program::kNone;
  };

  void name_tracks(const program::Entry& entry);
  void describe(uint32_t process, uint32_t thread, const char* kind, const std::string& name, uint32_t order);
  void flush_instruction(uint32_t queue, Track& track);
  void flush_node(uint32_t queue, Track& track);
  void event(std::string_view text);
  void slice(uint32_t queue, const Track& track, const Span& span, const char* category,
             const std::string& name, const std::string& arguments);
  void graph_slice(const char* category, uint64_t id, const std::string& name, const Span& span);

  const program::Program& program_;
  const NodeMap map_;
  const Window window_;
  const Append append_;
  std::vector<Track> tracks_;  // by queue of the program
  std::vector<Span> node_spans_;
  std::string buffer_;
  bool first_event_ = true;
  uint64_t slices_ = 0;
};

}  // namespace lockstep::targets::lpu
