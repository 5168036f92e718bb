#include "server/organization/entity_json.h"

#include <array>
#include <utility>

#include "accounts/calendar.h"

namespace lockstep::server {

namespace {

using accounts::LimitKind;

constexpr std::array<std::pair<LimitKind, const char*>, 5> kLimitFields = {{
    {LimitKind::RequestsPerMinute, "requests_per_minute"},
    {LimitKind::RequestsPerDay, "requests_per_day"},
    {LimitKind::TokensPerMinute, "tokens_per_minute"},
    {LimitKind::TokensPerDay, "tokens_per_day"},
    {LimitKind::Concurrent, "concurrent"},
}};

ReplyJson text_or_null(const std::string& text) {
  return text.empty() ? ReplyJson(nullptr) : ReplyJson(text);
}

double seconds(int64_t microseconds) {
  return static_cast<double>(microseconds) / 1e6;
}

}  // namespace

int64_t unix_seconds_of(int64_t time_ms) {
  return time_ms / accounts::kSecond_ms;
}

ReplyJson time_json(std::optional<int64_t> time_ms) {
  return time_ms ? ReplyJson(unix_seconds_of(*time_ms)) : ReplyJson(nullptr);
}

std::string_view permission_name(accounts::Action action) {
  constexpr std::array<std::string_view, accounts::kActions.size()> kNames = {
      "infer",       "use_files",       "read_usage",     "read_organization",
      "manage_keys", "manage_projects", "manage_members", "manage_limits",
  };
  return kNames.at(static_cast<size_t>(action));
}

ReplyJson scopes_json(accounts::Scopes scopes) {
  ReplyJson list = ReplyJson::array();
  for (const accounts::Scope scope : accounts::kScopes) {
    if (scopes.has(scope)) list.push_back(accounts::scope_name(scope));
  }
  return list;
}

ReplyJson project_json(const accounts::Project& project) {
  return {{"id", project.id},
          {"object", "organization.project"},
          {"name", project.settings.name},
          {"status", project.archived_at_ms ? "archived" : "active"},
          {"created_at", time_json(project.created_at_ms)},
          {"archived_at", time_json(project.archived_at_ms)},
          {"store_bodies", project.settings.store_bodies},
          {"body_days", project.settings.body_days},
          {"log_days", project.settings.log_days},
          {"performance", project.settings.performance}};
}

ReplyJson member_json(const accounts::Member& member) {
  return {{"id", member.id},
          {"object", "organization.member"},
          {"name", member.name},
          {"role", accounts::role_name(member.role)},
          {"added_at", time_json(member.created_at_ms)}};
}

ReplyJson key_json(const accounts::Key& key) {
  return {{"id", key.id},
          {"object", "organization.key"},
          {"name", key.name},
          {"redacted_value", key.prefix + "..."},
          {"project_id", key.project_id},
          {"member_id", key.member_id},
          {"scopes", scopes_json(key.scopes)},
          {"made_by", key.made_by},
          {"created_at", time_json(key.created_at_ms)},
          {"expires_at", time_json(key.expires_at_ms)},
          {"revoked_at", time_json(key.revoked_at_ms)}};
}

ReplyJson limit_json(const accounts::Limit& limit) {
  ReplyJson json = {{"id", limit.subject_id + ":" + limit.model},
                    {"object", "organization.limit"},
                    {"subject", accounts::subject_name(limit.subject)},
                    {"subject_id", limit.subject_id},
                    {"model", limit.model}};
  add_limit_values(limit.values, json);
  return json;
}

ReplyJson record_json(const accounts::UsageRecord& record) {
  return {
      {"id", record.request_id},
      {"object", "organization.request"},
      {"created_at", static_cast<double>(record.time_ms) / 1e3},
      {"project_id", record.project_id},
      {"key_id", text_or_null(record.key_id)},
      {"endpoint", record.endpoint},
      {"model", text_or_null(record.model)},
      {"service_tier", accounts::tier_name(record.tier)},
      {"status", record.status},
      {"error_code", text_or_null(record.error_code)},
      {"input_tokens", record.tokens.prompt},
      {"input_cached_tokens", record.tokens.cached},
      {"output_tokens", record.tokens.completion},
      {"usd", accounts::format_usd(record.cost)},
      {"queue_time", seconds(record.queue_us)},
      {"prompt_time", seconds(record.prompt_us)},
      {"completion_time", seconds(record.completion_us)},
      {"first_token_time",
       record.first_token_us ? ReplyJson(seconds(*record.first_token_us)) : ReplyJson(nullptr)},
      {"batch_id", record.batch_id ? ReplyJson(*record.batch_id) : ReplyJson(nullptr)},
  };
}

accounts::LimitValues read_limit_values(JsonFields& fields) {
  accounts::LimitValues values;
  for (const auto& [kind, name] : kLimitFields) {
    values.of(kind) = fields.integer(name, 0, accounts::kLargestLimit);
  }
  return values;
}

void add_limit_values(const accounts::LimitValues& values, ReplyJson& json) {
  for (const auto& [kind, name] : kLimitFields) {
    const std::optional<int64_t>& value = values.of(kind);
    json[name] = value ? ReplyJson(*value) : ReplyJson(nullptr);
  }
}

RequestJson parse_object(std::string_view body) {
  return body.empty() ? RequestJson::object() : parse_json(body);
}

std::unique_ptr<http::Reply> deleted_reply(const std::string& id, const char* object) {
  return json_reply({{"id", id}, {"object", object}, {"deleted", true}});
}

}  // namespace lockstep::server
