// What the server writes to standard error: a line for each request, and for its own start and end.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/json_reply.h"

namespace lockstep::server {

// Lines of text, or JSON objects. Never holds its callers up: lines go through a queue of bounded length, and
// are dropped where nobody reads them. THREAD: any.
class Log {
 public:
  enum class Format { Text, Json };
  enum class Level { Debug, Info, Warn, Off };

  // Lines of a lower level are left out. `file_descriptor` is not closed.
  Log(Level level, Format format, int file_descriptor = 2);
  // Writes what is still in the queue, as far as it is read.
  ~Log();

  // `fields` is an object of numbers and strings. Bytes that are no UTF-8 become U+FFFD.
  void write(Level level, std::string_view event, const ReplyJson& fields);

 private:
  class Sink;
  struct Queue;
  const Level level_;
  const Format format_;
  const std::unique_ptr<Queue> queue_;
};

}  // namespace lockstep::server
