#include "server/accounting.h"

#include <cmath>

#include "accounts/calendar.h"
#include "base/printable.h"
#include "server/api_error.h"
#include "server/json_reply.h"

namespace lockstep::server {

namespace {

using accounts::UsageRecord;

// Records that wait for the database: above it nobody is admitted, so that refusals have a bound of their
// own.
constexpr size_t kRecordsWaitingMax = 16384;

int64_t microseconds(double seconds) {
  return std::llround(seconds * 1e6);
}

int64_t seconds_up(int64_t time_ms) {
  return (time_ms + accounts::kSecond_ms - 1) / accounts::kSecond_ms;
}

void fill_outcome(const Outcome& outcome, UsageRecord& record) {
  const Usage& usage = outcome.usage;
  record.status = outcome.status;
  record.error_code = outcome.error_code;
  // What the server fails at costs nothing.
  if (outcome.status < 500) {
    record.tokens = {usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens};
  }
  record.queue_us = microseconds(usage.queue_s);
  record.prompt_us = microseconds(usage.prompt_s);
  record.completion_us = microseconds(usage.completion_s);
  if (outcome.first_token_s) record.first_token_us = microseconds(*outcome.first_token_s);
  if (record.request_body) record.response_body = to_text(ReplyJson{{"texts", outcome.texts}});
}

}  // namespace

// Room for so many bytes until the last copy goes; none where there is not enough.
std::shared_ptr<void> Accounting::hold_bytes(size_t bytes) {
  if (bytes_held_->fetch_add(bytes) + bytes > body_bytes_held_max_) {
    bytes_held_->fetch_sub(bytes);
    return nullptr;
  }
  return {bytes_held_.get(), [held = bytes_held_, bytes](void*) { held->fetch_sub(bytes); }};
}

Settle Accounting::admit(Call& call, const accounts::TokensWanted& tokens) {
  if (journal_.waiting() > kRecordsWaitingMax) {
    throw ApiError(503, "", "", "the request log cannot keep up; please try again later");
  }
  const int64_t now_ms = accounts::now_ms();
  if (const auto refusal = accounts_.spending().check(call.caller, now_ms)) {
    throw ApiError(
        400, "blocked_api_access", "",
        fmt::format("The spend cap of {} USD for this month is reached by {} '{}': {} USD are spent.",
                    accounts::format_usd(refusal->cap.month_cap),
                    accounts::subject_name(refusal->cap.subject), refusal->cap.subject_id,
                    accounts::format_usd(refusal->spent)));
  }
  std::shared_ptr<void> room;
  if (call.caller.store_bodies) {
    room = hold_bytes(call.request.body.size());
    if (!room)
      throw ApiError(503, "", "",
                     "the server holds too many texts that wait to be stored; please try again later");
  }
  auto admission = std::make_shared<accounts::Admission>();
  // A batch has idle capacity: no rate limits it.
  if (!call.batch_id) {
    auto reserved =
        accounts_.limiter().reserve(call.caller, call.counted.model, tokens, accounts::steady_now_ms());
    if (const auto* refusal = std::get_if<accounts::RateRefusal>(&reserved)) refuse(call, *refusal);
    *admission = std::move(std::get<accounts::Admission>(reserved));
    call.counted.admitted = true;
  }
  UsageRecord record = record_of(call);
  if (call.caller.store_bodies) record.request_body = storable(call.request.body);
  return [this, admission, room = std::move(room), record = std::move(record),
          price = prices_.of(call.counted.model),
          take_record = call.take_record](Outcome outcome, Recorded recorded) mutable {
    latencies_.note(outcome);
    fill_outcome(outcome, record);
    admission->settle(record.tokens.prompt - record.tokens.cached + record.tokens.completion,
                      accounts::steady_now_ms());
    record.cost = accounts::cost(price, record.tier, record.tokens);
    if (take_record) {
      take_record(std::move(record));
      recorded(true);
      return;
    }
    journal_.add(std::move(record), [recorded = std::move(recorded), room = std::move(room)](
                                        const Error* error) { recorded(error == nullptr); });
  };
}

void Accounting::note_refusal(const Call& call, unsigned status, const std::string& code) {
  UsageRecord record = record_of(call);
  record.status = status;
  record.error_code = code;
  if (call.take_record) {
    return call.take_record(std::move(record));
  }
  const std::shared_ptr<std::atomic<size_t>> waiting = refusals_waiting_;
  if (waiting->fetch_add(1) >= kRefusalsWaitingMax) {
    waiting->fetch_sub(1);
    return;
  }
  journal_.add(std::move(record), [waiting](const Error*) { waiting->fetch_sub(1); });
}

UsageRecord Accounting::record_of(const Call& call) const {
  UsageRecord record;
  record.request_id = call.request.id;
  record.time_ms =
      accounts::now_ms() - std::llround((http::clock_s() - call.request.received_s) * accounts::kSecond_ms);
  record.organisation_id = call.caller.organisation_id;
  record.project_id = call.caller.project_id;
  record.key_id = call.caller.key_id;
  record.endpoint = storable(std::string(api_path(call.target.path)));
  record.batch_id = call.batch_id;
  record.model = call.counted.model;
  record.tier = call.counted.tier;
  record.admitted = call.counted.admitted;
  return record;
}

// Groq's sentence, which clients read for numbers and the time to wait, and whose limit it is.
void Accounting::refuse(const Call& call, const accounts::RateRefusal& refusal) const {
  const bool tokens = accounts::counts_tokens(refusal.kind);
  const std::string where =
      fmt::format("for model `{}` in organization `{}` service tier `{}` on {}: Limit {}", call.counted.model,
                  call.caller.organisation_id, accounts::tier_name(call.counted.tier),
                  accounts::limit_kind_name(refusal.kind), refusal.limit);
  const std::string whose =
      fmt::format("The limit is that of {} `{}`{}.", accounts::subject_name(refusal.subject),
                  refusal.subject_id, refusal.model == accounts::kAllModels ? " for all models" : "");
  if (refusal.limit == 0) {
    throw ApiError(
        403, "permission_denied", "",
        fmt::format("No request is let through {}. {} Whoever set it can raise it.", where, whose));
  }
  const char* type = tokens ? "tokens" : "requests";
  if (!refusal.retry_after_ms) {
    throw ApiError(413, "rate_limit_exceeded", "",
                   fmt::format("Request too large {}, Requested {}, please reduce your message size and try "
                               "again. {}",
                               where, refusal.requested, whose))
        .with_type(type);
  }
  throw ApiError(
      429, "rate_limit_exceeded", "",
      fmt::format("Rate limit reached {}, Used {}, Requested {}. Please try again in {}. {}", where,
                  refusal.used, refusal.requested, accounts::go_duration(*refusal.retry_after_ms), whose))
      .with_type(type)
      .with_header("retry-after", std::to_string(seconds_up(*refusal.retry_after_ms)))
      .with_header("retry-after-ms", std::to_string(*refusal.retry_after_ms));
}

void Accounting::add_headers(Call& call, const std::string& model) const {
  const accounts::RateHeaders rates =
      accounts_.limiter().headers(call.caller, model, accounts::steady_now_ms());
  const auto add = [&](const char* kind, const std::optional<accounts::RateState>& state) {
    if (!state) return;
    const auto header = [&](const char* what, std::string value) {
      call.reply_headers.emplace_back(fmt::format("x-ratelimit-{}-{}", what, kind), std::move(value));
    };
    header("limit", std::to_string(state->limit));
    header("remaining", std::to_string(state->remaining));
    header("reset", accounts::go_duration(state->reset_ms));
  };
  add("requests", rates.requests_per_day);
  add("tokens", rates.tokens_per_minute);
}

}  // namespace lockstep::server
