#include "cli/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lockstep::cli {

double percentile(std::vector<double> values, double share) {
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  const size_t index = std::min(values.size(), static_cast<size_t>(std::max(1.0, rank))) - 1;
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(index), values.end());
  return values[index];
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

void LogHistogram::add(double value) {
  // A value on a bound belongs to the bucket that begins there, whatever the logarithm's last bit says.
  auto bucket = static_cast<int32_t>(std::floor(std::log2(value) * buckets_per_octave_));
  if (lower_bound(bucket + 1) <= value) ++bucket;
  if (lower_bound(bucket) > value) --bucket;
  ++buckets_[bucket];
  ++count_;
}

void LogHistogram::add(const LogHistogram& other) {
  for (auto [bucket, count] : other.buckets_) buckets_[bucket] += count;
  count_ += other.count_;
}

double LogHistogram::lower_bound(int32_t bucket) const {
  return std::exp2(static_cast<double>(bucket) / buckets_per_octave_);
}

std::string LogHistogram::text() const {
  constexpr uint64_t kBarMax = 50;
  uint64_t most = 1;
  for (auto [bucket, count] : buckets_) most = std::max(most, count);
  std::string out;
  const int32_t* last = nullptr;
  for (const auto& [bucket, count] : buckets_) {
    if (last != nullptr && bucket != *last + 1) out += "        ...\n";
    last = &bucket;
    const uint64_t bar = (count * kBarMax + most - 1) / most;
    out += fmt::format("{:>11.1f} to {:>10.1f} us {:>8}  {:#<{}}\n", lower_bound(bucket) * 1e6,
                       lower_bound(bucket + 1) * 1e6, count, "", bar);
  }
  return out;
}

nlohmann::ordered_json LogHistogram::json() const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (auto [bucket, count] : buckets_) {
    list.push_back({{"from_s", lower_bound(bucket)}, {"to_s", lower_bound(bucket + 1)}, {"count", count}});
  }
  return list;
}

}  // namespace lockstep::cli
