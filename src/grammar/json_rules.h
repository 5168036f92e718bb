// The rules of JSON that every grammar of JSON texts shares.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/grammar.h"

namespace lockstep::grammar {

// How often something may stand.
struct Count {
  uint32_t least = 0;
  std::optional<uint32_t> most;  // none: without end
};

inline constexpr int64_t kIntegerMax = 999'999'999'999'999'999;  // 18 digits

// What the rules leave out of RFC 8259, so that a text stays short and every reader takes it: white space is
// one space, or one line break with up to 32 spaces or tabs, and stands after `{`, `[`, `,` and `:` and
// before `}` and `]` alone; a number has at most 18 digits before and after its point and 2 in its exponent;
// a surrogate stands in a pair alone.
class JsonRules {
 public:
  // The builder must outlive the rules.
  explicit JsonRules(GrammarBuilder& builder) : builder_(builder) {}

  // Each is the first state of a rule, made when first asked for.
  StateId white_space();
  StateId string();
  StateId integer();
  StateId number();
  StateId value();   // any JSON value
  StateId object();  // any JSON object

  // The part of a string after its opening quote, with so many characters (code points).
  void string_rest(StateId from, Count characters, StateId to);
  // An integer from `least` to `most`, both of at most 18 digits and least <= most.
  void integer_between(StateId from, int64_t least, int64_t most, StateId to);
  // An array whose items are the texts of a rule.
  void array(StateId from, StateId item, Count items, StateId to);
  // An object of any names whose values are the texts of a rule.
  void map(StateId from, StateId value, StateId to);
  // Where each of the texts leads; they share what they begin with, and equal ones their end.
  std::vector<StateId> each_of(StateId from, const std::vector<std::string>& texts);
  // One of the texts, none twice.
  void one_of(StateId from, const std::vector<std::string>& texts, StateId to);
  // White space and then a byte.
  void close(StateId from, char byte, StateId to);

 private:
  struct CharacterRules {
    StateId escape, tail1, tail2, tail2_low, tail2_high, tail3, tail3_low, tail3_high;
  };
  const CharacterRules& characters();
  void digits(StateId from, int count, StateId to);
  StateId number_rule(bool fraction);
  StateId digits_rule(size_t count);  // exactly so many
  void magnitude_between(StateId from, uint64_t least, uint64_t most, StateId to);
  void same_length_between(StateId from, std::string_view least, std::string_view most, StateId to);

  GrammarBuilder& builder_;
  std::optional<CharacterRules> characters_;
  std::vector<StateId> digits_;  // by count
  StateId white_space_ = kNoState;
  StateId string_ = kNoState;
  StateId integer_ = kNoState;
  StateId number_ = kNoState;
  StateId value_ = kNoState;
  StateId object_ = kNoState;
};

}  // namespace lockstep::grammar
