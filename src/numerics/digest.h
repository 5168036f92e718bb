// The digest of a run: a chain over the token ids and the bits of the raw head outputs of its positions.
// Start: h = XXH3-128("lockstep digest 1"). A token: h = XXH3-128(h, 'T', id as int32). The logits of a
// position, before penalties and bias: h = XXH3-128(h, 'L', XXH3-128(bits of the logits)).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/hash.h"

namespace lockstep::numerics {

class Digest {
 public:
  Digest();
  void token(int32_t id);
  void logits(std::span<const float> values);
  // "xxh3:" and 32 hexadecimal digits.
  std::string text() const;

 private:
  Hash128 chain_;
};

}  // namespace lockstep::numerics
