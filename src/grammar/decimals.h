// Numbers within bounds, digit by digit.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "grammar/automaton.h"

namespace lockstep::grammar {

// A number without an exponent: `whole` is "0" or begins with another digit, `fraction` does not end with 0.
struct Decimal {
  bool negative;  // and not 0
  std::string whole, fraction;
};

// Exactly the integer, or the shortest decimal that the double stands for: what was written, for up to 15
// digits.
Decimal decimal_of(const nlohmann::ordered_json& number);

struct NumberBounds {
  struct Bound {
    Decimal value;
    bool exclusive;
  };
  std::vector<Bound> least, most;
  std::optional<Decimal> multiple_of;  // above 0
};

inline constexpr uint32_t kIntegerDigitsMax = 18;
inline constexpr uint32_t kNumberDigitsMax = 15;  // doubles tell all decimals of so many digits apart
inline constexpr uint32_t kMultiplesMax = 1000;   // a step without its point

// The JSON texts of the numbers within the bounds, without an exponent: integers of up to kIntegerDigitsMax
// digits; decimals, and integers that are multiples, of up to kNumberDigitsMax (before and after the point
// together). Throws a user's error,
// the end of a sentence about the bounds, where multiple_of has too many digits.
Automaton numbers_within(const NumberBounds& bounds, bool integers, Effort& effort);

}  // namespace lockstep::grammar
