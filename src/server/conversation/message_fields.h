// What the messages of all APIs have: texts, calls and their results.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "server/json_fields.h"
#include "text/chat_template.h"

namespace lockstep::server {

// The parts that a text may have.
struct TextParts {
  std::vector<const char*> types;        // each with its "text"
  std::vector<const char*> asides = {};  // taken without effect
};

// A field's text: a string, or a list of parts, which are joined. Throws an ApiError where there is none.
std::string read_text(JsonFields& fields, const char* name, const TextParts& parts);

// The arguments of a call: the text of a JSON object, or nothing. `place`: of the text, for errors. Throws an
// ApiError for any other.
nlohmann::ordered_json read_arguments(const std::string& text, const std::string& place);

// The calls of a history whose results are still to come. All throw an ApiError with the place they are
// given.
class OpenCalls {
 public:
  // `result`: what answers a call in this API, as errors say it.
  explicit OpenCalls(const char* result) : result_(result) {}

  // `place`: of what made the call. No two open calls have the same id, but for an empty one.
  void open(const text::ChatToolCall& call, std::string place);
  // The result of one of them: of the call that it names by its id, else by its tool. Gets the call's id and
  // tool. `place`: of that name.
  void close(text::ChatMessage& result, const std::string& place);
  // The result of the first of them, for one that names none.
  void close_first(text::ChatMessage& result, const std::string& place);
  // None may be open here.
  void check_none() const;

 private:
  struct OpenCall {
    text::ChatToolCall call;
    std::string place;
  };
  void close(std::vector<OpenCall>::iterator call, text::ChatMessage& result);

  const char* const result_;
  std::vector<OpenCall> calls_;
};

}  // namespace lockstep::server
