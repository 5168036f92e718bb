// Attention of a block of queries on vectors, once for every instruction set: V is one of the structs of
// vector_*.h. NUMERICS.md section 8. Every load of keys and values serves up to three queries.
//
// The products of two 16-bit numbers are summed exactly in int32 in two ways: in planes a = 256*high + low of
// the side that is not in the cache, balanced, so that int32 holds 256 products of either plane with 16 bits
// (and their sum); or at once where the sum is known to be small. With an 8-bit cache one product does.
#pragma once

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/vector_elementwise.h"

namespace lockstep::targets::host {

// The largest key and value width of a head.
inline constexpr uint32_t kAttentionWidthMax = 1024;

// The dither of 256 successive positions.
struct DitherTable {
  alignas(64) float values[256];
  constexpr DitherTable() : values() {
    for (uint32_t t = 0; t < 256; ++t) {
      uint32_t reversed = 0;
      for (uint32_t bit = 0; bit < 8; ++bit) reversed |= (t >> bit & 1) << (7 - bit);
      values[t] = (static_cast<float>(reversed) + 0.5f) / 256.0f - 0.5f;
    }
  }
};
inline constexpr DitherTable kDither;

// a = 256 * high + low with high in [-127, 127] and low in [-128, 127], for |a| <= 32512.
LOCKSTEP_FORCE_INLINE void cut_planes(const int16_t* a, uint32_t count, int16_t* high, int16_t* low) {
  for (uint32_t i = 0; i < count; ++i) {
    const int32_t value = a[i], upper = (value + 128) >> 8;
    high[i] = static_cast<int16_t>(upper);
    low[i] = static_cast<int16_t>(value - 256 * upper);
  }
}

// What is fetched into the cache while a block multiplies: for each pair of rows `lines` cache lines at
// `address`, which then moves on by `stride`, up to `end`.
struct FetchAhead {
  const std::byte* address = nullptr;
  const std::byte* end = nullptr;
  uint32_t lines = 0;
  uint64_t stride = 0;

  LOCKSTEP_FORCE_INLINE void step() {
    if (address >= end) return;
    for (uint32_t i = 0; i < lines; ++i) __builtin_prefetch(address + i * 64);
    address += stride;
  }
};

// exp2 of x <= 0, bit for bit that of vector_exp2. Adding 1.5 * 2^23 rounds x to an integer, which then stands
// in the low bits.
template <class V>
LOCKSTEP_FORCE_INLINE typename V::Floats exp2_of_negative(typename V::Floats x) {
  const typename V::Floats integer_in_bits = V::set(12582912.0f);
  const typename V::Floats shifted = V::add(x, integer_in_bits);
  const typename V::Floats p =
      polynomial<V>(V::sub(x, V::sub(shifted, integer_in_bits)), 0x3aad9039u, 0x3c1e75d7u, 0x3d635c62u,
                    0x3e75fcdbu, 0x3f317214u, 0x3f800000u);
  const typename V::Floats result =
      V::from_bits(V::add(V::bits(p), V::template shift_left<23>(V::bits(shifted))));
  return V::select(V::less(x, V::set(-64.0f)), V::set(0.0f), result);
}

// The int32 sums of kQueries x kVectors vectors, in planes or whole in `low`.
template <class V, uint32_t kQueries, uint32_t kVectors, bool kPlanes>
struct ProductSums {
  typename V::Ints high[kQueries][kVectors];
  typename V::Ints low[kQueries][kVectors];

  LOCKSTEP_FORCE_INLINE ProductSums() {
    for (uint32_t q = 0; q < kQueries; ++q) {
      for (uint32_t v = 0; v < kVectors; ++v) {
        if constexpr (kPlanes) high[q][v] = V::set(int32_t{0});
        low[q][v] = V::set(int32_t{0});
      }
    }
  }

  // Adds the products of `pairs` rows of pairs (row_elements apart) with the pairs of each query's planes
  // (query_elements apart).
  template <class T>
  LOCKSTEP_FORCE_INLINE void add(const T* rows, uint64_t row_elements, uint32_t pairs,
                                 const int16_t* high_plane, const int16_t* low_plane, uint64_t query_elements,
                                 FetchAhead& ahead) {
    for (uint32_t pair = 0; pair < pairs; ++pair) {
      const T* row = rows + pair * row_elements;
      ahead.step();
      typename V::Ints elements[kVectors];
      for (uint32_t v = 0; v < kVectors; ++v) elements[v] = V::load_pairs(row + v * V::kLanes * 2);
      for (uint32_t q = 0; q < kQueries; ++q) {
        const typename V::Ints pair_low = V::set_pair(low_plane + q * query_elements + 2 * pair);
        for (uint32_t v = 0; v < kVectors; ++v)
          low[q][v] = V::dot_pairs(low[q][v], elements[v], pair_low);
        if constexpr (kPlanes) {
          const typename V::Ints pair_high = V::set_pair(high_plane + q * query_elements + 2 * pair);
          for (uint32_t v = 0; v < kVectors; ++v)
            high[q][v] = V::dot_pairs(high[q][v], elements[v], pair_high);
        }
      }
    }
  }

  // The sum as 65536 * upper + lower, lower in [0, 65535].
  LOCKSTEP_FORCE_INLINE void split(uint32_t q, uint32_t v, typename V::Ints& upper,
                                   typename V::Ints& lower) const {
    const typename V::Ints sixteen_bits = V::set(int32_t{0xffff});
    if constexpr (kPlanes) {
      upper = V::template shift_right<8>(V::add(high[q][v], V::template shift_right<8>(low[q][v])));
      lower = V::bit_and(V::add(V::template shift_left<8>(high[q][v]), low[q][v]), sixteen_bits);
    } else {
      upper = V::template shift_right<16>(low[q][v]);
      lower = V::bit_and(low[q][v], sixteen_bits);
    }
  }
};

template <class V, class T>
class AttentionSteps {
 public:
  LOCKSTEP_FORCE_INLINE explicit AttentionSteps(const AttentionBlock& block)
      : block_(block), kv_(*block.kv), queries_(block.count()) {}

  LOCKSTEP_FORCE_INLINE void scores() {
    Floats largest[kBlockQueries];
    for (uint32_t i = 0; i < queries_; ++i) {
      quantise_query(i);
      largest[i] = V::from_bits(0xff800000u);
    }
    for (uint32_t page = block_.page_begin; page < block_.page_end; ++page) {
      for_each_group([&](uint32_t first, auto count) {
        FetchAhead ahead = fetch_ahead(page, first, kv_.keys(block_.layer, block_.kv_head), kv_.key_bytes(),
                                       2 * kPage * sizeof(T));
        for (uint32_t slot = 0; slot < kPage; slot += kBlockLanes)
          score_block<decltype(count)::value>(page, first, slot, largest, ahead);
      });
    }
    for (uint32_t i = 0; i < queries_; ++i) block_.queries[i].largest = V::largest(largest[i]);
  }

  LOCKSTEP_FORCE_INLINE void weigh() {
    Ints some[kBlockQueries], totals[kBlockQueries], m[kBlockQueries];  // `some`: of the last pages, in int32
    for (uint32_t i = 0; i < queries_; ++i) some[i] = totals[i] = m[i] = V::set(int32_t{0});
    const uint64_t value_scales = kv_.value_scales(block_.layer, block_.kv_head);
    // 2^24 for each of a lane's elements of a page; int32 holds 127 of them.
    constexpr uint32_t kPagesInInt32 = 127 / (kPage / V::kLanes);
    uint32_t pages = 0;
    for (uint32_t page = block_.page_begin; page < block_.page_end; ++page) {
      const float* scales = reinterpret_cast<const float*>(block_.pages[page] + value_scales);
      const float* dithers = kDither.values + page * kPage % 256;
      float* weights = page_weights(page);
      for (uint32_t i = 0; i < queries_; ++i, weights += kPage) {
        const Floats largest = V::set(block_.queries[i].largest);
        const uint32_t seen = slots_seen(page, i);
        for (uint32_t slot = 0; slot < kPage; slot += V::kLanes) {
          const Floats e = exp2_of_negative<V>(V::sub(V::load(weights + slot), largest));
          some[i] = V::add(some[i], V::to_ints(V::fma(e, V::set(0x1p24f), V::load(dithers + slot))));
          const Floats scale = seen >= slot + V::kLanes
                                   ? V::load(scales + slot)
                                   : V::load(scales + slot, V::first(seen > slot ? seen - slot : 0));
          const Floats weight = V::mul(e, scale);
          V::store(weights + slot, weight);
          m[i] = V::max(m[i], V::bits(weight));
        }
      }
      if (++pages == kPagesInInt32 || page + 1 == block_.page_end) {
        pages = 0;
        for (uint32_t i = 0; i < queries_; ++i) {
          totals[i] = V::add_int64(totals[i], some[i]);
          some[i] = V::set(int32_t{0});
        }
      }
    }
    for (uint32_t i = 0; i < queries_; ++i) {
      block_.queries[i].total = V::total_int64(totals[i]);
      block_.queries[i].weight_bits = V::largest(m[i]);
    }
  }

  LOCKSTEP_FORCE_INLINE void values() {
    std::memset(block_.sums, 0, queries_ * kv_.value_lanes() * sizeof(double));
    float r[kBlockQueries];
    for (uint32_t i = 0; i < queries_; ++i) r[i] = vector_scale(block_.queries[i].weight_bits, 32512).r;
    for (uint32_t page = block_.page_begin; page < block_.page_end; ++page) {
      for_each_group([&](uint32_t first, auto count) {
        constexpr uint32_t kCount = decltype(count)::value;
        alignas(64) int16_t a[kCount * kPage];
        const int64_t total = quantise_weights<kCount>(page, first, r, a);
        if (total == 0) return;
        if (total * kElementMax <= INT32_MAX) {
          add_values<kCount, false>(page, first, a, a);
        } else {
          alignas(64) int16_t high[kCount * kPage], low[kCount * kPage];
          cut_planes(a, kCount * kPage, high, low);
          add_values<kCount, true>(page, first, high, low);
        }
      });
    }
  }

  LOCKSTEP_FORCE_INLINE void finish(uint32_t begin, uint32_t end) const {
    for (uint32_t i = begin; i < end; ++i) {
      const AttentionQuery& query = block_.queries[i];
      const float s = vector_scale(query.weight_bits, 32512).s;
      const Floats scale = V::set(s / (static_cast<float>(query.total) * 0x1p-24f));
      const double* sums = block_.sums + i * kv_.value_lanes();
      float* out =
          block_.out + i / block_.heads * block_.out_row_floats + uint64_t{i % block_.heads} * kv_.value_width;
      for_each_vector<V>(kv_.value_width, [&](uint64_t d, typename V::Mask lanes) {
        V::store(out + d, query.fits ? V::mul(V::to_floats(sums + d), scale) : V::set(0.0f), lanes);
      });
    }
  }

 private:
  using Floats = typename V::Floats;
  using Ints = typename V::Ints;
  static constexpr uint32_t kPage = program::isa::kPagePositions;
  static constexpr uint32_t kVectors = V::kLanes >= 16 ? 4 : 2;  // that a group of queries multiplies at once
  static constexpr uint32_t kBlockLanes = kVectors * V::kLanes;
  static constexpr bool kPlanes = sizeof(T) == 2;
  static constexpr int64_t kElementMax = sizeof(T) == 2 ? 32512 : 127;  // of the cache
  // Products that int32 holds.
  static constexpr uint32_t kExactProducts = sizeof(T) == 2 ? 256 : 512;

  template <uint32_t kCount>
  struct Count {
    static constexpr uint32_t value = kCount;
  };
  // Calls fn(first query, Count) for groups of up to three queries.
  template <class Step>
  LOCKSTEP_FORCE_INLINE void for_each_group(const Step& step) const {
    uint32_t i = 0;
    for (; queries_ - i >= 5 || queries_ - i == 3; i += 3) step(i, Count<3>());
    for (; queries_ - i >= 2; i += 2) step(i, Count<2>());
    if (i < queries_) step(i, Count<1>());
  }

  LOCKSTEP_FORCE_INLINE float* page_weights(uint32_t page) const {
    return block_.weights + uint64_t{page - block_.page_begin} * queries_ * kPage;
  }
  // How many of a page's positions a query sees; kPage or more for all.
  LOCKSTEP_FORCE_INLINE uint32_t slots_seen(uint32_t page, uint32_t query) const {
    const uint32_t end = block_.position + query / block_.heads + 1;
    return end > page * kPage ? end - page * kPage : 0;
  }

  // What the group that starts with query `first` fetches of the following page's array of kPage rows or
  // pairs of rows: a single group all of it, several groups a line of each row.
  LOCKSTEP_FORCE_INLINE FetchAhead fetch_ahead(uint32_t page, uint32_t first, uint64_t array,
                                               uint64_t array_bytes, uint64_t row_bytes) const {
    if (page + 1 == block_.page_end) return {};
    const std::byte* address = block_.pages[page + 1] + array;
    const std::byte* end = address + array_bytes;
    if (queries_ <= 3) return {address, end, static_cast<uint32_t>(row_bytes / 64), row_bytes};
    if (first / 2 * 64 >= row_bytes) return {};
    return {address + first / 2 * 64, end, 1, row_bytes};
  }

  LOCKSTEP_FORCE_INLINE void quantise_query(uint32_t i) const {
    const uint32_t width = kv_.head_width;
    AttentionQuery& query = block_.queries[i];
    const float* q = block_.q + i / block_.heads * block_.q_row_floats + uint64_t{i % block_.heads} * width;
    int16_t* high = block_.planes + uint64_t{i} * 2 * width;
    int16_t* low = high + width;
    float s = 0;
    query.fits = quantise_head<V>(q, width, 32512, low, &s);
    query.scale = s * block_.scale_log2;
    if constexpr (kPlanes) cut_planes(low, width, high, low);
  }

  // z of kBlockLanes positions of a page into weights, -infinity where a query does not see them.
  template <uint32_t kCount>
  LOCKSTEP_FORCE_INLINE void score_block(uint32_t page, uint32_t first, uint32_t slot, Floats* largest,
                                         FetchAhead& ahead) const {
    const uint32_t width = kv_.head_width;
    const T* keys =
        reinterpret_cast<const T*>(block_.pages[page] + kv_.keys(block_.layer, block_.kv_head)) + slot * 2;
    const float* key_scales = reinterpret_cast<const float*>(
                                  block_.pages[page] + kv_.key_scales(block_.layer, block_.kv_head)) +
                              slot;
    const int16_t* high = block_.planes + uint64_t{first} * 2 * width;
    const int16_t* low = high + width;
    Ints upper[kCount][kVectors], lower[kCount][kVectors];
    auto add_products = [&](uint32_t d, bool more) {
      const uint32_t count = width - d < kExactProducts ? width - d : kExactProducts;
      ProductSums<V, kCount, kVectors, kPlanes> sums;
      sums.add(keys + uint64_t{d} * kPage, 2 * kPage, count / 2, high + d, low + d, 2 * width, ahead);
      for (uint32_t q = 0; q < kCount; ++q) {
        for (uint32_t v = 0; v < kVectors; ++v) {
          Ints this_upper, this_lower;
          sums.split(q, v, this_upper, this_lower);
          upper[q][v] = more ? V::add(upper[q][v], this_upper) : this_upper;
          lower[q][v] = more ? V::add(lower[q][v], this_lower) : this_lower;
        }
      }
    };
    add_products(0, false);
    for (uint32_t d = kExactProducts; d < width; d += kExactProducts) add_products(d, true);
    for (uint32_t q = 0; q < kCount; ++q) {
      const uint32_t seen = slots_seen(page, first + q);
      const Floats scale = V::set(block_.queries[first + q].scale);
      float* weights = page_weights(page) + uint64_t{first + q} * kPage + slot;
      for (uint32_t v = 0; v < kVectors; ++v) {
        const uint32_t at = v * V::kLanes;
        // Both parts are exact in binary32 (up to 1024 products), so this rounds the sum once.
        const Floats sum = V::fma(V::to_floats(upper[q][v]), V::set(65536.0f), V::to_floats(lower[q][v]));
        Floats z = V::mul(sum, V::mul(scale, V::load(key_scales + at)));
        if (seen < slot + at + V::kLanes) {
          z = V::select(V::first(seen > slot + at ? seen - slot - at : 0), z, V::from_bits(0xff800000u));
        }
        V::store(weights + at, z);
        largest[first + q] = V::max(largest[first + q], z);
      }
    }
  }

  // ca of a page and kCount queries; returns the sum over all of them.
  template <uint32_t kCount>
  LOCKSTEP_FORCE_INLINE int64_t quantise_weights(uint32_t page, uint32_t first, const float* r,
                                                 int16_t* a) const {
    const float* dithers = kDither.values + page * kPage % 256;
    const float* weights = page_weights(page) + uint64_t{first} * kPage;
    Ints sums = V::set(int32_t{0});
    for (uint32_t q = 0; q < kCount; ++q) {
      for (uint32_t slot = 0; slot < kPage; slot += V::kLanes) {
        const uint32_t i = q * kPage + slot;
        const Ints ca =
            V::to_ints(V::add(V::mul(V::load(weights + i), V::set(r[first + q])), V::load(dithers + slot)));
        sums = V::add(sums, ca);
        V::store_int16(a + i, ca);
      }
    }
    return V::total_int64(V::add_int64(V::set(int32_t{0}), sums));
  }

  template <uint32_t kCount, bool kInPlanes>
  LOCKSTEP_FORCE_INLINE void add_values(uint32_t page, uint32_t first, const int16_t* high,
                                        const int16_t* low) const {
    const uint64_t lanes = kv_.value_lanes();
    FetchAhead ahead = fetch_ahead(page, first, kv_.values(block_.layer, block_.kv_head),
                                   kv_.value_bytes(), lanes * 2 * sizeof(T));
    uint64_t lane = 0;
    for (; lane + kBlockLanes <= lanes; lane += kBlockLanes)
      add_value_block<kCount, kVectors, kInPlanes>(page, first, lane, high, low, ahead);
    for (; lane < lanes; lane += V::kLanes)
      add_value_block<kCount, 1, kInPlanes>(page, first, lane, high, low, ahead);
  }

  template <uint32_t kCount, uint32_t kWide, bool kInPlanes>
  LOCKSTEP_FORCE_INLINE void add_value_block(uint32_t page, uint32_t first, uint64_t lane,
                                             const int16_t* high, const int16_t* low,
                                             FetchAhead& ahead) const {
    const uint64_t lanes = kv_.value_lanes();
    const T* values =
        reinterpret_cast<const T*>(block_.pages[page] + kv_.values(block_.layer, block_.kv_head)) + lane * 2;
    ProductSums<V, kCount, kWide, kInPlanes> products;
    products.add(values, lanes * 2, kPage / 2, high, low, kPage, ahead);
    for (uint32_t q = 0; q < kCount; ++q) {
      double* sums = block_.sums + (first + q) * lanes + lane;
      for (uint32_t v = 0; v < kWide; ++v) {
        // 255*high + (high + low), which int32 holds for a page.
        if constexpr (kInPlanes) {
          V::add_planes(sums + v * V::kLanes, products.high[q][v],
                        V::add(products.high[q][v], products.low[q][v]));
        } else {
          V::add_planes(sums + v * V::kLanes, V::set(int32_t{0}), products.low[q][v]);
        }
      }
    }
  }

  const AttentionBlock& block_;
  const program::isa::KvLayout& kv_;
  const uint32_t queries_;
};

template <class V>
void attention_scores(const AttentionBlock& block) {
  if (block.kv->kv_bits == 16) return AttentionSteps<V, int16_t>(block).scores();
  return AttentionSteps<V, int8_t>(block).scores();
}

template <class V>
void attention_weigh(const AttentionBlock& block) {
  if (block.kv->kv_bits == 16) return AttentionSteps<V, int16_t>(block).weigh();
  return AttentionSteps<V, int8_t>(block).weigh();
}

template <class V>
void attention_values(const AttentionBlock& block) {
  if (block.kv->kv_bits == 16) return AttentionSteps<V, int16_t>(block).values();
  return AttentionSteps<V, int8_t>(block).values();
}

template <class V>
void attention_finish(const AttentionBlock& block, uint32_t begin, uint32_t end) {
  if (block.kv->kv_bits == 16) return AttentionSteps<V, int16_t>(block).finish(begin, end);
  return AttentionSteps<V, int8_t>(block).finish(begin, end);
}

}  // namespace lockstep::targets::host
