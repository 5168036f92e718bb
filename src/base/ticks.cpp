#include "base/ticks.h"

#include "base/stopwatch.h"

namespace lockstep {

double tick_s() {
  static const double seconds = [] {
    const Stopwatch watch;
    const uint64_t begin = ticks();
    double elapsed_s = 0;
    while (elapsed_s < 0.02) elapsed_s = watch.seconds();
    return elapsed_s / static_cast<double>(ticks() - begin);
  }();
  return seconds;
}

}  // namespace lockstep
