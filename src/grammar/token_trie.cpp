#include "grammar/token_trie.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace lockstep::grammar {

TokenTrie::TokenTrie(std::span<const std::string> tokens) : token_count(tokens.size()), depth_max(0) {
  std::vector<int32_t> order(tokens.size());
  std::iota(order.begin(), order.end(), 0);
  std::erase_if(order, [&](int32_t id) { return tokens[id].empty(); });
  std::sort(order.begin(), order.end(),
            [&](int32_t a, int32_t b) { return tokens[a] != tokens[b] ? tokens[a] < tokens[b] : a < b; });
  std::vector<uint32_t> path;  // the nodes from the root to the last one
  auto leave = [&](size_t depth) {
    while (path.size() > depth) {
      nodes[path.back()].end = static_cast<uint32_t>(nodes.size());
      path.pop_back();
    }
  };
  std::string_view last;
  for (const int32_t id : order) {
    const std::string& token = tokens[id];
    if (token.size() > std::numeric_limits<uint16_t>::max()) {
      user_error("token {} has {} bytes: at most {} are taken", id, token.size(),
                 std::numeric_limits<uint16_t>::max());
    }
    const auto [differs, unused] = std::mismatch(token.begin(), token.end(), last.begin(), last.end());
    leave(static_cast<size_t>(differs - token.begin()));
    while (path.size() < token.size()) {
      Node node{};
      node.parent = path.empty() ? 0 : path.back();
      node.first_token = static_cast<uint32_t>(token_ids.size());
      node.byte = static_cast<uint8_t>(token[path.size()]);
      path.push_back(static_cast<uint32_t>(nodes.size()));
      node.depth = static_cast<uint16_t>(path.size());
      nodes.push_back(node);
    }
    token_ids.push_back(id);
    depth_max = std::max(depth_max, token.size());
    last = token;
  }
  leave(0);
  Node past{};
  past.first_token = static_cast<uint32_t>(token_ids.size());
  nodes.push_back(past);
}

}  // namespace lockstep::grammar
