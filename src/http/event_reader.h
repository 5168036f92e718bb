// Server-sent events out of the bytes of a stream, as they come:
// https://html.spec.whatwg.org/multipage/server-sent-events.html
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::http {

struct Event {
  std::string type;  // empty: none was given
  std::string data;  // lines joined by newlines
};

class EventReader {
 public:
  static constexpr size_t kEventBytesMax = size_t{4} << 20;

  // Takes the next bytes and appends the events that they complete. Where the bytes are cut makes no
  // difference. Throws a user's error for an event larger than kEventBytesMax.
  void push(std::string_view bytes, std::vector<Event>& events);

 private:
  void take_line(std::vector<Event>& events);

  std::string line_;  // that has not ended yet
  Event event_;
  bool has_data_ = false;
  bool first_line_ = true;
  bool after_return_ = false;  // a newline that follows belongs to the carriage return before it
};

}  // namespace lockstep::http
