#include "targets/host/topology.h"

#include <hwloc.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace lockstep::targets::host {

namespace {

struct Destroy {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
  void operator()(hwloc_bitmap_s* bitmap) const { hwloc_bitmap_free(bitmap); }
};
using Bitmap = std::unique_ptr<hwloc_bitmap_s, Destroy>;

// The cores that this process may use, in the order in which workers take them. Without an answer from hwloc
// there are none, and the system places the threads.
class Machine {
 public:
  Machine() {
    hwloc_topology* topology = nullptr;
    if (hwloc_topology_init(&topology) != 0) return;
    topology_.reset(topology);
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    for (hwloc_obj_type_t type : {HWLOC_OBJ_CORE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE}) {
      hwloc_topology_set_type_filter(topology, type, HWLOC_TYPE_FILTER_KEEP_ALL);
    }
    hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING |
                                           HWLOC_TOPOLOGY_FLAG_NO_DISTANCES |
                                           HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS);
    if (hwloc_topology_load(topology) != 0) return;
    const int cpus = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    cpus_ = static_cast<uint32_t>(std::max(cpus, 1));
    list_cores();
  }

  uint32_t cpus() const { return cpus_; }
  uint32_t cores() const { return cores_.empty() ? cpus_ : static_cast<uint32_t>(cores_.size()); }

  void settle(uint32_t worker, uint32_t workers) const {
    if (workers > cores_.size()) return;
    const Bitmap before(hwloc_bitmap_alloc()), target(hwloc_bitmap_dup(cores_[worker]->cpuset));
    if (!before || !target) return;
    hwloc_bitmap_singlify(target.get());
    if (hwloc_get_cpubind(topology_.get(), before.get(), HWLOC_CPUBIND_THREAD) != 0) return;
    hwloc_set_cpubind(topology_.get(), target.get(), HWLOC_CPUBIND_THREAD);
    hwloc_set_cpubind(topology_.get(), before.get(), HWLOC_CPUBIND_THREAD);
  }

 private:
  // Cores by their last-level cache, the cache with the most usable cores first.
  void list_cores() {
    const int count = hwloc_get_nbobjs_by_type(topology_.get(), HWLOC_OBJ_CORE);
    std::vector<std::vector<hwloc_obj_t>> groups;
    hwloc_obj_t cache_of_last = nullptr;
    for (int i = 0; i < count; ++i) {
      const hwloc_obj_t core =
          hwloc_get_obj_by_type(topology_.get(), HWLOC_OBJ_CORE, static_cast<unsigned>(i));
      const hwloc_obj_t cache = hwloc_get_ancestor_obj_by_type(topology_.get(), HWLOC_OBJ_L3CACHE, core);
      if (groups.empty() || cache != cache_of_last) groups.emplace_back();
      groups.back().push_back(core);
      cache_of_last = cache;
    }
    std::stable_sort(groups.begin(), groups.end(),
                     [](const auto& a, const auto& b) { return a.size() > b.size(); });
    for (const auto& group : groups) cores_.insert(cores_.end(), group.begin(), group.end());
  }

  std::unique_ptr<hwloc_topology, Destroy> topology_;
  std::vector<hwloc_obj_t> cores_;
  uint32_t cpus_ = 1;
};

const Machine& machine() {
  static const Machine instance;
  return instance;
}

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// CPUs of "quota period" in microseconds; nothing for "max", -1 and what is no number.
std::optional<double> ratio(const std::string& text) {
  std::istringstream in(text);
  double quota = 0, period = 0;
  if (!(in >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

}  // namespace

std::optional<double> cpu_quota(const std::string& groups, const std::filesystem::path& root) {
  std::optional<double> least;
  auto note = [&](std::optional<double> cpus) {
    if (cpus && (!least || *cpus < *least)) least = cpus;
  };
  // Lines are hierarchy:controllers:path; version 2 has an empty list of controllers.
  std::istringstream lines(groups);
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find(",cpu,") == std::string::npos) continue;
    const std::filesystem::path mount = unified ? root : root / controllers.substr(1, controllers.size() - 2);
    std::filesystem::path group = mount;
    auto read = [&] {
      note(ratio(unified ? first_line(group / "cpu.max")
                         : first_line(group / "cpu.cfs_quota_us") + " " +
                               first_line(group / "cpu.cfs_period_us")));
    };
    read();
    for (const std::filesystem::path& name : std::filesystem::path(line.substr(second + 1)).relative_path()) {
      group /= name;
      read();
    }
  }
  return least;
}

uint32_t usable_cpus() {
  return machine().cpus();
}

uint32_t usable_cores() {
  static const uint32_t cores = [] {
    std::ifstream file("/proc/self/cgroup");
    std::ostringstream groups;
    groups << file.rdbuf();
    const std::optional<double> quota = cpu_quota(groups.str(), "/sys/fs/cgroup");
    const uint32_t count = machine().cores();
    return quota && *quota < count ? std::max(1u, static_cast<uint32_t>(*quota)) : count;
  }();
  return cores;
}

void settle_on_core(uint32_t worker, uint32_t workers) {
  if (worker < workers) machine().settle(worker, workers);
}

}  // namespace lockstep::targets::host
