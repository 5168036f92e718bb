// What an organisation is made of, as JSON. Times are Unix seconds, money a decimal string of USD.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "accounts/entities.h"
#include "accounts/permissions.h"
#include "accounts/spending.h"
#include "accounts/usage.h"
#include "server/json_fields.h"
#include "server/json_reply.h"

namespace lockstep::server {

int64_t unix_seconds_of(int64_t time_ms);
ReplyJson time_json(std::optional<int64_t> time_ms);

// "infer", "use_files", "read_usage", ...
std::string_view permission_name(accounts::Action action);
ReplyJson scopes_json(accounts::Scopes scopes);

ReplyJson project_json(const accounts::Project& project);
ReplyJson member_json(const accounts::Member& member);
ReplyJson key_json(const accounts::Key& key);
ReplyJson limit_json(const accounts::Limit& limit);
ReplyJson record_json(const accounts::UsageRecord& record);

// requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, concurrent; what is left out or
// null is unlimited.
accounts::LimitValues read_limit_values(JsonFields& fields);
void add_limit_values(const accounts::LimitValues& values, ReplyJson& json);

// A body's object; an empty body is one without fields.
RequestJson parse_object(std::string_view body);

// {"id", "object", "deleted": true}
std::unique_ptr<http::Reply> deleted_reply(const std::string& id, const char* object);

}  // namespace lockstep::server
