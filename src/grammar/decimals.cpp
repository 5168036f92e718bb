#include "grammar/decimals.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <tuple>

#include "base/error.h"

namespace lockstep::grammar {

namespace {

enum class Phase : uint8_t { Begin, Minus, Zero, Whole, Point, Fraction };

// The parts of a number that has been read: what a digit is to it.
bool takes_digits(Phase phase) {
  return phase != Phase::Zero;
}

Phase after_digit(Phase phase) {
  return phase == Phase::Point || phase == Phase::Fraction ? Phase::Fraction : Phase::Whole;
}

bool may_end(Phase phase) {
  return phase == Phase::Zero || phase == Phase::Whole || phase == Phase::Fraction;
}

// RFC 8259's numbers without an exponent and with so many digits, if not `integers` with a point.
Automaton syntax(bool integers, uint32_t most, Effort& effort) {
  using Key = std::pair<Phase, uint32_t>;  // digits so far
  auto edges = [&](const Key& key, auto emit) {
    const auto [phase, count] = key;
    if (phase == Phase::Begin) emit('-', '-', Key(Phase::Minus, 0));
    if (!integers && count < most && (phase == Phase::Zero || phase == Phase::Whole)) {
      emit('.', '.', Key(Phase::Point, count));
    }
    if (count == most || !takes_digits(phase)) return;
    const bool first = phase == Phase::Begin || phase == Phase::Minus;
    if (first) emit('0', '0', Key(Phase::Zero, 1));
    emit(first ? '1' : '0', '9', Key(after_digit(phase), count + 1));
  };
  return explored(
      Key(Phase::Begin, 0), edges, [](const Key& key) { return may_end(key.first); }, effort);
}

// Numbers on one side of the bound, of any number of digits.
Automaton beside(const NumberBounds::Bound& bound, bool above, Effort& effort) {
  const Decimal& value = bound.value;
  // What was read, without its sign, beside as many digits of the bound.
  struct Key {
    Phase phase;
    bool negative;
    size_t count;  // of the digits before the point, or behind it; where nothing depends on it, 0
    int order;     // -1: below the bound's, 0: equal, 1: above
    auto operator<=>(const Key&) const = default;
  };
  // The order of the numbers where the part before the point ends.
  auto whole_order = [&](const Key& key) {
    if (key.count != value.whole.size()) return key.count < value.whole.size() ? -1 : 1;
    return key.order;
  };
  auto edges = [&](const Key& key, auto emit) {
    if (key.phase == Phase::Begin) emit('-', '-', Key{Phase::Minus, true, 0, 0});
    if (key.phase == Phase::Whole) emit('.', '.', Key{Phase::Point, key.negative, 0, whole_order(key)});
    const bool fraction = after_digit(key.phase) == Phase::Fraction;
    const std::string& digits = fraction ? value.fraction : value.whole;
    const char against = key.count < digits.size() ? digits[key.count] : '0';
    for (char digit = '0'; digit <= '9'; ++digit) {
      Key next = key;
      next.phase = after_digit(key.phase);
      next.count = std::min(key.count, digits.size()) + 1;
      if (key.order == 0 && digit != against) next.order = digit < against ? -1 : 1;
      if (fraction && (next.order != 0 || next.count > digits.size())) next.count = digits.size();
      emit(digit, digit, next);
    }
  };
  auto final = [&](const Key& key) {
    if (!may_end(key.phase)) return false;
    int order = key.phase == Phase::Whole ? whole_order(key) : key.order;
    const size_t behind = key.phase == Phase::Whole ? 0 : key.count;
    if (order == 0 && behind < value.fraction.size()) order = -1;
    // With the signs.
    const bool zero = value.whole == "0" && value.fraction.empty();
    if (key.negative && (value.negative || zero)) {
      order = -order;
    } else if (key.negative != value.negative) {
      order = key.negative ? -1 : 1;
    }
    if (order == 0) return !bound.exclusive;
    return above == (order > 0);
  };
  return explored(Key{Phase::Begin, false, 0, 0}, edges, final, effort);
}

// Multiples of a step with no more digits behind the point than it has.
Automaton multiples(const Decimal& step, Effort& effort) {
  using Key = std::tuple<Phase, uint32_t, size_t>;  // the remainder so far, digits behind the point
  const size_t places = step.fraction.size();
  uint64_t divisor = 0;
  for (const char digit : step.whole + step.fraction) {
    divisor = divisor * 10 + static_cast<uint64_t>(digit - '0');
    if (divisor > kMultiplesMax)
      user_error("a multipleOf that has a value above {} without its point", kMultiplesMax);
  }
  auto edges = [&](const Key& key, auto emit) {
    const auto [phase, remainder, count] = key;
    if (phase == Phase::Begin) emit('-', '-', Key(Phase::Minus, 0, 0));
    if (phase == Phase::Whole && places > 0) emit('.', '.', Key(Phase::Point, remainder, 0));
    const bool fraction = after_digit(phase) == Phase::Fraction;
    if (fraction && count == places) return;
    for (char digit = '0'; digit <= '9'; ++digit) {
      const auto next =
          static_cast<uint32_t>((remainder * 10 + static_cast<uint32_t>(digit - '0')) % divisor);
      emit(digit, digit, Key(after_digit(phase), next, fraction ? count + 1 : 0));
    }
  };
  auto final = [&](const Key& key) {
    auto [phase, remainder, count] = key;
    for (; count < places; ++count) remainder = static_cast<uint32_t>(remainder * 10 % divisor);
    return may_end(phase) && remainder == 0;
  };
  return explored(Key(Phase::Begin, 0, 0), edges, final, effort);
}

}  // namespace

Decimal decimal_of(const nlohmann::ordered_json& number) {
  // The shortest digits of a double that are read as the same one; 310 before the point at the most.
  std::array<char, 1100> buffer;
  char* const begin = buffer.data();
  char* const last = begin + buffer.size();
  std::to_chars_result written{};
  if (number.is_number_unsigned()) {
    written = std::to_chars(begin, last, number.get<uint64_t>());
  } else if (number.is_number_integer()) {
    written = std::to_chars(begin, last, number.get<int64_t>());
  } else {
    written = std::to_chars(begin, last, number.get<double>(), std::chars_format::fixed);
  }
  LOCKSTEP_CHECK(written.ec == std::errc());
  std::string text(begin, written.ptr);
  Decimal decimal{.negative = text.starts_with('-'), .whole = {}, .fraction = {}};
  if (decimal.negative) text.erase(0, 1);
  const size_t point = std::min(text.find('.'), text.size());
  decimal.whole = text.substr(0, point);
  if (point < text.size()) decimal.fraction = text.substr(point + 1);
  decimal.fraction.erase(decimal.fraction.find_last_not_of('0') + 1);
  if (decimal.whole == "0" && decimal.fraction.empty()) decimal.negative = false;
  return decimal;
}

Automaton numbers_within(const NumberBounds& bounds, bool integers, Effort& effort) {
  const bool long_ones = integers && !bounds.multiple_of;
  Automaton numbers = syntax(integers, long_ones ? kIntegerDigitsMax : kNumberDigitsMax, effort);
  for (const NumberBounds::Bound& bound : bounds.least) {
    numbers = intersection(numbers, beside(bound, true, effort), effort);
  }
  for (const NumberBounds::Bound& bound : bounds.most) {
    numbers = intersection(numbers, beside(bound, false, effort), effort);
  }
  if (bounds.multiple_of) numbers = intersection(numbers, multiples(*bounds.multiple_of, effort), effort);
  return numbers;
}

}  // namespace lockstep::grammar
