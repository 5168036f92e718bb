// Simulated chips as a target: a program's entries, one run of the schedule a row.
#pragma once

#include <memory>

#include "targets/lpu/simulator.h"
#include "targets/target.h"

namespace lockstep::targets::lpu {

// Rows of a step at the most, and of an entry. More would only make cancelling slow.
inline constexpr uint32_t kStepRowsMax = 8;

// The state lies in the chips' memories, that of one sequence: the pool is one page that spans the whole
// context and has no bytes.
class LpuTarget : public Target {
 public:
  virtual const machine::Machine& machine() const = 0;
  virtual uint32_t chips() const = 0;
  // Cycles of all rows since the target was loaded. Readable from any thread.
  virtual uint64_t cycles() const = 0;
  // What the last run of an entry took.
  virtual const Run& last_run() const = 0;
  virtual Simulator& simulator() = 0;
};

struct LpuOptions {
  uint32_t context = 0;  // positions at the most; 0: what the program was compiled for
  SimulatorOptions simulator = {};
};

// Throws a user's error for a program of another machine, or without an entry or region that docs/lpu.md
// names. A step throws the user's error of a stop. REQUIRES: a verified program of the LPU that outlives the
// target, and arithmetic.
std::unique_ptr<LpuTarget> load(const program::Program& program, const machine::Machine& machine,
                                const LpuOptions& options);

}  // namespace lockstep::targets::lpu
