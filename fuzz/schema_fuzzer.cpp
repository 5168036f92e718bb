// Compiles any bytes up to the first newline as a JSON Schema and reads the rest along its grammar. A text
// that the grammar takes must be JSON, and no reading may be a dead end.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "grammar/matcher.h"
#include "grammar/schema.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::grammar;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), input.size());
  try {
    const Grammar grammar = schema_grammar(read_schema(input.substr(0, line)));
    Matcher matcher(grammar);
    size_t taken = line < size ? line + 1 : size;
    const size_t begin = taken;
    while (taken < size && matcher.accept(data[taken])) ++taken;
    if (matcher.readings().empty()) __builtin_trap();
    const std::string_view text = input.substr(begin, taken - begin);
    if (matcher.can_finish() && !nlohmann::json::accept(text)) __builtin_trap();
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::User) throw;
  }
  return 0;
}
