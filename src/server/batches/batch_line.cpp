#include "server/batches/batch_line.h"

#include <algorithm>

#include "base/identifiers.h"
#include "server/api_error.h"
#include "server/batches/batch_input.h"
#include "server/json_fields.h"

namespace lockstep::server {

namespace {

constexpr size_t kCustomIdBytesMax = 512;

// `read` is done, and what it refuses without a code gets this one.
template <class Read>
auto with_code(const char* code, Read read) {
  try {
    return read();
  } catch (const ApiError& error) {
    if (!error.code().empty()) throw;
    throw ApiError(400, code, error.param(), error.what());
  }
}

std::string read_custom_id(JsonFields& fields) {
  std::string id = fields.required_text("custom_id");
  if (id.empty() || id.size() > kCustomIdBytesMax) {
    bad_field("custom_id", "value must be a string of 1 to {} bytes", kCustomIdBytesMax);
  }
  return id;
}

std::string read_url(JsonFields& fields, const BatchRules& rules) {
  std::string url = fields.required_text("url");
  const auto& known = rules.endpoints;
  if (!known.empty() && std::find(known.begin(), known.end(), url) == known.end()) {
    bad_field("url", "value must be one of {}", fmt::join(known, ", "));
  }
  return url;
}

void check_body(JsonFields& fields, const BatchRules& rules) {
  const RequestJson* body = fields.find("body");
  if (body == nullptr) bad_field("body", "property 'body' is missing");
  JsonFields inside(*body, "body");
  const std::string model = inside.required_text("model");
  if (rules.require_model) rules.require_model(model);
  if (inside.boolean("stream").value_or(false)) {
    bad_field("body.stream", "a line's answer is not streamed; leave it out");
  }
}

ReplyJson line_json(const std::string& custom_id) {
  ReplyJson json;
  json["id"] = "batch_req_out_" + new_ulid();
  json["custom_id"] = custom_id;
  json["response"] = nullptr;
  json["error"] = nullptr;
  return json;
}

}  // namespace

BatchLine parse_batch_line(std::string_view text, const BatchRules& rules) {
  if (text.size() > rules.line_bytes_max) {
    throw ApiError(
        400, "line_too_long", "",
        fmt::format("the line has {} bytes; up to {} are possible", text.size(), rules.line_bytes_max));
  }
  std::string_view body;
  const RequestJson json = with_code("invalid_json_line", [&] { return parse_json(text, "body", body); });
  return with_code("invalid_request", [&] {
    JsonFields fields = with_code("invalid_json_line", [&] { return JsonFields(json, ""); });
    BatchLine line;
    line.custom_id = with_code("invalid_custom_id", [&] { return read_custom_id(fields); });
    with_code("invalid_method", [&] {
      if (fields.required_text("method") != "POST") bad_field("method", "value must be 'POST'");
    });
    line.url = with_code("invalid_url", [&] { return read_url(fields, rules); });
    with_code("invalid_body", [&] { check_body(fields, rules); });
    fields.finish();
    line.body = body;
    return line;
  });
}

void BatchValidator::check(std::string_view text, int64_t number) {
  if (full()) return;
  try {
    const BatchLine line = parse_batch_line(text, rules_);
    if (!custom_ids_.insert(line.custom_id).second) {
      throw ApiError(400, "duplicate_custom_id", "custom_id",
                     fmt::format("the custom_id '{}' is that of an earlier line", line.custom_id));
    }
  } catch (const ApiError& error) {
    errors_.push_back({error.code(), error.what(), error.param(), number});
  }
}

void BatchValidator::check_count(size_t lines) {
  if (lines == 0) errors_.push_back({"empty_file", "the input file has no lines"});
  if (lines > kBatchLinesMax) {
    errors_.push_back(
        {"too_many_lines", fmt::format("the input file has more than {} lines", kBatchLinesMax)});
  }
}

std::string batch_request_id(const std::string& batch_id, int64_t line) {
  return fmt::format("req_{}_{}", std::string_view(batch_id).substr(batch_id.find('_') + 1), line);
}

BatchResult answered_line(int64_t line, const std::string& custom_id, const std::string& request_id,
                          unsigned status, std::string_view body) {
  ReplyJson json = line_json(custom_id);
  ReplyJson parsed = ReplyJson::parse(body, nullptr, false);
  ReplyJson& response = json["response"];
  response["status_code"] = status;
  response["request_id"] = request_id;
  response["body"] = parsed.is_discarded() ? ReplyJson(body) : std::move(parsed);
  return {.line = line, .failed = status >= 300, .text = to_text(json)};
}

std::string expired_line(const std::string& custom_id) {
  ReplyJson json = line_json(custom_id);
  json["error"] = {{"code", "batch_expired"},
                   {"message", "The batch's completion window ended before this request was answered."}};
  return to_text(json);
}

}  // namespace lockstep::server
