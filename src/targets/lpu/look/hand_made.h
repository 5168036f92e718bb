// For tests: two programs of a few instructions on an lpu-mini, whose cycles can be counted by hand.
#pragma once

#include "machine/machine.h"
#include "targets/lpu/test_chip.h"

namespace lockstep::targets::lpu {

// A byte from slice 0 through two ALUs into slice 4, and from there into slice 8; beside it four reads that
// nothing takes. In cycles of the schedule:
//    0  c0.mem.e.0 reads; 1: on stream w4 at position 1; 2: at the VXM
//    2  c0.mem.w.3 reads rows 0 to 3, a Repeat of three
//    4  c0.vxm.0 moves it, in hand at 7
//    9  c0.vxm.1 adds 1, at 12 on e8
//   14  c0.mem.e.4 writes it, there from 17 on
//   20  c0.mem.e.4 reads it, at 21 on e9 at position 2
//   22  c0.mem.e.8 writes it, there from 25 on: the run takes 26 cycles
// The node blk.0.first is of the ALUs, blk.0.second of slices 4 and 8; c0.mem.w.3 works for "weights".
class HandMadeChain {
 public:
  HandMadeChain() : machine(machine::find_machine("lpu-mini")), schedule(machine) {
    schedule.fill("mem.e.0", 3, 1);
    for (uint32_t row = 0; row < 4; ++row) schedule.fill("mem.w.3", row, 1);
    schedule.at("mem.e.0", 0, LpuOp::Read, {3, west(4), 0});
    schedule.at("mem.w.3", 2, LpuOp::Read, {0, west(0), 1}, 3);
    schedule.at("vxm.0", 4, LpuOp::Move, {on(OperandKind::Int8, west(4)), none(), none(), 0, kNo, kNo, 0});
    schedule.at("vxm.1", 9, LpuOp::IntegerAdd, {result(0), immediate(), none(), 1, east(8), kNo, 1});
    schedule.at("mem.e.4", 14, LpuOp::Write, {5, east(8), 0});
    schedule.at("mem.e.4", 20, LpuOp::Read, {5, east(9), 0});
    schedule.at("mem.e.8", 22, LpuOp::Write, {0, east(9), 0});
    program = schedule.build();
    for (const auto& [unit, node] : {std::pair("c0.vxm.0", "blk.0.first"),
                                     {"c0.vxm.1", "blk.0.first"},
                                     {"c0.mem.e.4", "blk.0.second"},
                                     {"c0.mem.e.8", "blk.0.second"},
                                     {"c0.mem.w.3", "weights"}}) {
      const int32_t layer = std::string(node) == "weights" ? -1 : 0;
      program.source_map.push_back({queue(unit), 1, node, layer, program::kNone});
    }
  }

  uint32_t queue(const std::string& unit) const {
    for (uint32_t i = 0; i < program.queues.size(); ++i) {
      if (program.queues[i].unit == unit) return i;
    }
    return program::kNone;
  }

  machine::Machine machine;
  Schedule schedule;
  program::Program program;
};

// Weights from slices 0 to 15 into plane 0 in cycle 20, installed in 22, a product of slice 16's vector in
// 25, its sums at 34 on four streams.
inline Schedule hand_made_product(const machine::Machine& machine) {
  constexpr uint32_t kLoad = 20, kMxm = 9;  // hops.mxm
  Schedule schedule(machine);
  const auto read_for = [&](uint32_t slice, uint32_t cycle, uint64_t stream) {
    const std::string unit = "mem.e." + std::to_string(slice);
    schedule.fill(unit, 0, 1);
    schedule.at(unit, cycle - machine.latency.mem_read - (kMxm - machine.mem_hop(slice)), LpuOp::Read,
                {0, stream, 0});
  };
  for (uint32_t slice = 0; slice < 16; ++slice) read_for(slice, kLoad, east(slice));
  schedule.at("mxm.e.0", kLoad, LpuOp::LoadWeights, {east(0), 0});
  schedule.at("mxm.e.0", 22, LpuOp::InstallWeights, {});
  read_for(16, 26, east(0));
  schedule.at("mxm.e.1", 26, LpuOp::ActivationControl, {east(0), 0, 0, 0});
  schedule.at("mxm.e.2", 34, LpuOp::Accumulate, {0, west(0), 0});
  return schedule;
}

}  // namespace lockstep::targets::lpu
