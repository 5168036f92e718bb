#include "accounts/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "accounts/calendar.h"
#include "base/error.h"

namespace lockstep::accounts {
namespace {

// A level is used tokens (or requests) x the window's milliseconds, so that a whole limit's worth drains
// `limit` of it in a millisecond and all arithmetic is in whole numbers. Above this nothing is added.
constexpr int64_t kLargestLevel = 4 * kLargestLimit * kDay_ms;
static_assert(kLargestLevel < INT64_MAX - kLargestLimit * kDay_ms);

// What a client that met the limit on concurrent requests is told to wait.
constexpr int64_t kConcurrentRetry_ms = 1000;

// Pairs of key and model whose buckets are remembered.
constexpr size_t kLargestCache = 10000;

int64_t window_ms(LimitKind kind) {
  switch (kind) {
    case LimitKind::RequestsPerMinute:
    case LimitKind::TokensPerMinute:
      return kMinute_ms;
    case LimitKind::RequestsPerDay:
    case LimitKind::TokensPerDay:
      return kDay_ms;
    case LimitKind::Concurrent:
      break;
  }
  return 1;  // the level is the number itself
}

int64_t divide_up(int64_t dividend, int64_t divisor) {
  return dividend / divisor + (dividend % divisor > 0 ? 1 : 0);
}

struct Bucket {
  LimitKind kind;
  Subject subject;
  std::string subject_id, model;
  int64_t limit = 0;
  int64_t level = 0;
  int64_t drained_until_ms = 0;
  // All that ever left the level, in its unit. Wraps around: only differences count.
  uint64_t gone = 0;

  int64_t window() const { return window_ms(kind); }
  int64_t used() const { return divide_up(level, window()); }
  bool drains() const { return kind != LimitKind::Concurrent && limit > 0; }
  // Until it is empty.
  int64_t reset_ms() const { return drains() ? divide_up(level, limit) : 0; }

  void drain(int64_t now_ms) {
    if (now_ms <= drained_until_ms) return;
    const int64_t elapsed_ms = now_ms - drained_until_ms;
    drained_until_ms = now_ms;
    if (drains()) lower(elapsed_ms >= reset_ms() ? level : elapsed_ms * limit);
  }
  void add(int64_t amount) {
    level = std::min(level + std::min(amount, kLargestLimit) * window(), kLargestLevel);
  }
  void lower(int64_t by) {
    by = std::clamp<int64_t>(by, 0, level);
    level -= by;
    gone += static_cast<uint64_t>(by);
  }
  // What was used at another limit, or of another server's, is at most a whole one of this.
  void clamp_to_limit() {
    if (kind != LimitKind::Concurrent) lower(level - limit * window());
  }
  void change_limit(int64_t new_limit, int64_t now_ms) {
    if (level > 0) drain(now_ms);  // an empty one may still be filled with uses of before
    limit = new_limit;
    clamp_to_limit();
  }
  bool admits(int64_t amount) const { return amount <= limit && level <= (limit - amount) * window(); }
  // How long until `amount`, which is not admitted now, is; empty for never.
  std::optional<int64_t> wait_ms(int64_t amount) const {
    if (amount > limit) return std::nullopt;
    if (kind == LimitKind::Concurrent) return kConcurrentRetry_ms;
    if (limit == 0) return std::nullopt;
    return divide_up(level - (limit - amount) * window(), limit);
  }
  // What requests with so many tokens are to this bucket.
  int64_t amount(int64_t requests, const TokensWanted& tokens) const {
    if (!counts_tokens(kind)) return requests;
    return tokens.asked + std::clamp<int64_t>(limit - tokens.asked, 0, tokens.guessed);
  }
};

using Buckets = std::vector<std::shared_ptr<Bucket>>;

// What a request has in one bucket. It drains after all that was in the bucket before it.
struct Share {
  Share(std::shared_ptr<Bucket> in, int64_t reserved)
      : bucket(std::move(in)), amount(reserved), before(bucket->level), gone(bucket->gone) {
    bucket->add(amount);
  }

  // Counts `used` instead of the amount. Takes what left the bucket meanwhile for drained, and so never gives
  // back more than there still is of this share.
  void correct(int64_t used) const {
    if (used >= amount) return bucket->add(used - amount);
    const auto left = static_cast<int64_t>(bucket->gone - gone);
    const int64_t drained = std::max<int64_t>(left - before, 0);
    bucket->lower(std::min((amount - used) * bucket->window(), amount * bucket->window() - drained));
  }

  std::shared_ptr<Bucket> bucket;
  int64_t amount;
  int64_t before;  // the level
  uint64_t gone;   // of the bucket, then
};

}  // namespace

std::string_view subject_name(Subject subject) {
  static constexpr std::array<std::string_view, 3> kNames = {"organization", "project", "key"};
  return kNames.at(static_cast<size_t>(subject));
}

std::string_view limit_kind_name(LimitKind kind) {
  static constexpr std::array<std::string_view, 5> kNames = {
      "requests per minute (RPM)", "requests per day (RPD)", "tokens per minute (TPM)",
      "tokens per day (TPD)", "concurrent requests"};
  return kNames.at(static_cast<size_t>(kind));
}

bool counts_tokens(LimitKind kind) {
  return kind == LimitKind::TokensPerMinute || kind == LimitKind::TokensPerDay;
}

const std::optional<int64_t>& LimitValues::of(LimitKind kind) const {
  switch (kind) {
    case LimitKind::RequestsPerMinute:
      return requests_per_minute;
    case LimitKind::RequestsPerDay:
      return requests_per_day;
    case LimitKind::TokensPerMinute:
      return tokens_per_minute;
    case LimitKind::TokensPerDay:
      return tokens_per_day;
    case LimitKind::Concurrent:
      break;
  }
  return concurrent;
}

std::optional<int64_t>& LimitValues::of(LimitKind kind) {
  return const_cast<std::optional<int64_t>&>(std::as_const(*this).of(kind));
}

bool LimitValues::empty() const {
  return *this == LimitValues{};
}

std::string go_duration(int64_t duration_ms) {
  if (duration_ms <= 0) return "0s";
  if (duration_ms < kSecond_ms) return fmt::format("{}ms", duration_ms);
  std::string text;
  if (duration_ms >= kHour_ms) text += fmt::format("{}h", duration_ms / kHour_ms);
  if (duration_ms >= kMinute_ms) text += fmt::format("{}m", duration_ms % kHour_ms / kMinute_ms);
  std::string fraction = fmt::format(".{:03}", duration_ms % kSecond_ms);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (fraction == ".") fraction.clear();
  return text + fmt::format("{}{}s", duration_ms % kMinute_ms / kSecond_ms, fraction);
}

// -------------------------------------------------------------------------------------- state

struct Limiter::State {
  using Key = std::tuple<std::string, std::string, LimitKind>;  // subject_id, model

  mutable std::mutex mutex;
  std::map<Key, std::shared_ptr<Bucket>> buckets;
  // The buckets above a request, by key and model.
  std::unordered_map<std::string, Buckets> above;

  const Buckets& buckets_above(const std::string& organisation_id, const std::string& project_id,
                               const std::string& key_id, std::string_view model) {
    std::string name = fmt::format("{}\n{}\n{}\n{}", organisation_id, project_id, key_id, model);
    if (const auto found = above.find(name); found != above.end()) return found->second;
    Buckets result;
    for (const std::string& id : {organisation_id, project_id, key_id}) {
      append(result, id, std::string(model));
      if (model != kAllModels) append(result, id, std::string(kAllModels));
    }
    if (above.size() >= kLargestCache) above.clear();
    return above.emplace(std::move(name), std::move(result)).first->second;
  }

  const Buckets& buckets_above(const Caller& caller, std::string_view model) {
    return buckets_above(caller.organisation_id, caller.project_id, caller.key_id, model);
  }

 private:
  void append(Buckets& result, const std::string& subject_id, const std::string& model) const {
    for (const LimitKind kind : kLimitKinds) {
      if (const auto found = buckets.find({subject_id, model, kind}); found != buckets.end()) {
        result.push_back(found->second);
      }
    }
  }
};

struct Admission::Held {
  std::shared_ptr<Limiter::State> state;
  std::vector<Share> shares;
};

Admission::Admission() = default;
Admission::Admission(std::unique_ptr<Held> held) : held_(std::move(held)) {}
Admission::Admission(Admission&&) noexcept = default;

Admission& Admission::operator=(Admission&& other) noexcept {
  settle(0, 0);
  held_ = std::move(other.held_);
  return *this;
}

Admission::~Admission() {
  settle(0, 0);  // a time in the past: the buckets stay at theirs
}

void Admission::settle(int64_t tokens, int64_t now_ms) {
  if (!held_) return;
  const std::unique_ptr<Held> held = std::move(held_);
  const std::lock_guard lock(held->state->mutex);
  for (const Share& share : held->shares) {
    share.bucket->drain(now_ms);
    if (counts_tokens(share.bucket->kind)) share.correct(tokens);
    if (share.bucket->kind == LimitKind::Concurrent) share.bucket->lower(1);
  }
}

// ------------------------------------------------------------------------------------ limiter

Limiter::Limiter() : state_(std::make_shared<State>()) {}
Limiter::~Limiter() = default;

void Limiter::configure(const std::vector<Limit>& limits, int64_t now_ms) {
  const std::lock_guard lock(state_->mutex);
  std::map<State::Key, std::shared_ptr<Bucket>> buckets;
  for (const Limit& limit : limits) {
    for (const LimitKind kind : kLimitKinds) {
      const std::optional<int64_t>& value = limit.values.of(kind);
      if (!value) continue;
      LOCKSTEP_CHECK(*value >= 0 && *value <= kLargestLimit);
      const State::Key key{limit.subject_id, limit.model, kind};
      const auto before = state_->buckets.find(key);
      const auto bucket =
          before != state_->buckets.end()
              ? before->second
              : std::make_shared<Bucket>(Bucket{kind, limit.subject, limit.subject_id, limit.model});
      bucket->change_limit(*value, now_ms);
      buckets.emplace(key, bucket);
    }
  }
  state_->buckets = std::move(buckets);
  state_->above.clear();
}

void Limiter::restore(const std::vector<PastUse>& uses) {
  const std::lock_guard lock(state_->mutex);
  for (const PastUse& use : uses) {
    for (const auto& bucket :
         state_->buckets_above(use.organisation_id, use.project_id, use.key_id, use.model)) {
      if (bucket->kind == LimitKind::Concurrent) continue;
      bucket->drain(use.time_ms);
      bucket->add(bucket->amount(use.requests, use.tokens));
      bucket->clamp_to_limit();
    }
  }
}

std::variant<Admission, RateRefusal> Limiter::reserve(const Caller& caller, std::string_view model,
                                                      const TokensWanted& tokens, int64_t now_ms) {
  LOCKSTEP_CHECK(tokens.asked >= 0 && tokens.guessed >= 0);
  const std::lock_guard lock(state_->mutex);
  const Buckets& buckets = state_->buckets_above(caller, model);
  std::optional<RateRefusal> refusal;
  for (const std::shared_ptr<Bucket>& bucket : buckets) {
    bucket->drain(now_ms);
    const int64_t amount = bucket->amount(1, tokens);
    if (bucket->admits(amount)) continue;
    const std::optional<int64_t> wait_ms = bucket->wait_ms(amount);
    const bool frees_later =
        !refusal || (refusal->retry_after_ms && (!wait_ms || *wait_ms > *refusal->retry_after_ms));
    if (!frees_later) continue;
    refusal = RateRefusal{bucket->kind,  bucket->subject, bucket->subject_id,
                          bucket->model, bucket->limit,   bucket->used(),
                          amount,        wait_ms};
  }
  if (refusal) return *std::move(refusal);
  auto held = std::make_unique<Admission::Held>(Admission::Held{state_, {}});
  for (const std::shared_ptr<Bucket>& bucket : buckets) {
    held->shares.emplace_back(bucket, bucket->amount(1, tokens));
  }
  return Admission(std::move(held));
}

RateHeaders Limiter::headers(const Caller& caller, std::string_view model, int64_t now_ms) const {
  const std::lock_guard lock(state_->mutex);
  RateHeaders headers;
  for (const std::shared_ptr<Bucket>& bucket : state_->buckets_above(caller, model)) {
    std::optional<RateState>* header = nullptr;
    if (bucket->kind == LimitKind::RequestsPerDay) header = &headers.requests_per_day;
    if (bucket->kind == LimitKind::TokensPerMinute) header = &headers.tokens_per_minute;
    if (header == nullptr) continue;
    bucket->drain(now_ms);
    const RateState state{bucket->limit, std::max<int64_t>(bucket->limit - bucket->used(), 0),
                          bucket->reset_ms()};
    if (!*header || state.remaining < (*header)->remaining) *header = state;
  }
  return headers;
}

}  // namespace lockstep::accounts
