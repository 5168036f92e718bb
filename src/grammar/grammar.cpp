#include "grammar/grammar.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace lockstep::grammar {

StateId GrammarBuilder::add_state() {
  if (states_.size() == kStatesMax) {
    user_error(
        "the schema is too large: it needs more than {} states, fewer or shorter enums, properties, "
        "maxItems, "
        "minItems, maxLength and minLength would do with less",
        kStatesMax);
  }
  states_.emplace_back();
  return static_cast<StateId>(states_.size() - 1);
}

StateId GrammarBuilder::add_final_state() {
  const StateId state = add_state();
  states_[state].final = true;
  return state;
}

void GrammarBuilder::take(StateId from, uint8_t low, uint8_t high, StateId to) {
  take_and_call(from, low, high, to, kNoState);
}

void GrammarBuilder::take(StateId from, char byte, StateId to) {
  take(from, static_cast<uint8_t>(byte), static_cast<uint8_t>(byte), to);
}

void GrammarBuilder::take(StateId from, std::string_view text, StateId to) {
  if (text.empty()) return skip(from, to);
  for (size_t i = 0; i < text.size(); ++i) {
    const StateId next = i + 1 == text.size() ? to : add_state();
    take(from, text[i], next);
    from = next;
  }
}

void GrammarBuilder::take_and_call(StateId from, uint8_t low, uint8_t high, StateId rule, StateId after) {
  lines_.push_back({from, {rule, after, low, high, true}});
}

void GrammarBuilder::call(StateId from, StateId rule, StateId after) {
  lines_.push_back({from, {rule, after, 0, 0, false}});
}

void GrammarBuilder::skip(StateId from, StateId to) {
  call(from, to, kNoState);
}

Grammar GrammarBuilder::build(StateId start) {
  Grammar grammar;
  grammar.start_ = start;
  grammar.states_ = std::move(states_);
  std::stable_sort(lines_.begin(), lines_.end(),
                   [](const Line& a, const Line& b) { return a.from < b.from; });
  for (const Line& line : lines_) {
    Grammar::State& state = grammar.states_[line.from];
    if (state.edge_count++ == 0) state.first_edge = static_cast<uint32_t>(grammar.edges_.size());
    state.takes_byte |= line.edge.takes_byte;
    grammar.edges_.push_back(line.edge);
  }
  states_.clear();
  lines_.clear();
  grammar.measure_heights();
  if (grammar.height(start) > kDepthMax) {
    user_error(
        "the schema has no finite text: a $ref leads back to itself without a way out, or more than {} "
        "levels "
        "deep; give it an anyOf with null, or an array",
        kDepthMax);
  }
  return grammar;
}

// Knuth's generalisation of Dijkstra's algorithm: heights are settled in ascending order, each edge is looked
// at once for its target and once for what follows its call.
void Grammar::measure_heights() {
  struct Use {
    StateId from;
    uint32_t edge;
  };
  std::vector<std::vector<Use>> uses(states_.size());
  std::array<std::vector<StateId>, kDepthMax + 1> waiting;  // by height
  for (StateId state = 0; state < states_.size(); ++state) {
    for (uint32_t i = 0; i < states_[state].edge_count; ++i) {
      const uint32_t index = states_[state].first_edge + i;
      uses[edges_[index].target].push_back({state, index});
      if (edges_[index].after != kNoState) uses[edges_[index].after].push_back({state, index});
    }
    if (states_[state].final) {
      states_[state].height = 0;
      waiting[0].push_back(state);
    }
  }
  for (uint32_t level = 0; level <= kDepthMax; ++level) {
    while (!waiting[level].empty()) {
      const StateId state = waiting[level].back();
      waiting[level].pop_back();
      if (states_[state].height != level) continue;  // found lower meanwhile
      for (const Use& use : uses[state]) {
        const Edge& edge = edges_[use.edge];
        uint32_t height = states_[edge.target].height;
        if (edge.after != kNoState) height = std::max(height + 1, states_[edge.after].height);
        if (height >= states_[use.from].height) continue;
        states_[use.from].height = height;
        waiting[height].push_back(use.from);
      }
    }
  }
}

}  // namespace lockstep::grammar
