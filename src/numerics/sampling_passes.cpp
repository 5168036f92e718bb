#include "numerics/sampling_passes.h"

#include <algorithm>
#include <limits>

#include "base/cpu_features.h"
#include "numerics/functions.h"
#include "numerics/philox.h"

namespace lockstep::numerics {

namespace {

// The loops below are inlined into one function for each width, where the compiler makes vectors of them.
#define LOCKSTEP_INTO_EACH_WIDTH [[gnu::always_inline]] inline

LOCKSTEP_INTO_EACH_WIDTH void find_block_maxima(const float* values, size_t blocks, float* maxima) {
  for (size_t block = 0; block < blocks; ++block, values += kBlockIds) {
    // By integers that are ordered as the floats are.
    int32_t largest = std::numeric_limits<int32_t>::min();
    for (uint32_t i = 0; i < kBlockIds; ++i) {
      const int32_t bits = std::bit_cast<int32_t>(values[i] + 0.0f);
      largest = std::max(largest, bits ^ ((bits >> 31) & 0x7fffffff));
    }
    maxima[block] = std::bit_cast<float>(largest ^ ((largest >> 31) & 0x7fffffff));
  }
}

template <float (*fma)(float, float, float)>
LOCKSTEP_INTO_EACH_WIDTH void weigh_block(const float* logits, int32_t first_id, LogitScale scaled,
                                          const Beginning& within, bool by_count, int32_t* weights,
                                          uint32_t* bands) {
  const Beginning kept = within;  // a copy that no store can change
  for (uint32_t i = 0; i < kBlockIds; ++i) {
    weights[i] = static_cast<int32_t>(rint32(exp2<fma>(scaled(logits[i])) * 0x1p30f));
  }
  for (uint32_t i = 0; i < kBlockIds; ++i) bands[i] = band_of(scaled(logits[i]));
  for (uint32_t i = 0; i < kBlockIds; ++i) {
    const bool has = kept.has(logits[i], first_id + static_cast<int32_t>(i));
    weights[i] = has ? (by_count ? 1 : weights[i]) : 0;
  }
}

// Who may win needs neither a logarithm nor a power. E >= u (1 - 2^-20), because -ln(1-u) >= u, and
// w <= 2^x (1 + 2^-20), so w/E >= best asks for x >= log2(best * u) but for some 2^-19: far less than
// log2_below leaves. A tie passes as well.
LOCKSTEP_INTO_EACH_WIDTH bool mark_contenders(const float* logits, uint32_t first_id, const Race& race,
                                              uint32_t* marks) {
  const Race r = race;  // a copy that no store can change
  uint32_t words[kBlockIds];
  for (uint32_t i = 0; i < kBlockIds / 4; ++i) {
    const auto four = philox4x32({first_id / 4 + i, r.position, r.choice, 0},
                                 {static_cast<uint32_t>(r.seed), static_cast<uint32_t>(r.seed >> 32)});
    for (uint32_t k = 0; k < 4; ++k) words[4 * i + k] = four[k];
  }
  uint32_t any = 0;
  for (uint32_t i = 0; i < kBlockIds; ++i) {
    const float uniform = static_cast<float>(static_cast<int32_t>(words[i] >> 1)) * 0x1p-31f + 0x1p-32f;
    const float needed = log2_below(r.best * uniform), x = r.scaled(logits[i]);
    marks[i] = (x >= needed ? 1u : 0u) & (x >= r.floor ? 1u : 0u);
    any |= marks[i];
  }
  return any != 0;
}

constexpr SamplingPasses kPlain = {"plain", find_block_maxima, weigh_block<fma32>, mark_contenders};

#if defined(__x86_64__)
[[gnu::always_inline]] inline float fma_instruction(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}

#define LOCKSTEP_AVX2 __attribute__((target("avx2,fma")))
LOCKSTEP_AVX2 void block_maxima_avx2(const float* values, size_t blocks, float* maxima) {
  find_block_maxima(values, blocks, maxima);
}
LOCKSTEP_AVX2 void weigh_avx2(const float* logits, int32_t first_id, LogitScale scaled,
                              const Beginning& within, bool by_count, int32_t* weights, uint32_t* bands) {
  weigh_block<fma_instruction>(logits, first_id, scaled, within, by_count, weights, bands);
}
LOCKSTEP_AVX2 bool contenders_avx2(const float* logits, uint32_t first_id, const Race& race,
                                   uint32_t* marks) {
  return mark_contenders(logits, first_id, race, marks);
}
constexpr SamplingPasses kAvx2 = {"avx2", block_maxima_avx2, weigh_avx2, contenders_avx2};

#define LOCKSTEP_AVX512 __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")))
LOCKSTEP_AVX512 void block_maxima_avx512(const float* values, size_t blocks, float* maxima) {
  find_block_maxima(values, blocks, maxima);
}
LOCKSTEP_AVX512 void weigh_avx512(const float* logits, int32_t first_id, LogitScale scaled,
                                  const Beginning& within, bool by_count, int32_t* weights, uint32_t* bands) {
  weigh_block<fma_instruction>(logits, first_id, scaled, within, by_count, weights, bands);
}
LOCKSTEP_AVX512 bool contenders_avx512(const float* logits, uint32_t first_id, const Race& race,
                                       uint32_t* marks) {
  return mark_contenders(logits, first_id, race, marks);
}
constexpr SamplingPasses kAvx512 = {"avx512", block_maxima_avx512, weigh_avx512, contenders_avx512};
#endif

}  // namespace

std::vector<const SamplingPasses*> available_sampling_passes() {
  std::vector<const SamplingPasses*> passes = {&kPlain};
#if defined(__x86_64__)
  if (cpu_features().avx2) passes.push_back(&kAvx2);
  if (cpu_features().avx512_vnni) passes.push_back(&kAvx512);
#endif
  return passes;
}

const SamplingPasses& sampling_passes() {
  static const SamplingPasses& widest = *available_sampling_passes().back();
  return widest;
}

}  // namespace lockstep::numerics
