// The sampler's shortcuts against NUMERICS.md section 9 done plainly: every weight, every logarithm, a whole
// sort; for each width of vectors that this CPU has.
#include "numerics/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "numerics/functions.h"
#include "numerics/philox.h"
#include "numerics/sampling_passes.h"

namespace lockstep::numerics {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

int32_t plain_argmax(const std::vector<float>& values) {
  size_t best = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] > values[best]) best = i;
  }
  return static_cast<int32_t>(best);
}

float uniform_of(uint32_t word) {
  return std::min(static_cast<float>(word >> 1) * 0x1p-31f + 0x1p-32f, 1.0f - 0x1p-24f);
}

int32_t plain_sample(const std::vector<float>& logits, const SamplingParameters& parameters,
                     uint32_t position, uint32_t choice) {
  struct Candidate {
    float logit;
    float w;
    int64_t weight;
    int32_t id;
  };
  std::vector<Candidate> candidates;
  const float max = logits[static_cast<size_t>(plain_argmax(logits))];
  const float scale = kLog2E / parameters.temperature;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == -kInfinity) continue;
    const float w = exp2((logits[i] - max) * scale);
    candidates.push_back({logits[i], w, static_cast<int64_t>(rint32(w * 0x1p30f)), static_cast<int32_t>(i)});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  if (parameters.top_k > 0 && static_cast<size_t>(parameters.top_k) < candidates.size()) {
    candidates.resize(static_cast<size_t>(parameters.top_k));
  }
  if (parameters.top_p < 1.0f && !candidates.empty()) {
    __extension__ using Wide = __int128;
    Wide total = 0, sum = 0;
    for (const Candidate& c : candidates) total += c.weight;
    const Wide wanted = static_cast<Wide>(static_cast<int64_t>(rint32(parameters.top_p * 0x1p30f))) * total;
    size_t length = 0;
    do {
      sum += candidates[length++].weight;
    } while (length < candidates.size() && (sum << 30) < wanted);
    candidates.resize(length);
  }
  int32_t token = -1;
  float best = 0;
  for (const Candidate& c : candidates) {
    if (c.w < parameters.min_p) continue;
    const auto id = static_cast<uint32_t>(c.id);
    const auto words =
        philox4x32({id / 4, position, choice, 0},
                   {static_cast<uint32_t>(parameters.seed), static_cast<uint32_t>(parameters.seed >> 32)});
    const float race = c.w / -ln1m(uniform_of(words[id % 4]));
    if (token < 0 || race > best || (race == best && c.id < token)) {
      token = c.id;
      best = race;
    }
  }
  return token < 0 ? plain_argmax(logits) : token;
}

// Logits of the shapes that matter: a language model's, flat, equal, of few values (ties), huge, with
// forbidden ids, zeros of both signs.
std::vector<float> make_logits(std::mt19937& engine, size_t vocabulary) {
  std::normal_distribution<float> normal;
  const uint32_t shape = engine() % 8;
  std::vector<float> logits(vocabulary);
  for (float& l : logits) {
    const float x = normal(engine);
    switch (shape) {
      case 0:
      case 1:
        l = 3 * x;
        break;
      case 2:
        l = 0.1f * x;
        break;
      case 3:
        l = 2.5f;
        break;
      case 4:
        l = std::round(2 * x);
        break;
      case 5:
        l = x * 0x1p125f;
        break;
      case 6:
        l = 10 * x * x * x;
        break;
      default:
        l = (engine() & 1) != 0 ? 0.0f : -0.0f;
    }
  }
  switch (engine() % 4) {
    case 0:  // a grammar that leaves few
      for (float& l : logits) l = engine() % 50 == 0 ? l : -kInfinity;
      break;
    case 1:
      for (float& l : logits) l = engine() % 4 != 0 ? l : -kInfinity;
      break;
    case 2:  // one that stands out
      logits[engine() % vocabulary] = 30.0f;
      break;
    default:
      break;
  }
  return logits;
}

template <class T>
T pick(std::mt19937& engine, std::initializer_list<T> values) {
  return values.begin()[engine() % values.size()];
}

SamplingParameters make_parameters(std::mt19937& engine, size_t vocabulary) {
  SamplingParameters parameters;
  parameters.temperature = pick(engine, {1.0f, 0.7f, 0.2f, 1.5f, 0x1p-20f, 100.0f});
  const auto n = static_cast<int32_t>(vocabulary);
  parameters.top_k = pick(engine, {0, 0, 0, 1, 2, 40, n / 100, n / 2, n - 1, n, n + 1});
  parameters.top_p = pick(engine, {1.0f, 1.0f, 0.0f, 0x1p-40f, 0.1f, 0.5f, 0.9f, 0.999f, 1.0f - 0x1p-24f});
  parameters.min_p = pick(engine, {0.0f, 0.0f, 0x1p-140f, 1e-6f, 0.05f, 0.5f, 1.0f});
  parameters.seed = (static_cast<uint64_t>(engine()) << 32) | engine();
  return parameters;
}

void compare(std::mt19937& engine, size_t vocabulary, std::vector<Sampler>& samplers) {
  const std::vector<float> logits = make_logits(engine, vocabulary);
  const SamplingParameters parameters = make_parameters(engine, vocabulary);
  const uint32_t position = engine() % 5000, choice = engine() % 4;
  const int32_t expected = plain_sample(logits, parameters, position, choice);
  for (size_t i = 0; i < samplers.size(); ++i) {
    std::vector<float> copy = logits;
    ASSERT_EQ(samplers[i].sample(copy, parameters, {}, position, choice), expected)
        << available_sampling_passes()[i]->name << ": " << vocabulary << " ids, temperature "
        << parameters.temperature << ", top-k " << parameters.top_k << ", top-p " << parameters.top_p
        << ", min-p " << parameters.min_p << ", seed " << parameters.seed;
  }
}

std::vector<Sampler> all_samplers() {
  std::vector<Sampler> samplers;
  for (const SamplingPasses* passes : available_sampling_passes()) samplers.emplace_back(*passes);
  return samplers;
}

TEST(SamplingShortcuts, ChooseTheSameTokens) {
  std::mt19937 engine(1);
  std::vector<Sampler> samplers = all_samplers();
  for (int i = 0; i < 20000 && !HasFatalFailure(); ++i) compare(engine, 1 + engine() % 200, samplers);
  for (int i = 0; i < 1000 && !HasFatalFailure(); ++i) compare(engine, 1 + engine() % 3000, samplers);
  for (int i = 0; i < 40 && !HasFatalFailure(); ++i) compare(engine, 40000 + engine() % 12000, samplers);
}

// What pruning a race rests on: w <= 2^x (1 + 2^-20) and E >= u (1 - 2^-20).
TEST(SamplingShortcuts, BoundsOfTheRaceHold) {
  for (uint32_t bits = bits_of(-0.0f); bits <= bits_of(-64.0f); bits += 4999) {
    const float x = from_bits(bits);
    ASSERT_LE(static_cast<double>(exp2(x)), std::exp2(static_cast<double>(x)) * (1 + 0x1p-20)) << x;
  }
  auto holds = [](uint32_t word) {
    const float u = uniform_of(word);
    return -ln1m(u) >= static_cast<double>(u) * (1 - 0x1p-20);
  };
  for (uint32_t word = 0; word < ~uint32_t{0} - 9999; word += 9998) ASSERT_TRUE(holds(word)) << word;
  for (uint32_t word = 0; word < 100000; ++word) ASSERT_TRUE(holds(word) && holds(~word)) << word;
}

TEST(SamplingShortcuts, ArgmaxIsTheLowestOfTheLargest) {
  std::mt19937 engine(2);
  EXPECT_EQ(argmax(std::vector(5000, -kInfinity)), 0);
  for (int i = 0; i < 2000; ++i) {
    const std::vector<float> values = make_logits(engine, 1 + engine() % (i % 20 == 0 ? 50000 : 200));
    ASSERT_EQ(argmax(values), plain_argmax(values)) << values.size();
  }
}

TEST(SamplingShortcuts, WeightsAreThoseOfTheContract) {
  std::mt19937 engine(3);
  for (int i = 0; i < 2000; ++i) {
    const std::vector<float> logits = make_logits(engine, kBlockIds);
    const float max = logits[static_cast<size_t>(plain_argmax(logits))];
    if (max == -kInfinity) continue;
    const LogitScale scaled = {max, kLog2E / pick(engine, {1.0f, 0.3f, 20.0f})};
    const bool by_count = engine() % 4 == 0;
    const Beginning within = {logits[engine() % kBlockIds], static_cast<int32_t>(engine() % 200)};
    for (const SamplingPasses* passes : available_sampling_passes()) {
      std::array<int32_t, kBlockIds> weights;
      std::array<uint32_t, kBlockIds> bands;
      passes->weigh(logits.data(), 64, scaled, within, by_count, weights.data(), bands.data());
      for (uint32_t k = 0; k < kBlockIds; ++k) {
        const float x = (logits[k] - max) * scaled.scale;
        const bool has =
            logits[k] > within.logit || (logits[k] == within.logit && int32_t(64 + k) <= within.id);
        const int64_t weight = by_count ? 1 : static_cast<int64_t>(rint32(exp2(x) * 0x1p30f));
        ASSERT_EQ(weights[k], has ? weight : 0) << passes->name << " " << x;
        ASSERT_EQ(bands[k], band_of(x)) << passes->name << " " << x;
      }
    }
  }
}

}  // namespace
}  // namespace lockstep::numerics
