// From logits to a token. NUMERICS.md section 9.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "numerics/sampling_passes.h"

namespace lockstep::numerics {

// The numbers of a request, already rounded to binary32. The defaults choose the largest logit.
struct SamplingParameters {
  float temperature = 0;  // below 2^-20: argmax
  int32_t top_k = 0;      // 0: all
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float frequency_penalty = 0;
  float presence_penalty = 0;
  uint64_t seed = 0;
  std::vector<std::pair<int32_t, float>> logit_bias;
};

// The tokens of a sequence so far, counted as the penalties need them.
struct TokenCounts {
  std::unordered_map<int32_t, uint32_t> generated;  // occurrences in the answer so far
  std::unordered_map<int32_t, uint32_t> seen;       // in the prompt or the answer
};

// Whether the parameters read TokenCounts, which otherwise may stay empty.
bool needs_counts(const SamplingParameters& parameters);

// Chooses the token at `position` (the prompt's first token is 0) of answer number `choice`. `logits` are
// the raw head outputs and are changed in place by bias and penalties. An id's logit of -infinity marks it
// forbidden by a grammar. Scratch grows to the vocabulary's size on the first call that needs it.
class Sampler {
 public:
  Sampler() : Sampler(sampling_passes()) {}
  explicit Sampler(const SamplingPasses& passes) : passes_(passes) {}

  int32_t sample(std::span<float> logits, const SamplingParameters& parameters, const TokenCounts& counts,
                 uint32_t position, uint32_t choice);

 private:
  struct Candidate {
    float logit;
    int32_t id;
    int32_t weight;  // W, or 1
  };

  void load(std::span<const float> logits);
  std::span<const float, kBlockIds> block(size_t index) const;
  template <class WantedOf>
  Beginning shorten(Beginning within, LogitScale scaled, bool by_count, WantedOf wanted_of);
  Beginning first_k(Beginning within, LogitScale scaled, int32_t k);
  Beginning first_p(Beginning within, LogitScale scaled, float p);

  const SamplingPasses& passes_;
  std::span<const float> logits_;     // of the call
  std::array<float, kBlockIds> end_;  // the last block where it is not whole, filled up with -infinity
  std::vector<float> maxima_;         // of each block
  std::vector<float> sorted_maxima_;
  std::vector<Candidate> candidates_;
};

// The lowest index of the largest value.
int32_t argmax(std::span<const float> values);

// Whether the parameters choose the largest raw logit, so that logits need not be copied to be changed.
bool takes_argmax(const SamplingParameters& parameters);

// The natural logarithm of every token's probability at temperature 1, before bias and penalties.
void log_probabilities(std::span<const float> logits, std::span<float> out);

}  // namespace lockstep::numerics
