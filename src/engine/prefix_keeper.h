// What keeps pages of the KV pool longer than the pool itself. The engine knows this interface alone; what
// implements it may write to a disk (api/kept_prefixes.h).
#pragma once

#include <cstdint>
#include <span>

#include "base/hash.h"

namespace lockstep::engine {

// Blocks of tokens with their pages, each under the key of the block before it.
// THREAD: one thread at a time, the one that may touch the pages.
class PrefixKeeper {
 public:
  virtual ~PrefixKeeper() = default;

  // The parent of the blocks at position 0, and the key under which a full block's children are.
  virtual Hash256 root() const = 0;
  virtual Hash256 key(const Hash256& parent, std::span<const int32_t> tokens) const = 0;

  // Looks for the block under `parent` that has the longest beginning in common with `tokens`, longer than
  // `more_than`, and fills `page` with its state. Returns all its tokens, which the page then holds computed:
  // perhaps others or more than `tokens`, from where they differ. None: there is no such block, and the page
  // is as it was. Valid until the next load. May wait for a disk, about as long as a step of one token.
  virtual std::span<const int32_t> load(const Hash256& parent, std::span<const int32_t> tokens,
                                        uint32_t more_than, std::span<std::byte> page) = 0;

  // Keeps a block of 1 to 64 tokens whose state `page` holds, if there is room. Copies what it needs and
  // never waits for a disk. Saving a block again, or the beginning of one, costs little.
  virtual void save(const Hash256& parent, std::span<const int32_t> tokens,
                    std::span<const std::byte> page) = 0;
};

}  // namespace lockstep::engine
