// Which elements of a value the lanes of its vectors hold, on one of the chips that share every matrix.
#pragma once

#include <memory>
#include <vector>

#include "compiler/lpu/placement.h"
#include "graph/graph.h"

namespace lockstep::compiler::lpu {

// Whether `parts` chips can share every matrix and attention of a graph evenly.
bool can_share(const graph::Graph& graph, uint32_t parts);

class Layouts {
 public:
  // For chip `part` of `parts`. REQUIRES: can_share. Throws a user's error for heads that the lowering of
  // attention is not made for.
  Layouts(const graph::Graph& graph, const machine::Machine& machine, uint32_t part, uint32_t parts);

  // What the chip computes of a node's value: its part of the heads, or of the elements in order.
  const Layout& own(uint32_t node) const { return *own_[node]; }
  // The whole value: the chip's own part first, then those of the chips behind it, around.
  const Layout& whole(uint32_t node) const { return *whole_[node]; }
  // Of an attention: the chip's heads.
  const HeadLayout& heads(uint32_t node) const { return *heads_[node]; }
  // The tokens whose rows of the vocabulary the chip has, as many on each chip; the last may have fewer rows.
  uint32_t first_token() const { return first_token_; }
  uint32_t tokens() const { return tokens_; }

 private:
  struct Pair {
    std::shared_ptr<const Layout> own, whole;
  };
  void set(uint32_t node, const Pair& pair) {
    own_[node] = pair.own;
    whole_[node] = pair.whole;
  }
  std::vector<std::shared_ptr<const Layout>> own_, whole_;
  std::vector<std::shared_ptr<const HeadLayout>> heads_;
  uint32_t first_token_ = 0, tokens_ = 0;
};

}  // namespace lockstep::compiler::lpu
