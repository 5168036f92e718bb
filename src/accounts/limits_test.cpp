#include "accounts/limits.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "accounts/calendar.h"

namespace lockstep::accounts {
namespace {

constexpr int64_t kStart_ms = 1'795'000'000'000;  // some time in 2026

Caller caller_of(const std::string& project = "proj_a", const std::string& key = "key_a") {
  Caller caller;
  caller.organisation_id = "org_a";
  caller.project_id = project;
  caller.key_id = key;
  return caller;
}

LimitValues values(LimitKind kind, int64_t limit) {
  LimitValues values;
  values.of(kind) = limit;
  return values;
}

Limit organisation_limit(LimitKind kind, int64_t limit, const std::string& model = "m") {
  return {Subject::Organisation, "org_a", model, values(kind, limit)};
}

bool admitted(Limiter& limiter, int64_t tokens, int64_t now_ms, const Caller& caller = caller_of(),
              const std::string& model = "m") {
  auto result = limiter.reserve(caller, model, tokens, now_ms);
  Admission* admission = std::get_if<Admission>(&result);
  if (admission != nullptr) admission->settle(tokens, now_ms);
  return admission != nullptr;
}

RateRefusal refusal(Limiter& limiter, int64_t tokens, int64_t now_ms, const Caller& caller = caller_of(),
                    const std::string& model = "m") {
  auto result = limiter.reserve(caller, model, tokens, now_ms);
  if (const RateRefusal* refused = std::get_if<RateRefusal>(&result)) return *refused;
  ADD_FAILURE() << "admitted";
  return {};
}

TEST(Limiter, NothingIsLimitedWithoutLimits) {
  Limiter limiter;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(admitted(limiter, 1'000'000, kStart_ms));
  const RateHeaders headers = limiter.headers(caller_of(), "m", kStart_ms);
  EXPECT_FALSE(headers.requests_per_day);
  EXPECT_FALSE(headers.tokens_per_minute);
}

// Every kind of rate: full after its limit, and admitted again exactly when it has drained, not a millisecond
// before.
TEST(Limiter, ARequestIsAdmittedAtTheToldMillisecond) {
  for (const LimitKind kind : kLimitKinds) {
    if (kind == LimitKind::Concurrent) continue;
    for (const int64_t limit : {1, 3, 7, 30, 14400}) {
      Limiter limiter;
      limiter.configure({organisation_limit(kind, limit)}, kStart_ms);
      const int64_t amount = counts_tokens(kind) ? limit : 1;
      for (int64_t used = 0; used < limit; used += amount) ASSERT_TRUE(admitted(limiter, amount, kStart_ms));
      const RateRefusal refused = refusal(limiter, 1, kStart_ms);
      EXPECT_EQ(refused.kind, kind);
      EXPECT_EQ(refused.limit, limit);
      EXPECT_EQ(refused.used, limit);
      EXPECT_EQ(refused.requested, 1);
      const bool minute = kind == LimitKind::RequestsPerMinute || kind == LimitKind::TokensPerMinute;
      const int64_t window_ms = minute ? kMinute_ms : kDay_ms;
      const int64_t wait_ms = (window_ms + limit - 1) / limit;  // until 1 has drained
      ASSERT_EQ(refused.retry_after_ms, wait_ms);
      EXPECT_EQ(refusal(limiter, 1, kStart_ms + wait_ms - 1).retry_after_ms, 1);
      EXPECT_TRUE(admitted(limiter, 1, kStart_ms + wait_ms));
      EXPECT_EQ(refusal(limiter, 1, kStart_ms + wait_ms).kind, kind);
    }
  }
}

TEST(Limiter, AnEmptyBucketTakesAWholeWindowAgain) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 6000)}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 6000, kStart_ms));
  EXPECT_EQ(refusal(limiter, 6000, kStart_ms).retry_after_ms, kMinute_ms);
  EXPECT_EQ(refusal(limiter, 6000, kStart_ms + kMinute_ms - 1).retry_after_ms, 1);
  EXPECT_TRUE(admitted(limiter, 6000, kStart_ms + kMinute_ms));
  // Long after, not more than one window's worth has gathered.
  EXPECT_TRUE(admitted(limiter, 6000, kStart_ms + 100 * kDay_ms));
  EXPECT_FALSE(admitted(limiter, 1, kStart_ms + 100 * kDay_ms));
}

// The two captures in the reference: 6 s after one request of 14400 a day, 1.57 s after 157 tokens of 6000 a
// minute.
TEST(Limiter, HeadersAreThoseOfTheReference) {
  Limiter limiter;
  LimitValues both = values(LimitKind::RequestsPerDay, 14400);
  both.tokens_per_minute = 6000;
  limiter.configure({{Subject::Organisation, "org_a", "m", both}}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 157, kStart_ms));
  const RateHeaders headers = limiter.headers(caller_of(), "m", kStart_ms);
  ASSERT_TRUE(headers.requests_per_day && headers.tokens_per_minute);
  EXPECT_EQ(headers.requests_per_day->limit, 14400);
  EXPECT_EQ(headers.requests_per_day->remaining, 14399);
  EXPECT_EQ(go_duration(headers.requests_per_day->reset_ms), "6s");
  EXPECT_EQ(headers.tokens_per_minute->limit, 6000);
  EXPECT_EQ(headers.tokens_per_minute->remaining, 5843);
  EXPECT_EQ(go_duration(headers.tokens_per_minute->reset_ms), "1.57s");
  const RateHeaders later = limiter.headers(caller_of(), "m", kStart_ms + 1570);
  EXPECT_EQ(later.tokens_per_minute->remaining, 6000);
  EXPECT_EQ(later.tokens_per_minute->reset_ms, 0);
  EXPECT_EQ(later.requests_per_day->reset_ms, 6000 - 1570);
}

TEST(Limiter, HeadersShowTheTightestLimit) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 1000),
                     {Subject::Project, "proj_a", "m", values(LimitKind::TokensPerMinute, 800)},
                     {Subject::Key, "key_a", "*", values(LimitKind::TokensPerMinute, 900)}},
                    kStart_ms);
  EXPECT_EQ(limiter.headers(caller_of(), "m", kStart_ms).tokens_per_minute->limit, 800);
  EXPECT_EQ(limiter.headers(caller_of("proj_b"), "m", kStart_ms).tokens_per_minute->limit, 900);
  EXPECT_EQ(limiter.headers(caller_of("proj_b", "key_b"), "m", kStart_ms).tokens_per_minute->limit, 1000);
  // Another project's use leaves less of the organisation's than of the project's.
  EXPECT_TRUE(admitted(limiter, 700, kStart_ms, caller_of("proj_b", "key_b")));
  EXPECT_EQ(limiter.headers(caller_of(), "m", kStart_ms).tokens_per_minute->limit, 1000);
  EXPECT_EQ(limiter.headers(caller_of(), "m", kStart_ms).tokens_per_minute->remaining, 300);
}

// The projects page's example: organisation 100, prod 80, staging 15, dev unset.
TEST(Limiter, AProjectWithoutALimitGetsWhatTheOrganisationHasLeft) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::RequestsPerMinute, 100),
                     {Subject::Project, "proj_prod", "m", values(LimitKind::RequestsPerMinute, 80)},
                     {Subject::Project, "proj_staging", "m", values(LimitKind::RequestsPerMinute, 15)}},
                    kStart_ms);
  const auto count = [&](const std::string& project) {
    int admissions = 0;
    while (admitted(limiter, 1, kStart_ms, caller_of(project, "key_" + project))) ++admissions;
    return admissions;
  };
  EXPECT_EQ(count("proj_prod"), 80);
  EXPECT_EQ(count("proj_staging"), 15);
  EXPECT_EQ(refusal(limiter, 1, kStart_ms, caller_of("proj_staging")).subject, Subject::Project);
  EXPECT_EQ(count("proj_dev"), 5);
  EXPECT_EQ(refusal(limiter, 1, kStart_ms, caller_of("proj_dev")).subject, Subject::Organisation);
}

TEST(Limiter, ModelsAreApartAndTogether) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::RequestsPerMinute, 2, "m"),
                     organisation_limit(LimitKind::RequestsPerMinute, 3, "*")},
                    kStart_ms);
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms, caller_of(), "m"));
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms, caller_of(), "m"));
  EXPECT_EQ(refusal(limiter, 1, kStart_ms, caller_of(), "m").model, "m");
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms, caller_of(), "other"));
  EXPECT_EQ(refusal(limiter, 1, kStart_ms, caller_of(), "other").model, "*");
  Caller stranger = caller_of("proj_z", "key_z");
  stranger.organisation_id = "org_z";
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms, stranger, "m"));
}

TEST(Limiter, OfSeveralTheOneThatFreesLastIsTold) {
  Limiter limiter;
  LimitValues both = values(LimitKind::RequestsPerMinute, 1);
  both.requests_per_day = 1;
  limiter.configure({{Subject::Key, "key_a", "m", both}}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms));
  const RateRefusal refused = refusal(limiter, 1, kStart_ms);
  EXPECT_EQ(refused.kind, LimitKind::RequestsPerDay);
  EXPECT_EQ(refused.subject_id, "key_a");
  EXPECT_EQ(refused.retry_after_ms, kDay_ms);
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms + kDay_ms));
}

TEST(Limiter, ARefusedRequestCountsNowhere) {
  Limiter limiter;
  LimitValues both = values(LimitKind::RequestsPerMinute, 10);
  both.tokens_per_minute = 100;
  limiter.configure({{Subject::Organisation, "org_a", "m", both}}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 60, kStart_ms));
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(admitted(limiter, 60, kStart_ms));
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(admitted(limiter, 1, kStart_ms));
  EXPECT_EQ(refusal(limiter, 1, kStart_ms).kind, LimitKind::RequestsPerMinute);
}

TEST(Limiter, LargerThanTheLimitIsNeverAdmitted) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 8000)}, kStart_ms);
  const RateRefusal refused = refusal(limiter, 8001, kStart_ms);
  EXPECT_FALSE(refused.retry_after_ms);
  EXPECT_EQ(refused.requested, 8001);
  EXPECT_EQ(refused.used, 0);
  EXPECT_TRUE(admitted(limiter, 8000, kStart_ms));
  limiter.configure({organisation_limit(LimitKind::RequestsPerMinute, 0)}, kStart_ms);
  EXPECT_FALSE(refusal(limiter, 1, kStart_ms).retry_after_ms);
}

TEST(Limiter, WhatWasNotUsedIsGivenBack) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 1000)}, kStart_ms);
  auto first = limiter.reserve(caller_of(), "m", 1000, kStart_ms);
  EXPECT_EQ(refusal(limiter, 1, kStart_ms).used, 1000);
  // 900 of the tokens came from the cache: they do not count.
  std::get<Admission>(first).settle(100, kStart_ms);
  EXPECT_EQ(limiter.headers(caller_of(), "m", kStart_ms).tokens_per_minute->remaining, 900);
  std::get<Admission>(first).settle(0, kStart_ms);
  EXPECT_EQ(limiter.headers(caller_of(), "m", kStart_ms).tokens_per_minute->remaining, 900);
  // More than the estimate counts too, beyond the limit.
  auto second = limiter.reserve(caller_of(), "m", 900, kStart_ms);
  std::get<Admission>(second).settle(1900, kStart_ms);
  const RateRefusal refused = refusal(limiter, 0, kStart_ms);
  EXPECT_EQ(refused.used, 2000);
  EXPECT_EQ(refused.retry_after_ms, kMinute_ms);
}

// A client that asks for much, waits until that has drained, and cancels, gets nothing of what others use.
TEST(Limiter, WhatHasDrainedIsNotGivenBack) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 8000)}, kStart_ms);
  std::vector<Admission> held;
  int64_t now_ms = kStart_ms;
  for (int i = 0; i < 10; ++i, now_ms += kMinute_ms) {
    auto reserved = limiter.reserve(caller_of(), "m", 8000, now_ms);
    ASSERT_TRUE(std::holds_alternative<Admission>(reserved));
    held.push_back(std::move(std::get<Admission>(reserved)));
  }
  int64_t used = 0;
  for (Admission& admission : held) {
    while (admitted(limiter, 1000, now_ms)) used += 1000;
    admission.settle(0, now_ms);
  }
  EXPECT_LE(used, 8000);
  // Half has drained, half is given back.
  Limiter second;
  second.configure({organisation_limit(LimitKind::TokensPerMinute, 8000)}, kStart_ms);
  auto reserved = second.reserve(caller_of(), "m", 8000, kStart_ms);
  ASSERT_TRUE(admitted(second, 1000, kStart_ms + kMinute_ms / 2));
  std::get<Admission>(reserved).settle(0, kStart_ms + kMinute_ms / 2);
  EXPECT_EQ(second.headers(caller_of(), "m", kStart_ms + kMinute_ms / 2).tokens_per_minute->remaining, 7000);
  // What was there before a request drains before it.
  Limiter third;
  third.configure({organisation_limit(LimitKind::TokensPerMinute, 6000)}, kStart_ms);
  ASSERT_TRUE(admitted(third, 4000, kStart_ms));
  reserved = third.reserve(caller_of(), "m", 2000, kStart_ms);
  std::get<Admission>(reserved).settle(500, kStart_ms + 10 * kSecond_ms);
  EXPECT_EQ(third.headers(caller_of(), "m", kStart_ms + 10 * kSecond_ms).tokens_per_minute->remaining,
            6000 - (4000 + 500 - 1000));
}

TEST(Limiter, WhatIsOnlyGuessedIsNeverTooMuch) {
  Limiter limiter;
  LimitValues both = values(LimitKind::TokensPerMinute, 8000);
  both.tokens_per_day = 100'000;
  limiter.configure({{Subject::Organisation, "org_a", "m", both}}, kStart_ms);
  const auto remaining = [&] {
    return limiter.headers(caller_of(), "m", kStart_ms).tokens_per_minute->remaining;
  };
  {
    auto reserved = limiter.reserve(caller_of(), "m", {100, 131'072}, kStart_ms);
    ASSERT_TRUE(std::holds_alternative<Admission>(reserved));
    EXPECT_EQ(remaining(), 0);
    std::get<Admission>(reserved).settle(150, kStart_ms);
    EXPECT_EQ(remaining(), 7850);
  }
  const auto reserved = limiter.reserve(caller_of(), "m", {100, 500}, kStart_ms);
  EXPECT_EQ(remaining(), 7250);
  EXPECT_TRUE(refusal(limiter, 7251, kStart_ms).retry_after_ms);
  const auto too_large = limiter.reserve(caller_of(), "m", {8001, 500}, kStart_ms);
  EXPECT_FALSE(std::get<RateRefusal>(too_large).retry_after_ms);
}

TEST(Limiter, ConcurrentRequestsAreThoseThatRun) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::Concurrent, 2)}, kStart_ms);
  auto first = limiter.reserve(caller_of(), "m", 5, kStart_ms);
  {
    const auto second = limiter.reserve(caller_of(), "m", 5, kStart_ms);
    const RateRefusal refused = refusal(limiter, 5, kStart_ms + kDay_ms);
    EXPECT_EQ(refused.kind, LimitKind::Concurrent);
    EXPECT_EQ(refused.used, 2);
    EXPECT_EQ(refused.requested, 1);
    EXPECT_EQ(refused.retry_after_ms, kSecond_ms);
  }
  EXPECT_TRUE(admitted(limiter, 5, kStart_ms));
  std::get<Admission>(first) = Admission();
  auto third = limiter.reserve(caller_of(), "m", 5, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 5, kStart_ms));
}

TEST(Limiter, AnAdmissionOutlivesItsLimiter) {
  auto limiter = std::make_unique<Limiter>();
  limiter->configure({organisation_limit(LimitKind::Concurrent, 2)}, kStart_ms);
  auto admission = limiter->reserve(caller_of(), "m", 5, kStart_ms);
  limiter.reset();
  std::get<Admission>(admission).settle(5, kStart_ms);
}

TEST(Limiter, ChangedLimitsKeepWhatIsUsed) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::TokensPerDay, 1000)}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 800, kStart_ms));
  limiter.configure({organisation_limit(LimitKind::TokensPerDay, 2000)}, kStart_ms);
  EXPECT_EQ(refusal(limiter, 1300, kStart_ms).used, 800);
  EXPECT_TRUE(admitted(limiter, 1200, kStart_ms));
  limiter.configure({}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 1'000'000, kStart_ms));
}

// A limit "per minute" that was lowered is free again after a minute, and what passed meanwhile drained as
// the limit was then.
TEST(Limiter, ALoweredLimitIsFullForOneWindow) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 1'000'000)}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 1'000'000, kStart_ms));
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 1000)}, kStart_ms);
  EXPECT_EQ(refusal(limiter, 1000, kStart_ms).retry_after_ms, kMinute_ms);
  EXPECT_TRUE(admitted(limiter, 1000, kStart_ms + kMinute_ms));
  const int64_t later_ms = kStart_ms + 2 * kMinute_ms;
  EXPECT_TRUE(admitted(limiter, 1000, later_ms));
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 6000)}, later_ms + kMinute_ms / 2);
  EXPECT_EQ(limiter.headers(caller_of(), "m", later_ms + kMinute_ms / 2).tokens_per_minute->remaining, 5500);
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 0)}, later_ms + kMinute_ms / 2);
  EXPECT_FALSE(admitted(limiter, 1, later_ms + kMinute_ms));
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 10)}, later_ms + kMinute_ms);
  EXPECT_TRUE(admitted(limiter, 10, later_ms + kMinute_ms));
}

TEST(Limiter, TheClockMayGoBack) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::RequestsPerMinute, 1)}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms));
  EXPECT_EQ(refusal(limiter, 1, kStart_ms - kDay_ms).retry_after_ms, kMinute_ms);
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms + kMinute_ms));
}

TEST(Limiter, TheLargestLimitsAreExact) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::TokensPerDay, kLargestLimit)}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, kLargestLimit, kStart_ms));
  EXPECT_EQ(refusal(limiter, kLargestLimit, kStart_ms).retry_after_ms, kDay_ms);
  EXPECT_EQ(refusal(limiter, kLargestLimit, kStart_ms + kDay_ms - 1).retry_after_ms, 1);
  EXPECT_TRUE(admitted(limiter, kLargestLimit, kStart_ms + kDay_ms));
}

TEST(Limiter, ThePastFillsTheBuckets) {
  Limiter limiter;
  LimitValues both = values(LimitKind::RequestsPerDay, 100);
  both.tokens_per_minute = 600;
  both.concurrent = 1;
  limiter.configure({{Subject::Project, "proj_a", "*", both}}, kStart_ms);
  limiter.restore({{"org_a", "proj_a", "key_a", "m", 50, 500, kStart_ms - kDay_ms / 4},
                   {"org_a", "proj_a", "key_b", "n", 10, 500, kStart_ms - 10 * kSecond_ms},
                   {"org_a", "proj_b", "key_c", "m", 70, 600, kStart_ms}});
  const RateHeaders headers = limiter.headers(caller_of(), "m", kStart_ms);
  // A quarter of a day drains 25 of 100.
  EXPECT_EQ(headers.requests_per_day->remaining, 100 - (50 - 25) - 10);
  EXPECT_EQ(headers.tokens_per_minute->remaining, 600 - (500 - 100));
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms));
}

// Other servers' use and that of before a limit was lowered count, but for one window at the most.
TEST(Limiter, ThePastFillsNoBucketTwice) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::TokensPerMinute, 1000),
                     {Subject::Key, "key_a", "*", values(LimitKind::RequestsPerMinute, 60)},
                     {Subject::Key, "key_z", "*", values(LimitKind::RequestsPerMinute, 0)}},
                    kStart_ms);
  std::vector<PastUse> uses;
  for (int64_t minute = 600; minute >= 0; --minute) {
    for (const char* key : {"key_a", "key_z"}) {
      uses.push_back({"org_a", "proj_a", key, "m", 1000, 2000, kStart_ms - minute * kMinute_ms});
    }
  }
  limiter.restore(uses);
  EXPECT_EQ(refusal(limiter, 1000, kStart_ms).retry_after_ms, kMinute_ms);
  EXPECT_TRUE(admitted(limiter, 1000, kStart_ms + kMinute_ms));
  limiter.configure({{Subject::Key, "key_z", "*", values(LimitKind::RequestsPerMinute, 1)}}, kStart_ms);
  EXPECT_TRUE(admitted(limiter, 1, kStart_ms, caller_of("proj_a", "key_z")));
}

TEST(Limiter, ThreadsTogetherGetNoMoreThanTheLimit) {
  Limiter limiter;
  limiter.configure({organisation_limit(LimitKind::RequestsPerDay, 1000),
                     organisation_limit(LimitKind::Concurrent, 3, "*")},
                    kStart_ms);
  std::atomic<int> admissions{0};
  std::atomic<int> running{0};
  std::atomic<bool> too_many{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        auto result = limiter.reserve(caller_of(), "m", 10, kStart_ms);
        if (std::holds_alternative<RateRefusal>(result)) continue;
        if (++running > 3) too_many = true;
        ++admissions;
        --running;
        std::get<Admission>(result).settle(10, kStart_ms);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(too_many);
  EXPECT_LE(admissions, 1000);
  EXPECT_EQ(limiter.headers(caller_of(), "m", kStart_ms).requests_per_day->remaining, 1000 - admissions);
}

TEST(GoDuration, IsWrittenAsGoWritesIt) {
  for (const auto& [duration_ms, text] :
       std::vector<std::pair<int64_t, std::string>>{{0, "0s"},
                                                    {-5, "0s"},
                                                    {1, "1ms"},
                                                    {120, "120ms"},
                                                    {999, "999ms"},
                                                    {1000, "1s"},
                                                    {1570, "1.57s"},
                                                    {7660, "7.66s"},
                                                    {2005, "2.005s"},
                                                    {60'000, "1m0s"},
                                                    {179'560, "2m59.56s"},
                                                    {3'600'000, "1h0m0s"},
                                                    {86'400'000, "24h0m0s"},
                                                    {3'661'001, "1h1m1.001s"}}) {
    EXPECT_EQ(go_duration(duration_ms), text);
  }
}

}  // namespace
}  // namespace lockstep::accounts
