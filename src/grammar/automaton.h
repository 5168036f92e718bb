// Sets of texts that a deterministic finite automaton tells: the characters' side of a grammar.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep::grammar {

// How often something may stand.
struct Count {
  uint32_t least = 0;
  std::optional<uint32_t> most;  // none: without end
};

inline constexpr uint32_t kCharacterMax = 0x10FFFF;

// A text is a sequence of characters (code points). State 0 is the first; a text is in the set when its
// characters lead to a final state.
struct Automaton {
  struct Edge {
    uint32_t low, high;  // the characters taken, both ends included
    uint32_t target;
  };
  struct State {
    std::vector<Edge> edges;  // ascending, none overlaps another
    bool final = false;
  };
  std::vector<State> states;

  bool has(std::u32string_view text) const;
  // No text at all is in the set. Of automata that the functions here made.
  bool empty() const { return states[0].edges.empty() && !states[0].final; }
};

// What making automata may cost: steps, each a fraction of a microsecond.
class Effort {
 public:
  explicit Effort(uint64_t steps) : left_(steps) {}
  // Throws a user's error when they are used up.
  void spend(uint64_t steps);

 private:
  uint64_t left_;
};

// The same set without states that lead to no final one, and without most that are equal to another.
Automaton reduced(Automaton automaton, Effort& effort);
// What is in both sets.
Automaton intersection(const Automaton& a, const Automaton& b, Effort& effort);
// All texts of so many characters.
Automaton texts_of_length(Count characters);

// The number of characters that its texts have: of the shortest and of the longest. Of automata that are not
// empty.
Count lengths(const Automaton& automaton);
// All texts but these.
Automaton all_texts_but(const std::set<std::u32string>& texts, Effort& effort);
// What UTF-8 says.
std::u32string characters_of(std::string_view utf8);

// The automaton whose states are keys: `start` and what is reached from it. edges(key, emit) calls
// emit(low, high, next key) in ascending order; final(key) says whether a text may end there.
template <class Key, class Edges, class Final>
Automaton explored(Key start, Edges edges, Final final, Effort& effort) {
  Automaton automaton;
  std::map<Key, uint32_t> numbers;
  std::vector<const Key*> keys;  // by number
  auto number = [&](Key key) {
    const auto [entry, is_new] = numbers.try_emplace(std::move(key), static_cast<uint32_t>(keys.size()));
    if (is_new) keys.push_back(&entry->first);
    return entry->second;
  };
  number(std::move(start));
  for (size_t i = 0; i < keys.size(); ++i) {
    Automaton::State state;
    state.final = final(*keys[i]);
    edges(*keys[i], [&](uint32_t low, uint32_t high, Key next) {
      effort.spend(1);
      const uint32_t target = number(std::move(next));
      const bool continues =
          !state.edges.empty() && state.edges.back().target == target && state.edges.back().high + 1 == low;
      if (continues) {
        state.edges.back().high = high;
      } else {
        state.edges.push_back({low, high, target});
      }
    });
    automaton.states.push_back(std::move(state));
  }
  return reduced(std::move(automaton), effort);
}

}  // namespace lockstep::grammar
