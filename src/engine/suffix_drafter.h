// Drafts by copying: what followed the longest suffix of the sequence when it occurred before.
#pragma once

#include "engine/drafter.h"

namespace lockstep::engine {

struct SuffixDrafterLimits {
  uint32_t match_min = 2;         // shorter matches give no draft; at least 1
  uint32_t candidates_max = 256;  // earlier occurrences that one search looks at, the most recent first
  uint32_t compare_max = 64;      // a search takes the first candidate that matches so far
};

// Chains of the positions at which each n-gram of match_min tokens ended. A match is followed for as long as
// the sequence goes on as its copy did: it then stays the longest one, and the most recent of that length, so
// that only a break costs a search. Memory: 12 to 16 bytes a token, set aside at construction.
class SuffixDrafter final : public Drafter {
 public:
  // Room for `positions` tokens. `earlier` are texts to copy from as well, such as former answers; a negative
  // number stands between two of them.
  explicit SuffixDrafter(uint32_t positions, std::span<const int32_t> earlier = {},
                         SuffixDrafterLimits limits = {});

  // The length of the match, which search() may cut to compare_max. O(1) a token that is new.
  uint32_t match(std::span<const int32_t> tokens) override;
  // A draft that reaches the end of the sequence goes on in itself: a period repeats.
  void propose(std::span<const int32_t> tokens, uint32_t count, std::vector<int32_t>& draft) override;
  const char* name() const override { return "suffix"; }

 private:
  uint32_t slot(uint32_t end) const;
  void index_up_to(uint32_t end);
  void search();

  const SuffixDrafterLimits limits_;
  std::vector<int32_t> history_;    // earlier texts, a -1, the sequence
  uint32_t begin_ = 0;              // of the sequence in history_
  std::vector<uint32_t> last_end_;  // by hash of an n-gram: the end of its last occurrence, 0: none
  std::vector<uint32_t> chain_;     // by end: the end of the occurrence before; its size - 1 ends are indexed
  uint32_t match_end_ = 0;          // the copy that is followed ends here in history_
  uint32_t match_length_ = 0;
};

}  // namespace lockstep::engine
