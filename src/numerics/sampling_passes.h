// What sampling does with every id of a vocabulary, over blocks of ids, in versions for each width of
// vectors. All versions give the same bits; they differ in speed alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "numerics/float32.h"

namespace lockstep::numerics {

inline constexpr uint32_t kBlockIds = 64;
// A band is the logits whose powers of two below the largest, x, agree in their multiple of 1/8.
inline constexpr uint32_t kBands = 256;
inline constexpr float kBandsPerOctave = 8;

// The scaled logits of section 9: x = (l - max) * scale, at most 0, and w = exp2(x).
struct LogitScale {
  float max;    // the largest logit, finite
  float scale;  // LOG2E / temperature
  float operator()(float logit) const { return (logit - max) * scale; }
};

// The last band has all that is further down.
inline uint32_t band_of(float x) {
  const float band = x * -kBandsPerOctave;
  return static_cast<uint32_t>(static_cast<int32_t>(band < kBands - 1 ? band : kBands - 1));
}

// A beginning of the ids by logit, then by id: those up to and with this one.
struct Beginning {
  float logit;
  int32_t id;
  bool has(float other_logit, int32_t other_id) const {
    return (other_logit > logit) | ((other_logit == logit) & (other_id <= id));
  }
};

// A race for one token, as far as it has been run.
struct Race {
  LogitScale scaled;
  uint64_t seed;
  uint32_t position;
  uint32_t choice;
  float floor;     // of x: who is below does not take part
  float best = 0;  // the largest w / E so far
};

// A little less than the binary logarithm of a t >= 0 that is zero or normal: log2(1 + m) >= m for the
// fraction m, and 2^-10 covers every rounding on the way. Of zero -127, where w is zero.
inline float log2_below(float t) {
  return static_cast<float>(static_cast<int32_t>(bits_of(t))) * 0x1p-23f - (127.0f + 0x1p-10f);
}

struct SamplingPasses {
  const char* name;  // "plain", "avx2", "avx512"
  // maxima[i] = the largest of block i, with +0 for -0.
  void (*block_maxima)(const float* values, size_t blocks, float* maxima);
  // Of one block, whose first id is `first_id`: W of section 9, or 1 by_count, of the ids that `within` has,
  // 0 of the others; and the band of each.
  void (*weigh)(const float* logits, int32_t first_id, LogitScale scaled, const Beginning& within,
                bool by_count, int32_t* weights, uint32_t* bands);
  // Marks with 1 the ids of one block that may win the race, with 0 the others, and returns whether any may.
  bool (*contenders)(const float* logits, uint32_t first_id, const Race& race, uint32_t* marks);
};

// The versions that this CPU can run, the widest last.
std::vector<const SamplingPasses*> available_sampling_passes();
// The widest of them.
const SamplingPasses& sampling_passes();

}  // namespace lockstep::numerics
