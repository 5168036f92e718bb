#include "server/chat/strict_rules.h"

#include <algorithm>
#include <cctype>

#include "server/api_error.h"

namespace lockstep::server {

namespace {

bool says_json(const text::ChatMessage& message) {
  constexpr std::string_view kWord = "json";
  return std::search(message.content.begin(), message.content.end(), kWord.begin(), kWord.end(),
                     [](unsigned char a, char b) { return std::tolower(a) == b; }) != message.content.end();
}

}  // namespace

void check_as_groq(const ChatRequest& request) {
  if (request.choices > 1) bad_field("n", "number must be at most 1");
  if (request.generation.stop.size() > kStrictStopsMax) {
    bad_field("stop", "maximum number of items is {}", kStrictStopsMax);
  }
  if (!request.output.asks_for_json) return;
  const bool of_schema = request.output.rules && !request.output.rules->schema.is_null();
  const char* type = of_schema ? "json_schema" : "json_object";
  auto refuse = [](const std::string& message) { throw ApiError(400, "", "response_format", message); };
  if (!request.output.tools.is_null()) {
    refuse(fmt::format("response_format `{}` cannot be combined with tool/function calling", type));
  }
  if (of_schema && request.stream.stream) {
    refuse("response_format `json_schema` cannot be combined with streaming");
  }
  if (!of_schema && std::none_of(request.messages.begin(), request.messages.end(), says_json)) {
    throw ApiError(400, "", "messages",
                   "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
                   "'json_object'.");
  }
}

}  // namespace lockstep::server
