// What a meeting of the workers costs: nanoseconds a barrier and a run, with nothing to do between them.
//   bench_barrier [WORKERS...]      default: 2 and as many as there are cores
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/stopwatch.h"
#include "targets/host/topology.h"
#include "targets/host/worker_team.h"

namespace lockstep::targets::host {
namespace {

constexpr int kBatches = 200;
constexpr int kMeetings = 1000;

void print(const char* what, uint32_t workers, std::vector<double> batch_s) {
  std::sort(batch_s.begin(), batch_s.end());
  auto ns = [&](size_t i) { return batch_s[i] / kMeetings * 1e9; };
  fmt::print("{:<8} {:>7} {:>8.1f} {:>8.1f} {:>8.1f}\n", what, workers, ns(0), ns(kBatches / 2),
             ns(kBatches * 99 / 100));
}

void measure(uint32_t workers) {
  WorkerTeam team(workers);
  std::vector<double> batch_s;
  const std::function<void(uint32_t)> meet = [&](uint32_t worker) {
    for (int batch = 0; batch < kBatches; ++batch) {
      const Stopwatch watch;
      for (int i = 0; i < kMeetings; ++i) team.barrier(worker);
      if (worker == 0) batch_s.push_back(watch.seconds());
    }
  };
  team.run(meet);
  print("barrier", workers, batch_s);

  batch_s.clear();
  const std::function<void(uint32_t)> nothing = [](uint32_t) {};
  for (int batch = 0; batch < kBatches; ++batch) {
    const Stopwatch watch;
    for (int i = 0; i < kMeetings; ++i) team.run(nothing);
    batch_s.push_back(watch.seconds());
  }
  print("run", workers, batch_s);
}

}  // namespace
}  // namespace lockstep::targets::host

int main(int argc, char** argv) {
  fmt::print("ns       workers    least   median      99%\n");
  std::vector<uint32_t> counts;
  for (int i = 1; i < argc; ++i)
    counts.push_back(static_cast<uint32_t>(std::clamp(std::atoi(argv[i]), 1, 256)));
  if (counts.empty()) counts = {2, lockstep::targets::host::usable_cores()};
  for (uint32_t workers : counts) lockstep::targets::host::measure(workers);
}
