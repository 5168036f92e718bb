#include "grammar/matcher.h"

#include <set>
#include <span>

namespace lockstep::grammar {

namespace {

using Place = std::vector<StateId>;

// Places looked at in one step, once there is one to keep.
constexpr size_t kVisitedMax = 16384;

template <class Visit>
void for_each_place(const Readings& readings, Visit visit) {
  for (size_t i = 0; i < readings.words.size(); i += readings.words[i] + 1) {
    visit(std::span(readings.words).subspan(i + 1, readings.words[i]));
  }
}

// Follows the edges that take nothing, and the ends of rules, from the places added.
class Closure {
 public:
  explicit Closure(const Grammar& grammar) : grammar_(grammar) {}

  // Where the edge leads from a place with these calls open.
  void follow(const Edge& edge, std::span<const StateId> calls) {
    Place place(calls.begin(), calls.end());
    // A call that only the rule's end follows needs no return of its own.
    if (edge.after != kNoState && !grammar_.only_ends(edge.after)) {
      if (place.size() + grammar_.height(edge.after) > kDepthMax) return;
      place.push_back(edge.after);
    }
    place.push_back(edge.target);
    add(std::move(place));
  }

  void add(Place place) {
    if (place.back() != kHole && place.size() - 1 + grammar_.height(place.back()) > kDepthMax) return;
    const auto [entry, is_new] = visited_.insert(std::move(place));
    if (!is_new) return;
    pending_.push_back(&*entry);
    kept_count_ += keeps(*entry);
  }

  Readings finish() {
    while (!pending_.empty()) {
      const bool enough = kept_count_ >= kReadingsMax || (kept_count_ > 0 && visited_.size() >= kVisitedMax);
      if (enough) break;
      const Place& place = *pending_.back();
      pending_.pop_back();
      if (place.back() == kHole) continue;
      const std::span<const StateId> calls = std::span(place).first(place.size() - 1);
      for (const Edge& edge : grammar_.edges(place.back())) {
        if (!edge.takes_byte) follow(edge, calls);
      }
      if (grammar_.is_final(place.back()) && !calls.empty()) add(Place(calls.begin(), calls.end()));
    }
    Readings readings;
    size_t count = 0;
    for (const Place& place : visited_) {
      if (!keeps(place)) continue;
      if (++count > kReadingsMax) break;
      readings.words.push_back(static_cast<uint32_t>(place.size()));
      readings.words.insert(readings.words.end(), place.begin(), place.end());
    }
    return readings;
  }

 private:
  bool keeps(const Place& place) const {
    if (place.back() == kHole || grammar_.takes_byte(place.back())) return true;
    return place.size() == 1 && grammar_.is_final(place.back());
  }

  const Grammar& grammar_;
  std::set<Place> visited_;
  std::vector<const Place*> pending_;
  size_t kept_count_ = 0;
};

}  // namespace

Readings first_readings(const Grammar& grammar) {
  Closure closure(grammar);
  closure.add({grammar.start()});
  return closure.finish();
}

Readings advance(const Grammar& grammar, const Readings& readings, uint8_t byte) {
  Closure closure(grammar);
  for_each_place(readings, [&](std::span<const StateId> place) {
    if (place.back() == kHole) return;
    for (const Edge& edge : grammar.edges(place.back())) {
      if (edge.takes_byte && edge.low <= byte && byte <= edge.high) {
        closure.follow(edge, place.first(place.size() - 1));
      }
    }
  });
  return closure.finish();
}

bool may_finish(const Grammar& grammar, const Readings& readings) {
  bool may = false;
  for_each_place(readings, [&](std::span<const StateId> place) {
    may |= place.size() == 1 && place[0] != kHole && grammar.is_final(place[0]);
  });
  return may;
}

std::optional<uint8_t> only_byte(const Grammar& grammar, const Readings& readings) {
  std::optional<uint8_t> only;
  bool several = may_finish(grammar, readings);
  for_each_place(readings, [&](std::span<const StateId> place) {
    if (several || place.back() == kHole) return;
    for (const Edge& edge : grammar.edges(place.back())) {
      if (!edge.takes_byte) continue;
      several = several || edge.low != edge.high || (only && *only != edge.low);
      only = edge.low;
    }
  });
  return several ? std::nullopt : only;
}

bool reaches_hole(const Readings& readings) {
  bool reaches = false;
  for_each_place(readings, [&](std::span<const StateId> place) { reaches |= place.back() == kHole; });
  return reaches;
}

Readings with_holes(const Readings& single) {
  Readings readings = single;
  for (size_t i = 1; i + 1 < readings.words.size(); ++i) readings.words[i] = kHole;
  return readings;
}

bool Matcher::accept(uint8_t byte) {
  Readings next = advance(*grammar_, readings_, byte);
  if (next.empty()) return false;
  readings_ = std::move(next);
  return true;
}

bool Matcher::accept(std::string_view bytes) {
  Matcher next = *this;
  for (const char byte : bytes) {
    if (!next.accept(static_cast<uint8_t>(byte))) return false;
  }
  *this = std::move(next);
  return true;
}

}  // namespace lockstep::grammar
