#include "http/event_reader.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace lockstep::http {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

void EventReader::push(std::string_view bytes, std::vector<Event>& events) {
  while (!bytes.empty()) {
    if (std::exchange(after_return_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const size_t end = std::min(bytes.find_first_of("\r\n"), bytes.size());
    if (line_.size() + end + event_.data.size() > kEventBytesMax) {
      user_error("an event of the stream is larger than {} bytes", kEventBytesMax);
    }
    line_ += bytes.substr(0, end);
    if (end == bytes.size()) return;
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    take_line(events);
  }
}

void EventReader::take_line(std::vector<Event>& events) {
  const std::string whole = std::exchange(line_, {});
  std::string_view line = whole;
  if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (line.empty()) {
    const Event event = std::exchange(event_, {});
    if (std::exchange(has_data_, false)) events.push_back(event);
    return;
  }
  const std::string_view name = line.substr(0, line.find(':'));
  std::string_view value = line.substr(std::min(line.size(), name.size() + 1));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    if (std::exchange(has_data_, true)) event_.data += '\n';
    event_.data += value;
  } else if (name == "event") {
    event_.type = value;
  }
  // Comments, which begin with the colon, ids, times to reconnect and unknown fields change no event.
}

}  // namespace lockstep::http
