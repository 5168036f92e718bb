// The reference interpreter: the contract in the plainest C++, one token at a time, slow and obvious. It
// shares no kernel with any target.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace lockstep::graph {

// A node's value for one row. For Q16 nodes `a` and `scale`, otherwise `x`.
struct Value {
  std::vector<float> x;
  std::vector<int16_t> a;
  float scale = 0;
};

// REQUIRES: a verified graph with imported weights, which must outlive the interpreter.
class Interpreter {
 public:
  explicit Interpreter(const Graph& graph);

  // Runs the token at the next position. Returns the logits when they are wanted, otherwise an empty span;
  // valid until the next step. Throws a user's error that names operator, layer and position when a vector
  // leaves the contract's range.
  std::span<const float> step(int32_t token, bool logits_wanted);

  uint32_t position() const { return position_; }

  // Called after every node with its value at the current position; for `diff`.
  std::function<void(ValueId, const Value&)> probe;

 private:
  struct CachedVector {
    std::vector<int16_t> a;
    float scale = 0;
  };
  // Keys and values of one layer: [position][kv head].
  struct LayerCache {
    std::vector<std::vector<CachedVector>> keys, values;
  };

  void run_node(ValueId id, int32_t token);
  void run_matmul(const Node& node, const Value& in, Value& out) const;
  void run_rope(const Node& node, const Value& in, Value& out) const;
  void run_attention(const Node& node, Value& out);
  void attend_head(const Node& node, const LayerCache& cache, uint32_t head, Value& out) const;
  void quantise_or_fail(const Node& node, std::span<const float> x, int32_t levels, std::vector<int16_t>& a,
                        float& scale) const;

  const Graph& graph_;
  uint32_t position_ = 0;
  std::vector<Value> values_;
  std::vector<LayerCache> caches_;
};

}  // namespace lockstep::graph
