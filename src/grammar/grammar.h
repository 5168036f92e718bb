// A language of byte strings: a pushdown automaton whose edges take a byte, nothing, or call a rule.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace lockstep::grammar {

using StateId = uint32_t;
inline constexpr StateId kNoState = std::numeric_limits<StateId>::max();

inline constexpr uint32_t kStatesMax = 65536;  // of a grammar
inline constexpr uint32_t kDepthMax = 64;      // calls that are open at once while a text is read

// From its state to `target`. With `after`, the target is the first state of a rule that is called, and
// reading goes on at `after` once the rule has come to a final state.
struct Edge {
  StateId target;
  StateId after;      // kNoState: no call
  uint8_t low, high;  // the bytes taken, both ends included
  bool takes_byte;    // otherwise the edge takes nothing
};

// Immutable once built.
// THREAD: const methods may run in many threads at once.
class Grammar {
 public:
  StateId start() const { return start_; }
  uint32_t state_count() const { return static_cast<uint32_t>(states_.size()); }
  std::span<const Edge> edges(StateId state) const {
    return std::span(edges_).subspan(states_[state].first_edge, states_[state].edge_count);
  }
  // A rule may end here.
  bool is_final(StateId state) const { return states_[state].final; }
  // Nothing but the rule's end follows.
  bool only_ends(StateId state) const { return states_[state].final && states_[state].edge_count == 0; }
  bool takes_byte(StateId state) const { return states_[state].takes_byte; }
  // The fewest calls that must be open at once, beyond those that are, to come from here to the rule's end;
  // more than kDepthMax where there is no such way.
  uint32_t height(StateId state) const { return states_[state].height; }

 private:
  friend class GrammarBuilder;
  struct State {
    uint32_t first_edge = 0;
    uint32_t edge_count = 0;
    uint32_t height = kDepthMax + 1;
    bool final = false;
    bool takes_byte = false;
  };
  void measure_heights();

  std::vector<State> states_;
  std::vector<Edge> edges_;  // by state
  StateId start_ = 0;
};

class GrammarBuilder {
 public:
  // Throws a user's error beyond kStatesMax.
  StateId add_state();
  StateId add_final_state();

  void take(StateId from, uint8_t low, uint8_t high, StateId to);
  void take(StateId from, char byte, StateId to);
  void take(StateId from, std::string_view text, StateId to);
  // Takes a byte and calls the rule that begins at `rule`.
  void take_and_call(StateId from, uint8_t low, uint8_t high, StateId rule, StateId after);
  void call(StateId from, StateId rule, StateId after);
  void skip(StateId from, StateId to);

  // Leaves the builder empty. A text of the grammar leads from `start` to a final state with no call open.
  // Throws a user's error if there is no such text.
  Grammar build(StateId start);

 private:
  struct Line {
    StateId from;
    Edge edge;
  };
  std::vector<Grammar::State> states_;
  std::vector<Line> lines_;
};

}  // namespace lockstep::grammar
