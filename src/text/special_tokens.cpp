#include "text/special_tokens.h"

#include <algorithm>
#include <tuple>

namespace lockstep::text {

SpecialTokenMatcher::SpecialTokenMatcher(const std::vector<std::string>& tokens,
                                         const std::vector<int32_t>& ids) {
  for (const int32_t id : ids) {
    if (tokens[id].empty()) continue;
    entries_.push_back({tokens[id], id});
    starts_[static_cast<uint8_t>(tokens[id][0])] = true;
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return std::tie(a.text, a.id) < std::tie(b.text, b.id); });
  const auto same_text = [](const Entry& a, const Entry& b) { return a.text == b.text; };
  entries_.erase(std::unique(entries_.begin(), entries_.end(), same_text), entries_.end());
}

std::optional<SpecialTokenMatcher::Match> SpecialTokenMatcher::find(std::string_view text,
                                                                    size_t begin) const {
  for (; begin < text.size(); ++begin) {
    if (!starts_[static_cast<uint8_t>(text[begin])]) continue;
    if (auto match = longest_at(text, begin)) return match;
  }
  return std::nullopt;
}

// Narrows the sorted entries to those that begin with ever more of the text; an entry as long as what was
// compared is a match, and stands first in its range.
std::optional<SpecialTokenMatcher::Match> SpecialTokenMatcher::longest_at(std::string_view text,
                                                                          size_t begin) const {
  std::optional<Match> longest;
  auto first = entries_.begin();
  auto last = entries_.end();
  for (size_t depth = 0; begin + depth < text.size(); ++depth) {
    const auto wanted = static_cast<uint8_t>(text[begin + depth]);
    const auto byte_at = [depth](const Entry& entry) { return static_cast<uint8_t>(entry.text[depth]); };
    first = std::partition_point(first, last, [&](const Entry& entry) { return byte_at(entry) < wanted; });
    last = std::partition_point(first, last, [&](const Entry& entry) { return byte_at(entry) == wanted; });
    if (first == last) break;
    if (first->text.size() == depth + 1) {
      longest = Match{begin, depth + 1, first->id};
      if (++first == last) break;
    }
  }
  return longest;
}

}  // namespace lockstep::text
