// The chips of a program, exact to the cycle and the bit (docs/lpu.md). Finds hazards by itself: any breach
// of that page is a user's error with the cycle, the queue and the instruction.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "targets/lpu/calendar.h"
#include "targets/lpu/chip.h"
#include "targets/lpu/links.h"

namespace lockstep::targets::lpu {

struct SimulatorOptions {
  // Without it nothing is computed and memories have no contents: cycles and hazards alone, but for rows that
  // a Gather or Scatter addresses.
  bool arithmetic = true;
  TraceSink* trace = nullptr;
  const LaneKernels* kernels = nullptr;  // nullptr: the best of this CPU
};

// What one run of an entry took.
struct Run {
  uint64_t cycles = 0;                     // from cycle 0 of the schedule to the last effect
  Events events;                           // of all chips
  std::array<uint64_t, 6> instructions{};  // by isa::LpuUnit of the opcode
  struct QueueUse {
    uint32_t queue;  // of the program
    uint64_t busy_cycles;
  };
  std::vector<QueueUse> queues;  // in the order of the entry
};

// Where a slice's memory is.
struct SlicePlace {
  uint32_t chip = 0, hemisphere = 0, slice = 0;
};

// THREAD: one thread at a time.
class Simulator {
 public:
  // Loads the memories. Throws a user's error for what the machine does not have. REQUIRES:
  // verify_structure(program), and its contents with arithmetic. Both must outlive the simulator.
  Simulator(const program::Program& program, const machine::Machine& machine,
            const SimulatorOptions& options);

  // Runs an entry on all chips to the end. Memory rows stay for the next run. After an error they are
  // undefined.
  Run run(const std::string& entry);

  uint32_t chips() const { return static_cast<uint32_t>(chips_.size()); }

  // Rows of memory between runs. REQUIRES arithmetic. A user's error for a place or row that is not there, or
  // for reading what nothing has written.
  std::span<const std::byte> row(SlicePlace place, uint32_t row);
  std::span<std::byte> writable_row(SlicePlace place, uint32_t row);

  // Vectors of 32-bit words in four slices side by side. A user's error for a region that is not there.
  uint32_t vectors(const program::Region& region) const;
  // The vector `vector` rows behind the region's first. REQUIRES arithmetic; `words` has a vector's lanes.
  void read_words(const program::Region& region, uint32_t vector, std::span<uint32_t> words);
  void write_words(const program::Region& region, uint32_t vector, std::span<const uint32_t> words);

 private:
  // The queues of an entry, in the order in which those of one cycle issue.
  struct EntryQueues {
    std::vector<InstructionQueue> queues;
    std::vector<uint32_t> order;  // the entry's position of each
  };

  EntryQueues& queues_of(const std::string& entry);
  void place_memories();
  MemorySlice& slice(SlicePlace place, uint32_t row);
  uint32_t first_row(const program::Region& region) const;
  void issue(uint32_t index, Run& run);
  void notify(uint32_t index);
  void free_parked(uint32_t chip, uint64_t cycle);
  void wake(uint32_t index, uint64_t cycle);

  const program::Program& program_;
  const machine::Machine& machine_;
  const SimulatorOptions options_;
  const SwitchMaps maps_;
  Events events_;
  std::vector<std::unique_ptr<Chip>> chips_;
  std::unique_ptr<Links> links_;
  std::vector<SlicePlace> places_;  // by memory; slice kNone where it is none
  std::map<std::string, EntryQueues> entries_;

  // Of the run.
  EntryQueues* running_ = nullptr;
  Calendar calendar_;
  std::vector<uint64_t> notified_;             // by chip: the last cycle of a Notify
  std::vector<std::vector<uint32_t>> parked_;  // by chip
};

}  // namespace lockstep::targets::lpu
