// What is told of many measurements of one thing.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lockstep::cli {

// The smallest value that at least `share` of all values do not exceed (nearest rank). REQUIRES: not empty;
// share in (0, 1].
double percentile(std::vector<double> values, double share);
// The mean of the two middle values where the count is even. REQUIRES: not empty.
double median(std::vector<double> values);

// Counts of positive values in buckets that grow by a constant factor, 2^(1/buckets_per_octave).
class LogHistogram {
 public:
  explicit LogHistogram(uint32_t buckets_per_octave) : buckets_per_octave_(buckets_per_octave) {}

  void add(double value);
  void add(const LogHistogram& other);
  uint64_t count() const { return count_; }

  // Rows "from  to  count  bar" of the buckets that hold something, a line with dots where some between hold
  // nothing. Values are in seconds and shown in microseconds.
  std::string text() const;
  // [{"from_s", "to_s", "count"}, ...] of the buckets that hold something.
  nlohmann::ordered_json json() const;

 private:
  double lower_bound(int32_t bucket) const;

  uint32_t buckets_per_octave_;
  uint64_t count_ = 0;
  std::map<int32_t, uint64_t> buckets_;  // by number: bucket 0 begins at 1
};

}  // namespace lockstep::cli
