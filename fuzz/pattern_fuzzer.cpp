// Compiles any bytes up to the first newline as a pattern and asks whether the rest, of printable ASCII, is
// of it: std::regex must find the pattern there exactly then.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <regex>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/printable.h"
#include "grammar/pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::grammar;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), input.size());
  const std::string pattern(input.substr(0, line));
  if (!lockstep::is_utf8(pattern)) return 0;
  std::string text(input.substr(std::min(line + 1, size)));
  for (char& byte : text) byte = static_cast<char>(' ' + static_cast<uint8_t>(byte) % 95);
  Automaton automaton;
  try {
    Effort effort(200'000);
    automaton = pattern_automaton(pattern, effort);
  } catch (const lockstep::Error& error) {
    if (error.kind() != lockstep::ErrorKind::User) throw;
    return 0;
  }
  const bool has = automaton.has(characters_of(text));
  // The other reader works on bytes, knows fewer escapes, and takes time and stack without end.
  const bool ascii =
      std::all_of(pattern.begin(), pattern.end(), [](char byte) { return byte >= ' ' && byte < 0x7F; });
  const bool other = ascii && pattern.size() <= 24 && text.size() <= 16 &&
                     pattern.find("\\u") == std::string::npos && pattern.find("(?<") == std::string::npos &&
                     std::count(pattern.begin(), pattern.end(), '{') <= 1 &&
                     pattern.find("[:") == std::string::npos && pattern.find("[.") == std::string::npos &&
                     pattern.find("[=") == std::string::npos;
  if (!other) return 0;
  try {
    if (std::regex_search(text, std::regex(pattern)) != has) __builtin_trap();
  } catch (const std::regex_error&) {
  }
  return 0;
}
