// The host CPU as a target. Loading turns the program's one queue into a static list of work for each worker,
// with every address resolved; a step walks the lists and meets at the program's Syncs.
#pragma once

#include <memory>
#include <string>

#include "targets/host/profile.h"
#include "targets/target.h"

namespace lockstep::targets::host {

struct KernelTable;

struct HostOptions {
  std::string isa;            // scalar, avx2, avx512; empty: the best that the CPU has
  uint32_t workers = 0;       // 0: default_workers()
  uint32_t context = 0;       // positions of one sequence at the most; 0: the program's largest
  uint64_t kv_positions = 0;  // positions of all sequences together; 0: one sequence's, and never less
};

// The names that this CPU can run, the plainest first.
std::vector<std::string> available_isas();

// The kernels of that name; the best for an empty name. Throws a user's error for a name that is unknown, not
// in this build or not in this CPU.
const KernelTable& select_kernels(const std::string& isa);

// Physical cores that this process may use, within its control group's quota.
uint32_t default_workers();

// Implements Target and shows the values that a step leaves behind.
class HostTarget : public Target {
 public:
  // The bytes of row `row` of a region after the last instruction.
  virtual Bytes region_row(uint32_t region, uint32_t row) const = 0;
  virtual const KernelTable& kernels() const = 0;
  virtual uint32_t workers() const = 0;
  // Calls work(worker) on every worker and returns when all have returned; for measurements of the threads
  // themselves. THREAD: as step.
  virtual void run_on_workers(const std::function<void(uint32_t worker)>& work) = 0;

  // Where each step adds its times; nullptr: nowhere, which costs nothing. REQUIRES: made for the program's
  // queue and workers(), alive while steps run.
  StepProfile* profile = nullptr;
};

// REQUIRES: a verified program for the host that outlives the target.
std::unique_ptr<HostTarget> load(const program::Program& program, const HostOptions& options);

}  // namespace lockstep::targets::host
