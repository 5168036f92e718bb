// The LPU program of tiny_programs.h, in the western hemisphere of an lpu-v1, cycle by cycle. Unit positions
// and times are those of docs/lpu.md with that machine's numbers.
#include "program/isa/lpu.h"
#include "program/tiny_programs.h"

namespace lockstep::program {

using isa::LpuOp;
using isa::LpuUnit;
using isa::Operand;
using isa::OperandKind;
using numerics::IntegerMatrix;

namespace {

// Positions, and cycles from an instruction to its effect.
constexpr uint64_t kMxm = 16, kRead = 1, kEntry = 5, kOperation = 3, kLoad = 1, kInstall = 2, kProduct = 28,
                   kResult = 1, kWrite = 1;
// Slices of the western hemisphere. Slices 0-15 hold the weights, each a residue of the output modulo 16;
// four each hold the token, the scales, biases and logits, two the low and the high plane of the embedding.
constexpr uint32_t kTokenSlice = 16, kEmbeddingSlice = 20, kScaleSlice = 24, kBiasSlice = 28,
                   kLogitSlice = 32;
constexpr uint64_t kGroups = kTinyOut / 16;

constexpr uint64_t position(uint32_t slice) {
  return 1 + slice / 4;
}
constexpr uint8_t outward(uint8_t stream) {
  return static_cast<uint8_t>(32 + stream);
}
constexpr uint8_t inward(uint8_t stream) {
  return stream;
}

class TinyLpu {
 public:
  TinyProgram build() {
    declare();
    for (uint32_t q = 0; q < program().queues.size(); ++q) {
      issue(q, 0, q == vxm_ ? LpuOp::Notify : LpuOp::Sync, {});
      cycles_[q] = 0;
    }
    const uint64_t activations = load_and_fetch();
    combine(activations + kProduct + kResult + kMxm);
    for (uint32_t q = 0; q < program().queues.size(); ++q) program().entries[0].queues.push_back(q);
    const uint64_t cycles = last_effect_;
    program().parameters = {{"step.cycles", cycles, cycles}};
    program().entries[0].parameters = {0};
    return std::move(tiny_);
  }

 private:
  Program& program() { return tiny_.program; }

  uint32_t queue(LpuUnit unit, uint32_t place, uint32_t memory = kNone) {
    program().queues.push_back({isa::unit_name({0, unit, 1, place}), memory, {}});
    cycles_.push_back(0);
    return static_cast<uint32_t>(program().queues.size() - 1);
  }
  // Slices side by side; returns the queue of the first.
  uint32_t slices(uint32_t first, uint32_t count, uint64_t rows) {
    const uint32_t queue_first = static_cast<uint32_t>(program().queues.size());
    for (uint32_t i = first; i < first + count; ++i) {
      const uint32_t memory = static_cast<uint32_t>(program().memories.size());
      program().memories.push_back({"slice.w." + std::to_string(i), MemoryKind::File, 0});
      tiny_.file_memory(memory, rows * isa::kLpuLanesMax);
      queue(LpuUnit::Mem, i, memory);
    }
    return queue_first;
  }

  // Issues an instruction at a cycle, after the Nop that it takes to get there.
  void issue(uint32_t q, uint64_t cycle, LpuOp op, std::vector<uint64_t> words) {
    LOCKSTEP_CHECK(cycle >= cycles_[q]);
    std::vector<Instruction>& instructions = program().queues[q].instructions;
    if (cycle > cycles_[q]) instructions.push_back({static_cast<uint16_t>(LpuOp::Nop), {cycle - cycles_[q]}});
    instructions.push_back({static_cast<uint16_t>(op), std::move(words)});
    cycles_[q] = cycle + 1;
  }
  void repeat(uint32_t q, uint64_t times) {
    program().queues[q].instructions.push_back({static_cast<uint16_t>(LpuOp::Repeat), {times, 1}});
    cycles_[q] += times;
  }
  // The words of four slices onto inward streams, so that the operation that issues at `cycle` takes them.
  void read_words(uint32_t q, uint32_t slice, uint64_t cycle, uint64_t stream) {
    const uint64_t at = cycle - kEntry - position(slice) - kRead;
    for (uint32_t b = 0; b < 4; ++b) issue(q + b, at, LpuOp::Read, {0, stream + b, 0});
  }
  void alu(uint32_t place, uint64_t cycle, LpuOp op, std::vector<Operand> operands, uint64_t immediate = 0,
           uint64_t west = kNone) {
    operands.resize(3);
    issue(vxm_ + place, cycle, op,
          {isa::encode_operand(operands[0]), isa::encode_operand(operands[1]),
           isa::encode_operand(operands[2]), immediate, kNone, west, west == kNone ? 0u : 4u});
  }

  // Writes the bytes of a value into a lane of a row of slices side by side.
  template <class T>
  void store(uint32_t q, uint64_t row, uint64_t lane, T value) {
    for (size_t b = 0; b < sizeof(T); ++b) {
      const Bytes slice_bytes = program().contents.at(program().queues[q + b].memory);
      const_cast<std::byte&>(slice_bytes[row * isa::kLpuLanesMax + lane]) =
          reinterpret_cast<const std::byte*>(&value)[b];
    }
  }

  void declare();
  uint64_t load_and_fetch();
  void combine(uint64_t cycle);

  TinyProgram tiny_;
  std::vector<uint64_t> cycles_;  // of each queue: the next free one
  uint64_t last_effect_ = 0;
  uint32_t weights_ = 0, token_ = 0, embedding_ = 0, scale_ = 0, bias_ = 0, logits_ = 0, mxm_ = 0, vxm_ = 0;
};

void TinyLpu::declare() {
  program().model_name = "tiny";
  program().isa = isa::lpu().name;
  program().isa_version = isa::lpu().version;
  program().compiler_version = "by hand";
  program().machine = "lpu-v1";
  program().fingerprint = blake2b(as_bytes("gather, matrix product"));
  program().weight_variant = "faithful";
  program().vocabulary = kTinyVocabulary;
  program().context_max = 1;
  program().entries = {{"step", {}, {}}};
  weights_ = slices(0, 16, kGroups);
  token_ = slices(kTokenSlice, 4, 1);
  embedding_ = slices(kEmbeddingSlice, 2, kTinyVocabulary);
  scale_ = slices(kScaleSlice, 4, 1);
  bias_ = slices(kBiasSlice, 4, 1);
  logits_ = slices(kLogitSlice, 4, 0);
  mxm_ = queue(LpuUnit::Mxm, 0);
  for (uint32_t i = 1; i < 3; ++i) queue(LpuUnit::Mxm, i);
  vxm_ = queue(LpuUnit::Vxm, 0);
  for (uint32_t i = 1; i < 5; ++i) queue(LpuUnit::Vxm, i);
  const auto words = [&](const char* name, uint32_t q, Element element, uint32_t width) {
    program().regions.push_back({name, program().queues[q].memory, 0, element, width, 4ul * width});
  };
  words("token", token_, Element::I32, isa::kLpuLanesMax);
  words("logits", logits_, Element::F32, kTinyOut);

  const IntegerMatrix embedding = tiny_embedding(), weight = tiny_weight();
  const std::vector<float> bias = tiny_bias();
  for (uint64_t token = 0; token < kTinyVocabulary; ++token) {
    for (uint64_t k = 0; k < kTinyWidth; ++k) {
      const int16_t w = embedding.plain[token * kTinyWidth + k];
      const int8_t low = static_cast<int8_t>(w & 255);
      store(embedding_, token, k, low);
      store(embedding_ + 1, token, k, static_cast<int8_t>((w - low) / 256));
    }
  }
  for (uint64_t r = 0; r < kTinyOut; ++r) {
    for (uint64_t k = 0; k < kTinyWidth; ++k) {
      store(weights_ + static_cast<uint32_t>(r % 16), r / 16, k,
            static_cast<int8_t>(weight.plain[r * kTinyWidth + k]));
    }
    store(scale_, 0, r, weight.row_scales[r]);
    store(bias_, 0, r, bias[r]);
  }
  for (uint64_t lane = 0; lane < isa::kLpuLanesMax; ++lane) store(token_, 0, lane, kTinyToken);
}

// The weights into the array and the planes of the token's embedding through it. Returns the cycle in which
// the high plane goes in; the low one follows.
uint64_t TinyLpu::load_and_fetch() {
  constexpr uint64_t kLoadCycle = 16, kWeightStreams = outward(16), kMap = outward(0), kPlanes = outward(2);
  for (uint32_t i = 0; i < 16; ++i) {
    issue(weights_ + i, kLoadCycle + position(i) - kRead - kMxm, LpuOp::Read, {0, kWeightStreams + i, 1});
    repeat(weights_ + i, kGroups - 1);
  }
  issue(mxm_, kLoadCycle, LpuOp::LoadWeights, {kWeightStreams, 0});
  repeat(mxm_, kGroups - 1);
  const uint64_t install = kLoadCycle + kGroups - 1 + kLoad;
  issue(mxm_, install, LpuOp::InstallWeights, {});
  const uint64_t activations = install + kInstall;

  const uint64_t gather = activations - kRead - (kMxm - position(kEmbeddingSlice));
  const uint64_t token = gather - kRead - (position(kEmbeddingSlice) - position(kTokenSlice));
  for (uint32_t b = 0; b < 2; ++b) {
    issue(token_ + b, token, LpuOp::Read, {0, kMap + b, 0});
    repeat(token_ + b, 1);
  }
  for (uint32_t plane = 0; plane < 2; ++plane) {
    issue(embedding_ + 1 - plane, gather + plane, LpuOp::Gather, {0, kPlanes + plane, kMap});
    issue(mxm_ + 1, activations + plane, LpuOp::ActivationControl, {kPlanes + plane, plane, 0, 0});
    issue(mxm_ + 2, activations + kProduct + kOperation * plane, LpuOp::Accumulate,
          {plane, inward(4 * plane), 0});
  }
  return activations;
}

// f32(256 h + l) * scale + bias; the sums of the high plane are at the VXM in `cycle`, those of the low one
// an operation later.
void TinyLpu::combine(uint64_t cycle) {
  constexpr Operand kHigh = {OperandKind::Word, inward(0)}, kLow = {OperandKind::Word, inward(4)},
                    kScale = {OperandKind::Word, inward(8)}, kBias = {OperandKind::Word, inward(12)},
                    kImmediate = {OperandKind::Immediate, 0};
  const auto last = [](uint8_t place) { return Operand{OperandKind::Alu, place}; };
  uint64_t at = cycle + kEntry;
  alu(0, at, LpuOp::Move, {kHigh});
  alu(1, at += kOperation, LpuOp::IntegerMultiplyAdd, {last(0), kImmediate, kLow}, 256);
  alu(2, at += kOperation, LpuOp::Int32ToFloat, {last(1)});
  alu(3, at += kOperation, LpuOp::Multiply, {last(2), kScale});
  read_words(scale_, kScaleSlice, at, inward(8));
  alu(4, at += kOperation, LpuOp::Add, {last(3), kBias}, 0, outward(0));
  read_words(bias_, kBiasSlice, at, inward(12));
  at += kOperation + position(kLogitSlice);
  for (uint32_t b = 0; b < 4; ++b) issue(logits_ + b, at, LpuOp::Write, {0, outward(b), 0});
  last_effect_ = at + kWrite;
}

}  // namespace

TinyProgram tiny_lpu_program() {
  return TinyLpu().build();
}

}  // namespace lockstep::program
