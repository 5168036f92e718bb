// Machine files from arbitrary text. The reader may refuse with a user's error and nothing else; of what it
// accepts every figure is a number, and each number can be put back.
#include <cmath>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "machine/figures.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::machine;
  try {
    const Machine machine = parse_machine({reinterpret_cast<const char*>(data), size}, "input");
    for (const Figure& figure : figures()) {
      if (!std::isfinite(figure.predict(machine))) std::abort();
    }
    for (const Datum& datum : machine.data) {
      if (with_value(machine, datum.key, datum.value).data.size() != machine.data.size()) std::abort();
    }
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::User) std::abort();
  }
  return 0;
}
