// Who holds which page of a target's KV pool, and which pages can serve another sequence that begins alike.
//
// Pages whose positions are all computed are published in a tree: a node is a block of tokens with its page,
// under the node of the block before it. A sequence shares the nodes that its own tokens match, whole blocks
// by reference and the block where it differs by a copy, or whole where there is no other page for one. Pages
// nobody uses stay published until memory is wanted, the longest unused first. A page's bits depend on its
// tokens alone (NUMERICS.md), so that a shared page, a copied one and a computed one are the same.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/prefix_keeper.h"
#include "targets/target.h"

namespace lockstep::engine {

// The pages of one sequence, in order of positions. The first blocks.size() of them are published.
struct HeldPages {
  std::vector<uint32_t> pages;
  std::vector<uint32_t> blocks;  // nodes of the tree
};

// THREAD: one thread at a time, not while a step runs.
class KvPool {
 public:
  // `keeper`: gets what is published and is asked for what the tree lacks; may be none. Both must outlive the
  // pool.
  explicit KvPool(targets::Target& target, PrefixKeeper* keeper = nullptr);

  uint32_t pages_for(uint64_t positions) const {
    return static_cast<uint32_t>((positions + page_positions_ - 1) / page_positions_);
  }
  // Pages that can be had now, published ones that nobody uses among them.
  uint32_t available() const { return static_cast<uint32_t>(free_.size()) + unused_; }

  // Takes what the tree has of `tokens` beyond the published blocks of `held`, all but the last token at the
  // most. Returns the positions that `held` now holds computed, `computed` or more. Where `held` is empty
  // the keeper is asked as well.
  // REQUIRES: `computed` positions are held computed.
  uint32_t reuse(HeldPages& held, std::span<const int32_t> tokens, uint32_t computed);

  // Gives `held` pages for that many positions; false where too few can be had, and then it keeps those it
  // got.
  bool extend(HeldPages& held, uint32_t positions);

  // Has memory behind the pages that `held` will take for that many positions, so that no step waits for it.
  void prepare(const HeldPages& held, uint64_t positions);

  // Publishes the blocks of `tokens` that `computed` positions fill.
  void publish(HeldPages& held, std::span<const int32_t> tokens, uint32_t computed);

  // Publishes what is computed, a block begun included, and gives all pages back.
  void release(HeldPages& held, std::span<const int32_t> tokens, uint32_t computed);

 private:
  static constexpr uint32_t kNoNode = ~0u;

  struct Node {
    uint32_t count = 0;  // of tokens; fewer than a page has in a leaf only
    uint32_t page = 0;
    Hash256 key = {};  // of a full block, where there is a keeper
    uint32_t users = 0;
    uint32_t parent = kNoNode, first_child = kNoNode, next_sibling = kNoNode;
    uint64_t last_use = 0;
  };

  uint32_t root_of(const HeldPages& held) const { return held.blocks.empty() ? kRoot : held.blocks.back(); }
  // The child of `parent` that shares the longest beginning with `tokens`.
  struct Match {
    uint32_t node = kNoNode;
    uint32_t count = 0;
  };
  Match longest_match(uint32_t parent, std::span<const int32_t> tokens) const;
  uint32_t add_node(uint32_t parent, std::span<const int32_t> tokens, uint32_t page);
  void use(uint32_t node);
  void stop_using(uint32_t node);
  bool take_page(uint32_t& page);
  bool load_kept(uint32_t parent, std::span<const int32_t> tokens, uint32_t more_than);
  void keep(uint32_t node);
  void remove(uint32_t node);
  bool evict();
  // A node's tokens, `count` of them.
  std::span<int32_t> tokens_of(uint32_t node) {
    return std::span(tokens_).subspan(size_t{node} * page_positions_, nodes_[node].count);
  }
  std::span<const int32_t> tokens_of(uint32_t node) const {
    return std::span(tokens_).subspan(size_t{node} * page_positions_, nodes_[node].count);
  }

  static constexpr uint32_t kRoot = 0;

  targets::Target& target_;
  PrefixKeeper* const keeper_;
  const uint32_t page_positions_;
  std::vector<uint32_t> free_;   // pages, the next to be taken last
  std::vector<bool> prepared_;   // pages that have memory
  std::vector<Node> nodes_;      // [0] is the root, without a page
  std::vector<int32_t> tokens_;  // room for a page's positions a node
  std::vector<uint32_t> spare_;  // nodes
  uint32_t unused_ = 0;          // published pages without users
  uint64_t clock_ = 0;
};

}  // namespace lockstep::engine
