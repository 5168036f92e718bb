#include "numerics/sampling.h"

#include <algorithm>
#include <limits>

#include "numerics/functions.h"
#include "numerics/philox.h"

namespace lockstep::numerics {

namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();

void apply_penalties(std::span<float> logits, const SamplingParameters& parameters,
                     const TokenCounts& counts) {
  auto known = [&](int32_t id) { return id >= 0 && static_cast<size_t>(id) < logits.size(); };
  for (auto [id, bias] : parameters.logit_bias) {
    if (known(id)) logits[static_cast<size_t>(id)] += bias;
  }
  if (parameters.repetition_penalty != 1.0f) {
    for (auto [id, count] : counts.seen) {
      if (!known(id)) continue;
      float& l = logits[static_cast<size_t>(id)];
      l = l > 0 ? l / parameters.repetition_penalty : l * parameters.repetition_penalty;
    }
  }
  if (parameters.frequency_penalty != 0.0f || parameters.presence_penalty != 0.0f) {
    for (auto [id, count] : counts.generated) {
      if (!known(id)) continue;
      float& l = logits[static_cast<size_t>(id)];
      l = (l - static_cast<float>(count) * parameters.frequency_penalty) - parameters.presence_penalty;
    }
  }
}

// E of section 9 for one id.
float exponential(int32_t id, uint64_t seed, uint32_t position, uint32_t choice) {
  const uint32_t index = static_cast<uint32_t>(id);
  const auto words = philox4x32({index / 4, position, choice, 0},
                                {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const float uniform = static_cast<float>(words[index % 4] >> 1) * 0x1p-31f + 0x1p-32f;
  return -ln1m(std::min(uniform, 1.0f - 0x1p-24f));
}

}  // namespace

int32_t argmax(std::span<const float> values) {
  // The largest by integers that are ordered as the floats are, a loop that compilers vectorise; then the
  // first that equals it.
  int32_t best_key = std::numeric_limits<int32_t>::min();
  for (float value : values) {
    const int32_t bits = std::bit_cast<int32_t>(value);
    best_key = std::max(best_key, bits ^ ((bits >> 31) & 0x7fffffff));
  }
  const float best = std::bit_cast<float>(best_key ^ ((best_key >> 31) & 0x7fffffff));
  return static_cast<int32_t>(std::find(values.begin(), values.end(), best) - values.begin());
}

bool takes_argmax(const SamplingParameters& parameters) {
  return parameters.temperature < 0x1p-20f && parameters.logit_bias.empty() &&
         parameters.repetition_penalty == 1.0f && parameters.frequency_penalty == 0.0f &&
         parameters.presence_penalty == 0.0f;
}

int32_t Sampler::sample(std::span<float> logits, const SamplingParameters& parameters,
                        const TokenCounts& counts, uint32_t position, uint32_t choice) {
  apply_penalties(logits, parameters, counts);
  if (parameters.temperature < 0x1p-20f) return argmax(logits);

  const float max = logits[static_cast<size_t>(argmax(logits))];
  const float scale = kLog2E / parameters.temperature;
  const bool ordered = parameters.top_k > 0 || parameters.top_p < 1.0f;
  candidates_.clear();
  candidates_.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] == kForbidden) continue;
    const float w = exp2((logits[i] - max) * scale);
    const int64_t weight = static_cast<int64_t>(rint32(w * 0x1p30f));
    candidates_.push_back({logits[i], w, weight, static_cast<int32_t>(i)});
  }
  auto begin = candidates_.begin(), end = candidates_.end();
  auto by_logit_then_id = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  if (ordered) {
    if (parameters.top_k > 0 && parameters.top_k < end - begin) {
      std::nth_element(begin, begin + parameters.top_k, end, by_logit_then_id);
      end = begin + parameters.top_k;
    }
    if (parameters.top_p < 1.0f) {
      std::sort(begin, end, by_logit_then_id);
      // 2^30 * sum W and rint(p * 2^30) * total both stay below 2^76: compared in 128 bits.
      __extension__ using Wide = __int128;
      Wide total = 0, sum = 0;
      for (auto it = begin; it != end; ++it) total += it->weight;
      const Wide wanted = static_cast<Wide>(static_cast<int64_t>(rint32(parameters.top_p * 0x1p30f))) * total;
      auto it = begin;
      do {
        sum += it->weight;
        ++it;
      } while (it != end && (sum << 30) < wanted);
      end = it;
    }
  }
  int32_t token = -1;
  float best = 0;
  for (auto it = begin; it != end; ++it) {
    if (it->w < parameters.min_p) continue;
    const float race = it->w / exponential(it->id, parameters.seed, position, choice);
    if (token < 0 || race > best || (race == best && it->id < token)) {
      token = it->id;
      best = race;
    }
  }
  return token < 0 ? argmax(logits) : token;
}

void log_probabilities(std::span<const float> logits, std::span<float> out) {
  const float max = logits[static_cast<size_t>(argmax(logits))];
  int64_t sum = 0;
  for (float l : logits) sum += static_cast<int64_t>(rint32(exp2((l - max) * kLog2E) * 0x1p30f));
  const float log_sum = ln(f32(sum) * 0x1p-30f);
  for (size_t i = 0; i < logits.size(); ++i) out[i] = (logits[i] - max) - log_sum;
}

}  // namespace lockstep::numerics
