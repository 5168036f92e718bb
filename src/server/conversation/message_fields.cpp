#include "server/conversation/message_fields.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/json_scan.h"
#include "server/api_error.h"

namespace lockstep::server {

using Json = nlohmann::ordered_json;

std::string read_text(JsonFields& fields, const char* name, const TextParts& parts) {
  const RequestJson* json = fields.find(name);
  const std::string path = fields.path(name);
  if (json == nullptr) bad_field(path, "property '{}' is missing", name);
  if (json->is_string()) return json->get<std::string>();
  if (!json->is_array()) bad_field(path, "value must be a string or an array of text parts");
  std::string text;
  for (size_t i = 0; i < json->size(); ++i) {
    JsonFields part((*json)[i], fmt::format("{}.{}", path, i));
    const std::string type = part.required_text("type");
    if (std::find(parts.types.begin(), parts.types.end(), type) == parts.types.end()) {
      bad_field(part.path("type"), "only parts of type '{}' are supported",
                fmt::join(parts.types, "' and '"));
    }
    text += part.required_text("text");
    for (const char* aside : parts.asides) part.find(aside);
    part.finish();
  }
  return text;
}

Json read_arguments(const std::string& text, const std::string& place) {
  constexpr size_t kNamesMax = 1000;  // an ordered object looks for each among all
  constexpr uint32_t kDepthMax = 64;
  if (text.empty()) return Json::object();
  size_t names = 0;
  scan_json(text, [&](const JsonEvent& event) {
    names += event.kind == JsonEvent::Kind::Name;
    if (event.depth > kDepthMax || names > kNamesMax) {
      bad_field(place, "at most {} names and {} levels are possible", kNamesMax, kDepthMax);
    }
  });
  Json arguments;
  try {
    arguments = Json::parse(text);
  } catch (const Json::exception&) {
    arguments = nullptr;
  }
  if (!arguments.is_object()) {
    bad_field(place, "value must be the text of a JSON object, such as \"{{}}\"");
  }
  return arguments;
}

void OpenCalls::open(const text::ChatToolCall& call, std::string place) {
  const bool same = std::any_of(calls_.begin(), calls_.end(), [&](const OpenCall& open) {
    return !call.id.empty() && open.call.id == call.id;
  });
  if (same) bad_field(place, "two calls have the id '{}'", call.id);
  calls_.push_back({call, std::move(place)});
}

void OpenCalls::close(text::ChatMessage& result, const std::string& place) {
  const bool by_name = result.tool_call_id.empty();
  const auto found = std::find_if(calls_.begin(), calls_.end(), [&](const OpenCall& open) {
    return by_name ? open.call.name == result.name : open.call.id == result.tool_call_id;
  });
  if (found == calls_.end()) {
    bad_field(place, "'{}' is no call of the assistant's before it that has no result yet",
              by_name ? result.name : result.tool_call_id);
  }
  close(found, result);
}

void OpenCalls::close_first(text::ChatMessage& result, const std::string& place) {
  if (calls_.empty()) bad_field(place, "no call of the assistant's before it is without a result");
  close(calls_.begin(), result);
}

void OpenCalls::close(std::vector<OpenCall>::iterator call, text::ChatMessage& result) {
  result.tool_call_id = call->call.id;
  result.name = call->call.name;
  calls_.erase(call);
}

void OpenCalls::check_none() const {
  if (calls_.empty()) return;
  const auto& [call, place] = calls_.front();
  bad_field(place, "the call of '{}'{} needs its result: {} right after", call.name,
            call.id.empty() ? "" : fmt::format(" ({})", call.id), result_);
}

}  // namespace lockstep::server
