// The body of a request for a response (OpenAI's Responses, as Groq has them: nothing is kept between
// requests): what it may hold, and what the engine is to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"
#include "server/conversation/output_reader.h"
#include "server/json_fields.h"
#include "server/mode.h"
#include "text/chat_template.h"

namespace lockstep::server {

struct ResponseRequest {
  std::string model;
  std::vector<text::ChatMessage> messages;  // the instructions first
  engine::Request generation;  // without prompt and constraint; its seed is the client's or a new one
  OutputFields output;
  bool stream = false;
  // What the reply repeats:
  std::optional<std::string> instructions, user;
  RequestJson metadata = RequestJson::object();
  std::string service_tier = "";  // empty: not asked for
  bool parallel_tool_calls = true;
  nlohmann::ordered_json tools = nlohmann::ordered_json::array();
  RequestJson tool_choice = "auto";
  nlohmann::ordered_json format = {{"type", "text"}};  // text.format
};

// Every field is honoured or refused by name: response_fields.cpp has how each is handled. Throws an ApiError
// that says which and what would be right.
ResponseRequest parse_response_request(std::string_view body, Mode mode = Mode::Lenient);

}  // namespace lockstep::server
