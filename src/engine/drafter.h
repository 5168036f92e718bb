// Guesses at the tokens that follow a sequence. A step runs a draft as further rows, and a draft token counts
// where it equals the token that is sampled there: drafts decide speed, never text.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lockstep::engine {

// One for each sequence, made with room for its longest length: no call allocates.
// THREAD: one thread at a time.
class Drafter {
 public:
  virtual ~Drafter() = default;

  // Takes in the tokens that are new and tells how strong the evidence for a draft is: the number of last
  // tokens that a draft would continue, 0 when there would be no draft. `tokens` is the whole sequence,
  // prompt and answer so far; it only grows from call to call.
  virtual uint32_t match(std::span<const int32_t> tokens) = 0;

  // Appends to `draft` at most `count` tokens that may follow the sequence, in order, perhaps none.
  // REQUIRES: match() had the same tokens last.
  virtual void propose(std::span<const int32_t> tokens, uint32_t count, std::vector<int32_t>& draft) = 0;

  // Measured time of one draft token, seconds; 0 when it is too short to matter or not known yet.
  virtual double token_s() const { return 0; }

  virtual const char* name() const = 0;
};

}  // namespace lockstep::engine
