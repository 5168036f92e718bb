#include "server/chat/strict_rules.h"

#include "server/api_error.h"
#include "server/conversation/strict_json.h"

namespace lockstep::server {

void check_as_groq(const ChatRequest& request) {
  if (request.choices > 1) bad_field("n", "number must be at most 1");
  if (request.generation.stop.size() > kStrictStopsMax) {
    bad_field("stop", "maximum number of items is {}", kStrictStopsMax);
  }
  check_json_as_groq(request.output, request.stream.stream, request.messages,
                     {.format = "response_format", .messages = "messages"});
}

}  // namespace lockstep::server
