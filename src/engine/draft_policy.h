// How many draft tokens a step should run: as many as pay, by the measured cost of rows and the measured
// acceptance, and never more than a small share of the time can lose.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::engine {

// The time of a step by its number of rows, learned from steps. One for an engine. Level and shape are
// learned apart: the level follows every step, as a growing context or a busy machine moves all row counts
// together. Between measured row counts the curve is straight, and it never falls. THREAD: one thread at a
// time.
class StepCost {
 public:
  explicit StepCost(uint32_t rows_max);

  // A step whose rows all had their logits taken took so long. REQUIRES: 1 to rows_max rows, seconds > 0.
  void observe(uint32_t rows, double seconds);
  // Whether enough steps were observed for seconds() to be more than one step's luck.
  bool known() const { return observations_ >= kObservationsMin; }
  // The expected time, seconds. REQUIRES: a step was observed, rows > 0; beyond rows_max the last slope goes
  // on.
  double seconds(uint32_t rows) const;

 private:
  struct Point {
    double shape = 0;   // time by level
    double weight = 0;  // observations, those long ago count less; 0: not measured
  };
  struct Pool {
    double shape;
    double weight;
    uint32_t points;
  };
  static constexpr double kObservationsMin = 4;
  void rebuild();

  double level_s_ = 0;
  double observations_ = 0;
  std::vector<Point> points_;   // by rows - 1
  std::vector<double> curve_;   // shape by rows - 1, made of the points
  std::vector<uint32_t> rows_;  // scratch of rebuild()
  std::vector<Pool> pools_;
};

// The chance that a draft token is accepted, given those before it were, by the length of the match that it
// continues: the match of the draft and its place in the draft together. One for a sequence. Trials lose
// weight with later ones and with time, towards what is expected of an unknown text.
class Acceptance {
 public:
  static constexpr uint32_t kBuckets = 12;  // lengths 1, 2, 3, 4, up to 6, 8, 12, 16, 24, 32, 48, more
  using Prior = std::array<float, kBuckets>;
  static const Prior kCopy;   // for drafts that copy
  static const Prior kModel;  // for drafts of a model, whose match is always of length 1

  explicit Acceptance(const Prior& prior);

  double probability(uint32_t match_length) const { return means_[bucket(match_length)].value; }
  // A step is over: of `drafted` tokens after a match the first `accepted` were accepted.
  void observe(uint32_t match_length, uint32_t drafted, uint32_t accepted);

  static uint32_t bucket(uint32_t match_length);

 private:
  struct Mean {
    double value;
    double weight;  // trials, old ones count less
  };
  Prior prior_;
  std::array<Mean, kBuckets> means_;
};

// What a step runs without the draft in question: the sequence's own last token, the other sequences' rows
// with the drafts chosen for them so far, and the tokens that are expected of all these rows.
struct StepLoad {
  uint32_t rows = 1;
  double tokens = 1;
};

struct DraftChoice {
  uint32_t count = 0;
  double accepted = 0;  // expected
};

// One for a sequence. Each step: choose(), then observe().
class DraftPolicy {
 public:
  // `cost` must outlive the policy.
  DraftPolicy(const StepCost& cost, const Acceptance::Prior& prior) : cost_(cost), acceptance_(prior) {}

  // The number of draft tokens, at most count_max, that makes the most tokens a second of the step. None
  // while cost is not known, and none whose total rejection would cost more than the credit: what drafts have
  // gained, up to kCreditMax tokens' time, and kCreditEarned of every token. So a text that rejects all
  // drafts takes at most 2 % longer by the curve, and the time of kCreditAtStart of a token once.
  // `draft_token_s`: what it takes to draft one token, seconds.
  DraftChoice choose(uint32_t match_length, uint32_t count_max, const StepLoad& load, double draft_token_s);

  // The step that was chosen for is over: `drafted` tokens ran, perhaps fewer than chosen, perhaps none, and
  // the first `accepted` were accepted. Call it after StepCost::observe().
  void observe(uint32_t drafted, uint32_t accepted);

  const Acceptance& acceptance() const { return acceptance_; }

 private:
  static constexpr double kCreditAtStart = 0.4;  // in units of a plain token's time, as all credit
  static constexpr double kCreditEarned = 0.02;
  static constexpr double kCreditMax = 8;
  static constexpr double kGainMin = 0.02;  // a draft must promise this much more than none

  double price(uint32_t count) const;

  const StepCost& cost_;
  Acceptance acceptance_;
  double credit_ = kCreditAtStart;
  // Of the step that was chosen for:
  StepLoad load_;
  uint32_t match_length_ = 0;
  double draft_token_s_ = 0;
};

}  // namespace lockstep::engine
