#include "server/conversation/strict_json.h"

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

void check_json_as_groq(const OutputFields& output, bool stream, std::span<const text::ChatMessage> messages,
                        const JsonFieldNames& names) {
  if (!output.asks_for_json) return;
  const bool of_schema = output.rules && !output.rules->schema.is_null();
  const char* type = of_schema ? "json_schema" : "json_object";
  auto refuse = [&](const char* why) {
    throw ApiError(400, "", names.format, fmt::format("{} `{}` {}", names.format, type, why));
  };
  if (!output.tools.is_null()) refuse("cannot be combined with tool/function calling");
  if (of_schema && stream) refuse("cannot be combined with streaming");
  if (!of_schema && std::none_of(messages.begin(), messages.end(), says_json)) {
    throw ApiError(400, "", names.messages,
                   fmt::format("'{}' must contain the word 'json' in some form, to use '{}' of type "
                               "'json_object'.",
                               names.messages, names.format));
  }
}

}  // namespace lockstep::server
