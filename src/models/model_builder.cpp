#include "models/model_builder.h"

namespace lockstep::models {

using graph::Node;
using graph::Op;
using graph::ValueId;
using graph::VectorId;
using graph::WeightId;

ModelBuilder::ModelBuilder(const importer::Checkpoint& checkpoint, std::string architecture,
                           const graph::NumericOptions& options)
    : checkpoint_(checkpoint), architecture_(std::move(architecture)) {
  graph.architecture = architecture_;
  graph.options = options;
  graph.model_name = checkpoint.metadata.find_string("general.name").value_or("");
  if (graph.model_name.empty()) graph.model_name = checkpoint.file.path().stem().string();
}

void ModelBuilder::refuse(const std::string& why) const {
  user_error("{}: {}", checkpoint_.metadata.source(), why);
}

uint64_t ModelBuilder::require_uint(const std::string& name, uint64_t max) const {
  const uint64_t value = checkpoint_.metadata.require_uint(key(name));
  if (value == 0 || value > max) refuse(fmt::format("{} is {}; 1 to {} is possible", key(name), value, max));
  return value;
}

uint64_t ModelBuilder::uint_or(const std::string& name, uint64_t fallback, uint64_t max) const {
  return checkpoint_.metadata.contains(key(name)) ? require_uint(name, max) : fallback;
}

double ModelBuilder::float_or(const std::string& name, double fallback) const {
  return checkpoint_.metadata.find_float(key(name)).value_or(fallback);
}

WeightId ModelBuilder::weight(const std::string& name, uint64_t rows, uint64_t columns) {
  const numerics::Tensor* tensor = checkpoint_.find(name);
  if (tensor == nullptr) refuse(fmt::format("tensor {} is missing", name));
  if (tensor->shape.size() != 2 || tensor->rows() != rows || tensor->columns() != columns) {
    refuse(fmt::format("tensor {} has the shape [{}, {}]; [{}, {}] is wanted (rows, columns)", name,
                       tensor->rows(), tensor->columns(), rows, columns));
  }
  for (WeightId id = 0; id < graph.weights.size(); ++id) {
    if (graph.weights[id].name == name) return id;
  }
  graph.weights.push_back({name, *tensor, {}});
  return static_cast<WeightId>(graph.weights.size() - 1);
}

std::vector<float> ModelBuilder::floats(const numerics::Tensor& tensor) const {
  if (numerics::tensor_type_info(tensor.type).block_elements != 1) {
    refuse(fmt::format("tensor {} is stored as {}; F32, F16 or BF16 is wanted", tensor.name,
                       numerics::tensor_type_info(tensor.type).name));
  }
  std::vector<double> values(tensor.columns());
  numerics::decode_row(tensor.type, tensor.bytes, values);
  return {values.begin(), values.end()};
}

VectorId ModelBuilder::vector(const std::string& name, uint64_t n) {
  const numerics::Tensor* tensor = checkpoint_.find(name);
  if (tensor == nullptr) refuse(fmt::format("tensor {} is missing", name));
  if (tensor->rows() != 1 || tensor->columns() != n) {
    refuse(
        fmt::format("tensor {} has {} elements; {} are wanted", name, tensor->rows() * tensor->columns(), n));
  }
  graph.vectors.push_back({name, floats(*tensor)});
  return static_cast<VectorId>(graph.vectors.size() - 1);
}

VectorId ModelBuilder::optional_vector(const std::string& name, uint64_t n) {
  return checkpoint_.find(name) == nullptr ? graph::kNone : vector(name, n);
}

ValueId ModelBuilder::add_node(Node node) {
  node.layer = layer_;
  if (layer_ >= 0) node.name = fmt::format("blk.{}.{}", layer_, node.name);
  graph.nodes.push_back(std::move(node));
  return static_cast<ValueId>(graph.nodes.size() - 1);
}

ValueId ModelBuilder::embed(WeightId weight, uint32_t width) {
  return add_node({.op = Op::Embed, .name = "token_embd", .inputs = {}, .width = width, .weight = weight});
}

ValueId ModelBuilder::rms_norm(const std::string& name, ValueId x, VectorId gain, float eps) {
  return add_node(
      {.op = Op::RmsNorm, .name = name, .inputs = {x}, .width = width(x), .vector = gain, .factor = eps});
}

ValueId ModelBuilder::quantise(const std::string& name, ValueId x) {
  return add_node({.op = Op::Quantise, .name = name + ".q16", .inputs = {x}, .width = width(x)});
}

ValueId ModelBuilder::linear(const std::string& name, ValueId x, uint32_t width_out) {
  const std::string tensor = layer_ >= 0 ? fmt::format("blk.{}.{}", layer_, name) : name;
  const WeightId id = weight(tensor + ".weight", width_out, width(x));
  return matmul(name, x, id, optional_vector(tensor + ".bias", width_out));
}

ValueId ModelBuilder::matmul(const std::string& name, ValueId x, WeightId id, VectorId bias) {
  return add_node({.op = Op::MatMul,
                   .name = name,
                   .inputs = {x},
                   .width = static_cast<uint32_t>(graph.weights[id].rows()),
                   .weight = id,
                   .vector = bias});
}

}  // namespace lockstep::models
