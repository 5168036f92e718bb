// Attention of one query head on vectors, once for every instruction set: V is one of the structs of
// vector_*.h. NUMERICS.md section 8. The 16-bit side that is not in the cache (q, then the weights) is cut
// into balanced planes, so that int32 holds 512 products of either plane with 16 bits (128*32512*512 < 2^31);
// blocks of 512 are added in binary64, exact below 2^53. With an 8-bit cache one product does.
#pragma once

#include <cstdint>
#include <type_traits>

#include "targets/host/kernels/vector_elementwise.h"

namespace lockstep::targets::host {

// The largest key and value width of a head.
inline constexpr uint32_t kAttentionWidthMax = 1024;
// Products that one int32 holds.
inline constexpr uint32_t kExactProducts = 512;

// The dither of 256 successive positions.
struct DitherTable {
  float values[256];
  constexpr DitherTable() : values() {
    for (uint32_t t = 0; t < 256; ++t) {
      uint32_t reversed = 0;
      for (uint32_t bit = 0; bit < 8; ++bit) reversed |= (t >> bit & 1) << (7 - bit);
      values[t] = (static_cast<float>(reversed) + 0.5f) / 256.0f - 0.5f;
    }
  }
};
inline constexpr DitherTable kDither;

// int16 numbers as attention multiplies them by the cache: in planes where the cache has 16 bits, else whole
// in `low`.
template <class T, uint32_t kCount>
struct AttentionPlanes {
  alignas(64) int16_t high[kCount];
  alignas(64) int16_t low[kCount];

  LOCKSTEP_FORCE_INLINE void cut(uint32_t count) {
    if constexpr (sizeof(T) == 2) {
      for (uint32_t i = 0; i < count; ++i) {
        const int16_t a = low[i];
        high[i] = static_cast<int16_t>((a + (a >> 8) + 128) >> 8);
        low[i] = static_cast<int16_t>(a - 255 * high[i]);
      }
    }
  }
};

// Adds, for kVectors vectors of lanes, the products of `pairs` rows of pairs (row_elements apart) with the
// pairs of the planes into sums.
template <class V, class T, uint32_t kVectors>
LOCKSTEP_FORCE_INLINE void add_products(const T* rows, uint64_t row_elements, uint32_t pairs,
                                        const int16_t* high, const int16_t* low,
                                        typename V::Ints (&high_sums)[kVectors],
                                        typename V::Ints (&low_sums)[kVectors]) {
  for (uint32_t pair = 0; pair < pairs; ++pair) {
    const T* row = rows + pair * row_elements;
    const typename V::Ints low_pair = V::set_pair(low + 2 * pair);
    if constexpr (sizeof(T) == 2) {
      const typename V::Ints high_pair = V::set_pair(high + 2 * pair);
      for (uint32_t v = 0; v < kVectors; ++v) {
        const typename V::Ints elements = V::load_pairs(row + v * V::kLanes * 2);
        high_sums[v] = V::dot_pairs(high_sums[v], elements, high_pair);
        low_sums[v] = V::dot_pairs(low_sums[v], elements, low_pair);
      }
    } else {
      for (uint32_t v = 0; v < kVectors; ++v) {
        low_sums[v] = V::dot_pairs(low_sums[v], V::load_pairs(row + v * V::kLanes * 2), low_pair);
      }
    }
  }
}

template <class V, class T>
class Attention {
 public:
  LOCKSTEP_FORCE_INLINE explicit Attention(const AttentionArguments& arguments)
      : arguments_(arguments), kv_(*arguments.kv) {}

  LOCKSTEP_FORCE_INLINE bool run() {
    AttentionPlanes<T, kAttentionWidthMax> q;
    float q_scale = 0;
    if (!quantise_head<V>(arguments_.q, kv_.head_width, 32512, q.low, &q_scale)) {
      std::memset(arguments_.out, 0, kv_.value_width * sizeof(float));
      return false;
    }
    q.cut(kv_.head_width);
    scores(q, q_scale * arguments_.scale_log2);
    weigh();
    add_values();
    return true;
  }

 private:
  using Floats = typename V::Floats;
  using Ints = typename V::Ints;
  static constexpr uint32_t kPage = program::isa::kPagePositions;
  static constexpr uint32_t kVectors = 4;  // at once
  static constexpr uint32_t kBlock = kVectors * V::kLanes;

  LOCKSTEP_FORCE_INLINE const std::byte* page(uint32_t first) const {
    return arguments_.pages[first / kPage];
  }
  // The lanes of the vector at position t that the query sees.
  LOCKSTEP_FORCE_INLINE typename V::Mask seen(uint32_t t) const {
    return V::first(t < arguments_.positions ? arguments_.positions - t : 0);
  }

  // z of every position into weights, -infinity past the last, and their largest.
  LOCKSTEP_FORCE_INLINE void scores(const AttentionPlanes<T, kAttentionWidthMax>& q, float scale) {
    const uint64_t keys = kv_.keys(arguments_.layer, arguments_.kv_head);
    const uint64_t key_scales = kv_.key_scales(arguments_.layer, arguments_.kv_head);
    const Floats absent = V::from_bits(0xff800000u);
    Floats largest = absent;
    for (uint32_t first = 0; first < arguments_.positions; first += kPage) {
      const T* k = reinterpret_cast<const T*>(page(first) + keys);
      const float* k_scales = reinterpret_cast<const float*>(page(first) + key_scales);
      for (uint32_t slot = 0; slot < kPage; slot += kBlock) {
        alignas(64) double sums[kBlock] = {};
        for (uint32_t d = 0; d < kv_.head_width; d += kExactProducts) {
          const uint32_t width = kv_.head_width - d < kExactProducts ? kv_.head_width - d : kExactProducts;
          Ints high[kVectors] = {}, low[kVectors] = {};
          add_products<V, T, kVectors>(k + (d / 2 * kPage + slot) * 2, 2 * kPage, width / 2, q.high + d,
                                       q.low + d, high, low);
          for (uint32_t v = 0; v < kVectors; ++v) V::add_planes(sums + v * V::kLanes, high[v], low[v]);
        }
        for (uint32_t v = 0; v < kVectors; ++v) {
          const uint32_t at = slot + v * V::kLanes;
          const Floats z =
              V::mul(V::to_floats(sums + v * V::kLanes), V::mul(V::set(scale), V::load(k_scales + at)));
          const Floats visible = V::select(seen(first + at), z, absent);
          V::store(arguments_.weights + first + at, visible);
          largest = V::max(largest, visible);
        }
      }
    }
    largest_ = V::largest(largest);
  }

  // e of every position times its value's scale into weights, 0 past the last; L; the weights' Q16 scale.
  LOCKSTEP_FORCE_INLINE void weigh() {
    const uint64_t value_scales = kv_.value_scales(arguments_.layer, arguments_.kv_head);
    const Floats largest = V::set(largest_);
    Ints total = V::set(int32_t{0}), m = V::set(int32_t{0});
    for (uint32_t first = 0; first < arguments_.positions; first += kPage) {
      const float* v_scales = reinterpret_cast<const float*>(page(first) + value_scales);
      Ints page_total = V::set(int32_t{0});
      for (uint32_t slot = 0; slot < kPage; slot += V::kLanes) {
        float* weights = arguments_.weights + first + slot;
        const Floats e = vector_exp2<V>(V::sub(V::load(weights), largest));
        const Floats dither = V::load(kDither.values + first % 256 + slot);
        page_total = V::add(page_total, V::to_ints(V::add(V::mul(e, V::set(0x1p24f)), dither)));
        const Floats weight = V::mul(e, V::load(v_scales + slot, seen(first + slot)));
        V::store(weights, weight);
        m = V::max(m, magnitude_bits<V>(weight));
      }
      total = V::add_int64(total, page_total);
    }
    total_ = V::total_int64(total);
    weights_scale_ = vector_scale(V::largest(m), 32512);
  }

  // The weights of the positions [first, first + count) with dither, whole pages, in planes.
  LOCKSTEP_FORCE_INLINE void quantise_weights(uint32_t first, uint32_t count,
                                              AttentionPlanes<T, kExactProducts>& weights) const {
    const Floats r = V::set(weights_scale_.r);
    for (uint32_t i = 0; i < count; i += V::kLanes) {
      const Floats dither = V::load(kDither.values + (first + i) % 256);
      V::store_int16(weights.low + i,
                     V::to_ints(V::add(V::mul(V::load(arguments_.weights + first + i), r), dither)));
    }
    weights.cut(count);
  }

  LOCKSTEP_FORCE_INLINE void add_values() {
    const uint64_t lanes = kv_.value_lanes();
    alignas(64) double sums[kAttentionWidthMax] = {};
    const uint32_t end = weights_scale_.r == 0 ? 0 : arguments_.positions;
    for (uint32_t first = 0; first < end; first += kExactProducts) {
      const uint32_t rest = (end - first + kPage - 1) / kPage * kPage;
      const uint32_t count = rest < kExactProducts ? rest : kExactProducts;
      AttentionPlanes<T, kExactProducts> weights;
      quantise_weights(first, count, weights);
      uint32_t lane = 0;
      for (; lane + kBlock <= lanes; lane += kBlock)
        add_value_block<kVectors>(first, count, lane, weights, sums);
      for (; lane + V::kLanes <= lanes; lane += V::kLanes)
        add_value_block<1>(first, count, lane, weights, sums);
    }
    const Floats scale = V::set(weights_scale_.s / (static_cast<float>(total_) * 0x1p-24f));
    for_each_vector<V>(kv_.value_width, [&](uint64_t d, typename V::Mask mask) {
      V::store(arguments_.out + d, V::mul(V::to_floats(sums + d), scale), mask);
    });
  }

  template <uint32_t kCount>
  LOCKSTEP_FORCE_INLINE void add_value_block(uint32_t first, uint32_t count, uint32_t lane,
                                             const AttentionPlanes<T, kExactProducts>& weights,
                                             double* sums) const {
    const uint64_t values = kv_.values(arguments_.layer, arguments_.kv_head);
    const uint64_t row_elements = kv_.value_lanes() * 2;
    Ints high[kCount] = {}, low[kCount] = {};
    for (uint32_t i = 0; i < count; i += kPage) {
      const T* v = reinterpret_cast<const T*>(page(first + i) + values) + lane * 2;
      add_products<V, T, kCount>(v, row_elements, kPage / 2, weights.high + i, weights.low + i, high, low);
    }
    for (uint32_t i = 0; i < kCount; ++i) V::add_planes(sums + lane + i * V::kLanes, high[i], low[i]);
  }

  const AttentionArguments& arguments_;
  const program::isa::KvLayout& kv_;
  float largest_ = 0;
  int64_t total_ = 0;
  VectorScale weights_scale_;
};

template <class V>
bool attention(const AttentionArguments& arguments) {
  if (arguments.kv->kv_bits == 16) return Attention<V, int16_t>(arguments).run();
  return Attention<V, int8_t>(arguments).run();
}

}  // namespace lockstep::targets::host
