// Which CPUs workers run on: physical cores of this machine that this process may use, and how much of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace lockstep::targets::host {

// Physical cores in this process's CPU mask, at most what the control group's quota pays for; 1 at least.
// Siblings on one core share its multipliers and caches, so a second worker there gains nothing.
uint32_t usable_cores();

// CPUs in this process's mask.
uint32_t usable_cpus();

// Moves the calling thread to the core of worker `worker` of `workers`: each on a core of its own, cores that
// share a last-level cache first. The thread may be moved away again later, for the system sees best who else
// needs the core; while nobody does, it stays. Changes nothing where there are more workers than cores.
void settle_on_core(uint32_t worker, uint32_t workers);

// The CPUs that the control group of this process may use, in time: quota over period, the least of the group
// and those above it. `groups` is the text of /proc/self/cgroup, `root` the folder /sys/fs/cgroup. Reads
// version 2 (cpu.max) and version 1 (cpu.cfs_quota_us). Nothing: no limit.
std::optional<double> cpu_quota(const std::string& groups, const std::filesystem::path& root);

}  // namespace lockstep::targets::host
