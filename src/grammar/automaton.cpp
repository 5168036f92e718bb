#include "grammar/automaton.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"

namespace lockstep::grammar {

namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;
constexpr int kPassesMax = 64;  // of merging: long chains of states need one for each

// By state, whether a final one can be reached.
std::vector<bool> leading_on(const Automaton& automaton) {
  std::vector<std::vector<uint32_t>> sources(automaton.states.size());
  std::vector<bool> leads(automaton.states.size());
  std::vector<uint32_t> pending;
  for (uint32_t i = 0; i < automaton.states.size(); ++i) {
    for (const Automaton::Edge& edge : automaton.states[i].edges) sources[edge.target].push_back(i);
    if (!automaton.states[i].final) continue;
    leads[i] = true;
    pending.push_back(i);
  }
  while (!pending.empty()) {
    const uint32_t state = pending.back();
    pending.pop_back();
    for (const uint32_t source : sources[state]) {
      if (leads[source]) continue;
      leads[source] = true;
      pending.push_back(source);
    }
  }
  return leads;
}

// What a state does, where a target is the number of its kind; edges that touch are one.
std::vector<uint32_t> behaviour(const Automaton::State& state, const std::vector<uint32_t>& kinds) {
  std::vector<uint32_t> words = {state.final};
  for (const Automaton::Edge& edge : state.edges) {
    const uint32_t kind = kinds[edge.target];
    if (kind == kNone) continue;
    if (words.size() > 1 && words.back() == kind && words[words.size() - 2] + 1 == edge.low) {
      words[words.size() - 2] = edge.high;
    } else {
      words.insert(words.end(), {edge.low, edge.high, kind});
    }
  }
  return words;
}

// Moore's algorithm: kinds are told apart until their states do the same. By state, its kind, where kind i
// comes first at states in ascending order; kNone for those that lead nowhere.
std::vector<uint32_t> kinds_of(const Automaton& automaton, Effort& effort) {
  const std::vector<bool> leads = leading_on(automaton);
  std::vector<uint32_t> own(automaton.states.size(), kNone);  // every state a kind
  std::vector<uint32_t> kinds(automaton.states.size(), kNone);
  uint32_t state_count = 0;
  size_t edge_count = 0;
  for (size_t i = 0; i < leads.size(); ++i) {
    edge_count += automaton.states[i].edges.size() + 1;
    if (!leads[i]) continue;
    own[i] = state_count++;
    kinds[i] = 0;
  }
  uint32_t kind_count = 1;
  for (int pass = 0; pass < kPassesMax; ++pass) {
    effort.spend(edge_count);
    std::map<std::pair<uint32_t, std::vector<uint32_t>>, uint32_t> found;
    std::vector<uint32_t> next(kinds.size(), kNone);
    for (size_t i = 0; i < kinds.size(); ++i) {
      if (!leads[i]) continue;
      std::pair key(kinds[i], behaviour(automaton.states[i], kinds));
      next[i] = found.try_emplace(std::move(key), static_cast<uint32_t>(found.size())).first->second;
    }
    kinds = std::move(next);
    if (found.size() <= kind_count) return kinds;
    kind_count = static_cast<uint32_t>(found.size());
    if (kind_count == state_count) return kinds;
  }
  return own;
}

}  // namespace

void Effort::spend(uint64_t steps) {
  if (steps > left_) {
    user_error(
        "which is too large, together with other patterns, formats, bounds and oneOf: shorter ones would do");
  }
  left_ -= steps;
}

bool Automaton::has(std::u32string_view text) const {
  const State* state = &states[0];
  for (const char32_t character : text) {
    const auto edge = std::find_if(state->edges.begin(), state->edges.end(), [&](const Edge& one) {
      return one.low <= character && character <= one.high;
    });
    if (edge == state->edges.end()) return false;
    state = &states[edge->target];
  }
  return state->final;
}

Automaton reduced(Automaton automaton, Effort& effort) {
  const std::vector<uint32_t> kinds = kinds_of(automaton, effort);
  Automaton result;
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i] == kNone || kinds[i] < result.states.size()) continue;
    Automaton::State& state = result.states.emplace_back();
    const std::vector<uint32_t> words = behaviour(automaton.states[i], kinds);
    state.final = words[0] != 0;
    for (size_t at = 1; at < words.size(); at += 3) {
      state.edges.push_back({words[at], words[at + 1], words[at + 2]});
    }
  }
  if (kinds[0] == kNone) result.states.assign(1, {});
  return result;
}

Automaton intersection(const Automaton& a, const Automaton& b, Effort& effort) {
  using Key = std::pair<uint32_t, uint32_t>;
  auto edges = [&](const Key& key, auto emit) {
    const std::vector<Automaton::Edge>& of_a = a.states[key.first].edges;
    const std::vector<Automaton::Edge>& of_b = b.states[key.second].edges;
    for (size_t i = 0, j = 0; i < of_a.size() && j < of_b.size();) {
      const uint32_t low = std::max(of_a[i].low, of_b[j].low);
      const uint32_t high = std::min(of_a[i].high, of_b[j].high);
      if (low <= high) emit(low, high, Key(of_a[i].target, of_b[j].target));
      if (of_a[i].high <= of_b[j].high) {
        ++i;
      } else {
        ++j;
      }
    }
  };
  auto final = [&](const Key& key) { return a.states[key.first].final && b.states[key.second].final; };
  return explored(Key(0, 0), edges, final, effort);
}

Automaton texts_of_length(Count characters) {
  Automaton automaton;
  const uint32_t last = characters.most.value_or(characters.least);
  for (uint32_t i = 0; i <= last; ++i) {
    Automaton::State& state = automaton.states.emplace_back();
    state.final = i >= characters.least;
    if (i < last || !characters.most) state.edges.push_back({0, kCharacterMax, std::min(i + 1, last)});
  }
  return automaton;
}

Count lengths(const Automaton& automaton) {
  Count lengths{kNone, std::nullopt};
  // All states that texts of `length` lead to. A text with more characters than there are states comes to one
  // of them twice, so that there is no longest.
  std::set<uint32_t> states = {0};
  for (uint32_t length = 0; !states.empty(); ++length) {
    if (length >= automaton.states.size()) return {lengths.least, std::nullopt};
    std::set<uint32_t> next;
    for (const uint32_t state : states) {
      if (automaton.states[state].final) {
        lengths.least = std::min(lengths.least, length);
        lengths.most = length;
      }
      for (const Automaton::Edge& edge : automaton.states[state].edges) next.insert(edge.target);
    }
    states = std::move(next);
  }
  return lengths;
}

Automaton all_texts_but(const std::set<std::u32string>& texts, Effort& effort) {
  using Key = std::optional<std::u32string>;  // with which some begin; none: no way back
  auto edges = [&](const Key& key, auto emit) {
    uint32_t low = 0;
    auto begins = [&](auto text) { return text != texts.end() && key && text->starts_with(*key); };
    for (auto text = texts.lower_bound(key.value_or(U"")); begins(text);) {
      if (text->size() == key->size()) {
        ++text;
        continue;
      }
      const std::u32string next = text->substr(0, key->size() + 1);
      const uint32_t character = next.back();
      if (low < character) emit(low, character - 1, Key());
      emit(character, character, Key(next));
      low = character + 1;
      while (text != texts.end() && text->starts_with(next)) ++text;
    }
    emit(low, kCharacterMax, Key());
  };
  auto final = [&](const Key& key) { return !key || !texts.contains(*key); };
  return explored(Key(U""), edges, final, effort);
}

std::u32string characters_of(std::string_view utf8) {
  LOCKSTEP_CHECK(is_utf8(utf8));
  std::u32string result;
  for (const char byte : utf8) {
    const auto value = static_cast<uint8_t>(byte);
    if ((value & 0xC0) == 0x80) {
      result.back() = result.back() << 6 | (value & 0x3F);
    } else {
      const uint8_t mark = value < 0x80 ? 0 : value < 0xE0 ? 0xC0 : value < 0xF0 ? 0xE0 : 0xF0;
      result.push_back(value ^ mark);
    }
  }
  return result;
}

}  // namespace lockstep::grammar
