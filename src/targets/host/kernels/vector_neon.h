// The vector operations that the kernels are written in, on NEON registers of 4 lanes. Only for files
// compiled for ARMv8.2 with the dot product; every function is forced inline so that none of them is linked
// elsewhere.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "targets/host/kernels/force_inline.h"

namespace lockstep::targets::host {

struct Neon {
  static constexpr uint32_t kLanes = 4;
  using Floats = float32x4_t;
  using Ints = int32x4_t;  // 4 int32, or 8 int16 or 2 int64 where said
  // The first lanes, as a number: NEON has no loads and stores under a mask.
  struct Mask {
    uint32_t count;
  };
  using Comparison = uint32x4_t;  // all bits of a lane

  // The first `count` lanes.
  LOCKSTEP_FORCE_INLINE static Mask first(uint64_t count) {
    return {count >= kLanes ? kLanes : static_cast<uint32_t>(count)};
  }

  LOCKSTEP_FORCE_INLINE static Floats load(const float* p) { return vld1q_f32(p); }
  LOCKSTEP_FORCE_INLINE static Floats load(const float* p, Mask lanes) {
    if (lanes.count == kLanes) return vld1q_f32(p);
    Floats x = vdupq_n_f32(0);
    if (lanes.count > 0) x = vld1q_lane_f32(p, x, 0);
    if (lanes.count > 1) x = vld1q_lane_f32(p + 1, x, 1);
    if (lanes.count > 2) x = vld1q_lane_f32(p + 2, x, 2);
    return x;
  }
  LOCKSTEP_FORCE_INLINE static void store(float* p, Floats x) { vst1q_f32(p, x); }
  LOCKSTEP_FORCE_INLINE static void store(float* p, Floats x, Mask lanes) {
    if (lanes.count == kLanes) return vst1q_f32(p, x);
    if (lanes.count > 0) vst1q_lane_f32(p, x, 0);
    if (lanes.count > 1) vst1q_lane_f32(p + 1, x, 1);
    if (lanes.count > 2) vst1q_lane_f32(p + 2, x, 2);
  }
  LOCKSTEP_FORCE_INLINE static Ints load(const int32_t* p) { return vld1q_s32(p); }
  LOCKSTEP_FORCE_INLINE static Ints load(const int32_t* p, Mask lanes) {
    if (lanes.count == kLanes) return vld1q_s32(p);
    Ints x = vdupq_n_s32(0);
    if (lanes.count > 0) x = vld1q_lane_s32(p, x, 0);
    if (lanes.count > 1) x = vld1q_lane_s32(p + 1, x, 1);
    if (lanes.count > 2) x = vld1q_lane_s32(p + 2, x, 2);
    return x;
  }
  LOCKSTEP_FORCE_INLINE static Floats set(float x) { return vdupq_n_f32(x); }
  LOCKSTEP_FORCE_INLINE static Ints set(int32_t x) { return vdupq_n_s32(x); }
  LOCKSTEP_FORCE_INLINE static Floats from_bits(uint32_t bits) {
    return vreinterpretq_f32_u32(vdupq_n_u32(bits));
  }

  LOCKSTEP_FORCE_INLINE static Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats sub(Floats a, Floats b) { return vsubq_f32(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats mul(Floats a, Floats b) { return vmulq_f32(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats div(Floats a, Floats b) { return vdivq_f32(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats fma(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
  // b where either is a NaN, which vminq and vmaxq would not give.
  LOCKSTEP_FORCE_INLINE static Floats min(Floats a, Floats b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  LOCKSTEP_FORCE_INLINE static Floats max(Floats a, Floats b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  LOCKSTEP_FORCE_INLINE static Floats rint(Floats a) { return vrndnq_f32(a); }

  LOCKSTEP_FORCE_INLINE static Ints bits(Floats a) { return vreinterpretq_s32_f32(a); }
  LOCKSTEP_FORCE_INLINE static Floats from_bits(Ints a) { return vreinterpretq_f32_s32(a); }
  LOCKSTEP_FORCE_INLINE static Floats to_floats(Ints a) { return vcvtq_f32_s32(a); }
  // Rounded to the nearest integer, ties to even.
  LOCKSTEP_FORCE_INLINE static Ints to_ints(Floats a) { return vcvtnq_s32_f32(a); }

  // Sums and differences wrap, so they are taken without sign.
  LOCKSTEP_FORCE_INLINE static Ints add(Ints a, Ints b) {
    return vreinterpretq_s32_u32(vaddq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
  }
  LOCKSTEP_FORCE_INLINE static Ints sub(Ints a, Ints b) {
    return vreinterpretq_s32_u32(vsubq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
  }
  LOCKSTEP_FORCE_INLINE static Ints bit_and(Ints a, Ints b) { return vandq_s32(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints bit_xor(Ints a, Ints b) { return veorq_s32(a, b); }
  LOCKSTEP_FORCE_INLINE static Ints max(Ints a, Ints b) { return vmaxq_s32(a, b); }
  template <int kBits>
  LOCKSTEP_FORCE_INLINE static Ints shift_left(Ints a) {
    return vshlq_n_s32(a, kBits);
  }
  template <int kBits>
  LOCKSTEP_FORCE_INLINE static Ints shift_right(Ints a) {  // arithmetic
    return vshrq_n_s32(a, kBits);
  }

  LOCKSTEP_FORCE_INLINE static Comparison less(Floats a, Floats b) { return vcltq_f32(a, b); }
  LOCKSTEP_FORCE_INLINE static Comparison equal(Ints a, Ints b) { return vceqq_s32(a, b); }
  LOCKSTEP_FORCE_INLINE static Floats select(Comparison comparison, Floats yes, Floats no) {
    return vbslq_f32(comparison, yes, no);
  }
  LOCKSTEP_FORCE_INLINE static Floats select(Mask mask, Floats yes, Floats no) {
    constexpr uint32x4_t kNumbers = {0, 1, 2, 3};
    return vbslq_f32(vcltq_u32(kNumbers, vdupq_n_u32(mask.count)), yes, no);
  }

  LOCKSTEP_FORCE_INLINE static int32_t largest(Ints a) { return vmaxvq_s32(a); }
  LOCKSTEP_FORCE_INLINE static float largest(Floats a) { return vmaxvq_f32(a); }

  // Sums in int64 lanes.
  LOCKSTEP_FORCE_INLINE static Ints add_int64(Ints sums, Ints a) {
    return vreinterpretq_s32_s64(vpadalq_s32(vreinterpretq_s64_s32(sums), a));
  }
  LOCKSTEP_FORCE_INLINE static Ints add_squares_int64(Ints sums, Ints a) {
    const int64x2_t low = vmlal_s32(vreinterpretq_s64_s32(sums), vget_low_s32(a), vget_low_s32(a));
    return vreinterpretq_s32_s64(vmlal_high_s32(low, a, a));
  }
  LOCKSTEP_FORCE_INLINE static int64_t total_int64(Ints sums) {
    return vaddvq_s64(vreinterpretq_s64_s32(sums));
  }

  // 4 int32 narrowed to their low 8 or 16 bits.
  LOCKSTEP_FORCE_INLINE static void store_int8(int8_t* p, Ints a) {
    const int16x4_t words = vmovn_s32(a);
    const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    const int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
    std::memcpy(p, &four, sizeof(four));
  }
  LOCKSTEP_FORCE_INLINE static void store_int16(int16_t* p, Ints a) { vst1_s16(p, vmovn_s32(a)); }

  // 8 int16 as they are, or from 8 int8; a pair of int16 in every lane; per lane the sum of a pair's products
  // added to the sums.
  LOCKSTEP_FORCE_INLINE static Ints load_pairs(const int16_t* p) {
    return vreinterpretq_s32_s16(vld1q_s16(p));
  }
  LOCKSTEP_FORCE_INLINE static Ints load_pairs(const int8_t* p) {
    return vreinterpretq_s32_s16(vmovl_s8(vld1_s8(p)));
  }
  LOCKSTEP_FORCE_INLINE static Ints set_pair(const int16_t* p) {
    int32_t pair;
    std::memcpy(&pair, p, sizeof(pair));
    return vdupq_n_s32(pair);
  }
  LOCKSTEP_FORCE_INLINE static Ints dot_pairs(Ints sums, Ints a, Ints b) {
    const int16x8_t x = vreinterpretq_s16_s32(a), y = vreinterpretq_s16_s32(b);
    return add(sums, vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y)));
  }

  // 255*high + low of every lane in binary64, exact.
  LOCKSTEP_FORCE_INLINE static void add_planes(double* sums, Ints high, Ints low) {
    vst1q_f64(sums, vaddq_f64(vld1q_f64(sums), first_planes(high, low)));
    vst1q_f64(sums + 2, vaddq_f64(vld1q_f64(sums + 2), last_planes(high, low)));
  }
  // 4 int32 added to binary64, exact.
  LOCKSTEP_FORCE_INLINE static void add_doubles(double* sums, Ints a) {
    vst1q_f64(sums, vaddq_f64(vld1q_f64(sums), vcvtq_f64_s64(vmovl_s32(vget_low_s32(a)))));
    vst1q_f64(sums + 2, vaddq_f64(vld1q_f64(sums + 2), vcvtq_f64_s64(vmovl_high_s32(a))));
  }
  // 4 binary64 rounded to binary32.
  LOCKSTEP_FORCE_INLINE static Floats to_floats(const double* p) {
    return vcvt_high_f32_f64(vcvt_f32_f64(vld1q_f64(p)), vld1q_f64(p + 2));
  }
  // f32(255*high + low).
  LOCKSTEP_FORCE_INLINE static Floats combine_planes(Ints high, Ints low) {
    return vcvt_high_f32_f64(vcvt_f32_f64(first_planes(high, low)), last_planes(high, low));
  }

  // The turn of 2 neighbouring pairs (x, y) by the first 2 of cos and sin.
  LOCKSTEP_FORCE_INLINE static Floats turn_neighbours(Floats xy, Floats cos, Floats sin) {
    constexpr int32x4_t kFirstSigns = {INT32_MIN, 0, INT32_MIN, 0};
    const Floats across = vmulq_f32(vrev64q_f32(xy), vzip1q_f32(sin, sin));
    return vaddq_f32(vmulq_f32(xy, vzip1q_f32(cos, cos)), from_bits(bit_xor(bits(across), kFirstSigns)));
  }

 private:
  LOCKSTEP_FORCE_INLINE static float64x2_t first_planes(Ints high, Ints low) {
    return vcvtq_f64_s64(vmlal_n_s32(vmovl_s32(vget_low_s32(low)), vget_low_s32(high), 255));
  }
  LOCKSTEP_FORCE_INLINE static float64x2_t last_planes(Ints high, Ints low) {
    return vcvtq_f64_s64(vmlal_high_n_s32(vmovl_high_s32(low), high, 255));
  }
};

}  // namespace lockstep::targets::host
