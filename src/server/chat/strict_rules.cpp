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

void check_reasoning_as_groq(bool includes_reasoning, const OutputFields& output) {
  if (includes_reasoning) bad_field("include_reasoning", "it can not stand beside 'reasoning_format'");
  if (output.asks_for_json || !output.tools.is_null()) {
    bad_field("reasoning_format", "'raw' can not stand beside JSON or tools; leave it out");
  }
}

}  // namespace lockstep::server
