// JSON as a reply.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "http/service.h"
#include "server/answers.h"

namespace lockstep::server {

// An object that keeps its fields' order, as replies have them.
using ReplyJson = nlohmann::ordered_json;

// Bytes that are no UTF-8 become U+FFFD.
std::string to_text(const ReplyJson& json);
std::unique_ptr<http::Reply> json_reply(const ReplyJson& json);

// Groq's usage: tokens and the four times in seconds.
ReplyJson usage_json(const Usage& usage);
// The tokens alone, for an answer that is not finished.
ReplyJson token_usage_json(const Usage& usage);

}  // namespace lockstep::server
