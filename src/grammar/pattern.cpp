#include "grammar/pattern.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace lockstep::grammar {

namespace {

constexpr uint32_t kNestingMax = 64;
constexpr uint32_t kRepeatsMax = 1000;
constexpr size_t kPartsMax = 20000;  // of a pattern with its repetitions written out

struct Range {
  uint32_t low, high;
};
using Ranges = std::vector<Range>;  // ascending, with something between

Ranges joined(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.low < b.low; });
  Ranges result;
  for (const Range& range : ranges) {
    if (!result.empty() && range.low <= result.back().high + 1) {
      result.back().high = std::max(result.back().high, range.high);
    } else {
      result.push_back(range);
    }
  }
  return result;
}

Ranges complement(const Ranges& ranges) {
  Ranges result;
  uint32_t low = 0;
  for (const Range& range : ranges) {
    if (low < range.low) result.push_back({low, range.low - 1});
    low = range.high + 1;
  }
  if (low <= kCharacterMax) result.push_back({low, kCharacterMax});
  return result;
}

// Characters that are in a class for every reader of patterns, and those that are not for any: the one for
// the class itself, the other for its opposite.
struct Class {
  Ranges in, out;
};

Class exactly(Ranges ranges) {
  ranges = joined(std::move(ranges));
  return {ranges, complement(ranges)};
}

Class opposite(Class one) {
  std::swap(one.in, one.out);
  return one;
}

Class united(const Class& a, const Class& b) {
  Ranges in = a.in;
  in.insert(in.end(), b.in.begin(), b.in.end());
  Ranges not_out = complement(a.out);
  const Ranges more = complement(b.out);
  not_out.insert(not_out.end(), more.begin(), more.end());
  return {joined(std::move(in)), complement(joined(std::move(not_out)))};
}

// ECMA-262's \d and \w are ASCII's; in other dialects (Python, Rust) they are Unicode's.
Class ascii_class(const Ranges& in) {
  Ranges not_out = in;
  not_out.push_back({0x80, kCharacterMax});
  return {in, complement(joined(std::move(not_out)))};
}

Class digits() {
  return ascii_class({{'0', '9'}});
}

Class word() {
  return ascii_class({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
}

// White space: ECMA-262's, Python's (U+001C to 1F and 85 too) and Unicode's property (85 too, FEFF not).
Class space() {
  const Ranges common = {{0x09, 0x0D},     {0x20, 0x20},     {0xA0, 0xA0},
                         {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                         {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
  Ranges somewhere = common;
  for (const Range& range : Ranges{{0x1C, 0x1F}, {0x85, 0x85}, {0x180E, 0x180E}, {0xFEFF, 0xFEFF}}) {
    somewhere.push_back(range);
  }
  return {common, complement(joined(std::move(somewhere)))};
}

// What `.` matches: ECMA-262 leaves all its line ends out, others the line feed alone.
Ranges any_but_line_ends() {
  return complement({{'\n', '\n'}, {'\r', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}});
}

struct Part {
  enum class Kind : uint8_t { One, Begin, End, Sequence, Choice, Repeat };
  Kind kind;
  Ranges characters = {};        // of One
  std::vector<Part> parts = {};  // of Sequence, Choice and Repeat (one)
  Count count = {};              // of Repeat
};

class PatternReader {
 public:
  explicit PatternReader(std::string_view pattern) : text_(characters_of(pattern)) {}

  Part read() {
    Part part = choice();
    if (at_ < text_.size()) refuse("has a ')' that closes nothing");
    return part;
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    user_error("which {} (at character {})", fmt::format(format, std::forward<Args>(args)...), at_ + 1);
  }

  bool ends() const { return at_ == text_.size(); }
  bool next_is(char32_t character) const { return at_ < text_.size() && text_[at_] == character; }
  bool take(char32_t character) {
    if (!next_is(character)) return false;
    ++at_;
    return true;
  }
  bool take(std::u32string_view word) {
    if (text_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
  }

  Part choice() {
    if (++nesting_ > kNestingMax) refuse("has more than {} groups in each other", kNestingMax);
    Part part{.kind = Part::Kind::Choice};
    do {
      part.parts.push_back(sequence());
    } while (take(U'|'));
    --nesting_;
    return part;
  }

  Part sequence() {
    Part part{.kind = Part::Kind::Sequence};
    while (!ends() && !next_is(U'|') && !next_is(U')')) {
      Part one = atom();
      const std::optional<Count> count = quantifier();
      if (count) {
        const bool assertion = one.kind == Part::Kind::Begin || one.kind == Part::Kind::End;
        if (assertion) refuse("repeats a '^' or '$'");
        one = {.kind = Part::Kind::Repeat, .parts = {std::move(one)}, .count = *count};
      }
      part.parts.push_back(std::move(one));
    }
    return part;
  }

  std::optional<Count> quantifier() {
    std::optional<Count> count;
    if (take(U'*')) {
      count = Count{0, std::nullopt};
    } else if (take(U'+')) {
      count = Count{1, std::nullopt};
    } else if (take(U'?')) {
      count = Count{0, 1};
    } else if (take(U'{')) {
      count = Count{repeats(), std::nullopt};
      if (!take(U',')) {
        count->most = count->least;
      } else if (!next_is(U'}')) {
        count->most = repeats();
      }
      if (!take(U'}')) refuse("has a '{{' that is no quantifier: one is written {{2}}, {{2,}} or {{2,5}}");
      if (count->most && *count->most < count->least)
        refuse("has a quantifier whose end is below its beginning");
    }
    if (count) take(U'?');  // lazy: the same texts
    return count;
  }

  uint32_t repeats() {
    if (ends() || text_[at_] < U'0' || text_[at_] > U'9') {
      refuse("has a '{{' without a number: a brace that is meant is written \\{{");
    }
    uint32_t number = 0;
    while (!ends() && text_[at_] >= U'0' && text_[at_] <= U'9') {
      number = number * 10 + (text_[at_++] - U'0');
      if (number > kRepeatsMax) refuse("repeats more than {} times", kRepeatsMax);
    }
    return number;
  }

  Part atom() {
    if (take(U'^')) return {.kind = Part::Kind::Begin};
    if (take(U'$')) return {.kind = Part::Kind::End};
    if (take(U'.')) return one(any_but_line_ends());
    if (take(U'(')) return group();
    if (take(U'[')) return one(bracket());
    if (take(U'\\')) return one(escape(false).in);
    for (const char32_t character : std::u32string_view(U"*+?{")) {
      if (next_is(character)) refuse("has a quantifier with nothing to repeat");
    }
    for (const char32_t character : std::u32string_view(U"]}")) {
      if (next_is(character))
        refuse("has a bracket that closes nothing: one that is meant has a \\ before it");
    }
    const uint32_t character = text_[at_++];
    return one({{character, character}});
  }

  static Part one(Ranges characters) {
    return {.kind = Part::Kind::One, .characters = std::move(characters)};
  }

  Part group() {
    if (take(U'?')) {
      if (take(U"=") || take(U"!") || take(U"<=") || take(U"<!")) {
        refuse("looks ahead or behind, which is not supported");
      }
      if (take(U'<')) {
        while (!ends() && !next_is(U'>')) ++at_;
        if (!take(U'>')) refuse("has a group whose name does not end");
      } else if (!take(U':')) {
        refuse("has a group of a kind that ECMA-262 does not have");
      }
    }
    Part part = choice();
    if (!take(U')')) refuse("has a group without its ')'");
    return part;
  }

  // A class after its '['.
  Ranges bracket() {
    const bool negated = take(U'^');
    if (next_is(U']')) refuse("has an empty class");
    Class all = exactly({});
    while (!take(U']')) {
      if (ends()) refuse("has a class without its ']'");
      bool single = true;
      Class first = bracket_member(single);
      const bool range = next_is(U'-') && at_ + 1 < text_.size() && text_[at_ + 1] != U']';
      if (range) {
        ++at_;
        const Class last = bracket_member(single);
        if (!single || last.in[0].low < first.in[0].low)
          refuse("has a range in a class that does not ascend");
        first = exactly({{first.in[0].low, last.in[0].low}});
      }
      all = united(all, first);
    }
    return negated ? opposite(all).in : all.in;
  }

  // `single` becomes false where it is no single character.
  Class bracket_member(bool& single) {
    if (ends()) refuse("has a class without its ']'");
    if (!take(U'\\')) {
      const uint32_t character = text_[at_++];
      return exactly({{character, character}});
    }
    const bool letter =
        !ends() && std::u32string_view(U"dDwWsS").find(text_[at_]) != std::u32string_view::npos;
    single = single && !letter;
    return escape(true);
  }

  // After a '\'.
  Class escape(bool in_class) {
    if (ends()) refuse("ends with a '\\'");
    const char32_t letter = text_[at_++];
    auto character = [](uint32_t one) { return exactly({{one, one}}); };
    switch (letter) {
      case U'd':
        return digits();
      case U'D':
        return opposite(digits());
      case U'w':
        return word();
      case U'W':
        return opposite(word());
      case U's':
        return space();
      case U'S':
        return opposite(space());
      case U't':
        return character('\t');
      case U'n':
        return character('\n');
      case U'v':
        return character('\v');
      case U'f':
        return character('\f');
      case U'r':
        return character('\r');
      case U'x':
        return character(hexadecimal(2));
      case U'u':
        return character(unicode());
      case U'b':
        if (in_class) return character('\b');
        [[fallthrough]];
      case U'B':
        refuse("has a word boundary, which is not supported");
      case U'p':
      case U'P':
        refuse("has a property of Unicode, which is not supported");
      case U'0':
        if (ends() || text_[at_] < U'0' || text_[at_] > U'9') return character(0);
        [[fallthrough]];
      default:
        break;
    }
    if (letter >= U'0' && letter <= U'9') refuse("refers back to a group, which is not supported");
    const bool is_letter = (letter >= U'a' && letter <= U'z') || (letter >= U'A' && letter <= U'Z');
    if (is_letter) refuse("has the escape '\\{}', which is not supported", static_cast<char>(letter));
    return character(letter);
  }

  uint32_t hexadecimal(int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) {
      const std::optional<uint32_t> digit = ends() ? std::nullopt : hexadecimal_digit(text_[at_]);
      if (!digit) refuse("has an escape without its {} hexadecimal digits", count);
      value = value * 16 + *digit;
      ++at_;
    }
    return value;
  }

  static std::optional<uint32_t> hexadecimal_digit(char32_t letter) {
    if (letter >= U'0' && letter <= U'9') return letter - U'0';
    if (letter >= U'a' && letter <= U'f') return letter - U'a' + 10;
    if (letter >= U'A' && letter <= U'F') return letter - U'A' + 10;
    return std::nullopt;
  }

  // After "\u": four digits, a pair of surrogates, or digits in braces.
  uint32_t unicode() {
    uint32_t value = 0;
    if (take(U'{')) {
      while (!take(U'}')) {
        value = value * 16 + hexadecimal(1);
        if (value > kCharacterMax) refuse("has an escape above U+10FFFF");
      }
    } else {
      value = hexadecimal(4);
      const bool high = value >= 0xD800 && value <= 0xDBFF;
      if (high && take(U"\\u")) value = 0x10000 + ((value & 0x3FF) << 10) + (hexadecimal(4) & 0x3FF);
    }
    if (value >= 0xD800 && value <= 0xDFFF) refuse("has half of a surrogate pair");
    return value;
  }

  const std::u32string text_;
  size_t at_ = 0;
  uint32_t nesting_ = 0;
};

// The states of a pattern, several of which may be reached at once (Thompson's construction).
class Matches {
 public:
  explicit Matches(const Part& pattern) {
    const uint32_t start = add_state();  // skips what stands before the match
    take(start, {{0, kCharacterMax}}, start);
    last_ = write(pattern, start);
    take(last_, {{0, kCharacterMax}}, last_);
  }

  // The subset construction.
  Automaton automaton(Effort& effort) const {
    const Key start{true, closure({0}, true, false, effort)};
    auto edges = [&](const Key& key, auto emit) {
      // Between two cuts all characters lead to the same states.
      std::vector<uint32_t> cuts;
      for (const uint32_t state : key.states) {
        for (const Range& range : states_[state].characters) {
          cuts.push_back(range.low);
          cuts.push_back(range.high + 1);
        }
      }
      std::sort(cuts.begin(), cuts.end());
      cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
      for (size_t i = 0; i + 1 < cuts.size(); ++i) {
        std::vector<uint32_t> next;
        for (const uint32_t state : key.states) {
          if (has(states_[state].characters, cuts[i])) next.push_back(states_[state].target);
        }
        effort.spend(key.states.size());
        if (!next.empty()) {
          emit(cuts[i], cuts[i + 1] - 1, Key{false, closure(std::move(next), false, false, effort)});
        }
      }
    };
    auto final = [&](const Key& key) {
      const std::vector<uint32_t> ends = closure(key.states, key.at_begin, true, effort);
      return std::binary_search(ends.begin(), ends.end(), last_);
    };
    return explored(start, edges, final, effort);
  }

 private:
  enum class Assertion : uint8_t { None, Begin, End };
  struct Skip {
    uint32_t target;
    Assertion assertion;
  };
  struct State {
    Ranges characters = {};
    uint32_t target = 0;  // after one of them
    std::vector<Skip> skips = {};
  };
  struct Key {
    bool at_begin;                 // no character has come
    std::vector<uint32_t> states;  // ascending
    auto operator<=>(const Key&) const = default;
  };

  static bool has(const Ranges& ranges, uint32_t character) {
    const auto after = std::upper_bound(ranges.begin(), ranges.end(), character,
                                        [](uint32_t one, const Range& range) { return one < range.low; });
    return after != ranges.begin() && character <= std::prev(after)->high;
  }

  uint32_t add_state() {
    if (states_.size() == kPartsMax) {
      user_error("which is too large: written out it has more than {} parts", kPartsMax);
    }
    states_.emplace_back();
    return static_cast<uint32_t>(states_.size() - 1);
  }
  void take(uint32_t from, Ranges characters, uint32_t to) {
    states_[from].characters = std::move(characters);
    states_[from].target = to;
  }
  void skip(uint32_t from, uint32_t to, Assertion assertion = Assertion::None) {
    states_[from].skips.push_back({to, assertion});
  }

  // Writes the states of a part after `from`, which takes no character yet. What is behind it.
  uint32_t write(const Part& part, uint32_t from) {
    const uint32_t begin = add_state();
    skip(from, begin);
    uint32_t end = begin;
    switch (part.kind) {
      case Part::Kind::One:
        end = add_state();
        take(begin, part.characters, end);
        break;
      case Part::Kind::Begin:
      case Part::Kind::End:
        end = add_state();
        skip(begin, end, part.kind == Part::Kind::Begin ? Assertion::Begin : Assertion::End);
        break;
      case Part::Kind::Sequence:
        for (const Part& one : part.parts) end = write(one, end);
        break;
      case Part::Kind::Choice:
        end = add_state();
        for (const Part& one : part.parts) skip(write(one, begin), end);
        break;
      case Part::Kind::Repeat:
        end = repeat(part, begin);
        break;
    }
    return end;
  }

  uint32_t repeat(const Part& part, uint32_t from) {
    const uint32_t end = add_state();
    for (uint32_t i = 0;; ++i) {
      if (i >= part.count.least) skip(from, end);
      if (part.count.most && i >= *part.count.most) return end;
      const uint32_t next = write(part.parts[0], from);
      if (!part.count.most && i >= part.count.least) {
        skip(next, from);
        return end;
      }
      from = next;
    }
  }

  // Something but further states follows without a character.
  bool matters(uint32_t state) const {
    const State& one = states_[state];
    return state == last_ || !one.characters.empty() ||
           std::any_of(one.skips.begin(), one.skips.end(),
                       [](const Skip& skip) { return skip.assertion != Assertion::None; });
  }

  // Those states that matter of all that are reached without a character. Ascending.
  std::vector<uint32_t> closure(std::vector<uint32_t> pending, bool at_begin, bool at_end,
                                Effort& effort) const {
    std::vector<uint32_t> all = pending;
    std::vector<bool> seen(states_.size());
    for (const uint32_t state : pending) seen[state] = true;
    while (!pending.empty()) {
      const uint32_t state = pending.back();
      pending.pop_back();
      for (const Skip& one : states_[state].skips) {
        const bool open = one.assertion == Assertion::None ||
                          (one.assertion == Assertion::Begin && at_begin) ||
                          (one.assertion == Assertion::End && at_end);
        if (!open || seen[one.target]) continue;
        seen[one.target] = true;
        all.push_back(one.target);
        pending.push_back(one.target);
      }
    }
    effort.spend(all.size() + states_.size() / 64);
    std::erase_if(all, [&](uint32_t state) { return !matters(state); });
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }

  std::vector<State> states_;
  uint32_t last_;
};

}  // namespace

Automaton pattern_automaton(std::string_view pattern, Effort& effort) {
  return Matches(PatternReader(pattern).read()).automaton(effort);
}

}  // namespace lockstep::grammar
