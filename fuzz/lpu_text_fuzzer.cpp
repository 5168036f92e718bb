// Timed text of LPU queues from arbitrary bytes. The parser may refuse with a user's error and nothing else;
// what it accepts prints as text that gives the same queues.
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "program/isa/lpu_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::program;
  try {
    const std::vector<Queue> queues = isa::parse_timed({reinterpret_cast<const char*>(data), size}, "input");
    for (const Queue& queue : queues) {
      const std::vector<Queue> again = isa::parse_timed(isa::print_timed(queue), "again");
      if (again.size() != 1 || again[0].instructions.size() != queue.instructions.size()) std::abort();
      for (size_t i = 0; i < queue.instructions.size(); ++i) {
        if (again[0].instructions[i].words != queue.instructions[i].words) std::abort();
      }
    }
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::User) std::abort();
  }
  return 0;
}
