#include "server/json_reply.h"

namespace lockstep::server {

std::string to_text(const ReplyJson& json) {
  return json.dump(-1, ' ', false, ReplyJson::error_handler_t::replace);
}

std::unique_ptr<http::Reply> json_reply(const ReplyJson& json) {
  return std::make_unique<http::WholeReply>(http::Head{}, to_text(json));
}

ReplyJson usage_json(const Usage& usage) {
  ReplyJson json;
  json["queue_time"] = usage.queue_s;
  json["prompt_tokens"] = usage.prompt_tokens;
  json["prompt_time"] = usage.prompt_s;
  json["completion_tokens"] = usage.completion_tokens;
  json["completion_time"] = usage.completion_s;
  json["total_tokens"] = usage.total_tokens();
  json["total_time"] = usage.prompt_s + usage.completion_s;
  if (usage.cached_tokens != 0) json["prompt_tokens_details"]["cached_tokens"] = usage.cached_tokens;
  return json;
}

ReplyJson token_usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.total_tokens()}};
}

}  // namespace lockstep::server
