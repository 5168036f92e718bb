// The vector unit (VXM) in the middle of a chip: 16 ALUs a lane.
#pragma once

#include <list>
#include <vector>

#include "targets/lpu/unit_context.h"

namespace lockstep::targets::lpu {

// Cycles from an operation's issue to its result.
uint32_t operation_cycles(program::isa::LpuOp op, const machine::Latency& latency);

class VectorUnit {
 public:
  // `context` must outlive the unit.
  VectorUnit(const UnitContext& context, uint32_t chip);

  void clear();  // before a run
  void execute(const Issue& issue);

 private:
  // What an ALU gives, and when. The first of a list is the result that stands, or the first that comes.
  struct Result {
    uint64_t cycle = 0;
    Words value;
  };
  using Results = std::list<Result>;

  const Words* operand(const Issue& issue, uint32_t index, Words& space);
  const Words& result_of(const Issue& issue, uint32_t alu);
  Result& give(const Issue& issue, uint64_t cycle);
  void forget_before(Results& results, uint64_t cycle);
  void put(const Issue& issue, const Words& value, uint32_t stream, uint64_t cycle);

  const UnitContext& context_;
  const uint32_t chip_;
  std::vector<Results> results_;  // by ALU; each by cycle
  Results spare_;
};

}  // namespace lockstep::targets::lpu
