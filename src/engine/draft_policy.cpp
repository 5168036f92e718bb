#include "engine/draft_policy.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace lockstep::engine {

namespace {

// Until rows are measured, each one more than the first is taken to cost this share of the first.
constexpr double kPriorSlope = 0.15;
double prior_shape(double rows) {
  return 1 + kPriorSlope * (rows - 1);
}

constexpr double kLevelRate = 0.05;       // of a step's deviation, at least
constexpr double kShapeRate = 0.05;       // the same
constexpr double kWeightMax = 20;         // of a row count's observations
constexpr double kWeightKept = 0.998;     // a step, by row counts that it did not have
constexpr double kWeightForgot = 0.2;     // below it a row count is as if never measured, and is tried again
constexpr double kDeviationMin = -0.9;    // of a step from what was expected: one hiccup counts as at most
constexpr double kDeviationMax = 1.0;     // twice the time
constexpr double kPriorTrials = 1.5;      // what is expected of an unknown text counts as so many trials
constexpr double kTrialsMax = 8;          // a bucket's mean is over so many
constexpr double kForgottenStep = 0.003;  // of what was learned, a step

// A row is never taken to cost less than this share of a step of one row, however flat the curve seems: the
// lengths that noise makes look cheapest would be chosen.
constexpr double kRowShareMin = 0.03;

}  // namespace

StepCost::StepCost(uint32_t rows_max) : points_(rows_max), curve_(rows_max) {
  LOCKSTEP_CHECK(rows_max > 0);
  rows_.reserve(rows_max);
  pools_.reserve(rows_max);
}

void StepCost::observe(uint32_t rows, double seconds) {
  LOCKSTEP_CHECK(rows > 0 && rows <= points_.size() && seconds > 0);
  Point& point = points_[rows - 1];
  if (level_s_ == 0) {
    level_s_ = seconds / prior_shape(rows);
    observations_ = 1;
    point = {prior_shape(rows), 1};
    rebuild();
    return;
  }
  const double deviation =
      std::clamp(seconds / (level_s_ * curve_[rows - 1]) - 1, kDeviationMin, kDeviationMax);
  for (Point& other : points_) {
    if (&other == &point || other.weight == 0) continue;
    other.weight *= kWeightKept;
    if (other.weight < kWeightForgot) other.weight = 0;
  }
  if (point.weight == 0) {
    // The level is what the measured points agree on; a new one tells of the shape alone, and what was
    // believed of it before counts as half an observation.
    observations_ += 1;
    point = {curve_[rows - 1] * (1 + deviation / 1.5), 1};
  } else {
    observations_ += 1;
    level_s_ *= 1 + deviation * std::max(kLevelRate, 1 / observations_);
    point.shape *= 1 + deviation * std::max(kShapeRate, 1 / (point.weight + 1));
    point.weight = std::min(point.weight + 1, kWeightMax);
  }
  rebuild();
}

// Pools neighbours that fall into their weighted mean until none falls (isotonic regression), then draws
// lines.
void StepCost::rebuild() {
  rows_.clear();
  pools_.clear();
  for (uint32_t i = 0; i < points_.size(); ++i) {
    if (points_[i].weight == 0) continue;
    rows_.push_back(i);
    pools_.push_back({points_[i].shape, points_[i].weight, 1});
    while (pools_.size() > 1 && pools_.back().shape < pools_[pools_.size() - 2].shape) {
      const Pool last = pools_.back();
      pools_.pop_back();
      Pool& pool = pools_.back();
      pool.shape = (pool.shape * pool.weight + last.shape * last.weight) / (pool.weight + last.weight);
      pool.weight += last.weight;
      pool.points += last.points;
    }
  }
  size_t point = 0;
  for (const Pool& pool : pools_) {
    for (uint32_t i = 0; i < pool.points; ++i) curve_[rows_[point++]] = pool.shape;
  }
  const uint32_t first = rows_.front(), last = rows_.back();
  for (uint32_t i = 0; i < first; ++i)
    curve_[i] = curve_[first] * prior_shape(i + 1) / prior_shape(first + 1);
  for (size_t p = 1; p < rows_.size(); ++p) {
    const uint32_t from = rows_[p - 1], to = rows_[p];
    const double slope = (curve_[to] - curve_[from]) / (to - from);
    for (uint32_t i = from + 1; i < to; ++i) curve_[i] = curve_[from] + slope * (i - from);
  }
  // Beyond what is measured rows cost as they did on average, and not too little.
  double slope = kPriorSlope * curve_[0];
  if (last > first) slope = std::max(slope / 3, (curve_[last] - curve_[first]) / (last - first));
  for (uint32_t i = last + 1; i < curve_.size(); ++i) curve_[i] = curve_[last] + slope * (i - last);
}

double StepCost::seconds(uint32_t rows) const {
  LOCKSTEP_CHECK(level_s_ > 0 && rows > 0);
  const size_t size = curve_.size();
  if (rows <= size) return level_s_ * curve_[rows - 1];
  const double slope = size > 1 ? curve_[size - 1] - curve_[size - 2] : kPriorSlope * curve_[0];
  return level_s_ * (curve_[size - 1] + slope * static_cast<double>(rows - size));
}

const Acceptance::Prior Acceptance::kCopy = {0.2f, 0.3f, 0.45f, 0.55f, 0.65f, 0.7f,
                                             0.8f, 0.8f, 0.9f,  0.9f,  0.95f, 0.95f};
const Acceptance::Prior Acceptance::kModel = {0.7f, 0.7f, 0.7f, 0.7f, 0.7f, 0.7f,
                                              0.7f, 0.7f, 0.7f, 0.7f, 0.7f, 0.7f};

uint32_t Acceptance::bucket(uint32_t match_length) {
  if (match_length <= 4) return std::max(match_length, 1u) - 1;
  const uint32_t octave = static_cast<uint32_t>(std::bit_width(match_length - 1)) - 1;
  const uint32_t half = ((match_length - 1) >> (octave - 1)) & 1;
  return std::min(2 * octave + half, kBuckets - 1);
}

Acceptance::Acceptance(const Prior& prior) : prior_(prior) {
  for (uint32_t b = 0; b < kBuckets; ++b) means_[b] = {prior_[b], kPriorTrials};
}

void Acceptance::observe(uint32_t match_length, uint32_t drafted, uint32_t accepted) {
  LOCKSTEP_CHECK(accepted <= drafted);
  for (uint32_t b = 0; b < kBuckets; ++b) {
    means_[b].value += kForgottenStep * (prior_[b] - means_[b].value);
    means_[b].weight += kForgottenStep * (kPriorTrials - means_[b].weight);
  }
  for (uint32_t i = 0; i < std::min(accepted + 1, drafted); ++i) {
    Mean& mean = means_[bucket(match_length + i)];
    mean.weight = std::min(mean.weight + 1, kTrialsMax);
    mean.value += ((i < accepted ? 1 : 0) - mean.value) / mean.weight;
  }
}

// What `count` draft tokens cost if none is accepted, in plain tokens of the step that was chosen for.
double DraftPolicy::price(uint32_t count) const {
  if (count == 0) return 0;
  const double plain_s = cost_.seconds(load_.rows);
  const double rows_s =
      std::max(cost_.seconds(load_.rows + count) - plain_s, kRowShareMin * count * cost_.seconds(1));
  const double more_s = rows_s + count * draft_token_s_;
  return more_s * load_.tokens / plain_s;
}

DraftChoice DraftPolicy::choose(uint32_t match_length, uint32_t count_max, const StepLoad& load,
                                double draft_token_s) {
  LOCKSTEP_CHECK(load.rows > 0 && load.tokens > 0);
  load_ = load;
  match_length_ = match_length;
  draft_token_s_ = draft_token_s;
  DraftChoice best;
  if (match_length == 0 || !cost_.known()) return best;
  double reached = 1, accepted = 0;  // chance that all so far are accepted; expected number of accepted ones
  double best_rate = 1;              // tokens a second, by that of the step without the draft
  for (uint32_t count = 1; count <= count_max; ++count) {
    reached *= acceptance_.probability(match_length + count - 1);
    accepted += reached;
    const double price = this->price(count);
    if (price > credit_) break;
    const double rate = (1 + accepted / load.tokens) / (1 + price / load.tokens);
    if (rate > best_rate && accepted - price >= kGainMin) {
      best_rate = rate;
      best = {count, accepted};
    }
  }
  return best;
}

void DraftPolicy::observe(uint32_t drafted, uint32_t accepted) {
  acceptance_.observe(match_length_, drafted, accepted);
  if (!cost_.known()) return;
  credit_ = std::min(kCreditMax, credit_ + kCreditEarned * (1 + accepted) + accepted - price(drafted));
}

}  // namespace lockstep::engine
