// Reads an event stream whole, byte by byte, and cut where its first byte says: the events must be the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/event_reader.h"

namespace {

// Every event with its lengths, so that no two lists look alike.
std::string read(std::string_view stream, size_t piece) {
  lockstep::http::EventReader reader;
  std::vector<lockstep::http::Event> events;
  for (; !stream.empty(); stream.remove_prefix(std::min(piece, stream.size()))) {
    reader.push(stream.substr(0, piece), events);
  }
  std::string text;
  for (const auto& event : events) {
    text += std::to_string(event.type.size()) + ":" + event.type + std::to_string(event.data.size()) + ":" +
            event.data;
    if (event.type.find_first_of("\r\n") != std::string::npos) __builtin_trap();
    if (event.data.find('\r') != std::string::npos) __builtin_trap();
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > lockstep::http::EventReader::kEventBytesMax) return 0;
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = read(stream, size);
  if (read(stream, 1) != whole || read(stream, size_t{data[0]} + 1) != whole) __builtin_trap();
  return 0;
}
