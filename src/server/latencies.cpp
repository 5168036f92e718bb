#include "server/latencies.h"

#include <chrono>
#include <cmath>
#include <numeric>
#include <vector>

namespace lockstep::server {

namespace {

constexpr double kFirstEnd_s = 0.001;
constexpr double kBucketsAnOctave = 4.0 / 3;

size_t bucket_of(double seconds) {
  size_t bucket = 0;
  while (bucket + 1 < kLatencyBuckets && seconds >= bucket_end_s(bucket)) ++bucket;
  return bucket;
}

}  // namespace

std::string_view latency_name(Latency latency) {
  constexpr std::array<std::string_view, kLatencies> kNames = {"first_token", "token", "whole"};
  return kNames.at(static_cast<size_t>(latency));
}

double bucket_end_s(size_t bucket) {
  return kFirstEnd_s * std::exp2(static_cast<double>(bucket) / kBucketsAnOctave);
}

int64_t Latencies::seconds_now() {
  using namespace std::chrono;
  return duration_cast<seconds>(steady_clock::now().time_since_epoch()).count();
}

void Latencies::note(const Outcome& outcome, int64_t now_s) {
  if (outcome.status != 200) return;
  const std::lock_guard lock(mutex_);
  Second& second = seconds_.at(static_cast<size_t>(now_s % kWindow_s));
  if (second.time_s != now_s) second = {now_s, {}};
  const auto add = [&](Latency latency, double seconds) {
    second.counts.at(static_cast<size_t>(latency)).at(bucket_of(seconds)) += 1;
  };
  const Usage& usage = outcome.usage;
  if (outcome.first_token_s) add(Latency::FirstToken, *outcome.first_token_s);
  const std::vector<double>& times = outcome.token_s;
  if (!times.empty()) {
    add(Latency::Token, std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size()));
  }
  add(Latency::Whole, usage.queue_s + usage.prompt_s + usage.completion_s);
}

LatencyCounts Latencies::counts(int64_t now_s) const {
  LatencyCounts sum{};
  const std::lock_guard lock(mutex_);
  for (const Second& second : seconds_) {
    if (second.time_s <= now_s - kWindow_s) continue;
    for (size_t i = 0; i < sum.size(); ++i) {
      for (size_t k = 0; k < kLatencyBuckets; ++k) sum.at(i).at(k) += second.counts.at(i).at(k);
    }
  }
  return sum;
}

}  // namespace lockstep::server
