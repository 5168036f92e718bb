// A target's whole pool of pages as one sequence: for what runs a single text.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "targets/target.h"

namespace lockstep::targets {

// Rows of a step of a prompt alone: enough that weights are read often enough from a cache.
inline constexpr uint32_t kPrefillRows = 256;

class SoleSequence {
 public:
  // The target must outlive it.
  explicit SoleSequence(Target& target)
      : target_(target), pages_((target.context() + target.page_positions() - 1) / target.page_positions()) {
    std::iota(pages_.begin(), pages_.end(), 0u);
  }

  // Target::step; throws the refusal of any row.
  void step(std::span<const int32_t> tokens, uint32_t position, std::span<const int32_t> wanted) {
    const StepSequence sequence = {tokens, position, pages_, wanted};
    target_.step(std::span(&sequence, 1));
    if (target_.refused_row(0) != program::kNone) throw target_.refusal(0);
  }

  // The tokens from `position` on, `chunk` rows at a time; the logits of the last row are wanted.
  // A chunk of 0 rows means kPrefillRows.
  void prefill(std::span<const int32_t> tokens, uint32_t position, uint32_t chunk) {
    chunk = std::min(chunk == 0 ? kPrefillRows : chunk, target_.rows_max());
    for (size_t done = 0; done < tokens.size();) {
      const size_t count = std::min<size_t>(chunk, tokens.size() - done);
      const int32_t last_row = static_cast<int32_t>(count) - 1;
      const bool last = done + count == tokens.size();
      step(tokens.subspan(done, count), position + static_cast<uint32_t>(done),
           std::span(&last_row, last ? 1 : 0));
      done += count;
    }
  }

 private:
  Target& target_;
  std::vector<uint32_t> pages_;
};

}  // namespace lockstep::targets
