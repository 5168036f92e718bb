// Which node of the graph each instruction of a program works for: the program's source map, ready to ask.
#pragma once

#include <string>
#include <vector>

#include "program/program.h"

namespace lockstep::targets::lpu {

class NodeMap {
 public:
  struct Node {
    std::string name;
    int32_t layer;  // -1: of none

    // The name without its layer, "attn_q" of "blk.3.attn_q": what one node of each layer has in common.
    std::string kind() const;
  };

  explicit NodeMap(const program::Program& program);

  // In the order in which the source map first names them.
  const std::vector<Node>& nodes() const { return nodes_; }
  // Index of the node; program::kNone for instructions that work for none.
  uint32_t node(uint32_t queue, uint32_t instruction) const;

 private:
  struct Line {
    uint32_t instruction, node;
  };
  std::vector<Node> nodes_;
  std::vector<std::vector<Line>> lines_;  // by queue, in order of instruction
};

}  // namespace lockstep::targets::lpu
