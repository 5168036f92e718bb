// A run written down: what issued when, what each instruction waited for, and every value put on a stream.
#pragma once

#include <deque>
#include <vector>

#include "machine/machine.h"
#include "targets/lpu/trace.h"

namespace lockstep::targets::lpu {

inline constexpr uint32_t kNoRecord = ~uint32_t{0};

// An instruction that issued. Of the values that it takes, or the state that it needs, one came last: the
// instruction behind it is the cause. Came last means by the chain of causes, not by the clock: a constant
// that is read just in time is no cause.
struct Record {
  uint32_t cycle = 0;  // of the schedule
  uint32_t queue = 0;  // of the program
  uint32_t instruction = 0;
  uint32_t earliest = 0;       // the cycle in which it could issue if nothing but values made it wait
  uint32_t cause = kNoRecord;  // kNoRecord: it waits for nothing
  // From the cause's issue to the earliest one of this: in the cause's unit, on streams or a link, and on the
  // way into the VXM. What is left up to this issue is waiting.
  uint16_t operation_cycles = 0, travel_cycles = 0, entry_cycles = 0;
  uint16_t effect_cycles = 0;  // from its own issue to its last effect
};

// A value that comes onto a stream.
struct Put {
  uint32_t cycle = 0;  // of the schedule
  uint32_t record = 0;
  uint16_t chip = 0;
  uint8_t hemisphere = 0, position = 0, stream = 0;
};

class Recorder final : public TraceSink {
 public:
  // REQUIRES a verified program of the LPU. Both must outlive the recorder, which is for one run.
  Recorder(const program::Program& program, const machine::Machine& machine);

  void issued(const Issue& issue, uint64_t cycles) override;
  void put(Place place, uint32_t stream, uint64_t cycle) override;
  void took(Place place, uint32_t stream, uint64_t cycle) override;
  void accessed(uint32_t row, bool writes) override;

  // In order of cycle.
  const std::vector<Record>& records() const { return records_; }
  const std::vector<Put>& puts() const { return puts_; }

 private:
  // A value or state that an instruction leaves behind, there from a cycle of the run on.
  struct Left {
    uint64_t from = 0;
    uint32_t record = kNoRecord;
  };
  struct OnStream {
    uint64_t diagonal = ~uint64_t{0};
    uint64_t cycle = 0;  // of the run, in which it was put
    uint32_t record = kNoRecord;
  };
  // Of several instructions the one that came last by the chain of causes. The newest is compared when the
  // next comes: what it waits for is known then.
  struct Last {
    uint32_t last = kNoRecord, newest = kNoRecord;
  };
  struct Plane {
    Last loads;  // since the last install
    Left installing, array;
    std::vector<Last> sums;  // by entry: the products in it
  };
  struct ChipState {
    std::vector<OnStream> streams;           // rings of both hemispheres' streams
    std::vector<std::deque<Left>> results;   // by ALU, by cycle
    std::vector<std::vector<Left>> rows[2];  // by slice; empty until one is written
    std::vector<Plane> planes[2];
    std::vector<std::deque<uint32_t>> packets;  // by link: sends that nothing has received
  };

  Record& current() { return records_.back(); }
  void waits_for(uint32_t record, uint64_t operation, uint64_t travel, uint64_t entry);
  uint32_t settled(Last& last) const;
  OnStream& on_stream(Place place, uint32_t stream, uint64_t cycle, uint64_t& diagonal);
  void vxm(const Issue& issue, ChipState& chip);
  void mxm(const Issue& issue, Plane& plane);
  void c2c(const Issue& issue);

  const program::Program& program_;
  const machine::Machine& machine_;
  const uint32_t end_;
  const uint64_t ring_;
  std::vector<ChipState> chips_;
  std::vector<uint32_t> peers_;  // by chip and link: the other end
  std::vector<Record> records_;
  std::vector<Put> puts_;

  // The instruction that issued last.
  uint64_t cycle_ = 0, start_ = 0;
  program::isa::UnitName unit_;
  bool before_schedule_ = true;
};

}  // namespace lockstep::targets::lpu
