// From logits to a token. NUMERICS.md section 9.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

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

// Chooses the token at `position` (the prompt's first token is 0) of answer number `choice`. `logits` are
// the raw head outputs and are changed in place by bias and penalties. An id's logit of -infinity marks it
// forbidden by a grammar. Scratch grows to the vocabulary's size on the first call.
class Sampler {
 public:
  int32_t sample(std::span<float> logits, const SamplingParameters& parameters, const TokenCounts& counts,
                 uint32_t position, uint32_t choice);

 private:
  struct Candidate {
    float logit;
    float w;
    int64_t weight;  // W
    int32_t id;
  };
  std::vector<Candidate> candidates_;
};

// The lowest index of the largest value.
int32_t argmax(std::span<const float> values);

// Whether the parameters choose the largest raw logit, so that logits need not be copied to be changed.
bool takes_argmax(const SamplingParameters& parameters);

// The natural logarithm of every token's probability at temperature 1, before bias and penalties.
void log_probabilities(std::span<const float> logits, std::span<float> out);

}  // namespace lockstep::numerics
