// Quantisation, norms, gates and RoPE on vectors, once for every instruction set: V is one of the structs of
// vector_*.h. The functions are those of KernelTable (kernels.h). NUMERICS.md sections 1, 2, 5 and 7.
#pragma once

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/kernels.h"
#include "targets/host/kernels/sum_of_16.h"
#include "targets/host/kernels/vector_functions.h"

namespace lockstep::targets::host {

// s and r of a Q16 from the bits of its largest magnitude; both 0 for a zero vector.
struct VectorScale {
  float s = 0;
  float r = 0;
  bool fits = true;  // the magnitude is in the contract's range
};

LOCKSTEP_FORCE_INLINE VectorScale vector_scale(int32_t m_bits, int32_t levels) {
  constexpr int32_t kErrorBits = 0x4f800000, kZeroBits = 0x1f800000;
  VectorScale scale;
  scale.fits = m_bits < kErrorBits;
  if (scale.fits && m_bits >= kZeroBits) {
    float m;
    std::memcpy(&m, &m_bits, sizeof(m));
    scale.s = m / static_cast<float>(levels);
    scale.r = static_cast<float>(levels) / m;
  }
  return scale;
}

template <class V>
LOCKSTEP_FORCE_INLINE typename V::Ints magnitude_bits(typename V::Floats x) {
  return V::bit_and(V::bits(x), V::set(INT32_MAX));
}

template <class V>
LOCKSTEP_FORCE_INLINE int32_t largest_magnitude(const float* x, uint64_t n) {
  typename V::Ints m = V::set(int32_t{0});
  uint64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) m = V::max(m, magnitude_bits<V>(V::load(x + i)));
  if (i < n) m = V::max(m, magnitude_bits<V>(V::load(x + i, V::first(n - i))));
  return V::largest(m);
}

// The balanced planes of a.
template <class V>
LOCKSTEP_FORCE_INLINE typename V::Ints high_plane(typename V::Ints a) {
  return V::template shift_right<8>(V::add(V::add(a, V::template shift_right<8>(a)), V::set(int32_t{128})));
}
template <class V>
LOCKSTEP_FORCE_INLINE typename V::Ints low_plane(typename V::Ints a, typename V::Ints high) {
  return V::add(V::sub(a, V::template shift_left<8>(high)), high);
}

// Writes Q16Layout(n) of x, whose scale is known. Each vector of x is read before the planes are written.
template <class V>
LOCKSTEP_FORCE_INLINE void write_q16(const float* x, uint64_t n, VectorScale scale, std::byte* out) {
  const Q16Layout layout(n);
  auto* hi = reinterpret_cast<int8_t*>(out);
  auto* lo = reinterpret_cast<int8_t*>(out + layout.lo());
  auto* hi_sums = reinterpret_cast<int16_t*>(out + layout.hi_sums());
  auto* lo_sums = reinterpret_cast<int16_t*>(out + layout.lo_sums());
  std::memcpy(out + layout.scale(), &scale.s, sizeof(float));
  if (scale.r == 0) {
    std::memset(out, 0, layout.scale());
    return;
  }
  const typename V::Floats r = V::set(scale.r);
  auto planes = [&](uint64_t i, typename V::Floats values) {
    const typename V::Ints a = V::to_ints(V::mul(values, r));
    const typename V::Ints high = high_plane<V>(a);
    V::store_int8(hi + i, high);
    V::store_int8(lo + i, low_plane<V>(a, high));
  };
  uint64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) planes(i, V::load(x + i));
  for (; i < layout.padded; i += V::kLanes) {
    planes(i, i < n ? V::load(x + i, V::first(n - i)) : V::set(0.0f));
  }
  for (uint64_t block = 0; block < layout.padded / 16; ++block) {
    hi_sums[block] = sum_of_16(hi + block * 16);
    lo_sums[block] = sum_of_16(lo + block * 16);
  }
}

template <class V>
bool quantise(const float* x, uint64_t n, std::byte* out) {
  const VectorScale scale = vector_scale(largest_magnitude<V>(x, n), 32512);
  write_q16<V>(x, n, scale, out);
  return scale.fits;
}

// sum a_i^2 of a vector's Q16.
template <class V>
LOCKSTEP_FORCE_INLINE int64_t sum_of_squares(const float* x, uint64_t n, float r) {
  typename V::Ints sums = V::set(int32_t{0});
  uint64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    sums = V::add_squares_int64(sums, V::to_ints(V::mul(V::load(x + i), V::set(r))));
  }
  if (i < n) {
    sums = V::add_squares_int64(sums, V::to_ints(V::mul(V::load(x + i, V::first(n - i)), V::set(r))));
  }
  return V::total_int64(sums);
}

template <class V>
bool norm_quantise(const float* x, const float* gain, float eps, uint64_t n, float* scratch, std::byte* out) {
  const VectorScale scale = vector_scale(largest_magnitude<V>(x, n), 32512);
  if (!scale.fits) {
    write_q16<V>(x, n, scale, out);
    return false;
  }
  const int64_t total = scale.r == 0 ? 0 : sum_of_squares<V>(x, n, scale.r);
  const float v =
      ((static_cast<float>(total) / static_cast<float>(static_cast<int64_t>(n))) * scale.s) * scale.s;
  const typename V::Floats inverse = V::set(1.0f / __builtin_sqrtf(v + eps));
  typename V::Ints m = V::set(int32_t{0});
  for_each_vector<V>(n, [&](uint64_t i, typename V::Mask lanes) {
    const typename V::Floats y = V::mul(V::mul(V::load(x + i, lanes), inverse), V::load(gain + i, lanes));
    m = V::max(m, magnitude_bits<V>(y));
    V::store(scratch + i, y, lanes);
  });
  const VectorScale out_scale = vector_scale(V::largest(m), 32512);
  write_q16<V>(scratch, n, out_scale, out);
  return out_scale.fits;
}

template <class V>
bool gate_quantise(const float* gate, const float* up, uint64_t n, float* scratch, std::byte* out) {
  typename V::Ints m = V::set(int32_t{0});
  for_each_vector<V>(n, [&](uint64_t i, typename V::Mask lanes) {
    const typename V::Floats y = V::mul(vector_silu<V>(V::load(gate + i, lanes)), V::load(up + i, lanes));
    m = V::max(m, magnitude_bits<V>(y));
    V::store(scratch + i, y, lanes);
  });
  const VectorScale scale = vector_scale(V::largest(m), 32512);
  write_q16<V>(scratch, n, scale, out);
  return scale.fits;
}

template <class V>
bool quantise_head(const float* x, uint64_t n, int32_t levels, int16_t* a, float* out_scale) {
  const VectorScale scale = vector_scale(largest_magnitude<V>(x, n), levels);
  *out_scale = scale.s;
  if (scale.r == 0) {
    std::memset(a, 0, n * sizeof(int16_t));
    return scale.fits;
  }
  uint64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) {
    V::store_int16(a + i, V::to_ints(V::mul(V::load(x + i), V::set(scale.r))));
  }
  if (i < n) {
    int16_t rest[V::kLanes];
    V::store_int16(rest, V::to_ints(V::mul(V::load(x + i, V::first(n - i)), V::set(scale.r))));
    std::memcpy(a + i, rest, (n - i) * sizeof(int16_t));
  }
  return scale.fits;
}

template <class V>
void rope(float* head, const float* cos, const float* sin, uint32_t pairs, bool halves) {
  if (halves) {
    for_each_vector<V>(pairs, [&](uint64_t i, typename V::Mask lanes) {
      const typename V::Floats x = V::load(head + i, lanes), y = V::load(head + pairs + i, lanes);
      const typename V::Floats c = V::load(cos + i, lanes), s = V::load(sin + i, lanes);
      V::store(head + i, V::sub(V::mul(x, c), V::mul(y, s)), lanes);
      V::store(head + pairs + i, V::add(V::mul(x, s), V::mul(y, c)), lanes);
    });
    return;
  }
  constexpr uint32_t kPairs = V::kLanes / 2;
  for (uint64_t i = 0; i < pairs; i += kPairs) {
    const uint64_t count = pairs - i < kPairs ? pairs - i : kPairs;
    const auto lanes = V::first(2 * count), angle_lanes = V::first(count);
    const typename V::Floats turned = V::turn_neighbours(
        V::load(head + 2 * i, lanes), V::load(cos + i, angle_lanes), V::load(sin + i, angle_lanes));
    V::store(head + 2 * i, turned, lanes);
  }
}

template <class V>
void rope_angles(const uint64_t* turns, uint32_t pairs, uint32_t position, float* cos, float* sin) {
  for (uint32_t first = 0; first < pairs; first += V::kLanes) {
    const uint32_t count = pairs - first < V::kLanes ? pairs - first : V::kLanes;
    int32_t h[V::kLanes] = {};
    for (uint32_t i = 0; i < count; ++i) {
      h[i] = static_cast<int32_t>(static_cast<uint32_t>((uint64_t{position} * turns[first + i]) >> 32));
    }
    cos_sin_array<V>(h, cos + first, sin + first, count);
  }
}

}  // namespace lockstep::targets::host
