// Attention of every vector table against the scalar one, bit for bit: blocks of rows and heads, whole and
// cut between pages; what stands in the cache past the last position must not matter.
#include <algorithm>
#include <cmath>

#include "numerics/q16.h"
#include "targets/host/kernels/kernels_testing.h"

namespace lockstep::targets::host {
namespace {

using program::StateLayout;
using program::isa::kPagePositions;
using program::isa::KvLayout;

// Of the last of `rows` rows `positions` are seen.
struct CacheShape {
  uint32_t head_width, value_width, kv_bits, positions;
  uint32_t rows = 1, heads = 1;

  uint32_t pages() const { return (positions + kPagePositions - 1) / kPagePositions; }
  uint32_t queries() const { return rows * heads; }
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
    for (uint32_t i = 0; i < shape.pages(); ++i) {
      pages_.emplace_back(kv_.page_bytes(), std::byte{0xff});
      page_addresses_.push_back(pages_.back().data());
    }
    for (uint32_t t = 0; t < shape.positions; ++t) fill(t, contents);
    const uint32_t q_floats = shape.queries() * shape.head_width;
    q_ = contents == Contents::Random
             ? random_.normals(q_floats, 4.0f)
             : std::vector<float>(q_floats, contents == Contents::Flat ? 1e-3f : 1.0f);
    if (shape.queries() > 4) std::fill_n(q_.begin() + shape.head_width, shape.head_width, 0.0f);
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

  // The outputs of all queries, from blocks that end at the pages `cuts` and at the last; which queries fit.
  std::vector<bool> attend(const KernelTable& table, const std::vector<uint32_t>& cuts, Guarded<float>& out) {
    std::vector<Part> parts;
    uint32_t begin = 0;
    for (uint32_t end : cuts) {
      if (end > begin && end < shape_.pages()) {
        parts.emplace_back(*this, begin, end, out);
        begin = end;
      }
    }
    parts.emplace_back(*this, begin, shape_.pages(), out);

    AttentionBlock& whole = parts[0].block;
    for (Part& part : parts) table.attention_scores(part.block);
    for (uint32_t i = 0; i < shape_.queries(); ++i) {
      for (Part& part : parts)
        whole.queries[i].largest = std::max(whole.queries[i].largest, part.block.queries[i].largest);
      for (Part& part : parts) part.block.queries[i].largest = whole.queries[i].largest;
    }
    for (Part& part : parts) table.attention_weigh(part.block);
    for (uint32_t i = 0; i < shape_.queries(); ++i) {
      AttentionQuery& query = whole.queries[i];
      for (Part& part : parts) {
        if (&part.block == &whole) continue;
        query.total += part.block.queries[i].total;
        query.weight_bits = std::max(query.weight_bits, part.block.queries[i].weight_bits);
      }
      for (Part& part : parts) part.block.queries[i].weight_bits = query.weight_bits;
    }
    for (Part& part : parts) table.attention_values(part.block);
    for (Part& part : parts) {
      for (uint64_t i = 0; &part.block != &whole && i < shape_.queries() * kv_.value_lanes(); ++i)
        whole.sums[i] += part.block.sums[i];
    }
    table.attention_finish(whole, 0, shape_.queries() / 2);
    table.attention_finish(whole, shape_.queries() / 2, shape_.queries());
    std::vector<bool> fits;
    for (uint32_t i = 0; i < shape_.queries(); ++i) fits.push_back(whole.queries[i].fits);
    for (Part& part : parts) EXPECT_TRUE(part.intact());
    return fits;
  }
  std::vector<float>& q() { return q_; }

 private:
  static constexpr uint32_t kLayer = 1, kHead = 2;

  // A block with its scratch.
  struct Part {
    Part(const Cache& cache, uint32_t page_begin, uint32_t page_end, Guarded<float>& out)
        : queries(cache.shape_.queries()),
          planes(queries * 2 * cache.shape_.head_width),
          weights(uint64_t{queries} * (page_end - page_begin) * kPagePositions),
          sums(queries * cache.kv_.value_lanes()),
          known(queries) {
      block.q = cache.q_.data();
      block.q_row_floats = uint64_t{cache.shape_.heads} * cache.shape_.head_width;
      block.out = out.data();
      block.out_row_floats = uint64_t{cache.shape_.heads} * cache.shape_.value_width;
      block.rows = cache.shape_.rows;
      block.heads = cache.shape_.heads;
      block.position = cache.shape_.positions - cache.shape_.rows;
      block.pages = cache.page_addresses_.data();
      block.page_begin = page_begin;
      block.page_end = page_end;
      block.kv = &cache.kv_;
      block.layer = kLayer;
      block.kv_head = kHead;
      block.scale_log2 = 1.44269504f / std::sqrt(static_cast<float>(cache.shape_.head_width));
      block.queries = known.data();
      block.planes = planes.data();
      block.weights = weights.data();
      block.sums = sums.data();
    }
    bool intact() { return planes.intact() && weights.intact() && sums.intact(); }

    uint64_t queries;
    AttentionBlock block;
    Guarded<int16_t> planes;
    Guarded<float> weights;
    Guarded<double> sums;
    std::vector<AttentionQuery> known;
  };

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
  std::vector<float> q_;
};

void compare(const CacheShape& shape, Contents contents, uint64_t seed,
             const std::vector<uint32_t>& cuts = {}) {
  Cache cache(shape, contents, seed);
  const uint64_t outputs = uint64_t{shape.queries()} * shape.value_width;
  Guarded<float> expected(outputs);
  cache.attend(scalar_kernels(), {}, expected);
  for (std::byte absent : {std::byte{0xff}, std::byte{0x7f}, std::byte{0x00}}) {
    cache.change_absent_slots(absent);
    for (const KernelTable* table : available_kernels()) {
      Guarded<float> actual(outputs);
      const std::vector<bool> fits = cache.attend(*table, cuts, actual);
      EXPECT_TRUE(std::all_of(fits.begin(), fits.end(), [](bool fit) { return fit; }));
      ASSERT_TRUE(same_bits(expected, actual))
          << table->name << ", head " << shape.head_width << ", value " << shape.value_width << ", "
          << shape.kv_bits << " bits, " << shape.positions << " positions, " << shape.rows << " rows of "
          << shape.heads << " heads, " << cuts.size() << " cuts";
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

TEST(Attention, EveryBlockOfRowsAndHeads) {
  for (uint32_t kv_bits : {16u, 8u}) {
    for (uint32_t heads = 1; heads <= 9; ++heads) {
      for (uint32_t rows = 1; rows * heads <= kBlockQueries && rows <= 17; ++rows) {
        compare({32, 32, kv_bits, 60 + rows, rows, heads}, Contents::Random, rows * 10 + heads);
      }
    }
    // More rows than a page has positions, and rows that see no position of the last page.
    compare({64, 64, kv_bits, 48, 48, 1}, Contents::Random, 1);
    compare({64, 64, kv_bits, 150, 48, 1}, Contents::Random, 2);
    compare({64, 64, kv_bits, 129, 16, 3}, Contents::Random, 3);
    compare({64, 64, kv_bits, 3000, 16, 3}, Contents::Random, 4);
    compare({64, 64, kv_bits, 1024, 16, 3}, Contents::Largest, 5);
    compare({64, 64, kv_bits, 1024, 16, 3}, Contents::Flat, 6);
  }
}

TEST(Attention, EveryCut) {
  for (uint32_t kv_bits : {16u, 8u}) {
    for (Contents contents : {Contents::Random, Contents::Largest, Contents::Flat}) {
      for (uint32_t cut = 1; cut < 7; ++cut) {
        compare({64, 64, kv_bits, 420, 1, 3}, contents, cut, {cut});
        compare({64, 48, kv_bits, 389, 7, 4}, contents, cut, {1, cut});
      }
      compare({64, 64, kv_bits, 420, 2, 3}, contents, 7, {1, 2, 3, 4, 5, 6});
    }
    compare({64, 64, kv_bits, 5003, 1, 3}, Contents::Flat, 8, {20, 41});
  }
}

// A query out of range gives zeros and changes no other.
TEST(Attention, QueryOutOfRange) {
  for (float bad : {4294967296.0f, -INFINITY, NAN}) {
    for (uint32_t kv_bits : {16u, 8u}) {
      const CacheShape shape = {64, 48, kv_bits, 100, 3, 2};
      constexpr uint32_t kRefused = 3;
      Cache cache(shape, Contents::Random, 5);
      Guarded<float> before(shape.queries() * 48);
      cache.attend(scalar_kernels(), {}, before);
      cache.q()[kRefused * 64 + 63] = bad;
      for (const KernelTable* table : available_kernels()) {
        Guarded<float> actual(shape.queries() * 48);
        const std::vector<bool> fits = cache.attend(*table, {1}, actual);
        for (uint32_t i = 0; i < shape.queries() * 48; ++i) {
          const bool refused = i / 48 == kRefused;
          EXPECT_EQ(fits[i / 48], !refused) << table->name;
          EXPECT_EQ(actual.data()[i], refused ? 0.0f : before.data()[i]) << table->name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace lockstep::targets::host
