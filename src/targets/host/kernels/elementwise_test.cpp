// Quantisation, norms, gates, RoPE and the functions: every vector table against the scalar one, bit for bit,
// and the scalar one against numerics/.
#include <bit>
#include <cmath>
#include <limits>

#include "numerics/functions.h"
#include "numerics/q16.h"
#include "targets/host/kernels/kernels_testing.h"

namespace lockstep::targets::host {
namespace {

constexpr float kJustUnder32 = 4294967040.0f;  // the largest float below 2^32
constexpr float kTooLarge = 4294967296.0f;     // 2^32
const float kZeroLimit = 0x1p-64f;             // from here on a vector is not zero

// Widths around every vector length, and some wide ones.
std::vector<uint64_t> widths() {
  std::vector<uint64_t> n;
  for (uint64_t i = 1; i <= 200; ++i) n.push_back(i);
  for (uint64_t i : {255, 256, 257, 511, 576, 1000, 1536, 3001, 4097}) n.push_back(i);
  return n;
}

// Vectors of width n: ordinary, tiny, subnormal, zero, at both ends of the range and beyond it.
std::vector<std::vector<float>> vectors(uint64_t n, Random& random) {
  std::vector<std::vector<float>> all = {random.normals(n, 1.0f),     random.normals(n, 1e-18f),
                                         random.normals(n, 1e8f),     random.normals(n, 1e-41f),
                                         std::vector<float>(n, 0.0f), std::vector<float>(n, -0.0f)};
  for (float special :
       {kJustUnder32, -kJustUnder32, kTooLarge, -kTooLarge, kZeroLimit, std::nextafter(kZeroLimit, 0.0f),
        std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x = random.normals(n, std::abs(special) <= kZeroLimit ? 1e-24f : 1.0f);
    x[static_cast<uint64_t>(random.integer(0, static_cast<int64_t>(n) - 1))] = special;
    all.push_back(x);
    all.push_back(std::vector<float>(n, special));
  }
  return all;
}

std::string shown(const KernelTable& table, uint64_t n, uint64_t index) {
  return std::string(table.name) + ", width " + std::to_string(n) + ", vector " + std::to_string(index);
}

TEST(Elementwise, ScalarQuantiseIsTheContracts) {
  Random random(1);
  for (uint64_t n : widths()) {
    for (const std::vector<float>& x : vectors(n, random)) {
      const Q16Layout layout(n);
      std::vector<std::byte> out(layout.row_bytes());
      std::vector<int16_t> a(n), head(n);
      float s = 0, head_scale = 0, out_scale = 0;
      const bool fits = numerics::quantise(x, numerics::kQ16Levels, a, s);
      EXPECT_EQ(scalar_kernels().quantise(x.data(), n, out.data()), fits);
      EXPECT_EQ(scalar_kernels().quantise_head(x.data(), n, 32512, head.data(), &head_scale), fits);
      EXPECT_EQ(head, a);
      std::memcpy(&out_scale, out.data() + layout.scale(), sizeof(float));
      EXPECT_EQ(numerics::bits_of(s), numerics::bits_of(out_scale));
      EXPECT_EQ(numerics::bits_of(s), numerics::bits_of(head_scale));
      const auto* hi = reinterpret_cast<const int8_t*>(out.data());
      const auto* lo = hi + layout.lo();
      for (uint64_t i = 0; i < layout.padded; ++i) ASSERT_EQ(255 * hi[i] + lo[i], i < n ? a[i] : 0);
      for (uint64_t i = 0; i < layout.padded; i += 16) {
        int32_t hi_sum = 0, lo_sum = 0;
        for (uint64_t k = i; k < i + 16; ++k) hi_sum += hi[k], lo_sum += lo[k];
        int16_t sums[2];
        std::memcpy(&sums[0], out.data() + layout.hi_sums() + i / 8, 2);
        std::memcpy(&sums[1], out.data() + layout.lo_sums() + i / 8, 2);
        ASSERT_EQ(sums[0], hi_sum);
        ASSERT_EQ(sums[1], lo_sum);
      }
    }
  }
}

TEST(Elementwise, Quantise) {
  Random random(2);
  for (const KernelTable* table : vector_tables()) {
    for (uint64_t n : widths()) {
      uint64_t index = 0;
      for (const std::vector<float>& x : vectors(n, random)) {
        Guarded<std::byte> expected(Q16Layout(n).row_bytes()), actual(Q16Layout(n).row_bytes());
        EXPECT_EQ(scalar_kernels().quantise(x.data(), n, expected.data()),
                  table->quantise(x.data(), n, actual.data()));
        ASSERT_TRUE(same_bits(expected, actual)) << shown(*table, n, index++);
      }
    }
  }
}

TEST(Elementwise, QuantiseHead) {
  Random random(3);
  for (const KernelTable* table : vector_tables()) {
    for (uint64_t n : widths()) {
      uint64_t index = 0;
      for (const std::vector<float>& x : vectors(n, random)) {
        for (int32_t levels : {32512, 127}) {
          Guarded<int16_t> expected(n), actual(n);
          Guarded<float> expected_scale(1), actual_scale(1);
          EXPECT_EQ(
              scalar_kernels().quantise_head(x.data(), n, levels, expected.data(), expected_scale.data()),
              table->quantise_head(x.data(), n, levels, actual.data(), actual_scale.data()));
          ASSERT_TRUE(same_bits(expected, actual)) << shown(*table, n, index);
          ASSERT_TRUE(same_bits(expected_scale, actual_scale)) << shown(*table, n, index);
        }
        ++index;
      }
    }
  }
}

TEST(Elementwise, NormQuantise) {
  Random random(4);
  for (const KernelTable* table : vector_tables()) {
    for (uint64_t n : widths()) {
      const std::vector<float> gain = random.normals(n, n % 7 == 0 ? 1e-9f : 1.0f);
      uint64_t index = 0;
      for (const std::vector<float>& x : vectors(n, random)) {
        const uint64_t padded = Q16Layout(n).padded;
        Guarded<std::byte> expected(Q16Layout(n).row_bytes()), actual(Q16Layout(n).row_bytes());
        Guarded<float> scratch(padded);
        std::vector<float> reference_scratch(padded);
        EXPECT_EQ(scalar_kernels().norm_quantise(x.data(), gain.data(), 1e-5f, n, reference_scratch.data(),
                                                 expected.data()),
                  table->norm_quantise(x.data(), gain.data(), 1e-5f, n, scratch.data(), actual.data()));
        ASSERT_TRUE(same_bits(expected, actual)) << shown(*table, n, index++);
        ASSERT_TRUE(scratch.intact());
      }
    }
  }
}

TEST(Elementwise, GateQuantise) {
  Random random(5);
  for (const KernelTable* table : vector_tables()) {
    for (uint64_t n : widths()) {
      std::vector<std::vector<float>> gates = vectors(n, random), ups = vectors(n, random);
      gates.push_back(random.normals(n, 60.0f));
      ups.push_back(random.normals(n, 3.0f));
      for (uint64_t i = 0; i < gates.size(); ++i) {
        // Each special vector with an ordinary partner, on either side, and with its like.
        const std::vector<float>& gate = i % 3 == 0 ? gates[0] : gates[i];
        const std::vector<float>& up = i % 3 == 1 ? ups[0] : ups[i];
        const uint64_t padded = Q16Layout(n).padded;
        Guarded<std::byte> expected(Q16Layout(n).row_bytes()), actual(Q16Layout(n).row_bytes());
        Guarded<float> scratch(padded);
        std::vector<float> reference_scratch(padded);
        EXPECT_EQ(scalar_kernels().gate_quantise(gate.data(), up.data(), n, reference_scratch.data(),
                                                 expected.data()),
                  table->gate_quantise(gate.data(), up.data(), n, scratch.data(), actual.data()));
        ASSERT_TRUE(same_bits(expected, actual)) << shown(*table, n, i);
        ASSERT_TRUE(scratch.intact());
      }
    }
  }
}

TEST(Elementwise, Rope) {
  Random random(6);
  for (const KernelTable* table : vector_tables()) {
    for (uint32_t pairs = 1; pairs <= 100; ++pairs) {
      std::vector<uint64_t> turns(pairs);
      for (uint64_t& turn : turns) turn = static_cast<uint64_t>(random.integer(INT64_MIN, INT64_MAX));
      for (uint32_t position : {0u, 1u, 777u, 131071u, 4294967295u}) {
        Guarded<float> cos(pairs), sin(pairs), expected_cos(pairs), expected_sin(pairs);
        scalar_kernels().rope_angles(turns.data(), pairs, position, expected_cos.data(), expected_sin.data());
        table->rope_angles(turns.data(), pairs, position, cos.data(), sin.data());
        ASSERT_TRUE(same_bits(expected_cos, cos)) << table->name << ", " << pairs << " pairs";
        ASSERT_TRUE(same_bits(expected_sin, sin)) << table->name << ", " << pairs << " pairs";
        for (bool halves : {false, true}) {
          const std::vector<float> head = random.normals(2 * pairs, 5.0f);
          Guarded<float> expected(2 * pairs), actual(2 * pairs);
          std::copy(head.begin(), head.end(), expected.data());
          std::copy(head.begin(), head.end(), actual.data());
          scalar_kernels().rope(expected.data(), cos.data(), sin.data(), pairs, halves);
          table->rope(actual.data(), cos.data(), sin.data(), pairs, halves);
          ASSERT_TRUE(same_bits(expected, actual))
              << table->name << ", " << pairs << " pairs, halves " << halves;
        }
      }
    }
  }
}

// Compares a function of both tables on floats whose bits go from first to last in uneven steps.
void compare_function(const KernelTable& table,
                      void (*const KernelTable::*function)(const float*, float*, uint64_t), uint32_t first,
                      uint32_t last) {
  std::vector<float> x;
  for (uint64_t bits = first; bits <= last; bits += 4099)
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  x.push_back(std::bit_cast<float>(last));
  Guarded<float> expected(x.size()), actual(x.size());
  (scalar_kernels().*function)(x.data(), expected.data(), x.size());
  (table.*function)(x.data(), actual.data(), x.size());
  EXPECT_TRUE(same_bits(expected, actual)) << table.name;
}

TEST(Elementwise, Functions) {
  for (const KernelTable* table : vector_tables()) {
    compare_function(*table, &KernelTable::exp2, 0, 0x7f7fffffu);
    compare_function(*table, &KernelTable::exp2, 0x80000000u, 0xff800000u);
    compare_function(*table, &KernelTable::ln, 0x00800000u, 0x7f7fffffu);
    compare_function(*table, &KernelTable::ln1m, 0, 0x3f7fffffu);
    std::vector<int32_t> h;
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 4099) h.push_back(static_cast<int32_t>(bits));
    Guarded<float> cos(h.size()), sin(h.size()), expected_cos(h.size()), expected_sin(h.size());
    scalar_kernels().cos_sin(h.data(), expected_cos.data(), expected_sin.data(), h.size());
    table->cos_sin(h.data(), cos.data(), sin.data(), h.size());
    EXPECT_TRUE(same_bits(expected_cos, cos)) << table->name;
    EXPECT_TRUE(same_bits(expected_sin, sin)) << table->name;
  }
}

TEST(Elementwise, FunctionsOfShortArrays) {
  Random random(7);
  for (const KernelTable* table : vector_tables()) {
    for (uint64_t n = 1; n <= 40; ++n) {
      const std::vector<float> x = random.normals(n, 20.0f);
      Guarded<float> expected(n), actual(n);
      scalar_kernels().exp2(x.data(), expected.data(), n);
      table->exp2(x.data(), actual.data(), n);
      EXPECT_TRUE(same_bits(expected, actual)) << table->name << ", " << n;
    }
  }
}

}  // namespace
}  // namespace lockstep::targets::host
