// Attention of every vector table against the scalar one, bit for bit; what stands in the cache past the last
// position must not matter.
#include <algorithm>
#include <cmath>

#include "numerics/q16.h"
#include "targets/host/kernels/kernels_testing.h"

namespace lockstep::targets::host {
namespace {

using program::StateLayout;
using program::isa::kPagePositions;
using program::isa::KvLayout;

struct CacheShape {
  uint32_t head_width, value_width, kv_bits, positions;
};

// How keys and values are chosen.
enum class Contents { Random, Largest, Flat };

KvLayout layout_of(const CacheShape& shape) {
  StateLayout state;
  state.page_positions = kPagePositions;
  state.layers = 2;
  state.kv_heads = 3;
  state.head_width = shape.head_width;
  state.value_width = shape.value_width;
  state.kv_bits = shape.kv_bits;
  return KvLayout(state);
}

// A cache of one sequence, filled with bytes that are no valid numbers, then with one head's keys and values.
class Cache {
 public:
  Cache(const CacheShape& shape, Contents contents, uint64_t seed)
      : random_(seed), shape_(shape), kv_(layout_of(shape)) {
    const uint32_t count = (shape.positions + kPagePositions - 1) / kPagePositions;
    for (uint32_t i = 0; i < count; ++i) {
      pages_.emplace_back(kv_.page_bytes(), std::byte{0xff});
      page_addresses_.push_back(pages_.back().data());
    }
    for (uint32_t t = 0; t < shape.positions; ++t) fill(t, contents);
    q_ = contents == Contents::Random
             ? random_.normals(shape.head_width, 4.0f)
             : std::vector<float>(shape.head_width, contents == Contents::Flat ? 1e-3f : 1.0f);
    weights_.resize((shape.positions + kPagePositions - 1) / kPagePositions * kPagePositions);
  }

  // The same bytes in other places, with other bytes past the last position.
  void change_absent_slots(std::byte value) {
    const uint32_t used = shape_.positions % kPagePositions;
    if (used == 0) return;
    for (uint32_t slot = used; slot < kPagePositions; ++slot) {
      for (uint32_t d = 0; d < shape_.head_width; ++d) set_bytes(keys(), KvLayout::key_index(d, slot), value);
      for (uint32_t d = 0; d < kv_.value_lanes(); ++d) set_bytes(values(), kv_.value_index(d, slot), value);
      for (uint64_t offset : {kv_.key_scales(kLayer, kHead), kv_.value_scales(kLayer, kHead)}) {
        std::memset(pages_.back().data() + offset + slot * sizeof(float), static_cast<int>(value),
                    sizeof(float));
      }
    }
  }

  bool attend(const KernelTable& table, Guarded<float>& out) {
    std::vector<float> weights(weights_.size() + 16, 7.0f);
    AttentionArguments arguments;
    arguments.q = q_.data();
    arguments.out = out.data();
    arguments.pages = page_addresses_.data();
    arguments.kv = &kv_;
    arguments.layer = kLayer;
    arguments.kv_head = kHead;
    arguments.positions = shape_.positions;
    arguments.scale_log2 = 1.44269504f / std::sqrt(static_cast<float>(shape_.head_width));
    arguments.weights = weights.data();
    const bool fits = table.attention(arguments);
    EXPECT_TRUE(std::all_of(weights.end() - 16, weights.end(), [](float w) { return w == 7.0f; }));
    return fits;
  }
  std::vector<float>& q() { return q_; }

 private:
  static constexpr uint32_t kLayer = 1, kHead = 2;
  uint64_t keys() const { return kv_.keys(kLayer, kHead); }
  uint64_t values() const { return kv_.values(kLayer, kHead); }

  void set_bytes(uint64_t array, uint64_t index, std::byte value) {
    std::memset(pages_.back().data() + array + index * kv_.element_bytes(), static_cast<int>(value),
                kv_.element_bytes());
  }
  void set_element(uint32_t t, uint64_t array, uint64_t index, int16_t a) {
    std::byte* at = pages_[t / kPagePositions].data() + array + index * kv_.element_bytes();
    if (kv_.kv_bits == 8) {
      *at = static_cast<std::byte>(a);
    } else {
      std::memcpy(at, &a, sizeof(a));
    }
  }
  void set_scale(uint32_t t, uint64_t array, float scale) {
    std::memcpy(pages_[t / kPagePositions].data() + array + t % kPagePositions * sizeof(float), &scale,
                sizeof(scale));
  }

  void fill(uint32_t t, Contents contents) {
    const int32_t levels = kv_.kv_bits == 8 ? numerics::kQ8Levels : numerics::kQ16Levels;
    auto vector = [&](uint32_t n, float& scale) {
      std::vector<int16_t> a(n);
      std::vector<float> x = random_.normals(n, random_.chance(20) ? 30.0f : 1.5f);
      if (contents != Contents::Random) std::fill(x.begin(), x.end(), random_.chance(9) ? -1.0f : 1.0f);
      if (random_.chance(50)) std::fill(x.begin(), x.end(), 0.0f);
      EXPECT_TRUE(scalar_kernels().quantise_head(x.data(), n, levels, a.data(), &scale));
      return a;
    };
    float key_scale = 0, value_scale = 0;
    const std::vector<int16_t> k = vector(shape_.head_width, key_scale);
    const std::vector<int16_t> v = vector(shape_.value_width, value_scale);
    const uint32_t slot = t % kPagePositions;
    for (uint32_t d = 0; d < shape_.head_width; ++d)
      set_element(t, keys(), KvLayout::key_index(d, slot), k[d]);
    for (uint32_t d = 0; d < shape_.value_width; ++d)
      set_element(t, values(), kv_.value_index(d, slot), v[d]);
    set_scale(t, kv_.key_scales(kLayer, kHead), key_scale);
    set_scale(t, kv_.value_scales(kLayer, kHead), value_scale);
  }

  Random random_;
  CacheShape shape_;
  KvLayout kv_;
  std::vector<std::vector<std::byte>> pages_;
  std::vector<const std::byte*> page_addresses_;
  std::vector<float> q_, weights_;
};

void compare(const CacheShape& shape, Contents contents, uint64_t seed) {
  Cache cache(shape, contents, seed);
  Guarded<float> expected(shape.value_width);
  EXPECT_TRUE(cache.attend(scalar_kernels(), expected));
  for (std::byte absent : {std::byte{0xff}, std::byte{0x7f}, std::byte{0x00}}) {
    cache.change_absent_slots(absent);
    for (const KernelTable* table : vector_tables()) {
      Guarded<float> actual(shape.value_width);
      EXPECT_TRUE(cache.attend(*table, actual));
      ASSERT_TRUE(same_bits(expected, actual))
          << table->name << ", head " << shape.head_width << ", value " << shape.value_width << ", "
          << shape.kv_bits << " bits, " << shape.positions << " positions";
    }
  }
}

TEST(Attention, EveryPositionCount) {
  for (uint32_t kv_bits : {16u, 8u}) {
    for (uint32_t positions = 1; positions <= 300; ++positions) {
      compare({64, 64, kv_bits, positions}, Contents::Random, positions);
    }
  }
}

TEST(Attention, EveryHeadWidth) {
  for (uint32_t kv_bits : {16u, 8u}) {
    for (uint32_t width = 2; width <= 160; width += 2) {
      compare({width, width, kv_bits, 70 + width}, Contents::Random, width);
      compare({width, 161 - width, kv_bits, 65}, Contents::Random, width);
    }
  }
}

TEST(Attention, WideHeads) {
  for (uint32_t kv_bits : {16u, 8u}) {
    for (uint32_t width : {256u, 510u, 512u, 514u, 576u, 1024u}) {
      compare({width, 512, kv_bits, 130}, Contents::Random, width);
      compare({width, 1024, kv_bits, 130}, Contents::Largest, width);
    }
  }
}

TEST(Attention, LongSequences) {
  for (uint32_t kv_bits : {16u, 8u}) {
    for (Contents contents : {Contents::Random, Contents::Largest, Contents::Flat}) {
      compare({64, 64, kv_bits, 5003}, contents, 11);
      compare({80, 48, kv_bits, 4992}, contents, 12);
    }
  }
}

TEST(Attention, QueryOutOfRange) {
  for (float bad : {4294967296.0f, -INFINITY, NAN}) {
    for (uint32_t kv_bits : {16u, 8u}) {
      Cache cache({64, 48, kv_bits, 100}, Contents::Random, 5);
      cache.q()[63] = bad;
      Guarded<float> expected(48);
      EXPECT_FALSE(cache.attend(scalar_kernels(), expected));
      EXPECT_TRUE(std::all_of(expected.data(), expected.data() + 48, [](float y) { return y == 0.0f; }));
      for (const KernelTable* table : vector_tables()) {
        Guarded<float> actual(48);
        EXPECT_FALSE(cache.attend(*table, actual));
        EXPECT_TRUE(same_bits(expected, actual)) << table->name;
      }
    }
  }
}

}  // namespace
}  // namespace lockstep::targets::host
