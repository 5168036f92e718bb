// What every architecture's file needs: looks tensors up by name, checks their shapes and appends nodes.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"
#include "import/checkpoint.h"

namespace lockstep::models {

class ModelBuilder {
 public:
  ModelBuilder(const importer::Checkpoint& checkpoint, std::string architecture,
               const graph::NumericOptions& options);

  // Metadata under the architecture's prefix, such as "llama." + "block_count".
  uint64_t require_uint(const std::string& key, uint64_t max) const;
  uint64_t uint_or(const std::string& key, uint64_t fallback, uint64_t max) const;
  double float_or(const std::string& key, double fallback) const;
  std::string key(const std::string& name) const { return architecture_ + "." + name; }

  // The matrix `name` of this shape; throws when it is missing or has another.
  graph::WeightId weight(const std::string& name, uint64_t rows, uint64_t columns);
  // The vector `name` of n floats.
  graph::VectorId vector(const std::string& name, uint64_t n);
  // The same, or kNone where the file has none.
  graph::VectorId optional_vector(const std::string& name, uint64_t n);
  std::vector<float> floats(const numerics::Tensor& tensor) const;
  const numerics::Tensor* find(const std::string& name) const { return checkpoint_.find(name); }

  graph::ValueId embed(graph::WeightId weight, uint32_t width);
  graph::ValueId rms_norm(const std::string& name, graph::ValueId x, graph::VectorId gain, float eps);
  graph::ValueId quantise(const std::string& name, graph::ValueId x);
  // "<name>.weight" and, where the file has it, "<name>.bias".
  graph::ValueId linear(const std::string& name, graph::ValueId x, uint32_t width);
  graph::ValueId matmul(const std::string& name, graph::ValueId x, graph::WeightId weight,
                        graph::VectorId bias);
  graph::ValueId add_node(graph::Node node);

  void set_layer(int32_t layer) { layer_ = layer; }
  uint32_t width(graph::ValueId id) const { return graph.nodes[id].width; }
  [[noreturn]] void refuse(const std::string& why) const;

  graph::Graph graph;

 private:
  const importer::Checkpoint& checkpoint_;
  std::string architecture_;
  int32_t layer_ = -1;
};

}  // namespace lockstep::models
