// RoPE's turns a position, F_i of NUMERICS.md section 7, by arithmetic of 256 bits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::models {

// F_i = the integer nearest to 2^64 * theta_i / (2 pi) for i < rotary / 2, where
// theta_i = base^(-2i / rotary) / linear_factor / pair_factors[i] (no division where there are none).
// REQUIRES: base > 0, linear_factor > 0, pair_factors empty or rotary / 2 positive numbers.
std::vector<uint64_t> rope_turns(double base, uint32_t rotary, double linear_factor,
                                 std::span<const float> pair_factors);

}  // namespace lockstep::models
