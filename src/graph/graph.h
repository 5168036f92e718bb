// A model as operators over the values of one token. The graph says what is computed, in the contract's
// terms; it knows neither files nor targets.
//
// Every node yields one value: for each row (a token at a position) a vector of `width` binary32 numbers,
// or a Q16 vector. A node's inputs are earlier nodes, so the list is its own topological order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/hash.h"
#include "numerics/integer_matrix.h"
#include "numerics/tensor.h"

namespace lockstep::graph {

using ValueId = uint32_t;
using WeightId = uint32_t;
using VectorId = uint32_t;
inline constexpr uint32_t kNone = ~uint32_t{0};

enum class Op : uint8_t {
  Embed,      // () -> f32           row `token` of weight, times factor
  RmsNorm,    // (x) -> f32          gain `vector`, eps `factor`
  Quantise,   // (x) -> Q16          one scale over the whole vector
  MatMul,     // (Q16) -> f32        weight, and bias `vector` where there is one
  Rope,       // (x) -> f32          turns the first 2*pairs elements of each head
  Attention,  // (q, k, v) -> f32    causal; writes k and v into the cache of `layer` first
  SiluGate,   // (gate, up) -> f32   silu(gate) * up
  Add,        // (x, y) -> f32
  Select,     // (x) -> f32          keeps the rows whose logits are wanted
};

enum class ValueKind : uint8_t { F32, Q16 };

// Which elements of a head form the pairs that RoPE turns.
enum class RopePairs : uint8_t { Adjacent /* (2i, 2i+1) */, Halves /* (i, i + pairs) */ };

struct Node {
  Op op;
  std::string name;  // unique, in the field's spelling: "blk.3.attn_q"
  int32_t layer = -1;
  std::vector<ValueId> inputs;
  uint32_t width = 0;
  WeightId weight = kNone;
  VectorId vector = kNone;
  float factor = 1.0f;       // Embed: multiplier; RmsNorm: eps; Attention: scale of the scores
  uint32_t heads = 0;        // Rope, Attention: heads of the first input
  uint32_t kv_heads = 0;     // Attention
  uint32_t head_width = 0;   // Rope, Attention: elements of a query or key head
  uint32_t value_width = 0;  // Attention: elements of a value head
};

ValueKind value_kind(Op op);
const char* op_name(Op op);

// A weight matrix: the file's tensor, and the contract's integers once the compiler's first pass has run.
struct Weight {
  std::string name;
  numerics::Tensor tensor;           // views the checkpoint's map
  numerics::IntegerMatrix integers;  // empty before import_weights
  uint64_t rows() const { return tensor.rows(); }
  uint64_t columns() const { return tensor.columns(); }
};

struct Vector {
  std::string name;
  std::vector<float> values;
};

// RoPE's turn a position of pair i in units of 2^-64 turns: F_i of NUMERICS.md section 7.
struct RopeTable {
  RopePairs pairs = RopePairs::Adjacent;
  std::vector<uint64_t> turns;
};

// The options that change bits; they are part of the fingerprint.
struct NumericOptions {
  numerics::WeightVariant weights = numerics::WeightVariant::Faithful;
  uint32_t kv_bits = 16;  // 16 or 8
};

struct Graph {
  std::string model_name;
  std::string architecture;
  uint32_t vocabulary = 0;
  uint32_t context_max = 0;  // positions
  uint32_t layers = 0;
  NumericOptions options;
  std::vector<Node> nodes;
  std::vector<Weight> weights;
  std::vector<Vector> vectors;
  RopeTable rope;
  ValueId logits = kNone;  // the head's output
};

// Checks every rule of the graph: inputs, widths, kinds, names, weights' shapes, the bounds of gains, biases
// and eps (NUMERICS.md section 2). Throws a user's error that names node and rule: a graph comes from a file.
void verify(const Graph& graph);

// One line a node, in a canonical form; `print` of equal graphs is equal.
std::string print(const Graph& graph);

// Names what is computed: contract version, options, printed graph, vectors, RoPE table and the integers
// and scales of all weights. REQUIRES: imported weights. NUMERICS.md and DESIGN.md, "Two hashes".
Hash256 fingerprint(const Graph& graph);

}  // namespace lockstep::graph
