#include "base/run_delay.h"

#include <cstdint>
#include <filesystem>
#include <fstream>

namespace lockstep {

double run_delay_seconds() {
  uint64_t waited_ns = 0;
  std::error_code failed;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", failed)) {
    std::ifstream file(thread.path() / "schedstat");
    uint64_t ran_ns = 0, delay_ns = 0;
    if (file >> ran_ns >> delay_ns) waited_ns += delay_ns;
  }
  return static_cast<double>(waited_ns) * 1e-9;
}

}  // namespace lockstep
