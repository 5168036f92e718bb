// How long requests took lately, as histograms: for a live view.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "server/answers.h"

namespace lockstep::server {

enum class Latency : uint8_t { FirstToken, Token, Whole };
inline constexpr size_t kLatencies = 3;
// "first_token", "token", "whole".
std::string_view latency_name(Latency latency);

// Bucket i holds times below bucket_end_s(i) and from that of the bucket before; the last holds all longer
// ones. Four buckets for a factor of eight, from 1 ms to 93 s.
inline constexpr size_t kLatencyBuckets = 24;
double bucket_end_s(size_t bucket);

using LatencyCounts = std::array<std::array<uint32_t, kLatencyBuckets>, kLatencies>;

// THREAD: any.
class Latencies {
 public:
  static constexpr int64_t kWindow_s = 60;

  // A request that was answered: the time to its first token, the mean of each further one of every answer,
  // all of it.
  void note(const Outcome& outcome) { note(outcome, seconds_now()); }
  // Of the last kWindow_s seconds, by bucket.
  LatencyCounts counts() const { return counts(seconds_now()); }

  // The same at a time of its own, in seconds, for tests.
  void note(const Outcome& outcome, int64_t now_s);
  LatencyCounts counts(int64_t now_s) const;

 private:
  struct Second {
    int64_t time_s = 0;
    LatencyCounts counts{};
  };
  static int64_t seconds_now();

  mutable std::mutex mutex_;
  std::array<Second, kWindow_s> seconds_{};  // a ring, by time_s
};

}  // namespace lockstep::server
