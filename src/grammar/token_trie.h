// A vocabulary's byte strings as a tree, so that tokens with the same beginning are tried once.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace lockstep::grammar {

// Immutable. A node stands behind its parent and before its siblings, so that the nodes below one follow it.
struct TokenTrie {
  struct Node {
    uint32_t parent;
    uint32_t end;          // one past the last node below
    uint32_t first_token;  // of those that end here; they go on to the next node's first
    uint16_t depth;        // bytes so far, at least 1
    uint8_t byte;
  };

  // `tokens`: by id, the bytes that each adds to a text; empty for one that no text may hold (a control or
  // unused token). Throws a user's error for a token of more than 65,535 bytes.
  explicit TokenTrie(std::span<const std::string> tokens);

  std::span<const int32_t> tokens_at(uint32_t node) const {
    return std::span(token_ids).subspan(nodes[node].first_token,
                                        nodes[node + 1].first_token - nodes[node].first_token);
  }
  uint32_t node_count() const { return static_cast<uint32_t>(nodes.size()) - 1; }

  std::vector<Node> nodes;  // and one past the last
  std::vector<int32_t> token_ids;
  size_t token_count;  // of the vocabulary
  size_t depth_max;
};

}  // namespace lockstep::grammar
