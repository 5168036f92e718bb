// The two hashes of the project: BLAKE2b-256 (libsodium) where somebody could gain by a collision
// (fingerprints, programs, receipts) and XXH3-128 (xxhash) where only accidents matter (digests of logits).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace lockstep {

using Hash256 = std::array<std::byte, 32>;
using Hash128 = std::array<std::byte, 16>;

// Lower-case hexadecimal, two digits a byte.
std::string hex(Bytes bytes);

// BLAKE2b with 32 bytes of output, no key. Streaming: update as often as needed, then finish once.
class Blake2b {
 public:
  Blake2b();
  ~Blake2b();
  Blake2b(const Blake2b&) = delete;
  Blake2b& operator=(const Blake2b&) = delete;
  void update(Bytes bytes);
  Hash256 finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Hash256 blake2b(Bytes bytes);
// The hash of a chain's next link: BLAKE2b-256 of the hash before it and the link's bytes.
Hash256 blake2b_chain(const Hash256& before, Bytes link);

// XXH3-128 in its canonical (big-endian) byte order.
Hash128 xxh3(Bytes bytes);
// XXH3-128 of two pieces one after the other, without joining them in memory.
Hash128 xxh3(Bytes first, Bytes second);

}  // namespace lockstep
