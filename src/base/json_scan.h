// Looks through a JSON text without making anything of it, in a time that grows with its length alone. (What
// nlohmann's parser calls back while it builds a value does not: after every object it goes through all that
// the container around it has so far.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

namespace lockstep {

struct JsonEvent {
  enum class Kind : uint8_t { Begin, Name, End };  // of an object or array; a name in an object
  Kind kind;
  uint32_t depth;         // objects and arrays around it
  size_t position;        // of Begin: where its bracket is; of End: behind the bracket
  std::string_view name;  // of Name, without escapes; while `look` runs
};

// `look` is called for everything in order and may throw. Ends without a word where the text is no JSON.
void scan_json(std::string_view text, const std::function<void(const JsonEvent&)>& look);

}  // namespace lockstep
