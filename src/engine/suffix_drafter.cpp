#include "engine/suffix_drafter.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace lockstep::engine {

SuffixDrafter::SuffixDrafter(uint32_t positions, std::span<const int32_t> earlier, SuffixDrafterLimits limits)
    : limits_(limits) {
  LOCKSTEP_CHECK(limits.match_min > 0 && limits.compare_max >= limits.match_min);
  const size_t capacity = earlier.size() + 1 + positions;
  LOCKSTEP_CHECK(capacity < (1u << 31));
  history_.reserve(capacity);
  chain_.reserve(capacity + 1);
  last_end_.resize(std::bit_ceil(capacity));
  history_.assign(earlier.begin(), earlier.end());
  history_.push_back(-1);
  begin_ = static_cast<uint32_t>(history_.size());
  chain_.push_back(0);
  index_up_to(begin_);
}

// The place in last_end_ of the n-gram that ends at `end`. REQUIRES: end >= match_min.
uint32_t SuffixDrafter::slot(uint32_t end) const {
  uint64_t hash = 0;
  for (uint32_t i = end - limits_.match_min; i < end; ++i) {
    hash = (hash ^ static_cast<uint32_t>(history_[i])) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
  }
  return static_cast<uint32_t>(hash & (last_end_.size() - 1));
}

// Makes the n-grams that end at `end` or before known to searches.
void SuffixDrafter::index_up_to(uint32_t end) {
  for (uint32_t next = static_cast<uint32_t>(chain_.size()); next <= end; ++next) {
    if (next < limits_.match_min) {
      chain_.push_back(0);
      continue;
    }
    uint32_t& last = last_end_[slot(next)];
    chain_.push_back(last);
    last = next;
  }
}

// Finds the longest match of the sequence's end, the most recent one of several.
void SuffixDrafter::search() {
  const uint32_t size = static_cast<uint32_t>(history_.size());
  match_length_ = 0;
  if (size - begin_ < limits_.match_min) return;
  uint32_t best = limits_.match_min - 1;
  uint32_t candidate = last_end_[slot(size)];
  for (uint32_t i = 0; candidate != 0 && i < limits_.candidates_max; ++i, candidate = chain_[candidate]) {
    const uint32_t most = std::min({candidate, size - begin_, limits_.compare_max});
    if (history_[candidate] < 0) continue;  // an earlier text ends here: nothing to copy
    if (most <= best || history_[candidate - 1 - best] != history_[size - 1 - best]) continue;
    uint32_t length = 0;
    while (length < most && history_[candidate - 1 - length] == history_[size - 1 - length]) ++length;
    if (length <= best) continue;
    best = match_length_ = length;
    match_end_ = candidate;
    if (best == limits_.compare_max) break;
  }
}

uint32_t SuffixDrafter::match(std::span<const int32_t> tokens) {
  const size_t known = history_.size() - begin_;
  LOCKSTEP_CHECK(known <= tokens.size());
  if (known == tokens.size()) return match_length_;
  bool follows = match_length_ > 0;
  for (int32_t token : tokens.subspan(known)) {
    follows = follows && history_[match_end_] == token;
    if (follows) {
      ++match_end_;
      ++match_length_;
    }
    history_.push_back(token);
  }
  const uint32_t size = static_cast<uint32_t>(history_.size());
  index_up_to(size - 1);
  if (!follows || history_[match_end_] < 0) search();
  index_up_to(size);
  return match_length_;
}

void SuffixDrafter::propose(std::span<const int32_t> tokens, uint32_t count, std::vector<int32_t>& draft) {
  LOCKSTEP_CHECK(tokens.size() == history_.size() - begin_);
  if (match_length_ == 0) return;
  const size_t first = draft.size();
  for (uint32_t i = 0; i < count; ++i) {
    const size_t source = match_end_ + i;
    const int32_t token =
        source < history_.size() ? history_[source] : draft[first + (source - history_.size())];
    if (token < 0) return;  // an earlier text ends here
    draft.push_back(token);
  }
}

}  // namespace lockstep::engine
