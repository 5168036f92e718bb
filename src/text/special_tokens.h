// Finds special tokens (control, user-defined, unknown) in text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::text {

// THREAD: const methods may run in many threads at once.
class SpecialTokenMatcher {
 public:
  struct Match {
    size_t begin;
    size_t length;
    int32_t id;
  };

  // The texts of `ids` among `tokens`, which must outlive the matcher and stay where they are; empty texts
  // are ignored, and of equal ones the lowest id counts.
  SpecialTokenMatcher(const std::vector<std::string>& tokens, const std::vector<int32_t>& ids);

  // The leftmost match at or after `begin`, the longest one there. O(text length · longest token).
  std::optional<Match> find(std::string_view text, size_t begin) const;

 private:
  struct Entry {
    std::string_view text;
    int32_t id;
  };
  std::optional<Match> longest_at(std::string_view text, size_t begin) const;

  std::vector<Entry> entries_;      // ascending by text
  std::array<bool, 256> starts_{};  // by first byte
};

}  // namespace lockstep::text
