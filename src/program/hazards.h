// Where workers that run one queue could meet: what each instruction touches and how that is split.
#pragma once

#include <vector>

#include "program/isa/isa.h"
#include "program/program.h"

namespace lockstep::program {

// Whether a step's rows are few, so that every worker fills its own copy of a Split::Copies region, or many,
// so that the rows of one common copy are split over them.
enum class RowsMode : uint8_t { Few, Many };

// Follows one queue in order. THREAD: none of its own.
class HazardTracker {
 public:
  HazardTracker(const Program& program, const isa::InstructionSet& set, RowsMode mode)
      : program_(program), set_(set), mode_(mode) {}

  // More touches than this without a meeting of the workers count as a conflict; it bounds the checking.
  static constexpr size_t kTouchesMax = 1024;

  // Whether the instruction touches something that another worker may still read or write.
  bool conflicts(const Instruction& instruction) const;
  // Notes what the instruction touches.
  void add(const Instruction& instruction);
  // All workers have met.
  void clear() { touched_.clear(); }

 private:
  // A range of a memory (or of the state, one layer a byte) and how it was touched.
  struct Touch {
    uint32_t memory;
    uint64_t begin, end;
    bool writes;
    isa::Split split;
    uint32_t region;
    bool operator==(const Touch&) const = default;
  };
  std::vector<Touch> touches(const Instruction& instruction) const;

  const Program& program_;
  const isa::InstructionSet& set_;
  RowsMode mode_;
  std::vector<Touch> touched_;
};

}  // namespace lockstep::program
