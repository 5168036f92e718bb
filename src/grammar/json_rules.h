// The rules of JSON that every grammar of JSON texts shares.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/grammar.h"

namespace lockstep::grammar {

inline constexpr uint64_t kEffortMax = 4'000'000;  // for all automata of a grammar; a second at the most

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

  // The rule that was made for this key, or else is now: make(first state, last state) writes it.
  template <class Make>
  StateId rule(const std::string& key, Make make) {
    const auto known = rules_.find(key);
    if (known != rules_.end()) return known->second;
    const StateId start = builder_.add_state();
    make(start, builder_.add_final_state());
    return rules_[key] = start;
  }
  // For automata of the grammar.
  Effort& effort() { return effort_; }

  // The part of a string after its opening quote, with so many characters (code points).
  void string_rest(StateId from, Count characters, StateId to);
  // The texts of an automaton of ASCII characters, as they are.
  void plain(StateId from, const Automaton& texts, StateId to);
  // A string with the texts of an automaton, each character in one writing: itself, or the shortest escape
  // where JSON asks for one. From behind the opening quote.
  void string_rest(StateId from, const Automaton& texts, StateId to);
  // An array whose first items are the texts of a rule each, and all others those of `item`.
  void array(StateId from, std::span<const StateId> first_items, StateId item, Count items, StateId to);
  // A rule: a name, which is a string, and its value.
  StateId member(StateId name, StateId value);
  // An object whose members are the texts of a rule. A name may come twice.
  void map(StateId from, StateId member, Count members, StateId to);
  // Where each of the texts leads; they share what they begin with, and equal ones their end.
  std::vector<StateId> each_of(StateId from, const std::vector<std::string>& texts);
  // One of the texts, none twice.
  void one_of(StateId from, const std::vector<std::string>& texts, StateId to);
  // White space and then a byte.
  void close(StateId from, char byte, StateId to);

 private:
  StateId end();  // of any rule
  StateId escape();
  StateId escape_of(uint8_t low, uint8_t high);
  StateId tail(std::string_view low, std::string_view high);
  void unescaped(StateId from, uint32_t low, uint32_t high, StateId to);
  void written(StateId from, uint32_t low, uint32_t high, StateId to);
  std::vector<StateId> states_of(StateId from, const Automaton& texts);
  void list(StateId from, std::string_view brackets, std::span<const StateId> first_items, StateId item,
            Count items, StateId to);
  void digits(StateId from, int count, StateId to);
  StateId number_rule(bool fraction);

  GrammarBuilder& builder_;
  Effort effort_{kEffortMax};
  std::map<std::string, StateId> rules_;                          // by key
  std::map<std::pair<std::string, std::string>, StateId> tails_;  // by the bounds of their bytes
  std::map<std::pair<uint8_t, uint8_t>, StateId> escapes_;        // by the bounds of the character
  StateId end_ = kNoState;
  StateId escape_ = kNoState;
  StateId white_space_ = kNoState;
  StateId string_ = kNoState;
  StateId integer_ = kNoState;
  StateId number_ = kNoState;
  StateId value_ = kNoState;
  StateId object_ = kNoState;
};

}  // namespace lockstep::grammar
