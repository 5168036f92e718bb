#include "grammar/json_rules.h"

#include <algorithm>
#include <map>
#include <utility>

namespace lockstep::grammar {

namespace {

constexpr int kIndentMax = 32;
constexpr int kDigitsMax = 18;
constexpr int kExponentDigitsMax = 2;

}  // namespace

StateId JsonRules::white_space() {
  if (white_space_ != kNoState) return white_space_;
  white_space_ = builder_.add_final_state();
  builder_.take(white_space_, ' ', builder_.add_final_state());
  StateId indent = builder_.add_final_state();
  builder_.take(white_space_, '\n', indent);
  for (int i = 0; i < kIndentMax; ++i) {
    const StateId next = builder_.add_final_state();
    builder_.take(indent, ' ', next);
    builder_.take(indent, '\t', next);
    indent = next;
  }
  return white_space_;
}

void JsonRules::close(StateId from, char byte, StateId to) {
  const StateId last = builder_.add_state();
  builder_.call(from, white_space(), last);
  builder_.take(last, byte, to);
}

// What follows the first byte of a character that has several: the tails of UTF-8 (Unicode 3.9, table 3-7)
// and of an escape.
const JsonRules::CharacterRules& JsonRules::characters() {
  if (characters_) return *characters_;
  GrammarBuilder& b = builder_;
  const StateId end = b.add_final_state();
  auto tail = [&](uint8_t low, uint8_t high, StateId to) {
    const StateId state = b.add_state();
    b.take(state, low, high, to);
    return state;
  };
  auto hex = [&](StateId from, StateId to) {
    b.take(from, '0', '9', to);
    b.take(from, 'a', 'f', to);
    b.take(from, 'A', 'F', to);
  };
  CharacterRules rules{};
  rules.tail1 = tail(0x80, 0xBF, end);
  rules.tail2 = tail(0x80, 0xBF, rules.tail1);
  rules.tail2_low = tail(0xA0, 0xBF, rules.tail1);   // after E0: no overlong form
  rules.tail2_high = tail(0x80, 0x9F, rules.tail1);  // after ED: no surrogate
  rules.tail3 = tail(0x80, 0xBF, rules.tail2);
  rules.tail3_low = tail(0x90, 0xBF, rules.tail2);   // after F0: no overlong form
  rules.tail3_high = tail(0x80, 0x8F, rules.tail2);  // after F4: nothing above U+10FFFF

  rules.escape = b.add_state();
  for (const char letter : std::string_view("\"\\/bfnrt")) b.take(rules.escape, letter, end);
  const StateId last1 = b.add_state();
  const StateId last2 = b.add_state();
  const StateId last3 = b.add_state();
  hex(last1, end);
  hex(last2, last1);
  hex(last3, last2);
  const StateId unicode = b.add_state();
  b.take(rules.escape, 'u', unicode);
  b.take(unicode, '0', '9', last3);
  for (const char letter : std::string_view("abcefABCEF")) b.take(unicode, letter, last3);
  // D800 to DBFF and then DC00 to DFFF; D000 to D7FF stand alone.
  const StateId after_d = b.add_state();
  b.take(unicode, 'd', after_d);
  b.take(unicode, 'D', after_d);
  b.take(after_d, '0', '7', last2);
  const StateId low = b.add_state();  // after the second escape's \u
  const StateId low_after_d = b.add_state();
  b.take(low, 'd', low_after_d);
  b.take(low, 'D', low_after_d);
  b.take(low_after_d, 'c', 'f', last2);
  b.take(low_after_d, 'C', 'F', last2);
  const StateId pair = b.add_state();
  b.take(pair, "\\u", low);
  const StateId high1 = b.add_state();
  const StateId high2 = b.add_state();
  hex(high1, pair);
  hex(high2, high1);
  b.take(after_d, '8', '9', high2);
  b.take(after_d, 'a', 'b', high2);
  b.take(after_d, 'A', 'B', high2);
  characters_ = rules;
  return *characters_;
}

void JsonRules::string_rest(StateId from, Count characters, StateId to) {
  const CharacterRules& rules = this->characters();
  auto character = [&](StateId at, StateId next) {
    builder_.take(at, 0x20, 0x21, next);
    builder_.take(at, 0x23, 0x5B, next);
    builder_.take(at, 0x5D, 0x7F, next);
    builder_.take_and_call(at, '\\', '\\', rules.escape, next);
    builder_.take_and_call(at, 0xC2, 0xDF, rules.tail1, next);
    builder_.take_and_call(at, 0xE0, 0xE0, rules.tail2_low, next);
    builder_.take_and_call(at, 0xE1, 0xEC, rules.tail2, next);
    builder_.take_and_call(at, 0xED, 0xED, rules.tail2_high, next);
    builder_.take_and_call(at, 0xEE, 0xEF, rules.tail2, next);
    builder_.take_and_call(at, 0xF0, 0xF0, rules.tail3_low, next);
    builder_.take_and_call(at, 0xF1, 0xF3, rules.tail3, next);
    builder_.take_and_call(at, 0xF4, 0xF4, rules.tail3_high, next);
  };
  for (uint32_t i = 0;; ++i) {
    if (i >= characters.least) builder_.take(from, '"', to);
    if (characters.most && i >= *characters.most) return;
    if (!characters.most && i >= characters.least) return character(from, from);
    const StateId next = builder_.add_state();
    character(from, next);
    from = next;
  }
}

StateId JsonRules::string() {
  if (string_ != kNoState) return string_;
  string_ = builder_.add_state();
  const StateId rest = builder_.add_state();
  builder_.take(string_, '"', rest);
  string_rest(rest, {}, builder_.add_final_state());
  return string_;
}

// At least one digit and at most `count`.
void JsonRules::digits(StateId from, int count, StateId to) {
  for (int i = 0; i < count; ++i) {
    const StateId next = builder_.add_state();
    builder_.take(from, '0', '9', next);
    builder_.skip(next, to);
    from = next;
  }
}

StateId JsonRules::number_rule(bool fraction) {
  GrammarBuilder& b = builder_;
  const StateId start = b.add_state();
  const StateId unsigned_part = b.add_state();
  const StateId whole = b.add_final_state();
  b.take(start, '-', unsigned_part);
  b.skip(start, unsigned_part);
  b.take(unsigned_part, '0', whole);
  const StateId first = b.add_state();
  b.take(unsigned_part, '1', '9', first);
  b.skip(first, whole);
  digits(first, kDigitsMax - 1, whole);
  if (!fraction) return start;
  const StateId point = b.add_state();
  const StateId mantissa = b.add_final_state();
  b.take(whole, '.', point);
  digits(point, kDigitsMax, mantissa);
  b.skip(whole, mantissa);
  const StateId sign = b.add_state();
  const StateId exponent = b.add_state();
  b.take(mantissa, 'e', sign);
  b.take(mantissa, 'E', sign);
  b.take(sign, '+', exponent);
  b.take(sign, '-', exponent);
  b.skip(sign, exponent);
  digits(exponent, kExponentDigitsMax, b.add_final_state());
  return start;
}

StateId JsonRules::integer() {
  if (integer_ == kNoState) integer_ = number_rule(false);
  return integer_;
}

StateId JsonRules::number() {
  if (number_ == kNoState) number_ = number_rule(true);
  return number_;
}

StateId JsonRules::digits_rule(size_t count) {
  if (digits_.empty()) digits_.push_back(builder_.add_final_state());
  while (digits_.size() <= count) {
    const StateId longer = builder_.add_state();
    builder_.take(longer, '0', '9', digits_.back());
    digits_.push_back(longer);
  }
  return digits_[count];
}

void JsonRules::same_length_between(StateId from, std::string_view least, std::string_view most, StateId to) {
  const size_t tail = least.size() - 1;
  // A bound binds after its first digit, unless its tail leaves all digits free.
  const bool least_binds = least.find_first_not_of('0', 1) != std::string_view::npos;
  const bool most_binds = most.find_first_not_of('9', 1) != std::string_view::npos;
  auto bound = [&](char digit, std::string_view tail_least, std::string_view tail_most) {
    const StateId next = builder_.add_state();
    builder_.take(from, digit, next);
    same_length_between(next, tail_least, tail_most, to);
  };
  if (least[0] == most[0] && (least_binds || most_binds)) {
    return bound(least[0], least.substr(1), most.substr(1));
  }
  if (least_binds) bound(least[0], least.substr(1), std::string(tail, '9'));
  if (most_binds) bound(most[0], std::string(tail, '0'), most.substr(1));
  const auto first = static_cast<uint8_t>(least[0] + (least_binds ? 1 : 0));
  const auto last = static_cast<uint8_t>(most[0] - (most_binds ? 1 : 0));
  if (first <= last) builder_.take_and_call(from, first, last, digits_rule(tail), to);
}

void JsonRules::magnitude_between(StateId from, uint64_t least, uint64_t most, StateId to) {
  uint64_t shortest = 0;  // of so many digits
  for (uint64_t longest = 9; shortest <= most; longest = longest * 10 + 9) {
    const uint64_t low = std::max(least, shortest);
    const uint64_t high = std::min(most, longest);
    if (low <= high) same_length_between(from, std::to_string(low), std::to_string(high), to);
    shortest = longest + 1;
  }
}

void JsonRules::integer_between(StateId from, int64_t least, int64_t most, StateId to) {
  if (most >= 0) {
    magnitude_between(from, static_cast<uint64_t>(std::max<int64_t>(least, 0)), static_cast<uint64_t>(most),
                      to);
  }
  if (least < 0) {
    const StateId negative = builder_.add_state();
    builder_.take(from, '-', negative);
    magnitude_between(negative, static_cast<uint64_t>(std::max<int64_t>(-most, 1)),
                      static_cast<uint64_t>(-least), to);
  }
}

void JsonRules::array(StateId from, StateId item, Count items, StateId to) {
  GrammarBuilder& b = builder_;
  const StateId opened = b.add_state();
  b.take(from, '[', opened);
  const StateId first = b.add_state();
  b.call(opened, white_space(), first);
  if (items.least == 0) b.take(first, ']', to);
  if (items.most == 0u) return;
  const StateId next = b.add_state();  // a rule: what follows a comma
  const StateId spaced = b.add_state();
  b.call(next, white_space(), spaced);
  b.call(spaced, item, b.add_final_state());
  const StateId closing = b.add_state();
  close(closing, ']', to);
  StateId after = b.add_state();
  b.call(first, item, after);
  for (uint32_t i = 1;; ++i) {  // at `after` there are i items
    if (i >= items.least) b.skip(after, closing);
    if (items.most && i >= *items.most) return;
    const bool loops = !items.most && i >= items.least;
    const StateId later = loops ? after : b.add_state();
    b.take_and_call(after, ',', ',', next, later);
    if (loops) return;
    after = later;
  }
}

void JsonRules::map(StateId from, StateId value, StateId to) {
  GrammarBuilder& b = builder_;
  const StateId member = b.add_state();  // a rule
  const StateId named = b.add_state();
  b.call(member, string(), named);
  const StateId colon = b.add_state();
  b.take(named, ':', colon);
  const StateId spaced = b.add_state();
  b.call(colon, white_space(), spaced);
  b.call(spaced, value, b.add_final_state());

  const StateId opened = b.add_state();
  b.take(from, '{', opened);
  const StateId first = b.add_state();
  b.call(opened, white_space(), first);
  b.take(first, '}', to);
  const StateId after = b.add_state();
  b.call(first, member, after);
  close(after, '}', to);
  const StateId comma = b.add_state();
  b.take(after, ',', comma);
  const StateId next = b.add_state();
  b.call(comma, white_space(), next);
  b.call(next, member, after);
}

StateId JsonRules::object() {
  if (object_ != kNoState) return object_;
  object_ = builder_.add_state();
  map(object_, value(), builder_.add_final_state());
  return object_;
}

StateId JsonRules::value() {
  if (value_ != kNoState) return value_;
  value_ = builder_.add_state();
  const StateId end = builder_.add_final_state();
  builder_.call(value_, string(), end);
  builder_.call(value_, number(), end);
  builder_.call(value_, object(), end);
  array(value_, value_, {}, end);
  one_of(value_, {"true", "false", "null"}, end);
  return value_;
}

std::vector<StateId> JsonRules::each_of(StateId from, const std::vector<std::string>& texts) {
  std::map<std::pair<StateId, char>, StateId> branches;
  std::vector<StateId> ends;
  for (const std::string& text : texts) {
    StateId state = from;
    for (const char byte : text) {
      const auto [branch, is_new] = branches.try_emplace({state, byte}, kNoState);
      if (is_new) {
        branch->second = builder_.add_state();
        builder_.take(state, byte, branch->second);
      }
      state = branch->second;
    }
    ends.push_back(state);
  }
  return ends;
}

void JsonRules::one_of(StateId from, const std::vector<std::string>& texts, StateId to) {
  for (const StateId end : each_of(from, texts)) builder_.skip(end, to);
}

}  // namespace lockstep::grammar
