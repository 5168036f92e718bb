// Limits on the rate of requests and tokens, and who has used how much of them.
//
// A limit belongs to an organisation, a project or a key, and to one model or to "*", which counts all models
// together. A request must fit into every limit that is above it: its key's, its project's and its
// organisation's, those of its model and those of "*". So a project never gets more than its organisation.
//
// Each is a leaky bucket: what is used drains evenly, a whole limit in one window, so that
// reset = used x window / limit. An empty bucket takes a whole window's worth at once.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "accounts/caller.h"

namespace lockstep::accounts {

enum class Subject : uint8_t { Organisation, Project, Key };
inline constexpr std::array kSubjects = {Subject::Organisation, Subject::Project, Subject::Key};
// "organization", "project", "key": for clients and the database.
std::string_view subject_name(Subject subject);

// Every model together.
inline constexpr std::string_view kAllModels = "*";

enum class LimitKind : uint8_t {
  RequestsPerMinute,
  RequestsPerDay,
  TokensPerMinute,
  TokensPerDay,
  Concurrent
};
inline constexpr std::array kLimitKinds = {LimitKind::RequestsPerMinute, LimitKind::RequestsPerDay,
                                           LimitKind::TokensPerMinute, LimitKind::TokensPerDay,
                                           LimitKind::Concurrent};
// For messages: "requests per minute (RPM)".
std::string_view limit_kind_name(LimitKind kind);
// Whether it counts tokens; the others count requests.
bool counts_tokens(LimitKind kind);

// The largest limit that can be set: its bucket's arithmetic, limit x milliseconds of a day, is exact in 64
// bits.
inline constexpr int64_t kLargestLimit = 10'000'000'000;

// What is not set is unlimited.
struct LimitValues {
  std::optional<int64_t> requests_per_minute, requests_per_day, tokens_per_minute, tokens_per_day, concurrent;

  const std::optional<int64_t>& of(LimitKind kind) const;
  std::optional<int64_t>& of(LimitKind kind);
  bool empty() const;
  bool operator==(const LimitValues&) const = default;
};

struct Limit {
  Subject subject;
  std::string subject_id;
  std::string model;  // or "*"
  LimitValues values;
  bool operator==(const Limit&) const = default;
};

// Why a request is not admitted. Where several limits refuse it, this is the one that frees last: whoever
// waits for retry_after_ms is admitted, unless somebody else came between.
struct RateRefusal {
  LimitKind kind;
  Subject subject;
  std::string subject_id;
  std::string model;  // or "*"
  int64_t limit, used, requested;
  // Empty: the request is larger than the limit itself and is never admitted (HTTP 413 instead of 429, and
  // 403 where the limit is 0). For Concurrent a guess, one second.
  std::optional<int64_t> retry_after_ms;
};

// The state of one limit, for the x-ratelimit headers.
struct RateState {
  int64_t limit, remaining, reset_ms;
};
// Of all limits above a request those with the least remaining; empty where nothing limits.
struct RateHeaders {
  std::optional<RateState> requests_per_day;
  std::optional<RateState> tokens_per_minute;
};

// A duration as Go writes it: "2m59.56s", "7.66s", "6s", "120ms", "0s".
std::string go_duration(int64_t duration_ms);

// What a request may use. The limits must hold what it asks for; of what is guessed beyond that, where it
// says no length for its answer, as much is reserved as a limit can ever hold.
struct TokensWanted {
  TokensWanted(int64_t asked_for, int64_t guessed_too = 0) : asked(asked_for), guessed(guessed_too) {}

  int64_t asked, guessed;
};

// A request that counts. Let go without settle, for a request that failed before it had an answer, it counts
// as a request without tokens. THREAD: one at a time.
class Admission {
 public:
  Admission();
  ~Admission();
  Admission(Admission&&) noexcept;
  Admission& operator=(Admission&&) noexcept;

  // Ends the request: its place among the concurrent ones is free, and `tokens` (without cached ones) count
  // instead of what was estimated. Of an estimate that was too high only what has not drained since is given
  // back, so that no other request's use is. Later calls do nothing.
  void settle(int64_t tokens, int64_t now_ms);

 private:
  friend class Limiter;
  struct Held;
  explicit Admission(std::unique_ptr<Held> held);

  std::unique_ptr<Held> held_;
};

// A use of the past, from the log.
struct PastUse {
  std::string organisation_id, project_id, key_id, model;
  int64_t requests, tokens, time_ms;
};

// All buckets of one server, in memory. Times come from the caller; one that is before an earlier one counts
// as that. THREAD: any.
class Limiter {
 public:
  Limiter();
  ~Limiter();

  // The limits from now on. What is used of a limit that stays, with the same or another value, stays used,
  // but no more of it than a whole limit: a request that fits waits for one window at the most.
  void configure(const std::vector<Limit>& limits, int64_t now_ms);
  // Fills the buckets with what was used before the server started, the oldest first. Never more than a whole
  // limit, also where other servers or earlier limits let more through.
  void restore(const std::vector<PastUse>& uses);

  // Counts against all limits or none.
  std::variant<Admission, RateRefusal> reserve(const Caller& caller, std::string_view model,
                                               const TokensWanted& tokens, int64_t now_ms);
  RateHeaders headers(const Caller& caller, std::string_view model, int64_t now_ms) const;

 private:
  friend class Admission;
  struct State;

  std::shared_ptr<State> state_;
};

}  // namespace lockstep::accounts
