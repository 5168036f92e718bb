#include "numerics/sampling.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "numerics/functions.h"
#include "numerics/philox.h"

namespace lockstep::numerics {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Beginning kAllowed = {-kInfinity, -1};  // all ids but the forbidden

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

// The last block of values filled up with -infinity, where it is not whole.
void fill_end(std::span<const float> values, std::array<float, kBlockIds>& end) {
  const auto rest = values.last(values.size() % kBlockIds);
  std::fill(std::copy(rest.begin(), rest.end(), end.begin()), end.end(), -kInfinity);
}

size_t blocks_of(size_t ids) {
  return (ids + kBlockIds - 1) / kBlockIds;
}

// The largest of each block, the last one's from `end` where it is not whole.
void find_maxima(const SamplingPasses& passes, std::span<const float> values,
                 const std::array<float, kBlockIds>& end, std::span<float> maxima) {
  const size_t whole = values.size() / kBlockIds;
  passes.block_maxima(values.data(), whole, maxima.data());
  if (whole < maxima.size()) passes.block_maxima(end.data(), 1, &maxima[whole]);
}

}  // namespace

int32_t argmax(std::span<const float> values) {
  constexpr size_t kPartBlocks = 64;
  std::array<float, kPartBlocks> maxima;
  std::array<float, kBlockIds> end;
  float best = -kInfinity;
  size_t best_begin = 0;  // of the block
  for (size_t begin = 0; begin < values.size(); begin += kPartBlocks * kBlockIds) {
    const auto part = values.subspan(begin, std::min(kPartBlocks * kBlockIds, values.size() - begin));
    const std::span<float> of_part(maxima.data(), blocks_of(part.size()));
    fill_end(part, end);
    find_maxima(sampling_passes(), part, end, of_part);
    const auto largest = std::max_element(of_part.begin(), of_part.end());
    if (!(*largest > best)) continue;
    best = *largest;
    best_begin = begin + static_cast<size_t>(largest - of_part.begin()) * kBlockIds;
  }
  const auto block = values.subspan(best_begin, std::min<size_t>(kBlockIds, values.size() - best_begin));
  return static_cast<int32_t>(best_begin +
                              static_cast<size_t>(std::ranges::find(block, best) - block.begin()));
}

bool needs_counts(const SamplingParameters& parameters) {
  return parameters.repetition_penalty != 1.0f || parameters.frequency_penalty != 0.0f ||
         parameters.presence_penalty != 0.0f;
}

bool takes_argmax(const SamplingParameters& parameters) {
  return parameters.temperature < 0x1p-20f && parameters.logit_bias.empty() && !needs_counts(parameters);
}

// Makes the logits those of the call, and finds each block's largest.
void Sampler::load(std::span<const float> logits) {
  logits_ = logits;
  fill_end(logits, end_);
  maxima_.resize(blocks_of(logits.size()));
  find_maxima(passes_, logits, end_, maxima_);
}

std::span<const float, kBlockIds> Sampler::block(size_t index) const {
  const size_t begin = index * kBlockIds;
  if (begin + kBlockIds > logits_.size()) return end_;
  return logits_.subspan(begin).first<kBlockIds>();
}

// The shortest beginning of `within` whose weights (W, or 1 by_count) reach wanted_of(the weight of all):
// at least 1, at most that weight. A first pass adds the weights up band by band, a second collects the band
// in which they reach it, which is then split in halves, each time the half that matters.
template <class WantedOf>
Beginning Sampler::shorten(Beginning within, LogitScale scaled, bool by_count, WantedOf wanted_of) {
  std::array<int32_t, kBlockIds> weights;
  std::array<uint32_t, kBlockIds> bands;
  auto weigh_blocks_down_to = [&](uint32_t band, auto visit) {
    for (size_t b = 0; b < maxima_.size(); ++b) {
      if (maxima_[b] < within.logit || band_of(scaled(maxima_[b])) > band) continue;
      const int32_t first_id = static_cast<int32_t>(b * kBlockIds);
      const auto logits = block(b);
      passes_.weigh(logits.data(), first_id, scaled, within, by_count, weights.data(), bands.data());
      for (uint32_t i = 0; i < kBlockIds; ++i) {
        visit(logits[i], first_id + static_cast<int32_t>(i), weights[i], bands[i]);
      }
    }
  };
  std::array<int64_t, kBands> sums{};
  weigh_blocks_down_to(kBands, [&](float, int32_t, int32_t weight, uint32_t band) { sums[band] += weight; });
  const int64_t wanted = wanted_of(std::accumulate(sums.begin(), sums.end(), int64_t{0}));
  int64_t sum = 0;  // of all before the part looked at
  uint32_t last_band = 0;
  while (sum + sums[last_band] < wanted) sum += sums[last_band++];

  candidates_.clear();
  candidates_.reserve(logits_.size());
  weigh_blocks_down_to(last_band, [&](float logit, int32_t id, int32_t weight, uint32_t band) {
    if (band == last_band && weight != 0) candidates_.push_back({logit, id, weight});
  });
  auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  auto begin = candidates_.begin(), end = candidates_.end();
  while (end - begin > 1) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, before);
    int64_t half = 0;
    for (auto it = begin; it != middle; ++it) half += it->weight;
    if (sum + half >= wanted) {
      end = middle;
    } else {
      sum += half;
      begin = middle;
    }
  }
  return {begin->logit, begin->id};
}

Beginning Sampler::first_k(Beginning within, LogitScale scaled, int32_t k) {
  const size_t count = static_cast<size_t>(k);
  if (count >= logits_.size()) return within;
  if (count < maxima_.size()) {
    // The k largest of blocks alone are k logits: the k-th logit is no smaller.
    sorted_maxima_ = maxima_;
    const auto kth = sorted_maxima_.begin() + (k - 1);
    std::nth_element(sorted_maxima_.begin(), kth, sorted_maxima_.end(), std::greater<>());
    if (*kth > within.logit) within = {*kth, std::numeric_limits<int32_t>::max()};
  }
  return shorten(within, scaled, true, [&](int64_t total) { return std::min<int64_t>(k, total); });
}

Beginning Sampler::first_p(Beginning within, LogitScale scaled, float p) {
  return shorten(within, scaled, false, [&](int64_t total) {
    // rint(p * 2^30) * total stays below 2^77: in 128 bits. One at least: the first has a weight of 2^30.
    __extension__ using Wide = __int128;
    const Wide wanted = static_cast<Wide>(static_cast<int64_t>(rint32(p * 0x1p30f))) * total;
    return std::max<int64_t>(1, static_cast<int64_t>((wanted + ((1 << 30) - 1)) >> 30));
  });
}

int32_t Sampler::sample(std::span<float> logits, const SamplingParameters& parameters,
                        const TokenCounts& counts, uint32_t position, uint32_t choice) {
  apply_penalties(logits, parameters, counts);
  if (parameters.temperature < 0x1p-20f) return argmax(logits);

  load(logits);
  const size_t best_block =
      static_cast<size_t>(std::max_element(maxima_.begin(), maxima_.end()) - maxima_.begin());
  const LogitScale scaled = {maxima_[best_block], kLog2E / parameters.temperature};
  const bool finite = scaled.max > -kInfinity && scaled.max < kInfinity;
  if (!finite) return argmax(logits);  // all are forbidden, or a penalty made one infinite

  Beginning kept = kAllowed;
  if (parameters.top_k > 0) kept = first_k(kept, scaled, parameters.top_k);
  if (parameters.top_p < 1.0f) kept = first_p(kept, scaled, parameters.top_p);

  Race race = {scaled, parameters.seed, position, choice,
               std::max(scaled(kept.logit), log2_below(parameters.min_p))};
  int32_t token = -1;
  std::array<uint32_t, kBlockIds> marks;
  auto run_block = [&](size_t index) {
    // The smallest u is 2^-32.
    const float x_max = scaled(maxima_[index]);
    if (x_max < race.floor || x_max < log2_below(race.best * 0x1p-32f)) return;
    const auto part = block(index);
    const uint32_t first_id = static_cast<uint32_t>(index) * kBlockIds;
    if (!passes_.contenders(part.data(), first_id, race, marks.data())) return;
    for (uint32_t i = 0; i < kBlockIds; ++i) {
      const int32_t id = static_cast<int32_t>(first_id + i);
      if (marks[i] == 0 || !kept.has(part[i], id)) continue;
      const float w = exp2(scaled(part[i]));
      if (w < parameters.min_p) continue;
      const float speed = w / exponential(id, parameters.seed, position, choice);
      if (token < 0 || speed > race.best || (speed == race.best && id < token)) {
        token = id;
        race.best = speed;
      }
    }
  };
  run_block(best_block);  // first, because it leaves the others little chance
  for (size_t i = 0; i < maxima_.size(); ++i) {
    if (i != best_block) run_block(i);
  }
  return token < 0 ? argmax(logits) : token;
}

void log_probabilities(std::span<const float> logits, std::span<float> out) {
  const float max = logits[static_cast<size_t>(argmax(logits))];
  std::array<float, kBlockIds> end;
  fill_end(logits, end);
  std::array<int32_t, kBlockIds> weights;
  std::array<uint32_t, kBlockIds> bands;
  int64_t sum = 0;
  for (size_t begin = 0; begin < logits.size(); begin += kBlockIds) {
    const float* block = begin + kBlockIds > logits.size() ? end.data() : &logits[begin];
    sampling_passes().weigh(block, 0, {max, kLog2E}, kAllowed, false, weights.data(), bands.data());
    sum = std::accumulate(weights.begin(), weights.end(), sum);
  }
  const float log_sum = ln(f32(sum) * 0x1p-30f);
  for (size_t i = 0; i < logits.size(); ++i) out[i] = (logits[i] - max) - log_sum;
}

}  // namespace lockstep::numerics
