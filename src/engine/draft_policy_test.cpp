#include "engine/draft_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <random>

namespace lockstep::engine {
namespace {

constexpr uint32_t kRowsMax = 64;
constexpr uint32_t kDraftMax = 15;

using Curve = std::function<double(uint32_t rows)>;

Curve line(double slope) {
  return [slope](uint32_t rows) { return 1e-3 * (1 + slope * (rows - 1)); };
}
// A kernel's change of method doubles the time at five rows.
double cliff(uint32_t rows) {
  return 1e-3 * (rows < 5 ? 1 + 0.02 * rows : 2 + 0.1 * rows);
}

// What a sequence offers at one token: the length of its match, and how many draft tokens would be accepted.
struct Offer {
  uint32_t match_length;
  uint32_t accepted;
};
using Text = std::function<Offer(uint32_t token)>;

// The speed-up against a token a step over `tokens` tokens of `text`, one sequence alone, by the true curve.
// Each measured time is the true one times 1 +- noise.
double simulate(const Curve& curve, const Text& text, uint32_t tokens, DraftPolicy& policy, StepCost& cost,
                double noise = 0, uint32_t seed = 5) {
  std::mt19937 random(seed);
  double time_s = 0;
  uint32_t done = 0;
  while (done < tokens) {
    const Offer offer = text(done);
    const DraftChoice choice = policy.choose(offer.match_length, kDraftMax, {}, 0);
    const uint32_t accepted = std::min(offer.accepted, choice.count);
    const double step_s = curve(1 + choice.count);
    cost.observe(1 + choice.count, step_s * (1 + noise * (static_cast<double>(random() % 2001) / 1000 - 1)));
    policy.observe(choice.count, accepted);
    time_s += step_s;
    done += 1 + accepted;
  }
  return done * curve(1) / time_s;
}

double simulate(const Curve& curve, const Text& text, uint32_t tokens, double noise = 0, uint32_t seed = 5) {
  StepCost cost(kRowsMax);
  DraftPolicy policy(cost, Acceptance::kCopy);
  return simulate(curve, text, tokens, policy, cost, noise, seed);
}

// Every draft token is accepted with chance p, whatever the match.
Text accepting(double p, uint32_t seed = 1) {
  auto random = std::make_shared<std::mt19937>(seed);
  return [p, random](uint32_t) {
    uint32_t accepted = 0;
    while (accepted < kDraftMax && (*random)() < p * 4294967296.0) ++accepted;
    return Offer{.match_length = 4, .accepted = accepted};
  };
}

// The best speed-up of a fixed draft length when each draft token is accepted with chance p.
double best_speedup(const Curve& curve, double p) {
  double best = 1, reached = 1, tokens = 1;
  for (uint32_t count = 1; count <= kDraftMax; ++count) {
    reached *= p;
    tokens += reached;
    best = std::max(best, tokens * curve(1) / curve(1 + count));
  }
  return best;
}

const std::vector<std::pair<const char*, Curve>> kCurves = {
    {"flat", line(0.01)}, {"cheap", line(0.05)}, {"usual", line(0.15)},
    {"dear", line(0.5)},  {"linear", line(1.0)}, {"cliff", cliff},
};

TEST(DraftPolicy, LosesLittleWhenEveryDraftIsRejected) {
  for (const auto& [name, curve] : kCurves) {
    for (uint32_t tokens : {64u, 256u, 4096u}) {
      for (uint32_t length : {1u, 2u, 4u, 8u, 16u, 100u, 0u}) {
        std::mt19937 random(3);
        const Text text = [&](uint32_t) {
          return Offer{length != 0 ? length : 1 + static_cast<uint32_t>(random() % 64), 0};
        };
        EXPECT_GE(simulate(curve, text, tokens), 0.95) << name << ", " << tokens << " tokens, " << length;
        for (uint32_t seed = 0; seed < 5; ++seed) {
          EXPECT_GE(simulate(curve, text, tokens, 0.1, seed), 0.95)
              << name << ", " << tokens << " tokens, matches of " << length << ", with noise " << seed;
        }
      }
    }
  }
}

// A text that answers the policy: it accepts until drafts are long, then rejects until they stop.
TEST(DraftPolicy, LosesLittleToATextThatTurns) {
  for (const auto& [name, curve] : kCurves) {
    for (uint32_t period : {3u, 10u, 30u, 100u}) {
      const Text text = [period](uint32_t token) {
        return Offer{.match_length = 8, .accepted = token / period % 2 == 0 ? token % 2 : 0};
      };
      EXPECT_GE(simulate(curve, text, 2000), 0.95) << name << ", period " << period;
    }
  }
}

TEST(DraftPolicy, ComesNearTheBestFixedLength) {
  for (const auto& [name, curve] : kCurves) {
    for (double p : {0.5, 0.7, 0.9, 0.97}) {
      const double best = best_speedup(curve, p);
      EXPECT_GE(simulate(curve, accepting(p), 4000), 0.87 * best) << name << ", chance " << p;
      EXPECT_GE(simulate(curve, accepting(p), 4000, 0.1), 0.85 * best) << name << ", chance " << p;
    }
  }
}

TEST(DraftPolicy, RunsWholeCopies) {
  const Text copy = [](uint32_t token) { return Offer{.match_length = 2 + token, .accepted = kDraftMax}; };
  // 16 tokens a step once it trusts the copy.
  EXPECT_GE(simulate(line(0.05), copy, 500), 0.9 * 16 / 1.75);
}

TEST(DraftPolicy, FollowsAChange) {
  StepCost cost(kRowsMax);
  DraftPolicy policy(cost, Acceptance::kCopy);
  const Curve curve = line(0.1);
  const Text rejecting = [](uint32_t) { return Offer{.match_length = 4, .accepted = 0}; };
  EXPECT_GE(simulate(curve, rejecting, 500, policy, cost), 0.95);
  EXPECT_LE(policy.choose(4, kDraftMax, {}, 0).count, 1u);
  policy.observe(0, 0);
  EXPECT_GE(simulate(curve, accepting(0.9), 600, policy, cost), 0.75 * best_speedup(curve, 0.9));
  EXPECT_GE(policy.choose(4, kDraftMax, {}, 0).count, 4u);
  policy.observe(0, 0);
  EXPECT_GE(simulate(curve, rejecting, 300, policy, cost), 0.93);
  EXPECT_LE(policy.choose(4, kDraftMax, {}, 0).count, 1u);
}

TEST(DraftPolicy, FollowsTheCost) {
  StepCost cost(kRowsMax);
  DraftPolicy policy(cost, Acceptance::kCopy);
  simulate(line(0.05), accepting(0.9), 1000, policy, cost);
  const uint32_t before = policy.choose(4, kDraftMax, {}, 0).count;
  policy.observe(0, 0);
  const Curve dear = line(0.5);
  simulate(dear, accepting(0.9), 1000, policy, cost);
  const double after = simulate(dear, accepting(0.9), 1000, policy, cost);
  EXPECT_GE(after, 0.9 * best_speedup(dear, 0.9));
  EXPECT_LT(policy.choose(4, kDraftMax, {}, 0).count, before);
}

TEST(DraftPolicy, CountsTheRowsOfOthersAndTheTimeOfDrafting) {
  StepCost cost(kRowsMax);
  auto choose = [&](const StepLoad& load, double draft_token_s) {
    DraftPolicy policy(cost, Acceptance::kCopy);
    for (int i = 0; i < 40; ++i) {
      policy.choose(20, kDraftMax, {}, 0);
      policy.observe(4, 4);
    }
    return policy.choose(20, kDraftMax, load, draft_token_s).count;
  };
  EXPECT_EQ(choose({}, 0), 0u) << "no draft while the cost of a step is not known";
  // Rows are free up to 16 and cost as much as a whole step beyond.
  for (int i = 0; i < 100; ++i) {
    for (uint32_t rows = 1; rows <= kRowsMax; ++rows) cost.observe(rows, rows <= 16 ? 1.0 : rows - 15.0);
  }
  EXPECT_EQ(choose({}, 0), 15u);
  EXPECT_EQ(choose({.rows = 10, .tokens = 10}, 0), 6u);
  EXPECT_EQ(choose({.rows = 16, .tokens = 16}, 0), 0u);
  EXPECT_EQ(choose({}, 2.0), 0u) << "a draft token that takes longer than a step";
  EXPECT_GT(choose({}, 0.1), 0u);
}

TEST(StepCost, GivesBackWhatItMeasured) {
  StepCost cost(kRowsMax);
  EXPECT_FALSE(cost.known());
  const Curve curve = line(0.3);
  std::mt19937 random(4);
  for (int i = 0; i < 2000; ++i) {
    const uint32_t rows = 1 + static_cast<uint32_t>(random() % 20);
    cost.observe(rows, curve(rows) * (0.9 + 0.2 * static_cast<double>(random() % 1000) / 1000));
  }
  for (uint32_t rows = 1; rows <= 20; ++rows) {
    EXPECT_NEAR(cost.seconds(rows) / curve(rows), 1, 0.08) << rows;
  }
}

TEST(StepCost, NeverFallsWithMoreRows) {
  std::mt19937 random(6);
  for (int round = 0; round < 200; ++round) {
    StepCost cost(16);
    for (int i = 0; i < 30; ++i) {
      cost.observe(1 + static_cast<uint32_t>(random() % 16), 1e-3 * static_cast<double>(1 + random() % 50));
      for (uint32_t rows = 1; rows < 20; ++rows) ASSERT_LE(cost.seconds(rows), cost.seconds(rows + 1));
      ASSERT_GT(cost.seconds(1), 0);
    }
  }
}

TEST(StepCost, DrawsLinesBetweenWhatItMeasured) {
  StepCost cost(16);
  for (int i = 0; i < 200; ++i) {
    cost.observe(1, 1.0);
    cost.observe(5, 2.0);
  }
  EXPECT_NEAR(cost.seconds(3), 1.5, 0.01);
  EXPECT_NEAR(cost.seconds(9), 3.0, 0.02) << "the slope goes on";
  EXPECT_NEAR(cost.seconds(20), 5.75, 0.05);
}

TEST(StepCost, LetsOneHiccupCountForLittle) {
  StepCost cost(16);
  for (int i = 0; i < 50; ++i) cost.observe(1, 1.0);
  cost.observe(1, 1000.0);
  EXPECT_LT(cost.seconds(1), 1.25);
}

// All row counts grow together as the context does, though only few are seen.
TEST(StepCost, MovesTheWholeCurveWithItsLevel) {
  StepCost cost(16);
  for (int i = 0; i < 50; ++i) {
    cost.observe(1, 1.0);
    cost.observe(8, 2.0);
  }
  for (int i = 0; i < 300; ++i) cost.observe(1, 3.0);
  EXPECT_NEAR(cost.seconds(1), 3.0, 0.1);
  EXPECT_GT(cost.seconds(8), 3.0);
}

TEST(StepCost, TriesAnUnluckyPointAgain) {
  StepCost cost(16);
  for (int i = 0; i < 50; ++i) cost.observe(1, 1.0);
  cost.observe(4, 100.0);
  const double unlucky = cost.seconds(4);
  for (int i = 0; i < 1000; ++i) cost.observe(1, 1.0);
  EXPECT_LT(cost.seconds(4), 0.8 * unlucky);
}

TEST(Acceptance, HasBucketsByLength) {
  const std::vector<uint32_t> lasts{1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48};
  for (uint32_t length = 1; length < 200; ++length) {
    const auto expected = std::lower_bound(lasts.begin(), lasts.end(), length) - lasts.begin();
    EXPECT_EQ(Acceptance::bucket(length), static_cast<uint32_t>(expected)) << length;
  }
}

TEST(Acceptance, LearnsByLengthAndForgets) {
  Acceptance acceptance(Acceptance::kCopy);
  for (int i = 0; i < 30; ++i)
    acceptance.observe(3, 4, 1);  // length 3 holds, length 4 does not, 5 never runs
  EXPECT_GT(acceptance.probability(3), 0.85);
  EXPECT_LT(acceptance.probability(4), 0.15);
  EXPECT_NEAR(acceptance.probability(5), Acceptance::kCopy[Acceptance::bucket(5)], 1e-6);
  for (int i = 0; i < 2000; ++i) acceptance.observe(0, 0, 0);
  EXPECT_NEAR(acceptance.probability(4), Acceptance::kCopy[Acceptance::bucket(4)], 0.01);
}

}  // namespace
}  // namespace lockstep::engine
