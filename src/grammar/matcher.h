// Reads a text byte by byte along a grammar.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "grammar/grammar.h"

namespace lockstep::grammar {

// The places in the grammar that what was read so far may have led to. Each is the states at which the open
// calls go on, outermost first, and then the state itself; only places that take a byte or end the text are
// kept. Equal texts give equal readings. Empty: no text of the grammar begins like this.
//
// Every place can be led to the text's end: one that would need more than kDepthMax calls at once is not
// entered. Of more than kReadingsMax places the first are kept, so that an ambiguous schema costs no more
// than that; what is read stays a text of the grammar, only fewer ways lead on.
struct Readings {
  std::vector<uint32_t> words;  // each place: how many states, and the states

  bool empty() const { return words.empty(); }
  // One place alone.
  bool single() const { return !words.empty() && words[0] + 1 == words.size(); }
  bool operator==(const Readings&) const = default;
};

inline constexpr size_t kReadingsMax = 512;

// Stands for a state that is not known. A place whose call returns to it is kept, with nothing after it.
inline constexpr StateId kHole = kNoState - 1;

Readings first_readings(const Grammar& grammar);
// After one byte more.
Readings advance(const Grammar& grammar, const Readings& readings, uint8_t byte);
// The text may end here.
bool may_finish(const Grammar& grammar, const Readings& readings);
// The one byte that every way on takes; none where there are several, or the text may end.
std::optional<uint8_t> only_byte(const Grammar& grammar, const Readings& readings);
// A place has returned to a hole.
bool reaches_hole(const Readings& readings);
// The same single place with holes for the states of its open calls.
Readings with_holes(const Readings& single);

// A text being read. Copying it costs one small allocation.
class Matcher {
 public:
  // The grammar must outlive the matcher.
  explicit Matcher(const Grammar& grammar) : grammar_(&grammar), readings_(first_readings(grammar)) {}

  // False, with nothing changed, where no text of the grammar goes on so.
  bool accept(uint8_t byte);
  bool accept(std::string_view bytes);
  bool can_finish() const { return may_finish(*grammar_, readings_); }
  const Readings& readings() const { return readings_; }

 private:
  const Grammar* grammar_;
  Readings readings_;
};

}  // namespace lockstep::grammar
