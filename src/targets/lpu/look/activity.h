// What a recorded run shows: how busy everything is in bins of time, what each node of the graph takes beside
// the least that the chip's units allow, and what the time goes by with.
#pragma once

#include <array>
#include <vector>

#include "targets/lpu/events.h"
#include "targets/lpu/look/node_map.h"
#include "targets/lpu/look/recorder.h"
#include "targets/lpu/look/unit_kinds.h"
#include "targets/lpu/look/window.h"

namespace lockstep::targets::lpu {

// What a stretch of time goes by with: an operation of a unit, a way, or waiting for the turn to issue.
enum class Passing : uint8_t { Mem, Vxm, Mxm, Sxm, Streams, Entry, Links, Waiting, Count };
const char* passing_name(Passing passing);

// The longest chain of causes, back from its last effect to the run's start, cut at every change of what
// passes. Its stretches lie end to end: each cycle of the run belongs to one.
struct Stretch {
  uint32_t from = 0, cycles = 0;
  Passing passing = Passing::Waiting;
  uint32_t node = program::kNone;
};

struct NodeUse {
  // From the first to one past the last cycle of its instructions in VXM, SXM and MXM, the loading of weights
  // left out; end 0: there are none.
  uint32_t from = 0, end = 0;
  uint64_t chain_cycles = 0;  // of the run: what the chain spends on it
  std::array<uint64_t, static_cast<size_t>(UnitKind::Count)> issues{};
  uint64_t stream_values = 0, stream_hops = 0;
};

// Busy cycles of one thing in each bin: of a queue issues, of streams the places that a value passes.
using Bins = std::vector<uint32_t>;

struct QueueUse {
  uint32_t queue = 0;  // of the program
  uint64_t issues = 0;
  Bins bins;
};

struct ChipStreams {
  // By hemisphere, direction (0 outward) and position from the VXM: in each bin up to streams x cycles.
  std::vector<Bins> positions;
  // By hemisphere and stream (0 to 63): in each bin up to positions x cycles.
  std::vector<Bins> streams;
};

struct Activity {
  uint64_t run_cycles = 0;
  Window window;  // within the run
  uint32_t bin_cycles = 1, bins = 0;

  // In the window.
  std::vector<QueueUse> queues;  // in the order of the entry
  std::vector<ChipStreams> streams;
  std::array<uint64_t, 8> together{};  // cycles by which of VXM (1), MXM (2) and SXM (4) work; products count
  Events events;

  // Of the whole run.
  std::vector<NodeUse> nodes;  // of the map
  std::vector<Stretch> chain;  // in order
  uint64_t least_cycles = 0;   // of the chain without its waiting
};

// REQUIRES a recorder that has seen one run, of `run_cycles`, of the entry. Throws a user's error for a
// window that begins after the run's end.
Activity analyse(const Recorder& recorder, const program::Program& program, const machine::Machine& machine,
                 const program::Entry& entry, const NodeMap& map, uint64_t run_cycles, Window window,
                 uint32_t bins_max);

// The least cycles for what a node does, unit by unit: each kind's queues share its issues evenly.
double least_cycles(const NodeUse& node, UnitKind kind, const machine::Machine& machine, uint32_t chips);
// The same of the streams: all registers carry a value in each cycle.
double least_stream_cycles(const NodeUse& node, const machine::Machine& machine, uint32_t chips);

}  // namespace lockstep::targets::lpu
