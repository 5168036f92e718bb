#include "grammar/json_rules.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "grammar/automaton.h"

namespace lockstep::grammar {

namespace {

constexpr int kIndentMax = 32;
constexpr int kDigitsMax = 18;
constexpr int kExponentDigitsMax = 2;

using Characters = std::pair<uint32_t, uint32_t>;  // the first and the last
// By the number of their bytes in UTF-8; surrogates are no characters.
constexpr std::array<Characters, 5> kCharactersBySize = {
    {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, 0x10FFFF}}};
// In a string.
constexpr std::array<Characters, 3> kUnescaped = {{{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x10FFFF}}};
constexpr std::array<Characters, 3> kEscaped = {{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}};

std::string utf8(uint32_t character) {
  auto tail = [&](int shift) { return static_cast<char>(0x80 | (character >> shift & 0x3F)); };
  auto lead = [&](uint32_t mark, int shift) { return static_cast<char>(mark | character >> shift); };
  if (character < 0x80) return {lead(0, 0)};
  if (character < 0x800) return {lead(0xC0, 6), tail(0)};
  if (character < 0x10000) return {lead(0xE0, 12), tail(6), tail(0)};
  return {lead(0xF0, 18), tail(12), tail(6), tail(0)};
}

// Splits the sequences from `low` to `high`, which are as long, where what may follow the first byte changes:
// visit(first byte, last first byte, low rest, high rest).
template <class Visit>
void each_lead(std::string_view low, std::string_view high, Visit visit) {
  const std::string least(low.size() - 1, '\x80');
  const std::string most(low.size() - 1, '\xBF');
  auto first = static_cast<uint8_t>(low[0]);
  auto last = static_cast<uint8_t>(high[0]);
  if (first == last) return visit(first, last, low.substr(1), high.substr(1));
  if (low.substr(1) != least) {
    visit(first, first, low.substr(1), most);
    ++first;
  }
  const bool high_binds = high.substr(1) != most;
  if (high_binds) --last;
  if (first <= last) visit(first, last, least, most);
  if (high_binds)
    visit(static_cast<uint8_t>(last + 1), static_cast<uint8_t>(last + 1), least, high.substr(1));
}

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

StateId JsonRules::end() {
  if (end_ == kNoState) end_ = builder_.add_final_state();
  return end_;
}

// What follows the first byte of a character in UTF-8: all bytes from `low` to `high`, which are as long.
StateId JsonRules::tail(std::string_view low, std::string_view high) {
  if (low.empty()) return end();
  const auto [known, is_new] = tails_.try_emplace({std::string(low), std::string(high)}, kNoState);
  if (!is_new) return known->second;
  const StateId state = builder_.add_state();
  known->second = state;
  each_lead(low, high,
            [&](uint8_t first, uint8_t last, std::string_view rest_low, std::string_view rest_high) {
              builder_.take(state, first, last, tail(rest_low, rest_high));
            });
  return state;
}

// The characters from `low` to `high` as they are, which JSON allows.
void JsonRules::unescaped(StateId from, uint32_t low, uint32_t high, StateId to) {
  for (const auto& [first, last] : kCharactersBySize) {
    if (low > last || high < first) continue;
    const std::string least = utf8(std::max(low, first));
    const std::string most = utf8(std::min(high, last));
    each_lead(least, most,
              [&](uint8_t lead, uint8_t last_lead, std::string_view rest_low, std::string_view rest_high) {
                if (rest_low.empty()) {
                  builder_.take(from, lead, last_lead, to);
                } else {
                  builder_.take_and_call(from, lead, last_lead, tail(rest_low, rest_high), to);
                }
              });
  }
}

// What follows a backslash: any escape.
StateId JsonRules::escape() {
  if (escape_ != kNoState) return escape_;
  GrammarBuilder& b = builder_;
  auto hex = [&](StateId from, StateId to) {
    b.take(from, '0', '9', to);
    b.take(from, 'a', 'f', to);
    b.take(from, 'A', 'F', to);
  };
  escape_ = b.add_state();
  for (const char letter : std::string_view("\"\\/bfnrt")) b.take(escape_, letter, end());
  const StateId last1 = b.add_state();
  const StateId last2 = b.add_state();
  const StateId last3 = b.add_state();
  hex(last1, end());
  hex(last2, last1);
  hex(last3, last2);
  const StateId unicode = b.add_state();
  b.take(escape_, 'u', unicode);
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
  return escape_;
}

// What follows a backslash: the shortest escapes of some characters that need one.
StateId JsonRules::escape_of(uint8_t low, uint8_t high) {
  const auto [known, is_new] = escapes_.try_emplace({low, high}, kNoState);
  if (!is_new) return known->second;
  const StateId start = builder_.add_state();
  known->second = start;
  std::vector<std::string> texts;
  for (int character = low; character <= high; ++character) {
    const std::string text = nlohmann::json(std::string(1, static_cast<char>(character))).dump();
    texts.push_back(text.substr(2, text.size() - 3));
  }
  one_of(start, texts, end());
  return start;
}

// The characters from `low` to `high`, those escaped that need it.
void JsonRules::written(StateId from, uint32_t low, uint32_t high, StateId to) {
  for (const auto& [first, last] : kEscaped) {
    if (low > last || high < first) continue;
    const StateId rule = escape_of(std::max<uint8_t>(first, static_cast<uint8_t>(low)),
                                   static_cast<uint8_t>(std::min<uint32_t>(last, high)));
    builder_.take_and_call(from, '\\', '\\', rule, to);
  }
  for (const auto& [first, last] : kUnescaped) {
    if (low > last || high < first) continue;
    unescaped(from, std::max(low, first), std::min(high, last), to);
  }
}

void JsonRules::string_rest(StateId from, Count characters, StateId to) {
  auto character = [&](StateId at, StateId next) {
    for (const auto& [first, last] : kUnescaped) unescaped(at, first, last, next);
    builder_.take_and_call(at, '\\', '\\', escape(), next);
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

// A state for each of the automaton's, the first reached from `from`.
std::vector<StateId> JsonRules::states_of(StateId from, const Automaton& texts) {
  std::vector<StateId> states(texts.states.size());
  for (StateId& state : states) state = builder_.add_state();
  builder_.skip(from, states[0]);
  return states;
}

void JsonRules::plain(StateId from, const Automaton& texts, StateId to) {
  const std::vector<StateId> states = states_of(from, texts);
  for (size_t i = 0; i < states.size(); ++i) {
    for (const Automaton::Edge& edge : texts.states[i].edges) {
      LOCKSTEP_CHECK(edge.high < 0x80);
      builder_.take(states[i], static_cast<uint8_t>(edge.low), static_cast<uint8_t>(edge.high),
                    states[edge.target]);
    }
    if (texts.states[i].final) builder_.skip(states[i], to);
  }
}

void JsonRules::string_rest(StateId from, const Automaton& texts, StateId to) {
  const std::vector<StateId> states = states_of(from, texts);
  for (size_t i = 0; i < states.size(); ++i) {
    for (const Automaton::Edge& edge : texts.states[i].edges) {
      written(states[i], edge.low, edge.high, states[edge.target]);
    }
    if (texts.states[i].final) builder_.take(states[i], '"', to);
  }
}

StateId JsonRules::string() {
  if (string_ != kNoState) return string_;
  string_ = builder_.add_state();
  const StateId rest = builder_.add_state();
  builder_.take(string_, '"', rest);
  string_rest(rest, Count{}, builder_.add_final_state());
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

void JsonRules::array(StateId from, std::span<const StateId> first_items, StateId item, Count items,
                      StateId to) {
  list(from, "[]", first_items, item, items, to);
}

StateId JsonRules::member(StateId name, StateId value) {
  GrammarBuilder& b = builder_;
  const StateId start = b.add_state();
  const StateId named = b.add_state();
  b.call(start, name, named);
  const StateId colon = b.add_state();
  b.take(named, ':', colon);
  const StateId spaced = b.add_state();
  b.call(colon, white_space(), spaced);
  b.call(spaced, value, b.add_final_state());
  return start;
}

void JsonRules::map(StateId from, StateId member, Count members, StateId to) {
  list(from, "{}", {}, member, members, to);
}

// What has commas between its items, and the two brackets around them.
void JsonRules::list(StateId from, std::string_view brackets, std::span<const StateId> first_items,
                     StateId item, Count items, StateId to) {
  GrammarBuilder& b = builder_;
  auto item_at = [&](size_t i) { return i < first_items.size() ? first_items[i] : item; };
  const StateId opened = b.add_state();
  b.take(from, brackets[0], opened);
  const StateId first = b.add_state();
  b.call(opened, white_space(), first);
  if (items.least == 0) b.take(first, brackets[1], to);
  if (items.most == 0u) return;
  std::map<StateId, StateId> rules;  // by item: what follows a comma
  auto next = [&](StateId rule) {
    const auto [known, is_new] = rules.try_emplace(rule, kNoState);
    if (!is_new) return known->second;
    known->second = b.add_state();
    const StateId spaced = b.add_state();
    b.call(known->second, white_space(), spaced);
    b.call(spaced, rule, b.add_final_state());
    return known->second;
  };
  const StateId closing = b.add_state();
  close(closing, brackets[1], to);
  StateId after = b.add_state();
  b.call(first, item_at(0), after);
  for (uint32_t i = 1;; ++i) {  // at `after` there are i items
    if (i >= items.least) b.skip(after, closing);
    if (items.most && i >= *items.most) return;
    const bool loops = !items.most && i >= items.least && i >= first_items.size();
    const StateId later = loops ? after : b.add_state();
    b.take_and_call(after, ',', ',', next(item_at(i)), later);
    if (loops) return;
    after = later;
  }
}

StateId JsonRules::object() {
  if (object_ != kNoState) return object_;
  object_ = builder_.add_state();
  map(object_, member(string(), value()), {}, builder_.add_final_state());
  return object_;
}

StateId JsonRules::value() {
  if (value_ != kNoState) return value_;
  value_ = builder_.add_state();
  const StateId last = builder_.add_final_state();
  builder_.call(value_, string(), last);
  builder_.call(value_, number(), last);
  builder_.call(value_, object(), last);
  array(value_, {}, value_, {}, last);
  one_of(value_, {"true", "false", "null"}, last);
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
