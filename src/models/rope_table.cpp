#include "models/rope_table.h"

#include <mpfr.h>

#include "base/error.h"

namespace lockstep::models {

namespace {

// An MPFR number of 256 bits. OWNS it.
struct Number {
  mpfr_t value;
  Number() { mpfr_init2(value, 256); }
  ~Number() { mpfr_clear(value); }
  Number(const Number&) = delete;
  Number& operator=(const Number&) = delete;
};

}  // namespace

std::vector<uint64_t> rope_turns(double base, uint32_t rotary, double linear_factor,
                                 std::span<const float> pair_factors) {
  std::vector<uint64_t> turns(rotary / 2);
  Number two_pi, theta, exponent, base_number;
  mpfr_const_pi(two_pi.value, MPFR_RNDN);
  mpfr_mul_ui(two_pi.value, two_pi.value, 2, MPFR_RNDN);
  mpfr_set_d(base_number.value, base, MPFR_RNDN);
  for (uint32_t i = 0; i < turns.size(); ++i) {
    mpfr_set_si(exponent.value, -2 * static_cast<long>(i), MPFR_RNDN);
    mpfr_div_ui(exponent.value, exponent.value, rotary, MPFR_RNDN);
    mpfr_pow(theta.value, base_number.value, exponent.value, MPFR_RNDN);
    mpfr_div_d(theta.value, theta.value, linear_factor, MPFR_RNDN);
    if (!pair_factors.empty()) mpfr_div_d(theta.value, theta.value, pair_factors[i], MPFR_RNDN);
    mpfr_div(theta.value, theta.value, two_pi.value, MPFR_RNDN);
    mpfr_mul_2ui(theta.value, theta.value, 64, MPFR_RNDN);
    mpfr_rint(theta.value, theta.value, MPFR_RNDN);
    if (mpfr_cmp_ui_2exp(theta.value, 1, 64) >= 0) {
      user_error(
          "RoPE pair {} turns more than once a position: the frequency factors of the file are too small", i);
    }
    // Two halves: an unsigned long may have 32 bits.
    Number high;
    mpfr_div_2ui(high.value, theta.value, 32, MPFR_RNDN);
    const uint64_t upper = mpfr_get_ui(high.value, MPFR_RNDZ);
    mpfr_set_ui_2exp(high.value, upper, 32, MPFR_RNDN);
    mpfr_sub(theta.value, theta.value, high.value, MPFR_RNDN);
    turns[i] = (upper << 32) + mpfr_get_ui(theta.value, MPFR_RNDN);
  }
  return turns;
}

}  // namespace lockstep::models
