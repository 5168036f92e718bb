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

// exp2 of x <= 0, bit for bit that of vector_exp2. Adding 1.5 * 2^23 rounds x to an integer, which then
// stands in the low bits.
template <class V>
LOCKSTEP_FORCE_INLINE typename V::Floats exp2_of_negative(typename V::Floats x) {
  const typename V::Floats integer_in_bits = V::set(12582912.0f);
  const typename V::Floats shifted = V::add(x, integer_in_bits);
  const typename V::Floats p = polynomial<V>(V::sub(x, V::sub(shifted, integer_in_bits)), 0x3aad9039u,
                                             0x3c1e75d7u, 0x3d635c62u, 0x3e75fcdbu, 0x3f317214u, 0x3f800000u);
  const typename V::Floats result =
      V::from_bits(V::add(V::bits(p), V::template shift_left<23>(V::bits(shifted))));
  return V::select(V::less(x, V::set(-64.0f)), V::set(0.0f), result);
}

// The int32 sums of kQueries x kVectors vectors, in planes or whole in `low`.
template <class V, uint32_t kQueries, uint32_t kVectors, bool kPlanes>
struct ProductSums {
  typename V::Ints high[kPlanes ? kQueries : 1][kVectors];
  typename V::Ints low[kQueries][kVectors];

  // Sets the sums to the products of `pairs` rows of pairs (row_elements apart, one at least) with the pairs
  // of each query's planes (query_elements apart). For every row it fetches kLinesAhead cache lines of a row
  // at `ahead`, which need not be valid: into L2, which has more reads on their way than L1. A function of
  // its own, for g++ 12 to keep all sums in registers.
  template <uint32_t kLinesAhead, class T>
  [[gnu::noinline]] void multiply(const T* rows, uint64_t row_elements, uint32_t pairs,
                                  const int16_t* high_plane, const int16_t* low_plane,
                                  uint64_t query_elements, const std::byte* ahead) {
    typename V::Ints high_sums[kQueries][kVectors], low_sums[kQueries][kVectors];
    for (uint32_t q = 0; q < kQueries; ++q) {
      for (uint32_t v = 0; v < kVectors; ++v) {
        if constexpr (kPlanes) high_sums[q][v] = V::set(int32_t{0});
        low_sums[q][v] = V::set(int32_t{0});
      }
    }
    uint32_t pair = 0;
    do {
      const T* row = rows + pair * row_elements;
      for (uint32_t i = 0; i < kLinesAhead; ++i)
        __builtin_prefetch(ahead + pair * row_elements * sizeof(T) + i * 64, 0, 2);  // into L2
      typename V::Ints elements[kVectors];
      for (uint32_t v = 0; v < kVectors; ++v) elements[v] = V::load_pairs(row + v * V::kLanes * 2);
      for (uint32_t q = 0; q < kQueries; ++q) {
        const typename V::Ints pair_low = V::set_pair(low_plane + q * query_elements + 2 * pair);
        for (uint32_t v = 0; v < kVectors; ++v)
          low_sums[q][v] = V::dot_pairs(low_sums[q][v], elements[v], pair_low);
        if constexpr (kPlanes) {
          const typename V::Ints pair_high = V::set_pair(high_plane + q * query_elements + 2 * pair);
          for (uint32_t v = 0; v < kVectors; ++v)
            high_sums[q][v] = V::dot_pairs(high_sums[q][v], elements[v], pair_high);
        }
      }
    } while (++pair < pairs);
    for (uint32_t q = 0; q < kQueries; ++q) {
      for (uint32_t v = 0; v < kVectors; ++v) {
        if constexpr (kPlanes) high[q][v] = high_sums[q][v];
        low[q][v] = low_sums[q][v];
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

// A faster way to the scores of many queries with 16-bit keys, where an instruction set has one: products
// with a page of keys that was prepared once for all of them. See attention_avx512.h for its members.
template <class V>
struct PreparedKeys {
  static constexpr bool kAvailable = false;
};

template <class V, class T>
class AttentionSteps {
 public:
  LOCKSTEP_FORCE_INLINE explicit AttentionSteps(const AttentionBlock& block)
      : block_(block), kv_(*block.kv), queries_(block.count()) {}

  LOCKSTEP_FORCE_INLINE void scores() {
    Floats largest[kBlockQueries];
    for (uint32_t i = 0; i < queries_; ++i) largest[i] = V::from_bits(0xff800000u);
    if constexpr (kPlanes && PreparedKeys<V>::kAvailable) {
      if (queries_ > 3 && PreparedKeys<V>::takes(kv_.head_width)) {
        prepared_scores(largest);
        return;
      }
    }
    for (uint32_t i = 0; i < queries_; ++i) {
      quantise_query(i);
      int16_t* high = block_.planes + uint64_t{i} * 2 * kv_.head_width;
      int16_t* low = high + kv_.head_width;
      if constexpr (kPlanes) cut_planes(low, kv_.head_width, high, low);
    }
    for (uint32_t page = block_.page_begin; page < block_.page_end; ++page) {
      for_each_group([&](uint32_t first, auto group) {
        for (uint32_t slot = 0; slot < kPage; slot += kBlockLanes)
          score_block<decltype(group)>(page, first, slot, largest);
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
      for_each_group([&](uint32_t first, auto group) {
        using Queries = decltype(group);
        constexpr uint32_t kCount = Queries::kCount;
        alignas(64) int16_t a[kCount * kPage];
        const int64_t total = quantise_weights<kCount>(page, first, r, a);
        if (total == 0) return;
        if (total * kElementMax <= INT32_MAX) {
          add_values<Queries, false>(page, first, a, a);
        } else {
          alignas(64) int16_t high[kCount * kPage], low[kCount * kPage];
          cut_planes(a, kCount * kPage, high, low);
          add_values<Queries, true>(page, first, high, low);
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
      float* out = block_.out + i / block_.heads * block_.out_row_floats +
                   uint64_t{i % block_.heads} * kv_.value_width;
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

  // Queries that are multiplied at once; whether they are all of the block's.
  template <uint32_t kQueries, bool kAll>
  struct Group {
    static constexpr uint32_t kCount = kQueries;
    static constexpr bool kOnly = kAll;
  };
  // Calls fn(first query, Group) for groups of up to three queries.
  template <class Step>
  LOCKSTEP_FORCE_INLINE void for_each_group(const Step& step) const {
    if (queries_ == 3) return step(0, Group<3, true>());
    if (queries_ == 2) return step(0, Group<2, true>());
    if (queries_ == 1) return step(0, Group<1, true>());
    uint32_t i = 0;
    for (; queries_ - i >= 5 || queries_ - i == 3; i += 3) step(i, Group<3, false>());
    for (; queries_ - i >= 2; i += 2) step(i, Group<2, false>());
  }

  LOCKSTEP_FORCE_INLINE float* page_weights(uint32_t page) const {
    return block_.weights + uint64_t{page - block_.page_begin} * queries_ * kPage;
  }
  // How many of a page's positions a query sees; kPage or more for all.
  LOCKSTEP_FORCE_INLINE uint32_t slots_seen(uint32_t page, uint32_t query) const {
    const uint32_t end = block_.position + query / block_.heads + 1;
    return end > page * kPage ? end - page * kPage : 0;
  }

  // Lines of a row of kWide vectors that a group fetches of the following page: all if it is the only one,
  // else one, so that successive groups fetch successive lines.
  template <class Group, uint32_t kWide>
  static constexpr uint32_t kLinesAhead = Group::kOnly&& kWide* V::kLanes * 2 * sizeof(T) > 64
                                              ? kWide* V::kLanes * 2 * sizeof(T) / 64
                                              : 1;
  // The address of the same array in the following page.
  template <class Group, uint32_t kWide>
  LOCKSTEP_FORCE_INLINE const std::byte* ahead(uint32_t page, uint32_t first, uint64_t offset) const {
    const std::byte* address = block_.pages[page + 1 < block_.page_end ? page + 1 : page] + offset;
    if constexpr (Group::kOnly) return address;
    return address + first / 2 * 64 % (kWide * V::kLanes * 2 * sizeof(T));
  }

  // qa into the second half of the query's planes.
  LOCKSTEP_FORCE_INLINE void quantise_query(uint32_t i) const {
    const uint32_t width = kv_.head_width;
    AttentionQuery& query = block_.queries[i];
    const float* q = block_.q + i / block_.heads * block_.q_row_floats + uint64_t{i % block_.heads} * width;
    float s = 0;
    query.fits = quantise_head<V>(q, width, 32512, block_.planes + (uint64_t{i} * 2 + 1) * width, &s);
    query.scale = s * block_.scale_log2;
  }

  LOCKSTEP_FORCE_INLINE void prepared_scores(Floats* largest) const {
    using Keys = PreparedKeys<V>;
    const uint32_t width = kv_.head_width;
    int32_t starts[kBlockQueries];
    for (uint32_t i = 0; i < queries_; ++i) {
      quantise_query(i);
      int16_t* planes = block_.planes + uint64_t{i} * 2 * width;
      starts[i] = Keys::prepare_query(planes + width, width, reinterpret_cast<int8_t*>(planes));
    }
    alignas(64) uint8_t prepared[Keys::kWidthMax * kPage];
    const uint64_t keys = kv_.keys(block_.layer, block_.kv_head);
    for (uint32_t page = block_.page_begin; page < block_.page_end; ++page) {
      const T* page_keys = reinterpret_cast<const T*>(block_.pages[page] + keys);
      Keys::prepare_page(page_keys, width, prepared);
      for_each_group([&](uint32_t first, auto group) {
        using Queries = decltype(group);
        const int16_t* planes = block_.planes + uint64_t{first} * 2 * width;
        Ints upper[Queries::kCount][kVectors], lower[Queries::kCount][kVectors];
        Keys::template multiply<Queries::kCount>(page_keys, prepared, width, planes + width,
                                                 reinterpret_cast<const int8_t*>(planes), starts + first,
                                                 ahead<Queries, kVectors>(page, first, keys), upper, lower);
        finish_scores<Queries::kCount>(page, first, 0, upper, lower, largest);
      });
    }
    for (uint32_t i = 0; i < queries_; ++i) block_.queries[i].largest = V::largest(largest[i]);
  }

  // z of kBlockLanes positions of a page into weights, -infinity where a query does not see them.
  template <class Group>
  LOCKSTEP_FORCE_INLINE void score_block(uint32_t page, uint32_t first, uint32_t slot,
                                         Floats* largest) const {
    constexpr uint32_t kCount = Group::kCount;
    const uint32_t width = kv_.head_width;
    const uint64_t offset = kv_.keys(block_.layer, block_.kv_head) + slot * 2 * sizeof(T);
    const T* keys = reinterpret_cast<const T*>(block_.pages[page] + offset);
    const int16_t* high = block_.planes + uint64_t{first} * 2 * width;
    const int16_t* low = high + width;
    Ints upper[kCount][kVectors], lower[kCount][kVectors];
    auto add_products = [&](uint32_t d, bool more) {
      const uint32_t count = width - d < kExactProducts ? width - d : kExactProducts;
      ProductSums<V, kCount, kVectors, kPlanes> sums;
      sums.template multiply<kLinesAhead<Group, kVectors>>(
          keys + uint64_t{d} * kPage, 2 * kPage, count / 2, high + d, low + d, 2 * width,
          ahead<Group, kVectors>(page, first, offset + uint64_t{d} * kPage * sizeof(T)));
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
    finish_scores<kCount>(page, first, slot, upper, lower, largest);
  }

  // z from sums of products, 65536 * upper + lower.
  template <uint32_t kCount>
  LOCKSTEP_FORCE_INLINE void finish_scores(uint32_t page, uint32_t first, uint32_t slot,
                                           const Ints (&upper)[kCount][kVectors],
                                           const Ints (&lower)[kCount][kVectors], Floats* largest) const {
    const float* key_scales =
        reinterpret_cast<const float*>(block_.pages[page] + kv_.key_scales(block_.layer, block_.kv_head)) +
        slot;
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

  template <class Group, bool kInPlanes>
  LOCKSTEP_FORCE_INLINE void add_values(uint32_t page, uint32_t first, const int16_t* high,
                                        const int16_t* low) const {
    const uint64_t lanes = kv_.value_lanes();
    uint64_t lane = 0;
    for (; lane + kBlockLanes <= lanes; lane += kBlockLanes)
      add_value_block<Group, kVectors, kInPlanes>(page, first, lane, high, low);
    for (; lane < lanes; lane += V::kLanes)
      add_value_block<Group, 1, kInPlanes>(page, first, lane, high, low);
  }

  template <class Group, uint32_t kWide, bool kInPlanes>
  LOCKSTEP_FORCE_INLINE void add_value_block(uint32_t page, uint32_t first, uint64_t lane,
                                             const int16_t* high, const int16_t* low) const {
    constexpr uint32_t kCount = Group::kCount;
    const uint64_t lanes = kv_.value_lanes();
    const uint64_t offset = kv_.values(block_.layer, block_.kv_head) + lane * 2 * sizeof(T);
    ProductSums<V, kCount, kWide, kInPlanes> products;
    products.template multiply<kLinesAhead<Group, kWide>>(
        reinterpret_cast<const T*>(block_.pages[page] + offset), lanes * 2, kPage / 2, high, low, kPage,
        ahead<Group, kWide>(page, first, offset));
    for (uint32_t q = 0; q < kCount; ++q) {
      double* sums = block_.sums + (first + q) * lanes + lane;
      for (uint32_t v = 0; v < kWide; ++v) {
        // 255*high + (high + low), which int32 holds for a page.
        if constexpr (kInPlanes) {
          V::add_planes(sums + v * V::kLanes, products.high[q][v],
                        V::add(products.high[q][v], products.low[q][v]));
        } else {
          V::add_doubles(sums + v * V::kLanes, products.low[q][v]);
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
