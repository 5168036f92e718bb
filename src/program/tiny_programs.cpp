#include "program/tiny_programs.h"

#include <algorithm>

#include "program/isa/host.h"
#include "program/isa/host_panels.h"

namespace lockstep::program {

using isa::HostOp;
using numerics::IntegerMatrix;
using numerics::MatrixKind;

namespace {

// A fixed stream of numbers in [-limit, limit].
class Numbers {
 public:
  explicit Numbers(uint32_t seed) : state_(seed) {}
  int32_t next(int32_t limit) {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<int32_t>((state_ >> 8) % static_cast<uint32_t>(2 * limit + 1)) - limit;
  }

 private:
  uint32_t state_;
};

IntegerMatrix tiny_matrix(MatrixKind kind, uint64_t rows, int32_t limit, uint32_t seed) {
  IntegerMatrix matrix;
  matrix.rows = rows;
  matrix.columns = kTinyWidth;
  matrix.kind = kind;
  Numbers numbers(seed);
  for (uint64_t i = 0; i < rows * kTinyWidth; ++i) {
    matrix.plain.push_back(static_cast<int16_t>(numbers.next(limit)));
  }
  for (uint64_t r = 0; r < rows; ++r) matrix.row_scales.push_back(0x1p-12f * static_cast<float>(r + 1));
  return matrix;
}

constexpr uint32_t kWeights = 0, kConstants = 1, kActivations = 2, kPrivate = 3, kInput = 4, kOutput = 5;

// Packs the matrix behind what the memory holds already and declares it.
void add_matrix(const IntegerMatrix& integers, const char* name, std::vector<std::byte>& memory,
                Program& program) {
  const isa::PanelLayout layout = isa::panel_layout(integers);
  Matrix matrix;
  matrix.name = name;
  matrix.rows = layout.rows;
  matrix.columns = layout.columns;
  matrix.layout = static_cast<uint8_t>(layout.kind);
  matrix.group_columns = layout.group_columns;
  matrix.memory = kWeights;
  matrix.offset = memory.size();
  matrix.scales_offset = matrix.offset + layout.bytes();
  const uint64_t scale_bytes = layout.panels() * isa::kPanelRows * sizeof(float);
  memory.resize((matrix.scales_offset + scale_bytes + 63) / 64 * 64);
  isa::pack_panels(integers, layout, {memory.data() + matrix.offset, layout.bytes()});
  std::memcpy(memory.data() + matrix.scales_offset, integers.row_scales.data(),
              integers.row_scales.size() * sizeof(float));
  program.matrices.push_back(matrix);
}

}  // namespace

IntegerMatrix tiny_embedding() {
  return tiny_matrix(MatrixKind::Plain16, kTinyVocabulary, 30000, 1);
}

IntegerMatrix tiny_weight() {
  return tiny_matrix(MatrixKind::Plain8, kTinyOut, 127, 2);
}

std::vector<float> tiny_bias() {
  std::vector<float> bias;
  for (uint32_t r = 0; r < kTinyOut; ++r) bias.push_back(0.25f * static_cast<float>(r) - 3.0f);
  return bias;
}

TinyProgram tiny_host_program() {
  TinyProgram tiny;
  Program& program = tiny.program;
  program.model_name = "tiny";
  program.isa = isa::host().name;
  program.isa_version = isa::host().version;
  program.compiler_version = "by hand";
  program.machine = "any";
  program.fingerprint = blake2b(as_bytes("gather, Q16, matrix product"));
  program.weight_variant = "faithful";
  program.vocabulary = kTinyVocabulary;
  program.context_max = 8;
  program.memories = {{"weights", MemoryKind::File, 0},           {"constants", MemoryKind::File, 0},
                      {"activations", MemoryKind::Scratch, 2048}, {"private", MemoryKind::Private, 1536},
                      {"input", MemoryKind::Input, 32},           {"output", MemoryKind::Output, 1536}};
  std::vector<std::byte> weights;
  add_matrix(tiny_embedding(), "embedding", weights, program);
  add_matrix(tiny_weight(), "weight", weights, program);
  std::copy(weights.begin(), weights.end(), tiny.file_memory(kWeights, weights.size()).begin());
  std::memcpy(tiny.file_memory(kConstants, kTinyOut * sizeof(float)).data(), tiny_bias().data(),
              kTinyOut * sizeof(float));
  program.parameters = {{"rows", 1, 8}};
  program.regions = {{"tokens", kInput, 0, Element::I32, 1, 4, RowCount::Rows},
                     {"embedded", kActivations, 0, Element::F32, kTinyWidth, 256, RowCount::Rows},
                     {"embedded.q16", kPrivate, 0, Element::Q16, kTinyWidth, 192, RowCount::Rows},
                     {"bias", kConstants, 0, Element::F32, kTinyOut, 192, RowCount::One},
                     {"logits", kOutput, 0, Element::F32, kTinyOut, 192, RowCount::Rows}};
  auto instruction = [](HostOp op, std::vector<uint64_t> words) {
    return Instruction{static_cast<uint16_t>(op), std::move(words)};
  };
  const uint64_t always = static_cast<uint64_t>(isa::SyncWhen::Always);
  const uint64_t rows_are_split = static_cast<uint64_t>(isa::SyncWhen::RowsAreSplit);
  program.queues = {{"workers",
                     kNone,
                     {
                         instruction(HostOp::Embed, {1, 0, 0, 0x3f800000}),
                         instruction(HostOp::Sync, {always}),
                         instruction(HostOp::Quantise, {2, 1}),
                         instruction(HostOp::Sync, {rows_are_split}),
                         instruction(HostOp::MatMul, {4, 2, 1, 3}),
                     }}};
  program.entries = {{"step", {0}, {0}}};
  program.source_map = {{0, 0, "embed", -1, 1}, {0, 2, "quantise", 0, 2}, {0, 4, "matmul", 0, 4}};
  const Bytes tokenizer = as_bytes("a b c"), license = as_bytes("free");
  program.assets = {{"tokenizer", {tokenizer.begin(), tokenizer.end()}},
                    {"license", {license.begin(), license.end()}}};
  return tiny;
}

}  // namespace lockstep::program
