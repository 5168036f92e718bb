// The merging at the heart of both kinds of BPE: while two neighbours can merge, merge the pair of the
// lowest rank, the leftmost among equals.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "text/token_index.h"

namespace lockstep::text {

// A piece of a word: `length` bytes from `begin`, and its token (kNoToken: none).
struct Symbol {
  uint32_t begin;
  uint32_t length;
  int32_t id;
};

// Reused memory of one encode call.
struct MergeScratch {
  std::vector<Merge> merges;      // of each symbol with its right neighbour
  std::vector<int32_t> previous;  // neighbours by index; -1 at the ends
  std::vector<int32_t> next;
};

namespace detail {

// Below this many symbols a scan for the lowest rank beats a heap.
inline constexpr size_t kScanLimit = 32;

// Quadratic in the number of symbols, without setup.
template <class FindMerge>
void merge_by_scan(std::vector<Symbol>& symbols, const FindMerge& find_merge, std::vector<Merge>& merges) {
  merges.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i) merges.push_back(find_merge(symbols[i], symbols[i + 1]));
  while (true) {
    size_t best = merges.size();
    uint32_t best_rank = UINT32_MAX;
    for (size_t i = 0; i < merges.size(); ++i) {
      if (merges[i].id == kNoToken) continue;
      if (best == merges.size() || merges[i].rank < best_rank) {
        best = i;
        best_rank = merges[i].rank;
      }
    }
    if (best == merges.size()) return;
    symbols[best].length += symbols[best + 1].length;
    symbols[best].id = merges[best].id;
    symbols.erase(symbols.begin() + best + 1);
    merges.erase(merges.begin() + best);
    if (best > 0) merges[best - 1] = find_merge(symbols[best - 1], symbols[best]);
    if (best < merges.size()) merges[best] = find_merge(symbols[best], symbols[best + 1]);
  }
}

struct Candidate {
  uint64_t order;  // the rank, then the index of the left symbol
  int32_t id;
  uint32_t length;  // of both symbols; symbols only grow, so an outdated candidate has the wrong length

  int32_t left() const { return static_cast<int32_t>(order & UINT32_MAX); }
  // std::priority_queue gives the greatest first.
  bool operator<(const Candidate& other) const { return order > other.order; }
};

// O(n log n). A symbol that was merged into its left neighbour has length 0 until the end.
template <class FindMerge>
void merge_by_heap(std::vector<Symbol>& symbols, const FindMerge& find_merge, MergeScratch& scratch) {
  const auto count = static_cast<int32_t>(symbols.size());
  std::vector<int32_t>& previous = scratch.previous;
  std::vector<int32_t>& next = scratch.next;
  previous.resize(symbols.size());
  next.resize(symbols.size());
  std::vector<Candidate> candidates;
  const auto candidate = [&](int32_t left, int32_t right) -> Candidate {
    const Merge merge = find_merge(symbols[left], symbols[right]);
    const uint64_t order = (uint64_t{merge.rank} << 32) | static_cast<uint32_t>(left);
    return {order, merge.id, symbols[left].length + symbols[right].length};
  };
  for (int32_t i = 0; i < count; ++i) {
    previous[i] = i - 1;
    next[i] = i + 1 < count ? i + 1 : -1;
    if (i + 1 == count) break;
    const Candidate first = candidate(i, i + 1);
    if (first.id != kNoToken) candidates.push_back(first);
  }
  std::priority_queue<Candidate> heap(std::less<Candidate>(), std::move(candidates));
  while (!heap.empty()) {
    const Candidate best = heap.top();
    heap.pop();
    const int32_t left = best.left();
    const int32_t right = next[left];
    if (symbols[left].length == 0 || right < 0) continue;
    if (symbols[left].length + symbols[right].length != best.length) continue;
    symbols[left].length = best.length;
    symbols[left].id = best.id;
    symbols[right].length = 0;
    next[left] = next[right];
    if (next[left] >= 0) previous[next[left]] = left;
    for (const int32_t first : {previous[left], left}) {
      if (first < 0 || next[first] < 0) continue;
      const Candidate fresh = candidate(first, next[first]);
      if (fresh.id != kNoToken) heap.push(fresh);
    }
  }
  std::erase_if(symbols, [](const Symbol& symbol) { return symbol.length == 0; });
}

}  // namespace detail

// Merges `symbols`, none of length 0, in place. `find_merge(left, right)` gives the Merge of two
// neighbours, with kNoToken for none; it depends on the two symbols alone.
template <class FindMerge>
void merge_symbols(std::vector<Symbol>& symbols, const FindMerge& find_merge, MergeScratch& scratch) {
  if (symbols.size() < detail::kScanLimit) {
    detail::merge_by_scan(symbols, find_merge, scratch.merges);
  } else {
    detail::merge_by_heap(symbols, find_merge, scratch);
  }
}

}  // namespace lockstep::text
