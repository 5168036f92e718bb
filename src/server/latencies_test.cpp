#include "server/latencies.h"

#include <gtest/gtest.h>

#include <numeric>

namespace lockstep::server {
namespace {

Outcome answered(double first_token_s, double completion_s, uint32_t tokens) {
  Outcome outcome;
  outcome.first_token_s = first_token_s;
  outcome.usage.completion_s = completion_s;
  outcome.usage.completion_tokens = tokens;
  if (tokens > 1) outcome.token_s.assign(tokens - 1, completion_s / (tokens - 1));
  return outcome;
}

uint32_t total(const LatencyCounts& counts, Latency latency) {
  const auto& buckets = counts.at(static_cast<size_t>(latency));
  return std::accumulate(buckets.begin(), buckets.end(), 0u);
}

TEST(Latencies, AreCountedInTheirBucketsAndForgottenAfterTheWindow) {
  Latencies latencies;
  latencies.note(answered(0.05, 1, 11), 100);
  latencies.note(answered(1e9, 1, 1), 101);
  const LatencyCounts counts = latencies.counts(110);
  EXPECT_EQ(total(counts, Latency::FirstToken), 2);
  EXPECT_EQ(total(counts, Latency::Token), 1) << "one token has none after it";
  EXPECT_EQ(total(counts, Latency::Whole), 2);
  EXPECT_EQ(counts.at(0).back(), 1) << "what is longer than all buckets is in the last";
  for (size_t bucket = 0; bucket + 1 < kLatencyBuckets; ++bucket) {
    const bool inside = bucket_end_s(bucket) > 0.05 && (bucket == 0 || bucket_end_s(bucket - 1) <= 0.05);
    EXPECT_EQ(counts.at(0).at(bucket), inside ? 1 : 0) << bucket;
  }
  EXPECT_EQ(total(latencies.counts(100 + Latencies::kWindow_s), Latency::Whole), 1);
  EXPECT_EQ(total(latencies.counts(101 + Latencies::kWindow_s), Latency::Whole), 0);
}

// Answers beside each other take the time of one.
TEST(Latencies, TokensOfSeveralAnswersAreNotFaster) {
  Latencies latencies;
  Outcome outcome = answered(0.05, 1, 11);
  outcome.token_s.assign(30, 0.1);
  outcome.usage.completion_tokens = 33;
  latencies.note(outcome, 100);
  const auto counts = latencies.counts(100).at(static_cast<size_t>(Latency::Token));
  for (size_t bucket = 1; bucket < kLatencyBuckets; ++bucket) {
    EXPECT_EQ(counts.at(bucket), bucket_end_s(bucket - 1) <= 0.1 && 0.1 < bucket_end_s(bucket) ? 1 : 0)
        << bucket;
  }
}

TEST(Latencies, ASecondOfTheRingIsUsedAgain) {
  Latencies latencies;
  latencies.note(answered(0.05, 1, 2), 100);
  latencies.note(answered(0.05, 1, 2), 100 + Latencies::kWindow_s);
  EXPECT_EQ(total(latencies.counts(100 + Latencies::kWindow_s), Latency::Whole), 1);
}

TEST(Latencies, RefusedRequestsDoNotCount) {
  Latencies latencies;
  Outcome outcome = answered(0.1, 1, 2);
  outcome.status = 499;
  latencies.note(outcome, 5);
  EXPECT_EQ(total(latencies.counts(5), Latency::Whole), 0);
}

}  // namespace
}  // namespace lockstep::server
