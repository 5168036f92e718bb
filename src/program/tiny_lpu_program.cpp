// The LPU program of tiny_programs.h. The plan below counts cycles from its own start, with these times: a
// memory row is at the VXM 6 cycles after its read, a VXM result can be read 4 cycles after its operands, a
// shift and its way there and back take 32. Only the distances between a queue's instructions enter the
// program, as Nops.
#include "program/isa/lpu.h"
#include "program/tiny_programs.h"

namespace lockstep::program {

using isa::LpuOp;
using numerics::IntegerMatrix;

namespace {

constexpr uint64_t kToVxm = 6, kAlu = 4, kShift = 32;
constexpr uint32_t kAlus = 16, kSuperlanesUsed = 4, kLanesUsed = kTinyWidth;

constexpr uint64_t east(uint64_t group) {
  return 4 * group;
}
constexpr uint64_t west(uint64_t group) {
  return 32 + 4 * group;
}

class TinyLpu {
 public:
  TinyProgram build() {
    declare();
    fetch();
    const uint64_t scaled = quantise(fetch_cycles());
    combine(multiply(scaled));
    for (uint32_t q = 0; q < program().queues.size(); ++q) program().entries[0].queues.push_back(q);
    return std::move(tiny_);
  }

 private:
  static constexpr uint64_t kConfigured = 2;

  Program& program() { return tiny_.program; }

  // Adds a memory slice of `rows` rows with the queue that owns it; returns the queue.
  uint32_t slice(const std::string& place, MemoryKind kind, uint64_t rows) {
    const uint32_t memory = static_cast<uint32_t>(program().memories.size());
    program().memories.push_back({"slice." + place, kind, rows * isa::kLpuLanes});
    if (kind == MemoryKind::File) tiny_.file_memory(memory, rows * isa::kLpuLanes);
    return queue("mem." + place, memory);
  }
  // Four slices side by side, a byte of a 32-bit value each.
  uint32_t word_slices(const std::string& hemisphere, uint32_t first, MemoryKind kind, uint64_t rows) {
    uint32_t queue_index = kNone;
    for (uint32_t b = 0; b < 4; ++b) {
      const uint32_t added = slice(hemisphere + "." + std::to_string(first + b), kind, rows);
      if (b == 0) queue_index = added;
    }
    return queue_index;
  }
  uint32_t queue(const std::string& unit, uint32_t memory = kNone) {
    program().queues.push_back({unit, memory, {}});
    cycles_.push_back(0);
    return static_cast<uint32_t>(program().queues.size() - 1);
  }

  // Issues an instruction at a cycle of the plan, after the Nop that it takes to get there.
  void at(uint32_t q, uint64_t cycle, LpuOp op, std::vector<uint64_t> words) {
    LOCKSTEP_CHECK(cycle >= cycles_[q]);
    std::vector<Instruction>& instructions = program().queues[q].instructions;
    if (cycle > cycles_[q]) instructions.push_back({static_cast<uint16_t>(LpuOp::Nop), {cycle - cycles_[q]}});
    instructions.push_back({static_cast<uint16_t>(op), std::move(words)});
    cycles_[q] = cycle + 1;
  }
  void repeat(uint32_t q, uint64_t times, uint64_t every) {
    program().queues[q].instructions.push_back({static_cast<uint16_t>(LpuOp::Repeat), {times, every}});
    cycles_[q] += times * every;
  }
  // On the first ALU whose queue is free then.
  void alu(uint64_t cycle, LpuOp op, std::vector<uint64_t> words) {
    for (uint32_t i = 0; i < kAlus; ++i) {
      const uint32_t q = vxm_ + (next_alu_ + i) % kAlus;
      if (cycles_[q] > cycle) continue;
      next_alu_ = (next_alu_ + i + 1) % kAlus;
      return at(q, cycle, op, std::move(words));
    }
    LOCKSTEP_CHECK(false);
  }
  void read_word(uint32_t q, uint64_t cycle, uint64_t row, uint64_t stream) {
    for (uint32_t b = 0; b < 4; ++b) at(q + b, cycle, LpuOp::Read, {row, stream + b, 0});
  }
  void write_word(uint32_t q, uint64_t cycle, uint64_t row, uint64_t stream) {
    for (uint32_t b = 0; b < 4; ++b) at(q + b, cycle, LpuOp::Write, {row, stream + b, 0});
  }

  // Writes the bytes of a value into a lane of a row of slices side by side.
  template <class T>
  void store(uint32_t q, uint64_t row, uint64_t lane, T value) {
    for (size_t b = 0; b < sizeof(T); ++b) {
      const Bytes slice_bytes = program().contents.at(program().queues[q + b].memory);
      const_cast<std::byte&>(slice_bytes[row * isa::kLpuLanes + lane]) =
          reinterpret_cast<const std::byte*>(&value)[b];
    }
  }

  void declare();
  void fetch();
  static constexpr uint64_t fetch_cycles() { return kConfigured + 20; }
  uint64_t quantise(uint64_t cycle);
  uint64_t multiply(uint64_t cycle);
  void combine(uint64_t cycle);

  TinyProgram tiny_;
  std::vector<uint64_t> cycles_;  // of each queue: the next free one
  uint32_t next_alu_ = 0;
  uint32_t token_ = 0, embedding_ = 0, embedding_scale_ = 0, x_ = 0, s_ = 0, weight_ = 0, weight_scale_ = 0;
  uint32_t bias_ = 0, logits_ = 0, in_range_ = 0, vxm_ = 0, sxm_ = 0, mxm_ = 0;
};

void TinyLpu::declare() {
  program().model_name = "tiny";
  program().isa = isa::lpu().name;
  program().isa_version = isa::lpu().version;
  program().compiler_version = "by hand";
  program().machine = "tsp1";
  program().fingerprint = blake2b(as_bytes("gather, Q16, matrix product"));
  program().weight_variant = "faithful";
  program().vocabulary = kTinyVocabulary;
  program().context_max = 8;
  program().entries = {{"step", {}, {}}};

  const IntegerMatrix embedding = tiny_embedding(), weight = tiny_weight();
  const std::vector<float> bias = tiny_bias();
  token_ = slice("e.0", MemoryKind::Input, 1);
  slice("e.1", MemoryKind::Input, 1);
  embedding_ = slice("e.2", MemoryKind::File, kTinyVocabulary);
  slice("e.3", MemoryKind::File, kTinyVocabulary);
  embedding_scale_ = word_slices("e", 4, MemoryKind::File, kTinyVocabulary);
  for (uint64_t token = 0; token < kTinyVocabulary; ++token) {
    for (uint64_t k = 0; k < kTinyWidth; ++k) {
      store(embedding_, token, k, embedding.plain[token * kTinyWidth + k]);
      store(embedding_scale_, token, k, embedding.row_scales[token]);
    }
  }
  x_ = word_slices("e", 8, MemoryKind::Scratch, 1);
  s_ = word_slices("e", 12, MemoryKind::Scratch, 1);
  for (uint32_t i = 0; i < 16; ++i) {
    const uint32_t q = slice("w." + std::to_string(i), MemoryKind::File, kTinyWidth / 16);
    if (i == 0) weight_ = q;
    for (uint64_t k = i; k < kTinyWidth; k += 16) {
      for (uint64_t r = 0; r < kTinyOut; ++r) {
        store(q, k / 16, r, static_cast<int8_t>(weight.plain[r * kTinyWidth + k]));
      }
    }
  }
  weight_scale_ = word_slices("w", 16, MemoryKind::File, 1);
  bias_ = word_slices("w", 20, MemoryKind::File, 1);
  for (uint64_t r = 0; r < kTinyOut; ++r) {
    store(weight_scale_, 0, r, weight.row_scales[r]);
    store(bias_, 0, r, bias[r]);
  }
  logits_ = word_slices("w", 24, MemoryKind::Output, 1);
  in_range_ = slice("w.28", MemoryKind::Output, 1);
  vxm_ = queue("vxm.0");
  for (uint32_t i = 1; i < kAlus; ++i) queue("vxm." + std::to_string(i));
  sxm_ = queue("sxm.e.0");
  queue("sxm.e.1");
  mxm_ = queue("mxm.w.0");
}

// The token's row and its scale onto streams; the weights into the MXM meanwhile.
void TinyLpu::fetch() {
  for (uint32_t q = 0; q < program().queues.size(); ++q) {
    if (q == token_) {
      at(q, 0, LpuOp::Notify, {});
    } else {
      at(q, 0, LpuOp::Sync, {});
    }
    at(q, 1, LpuOp::Config, {(1u << kSuperlanesUsed) - 1});
  }
  for (uint32_t b = 0; b < 2; ++b) {
    at(token_ + b, kConfigured, LpuOp::Read, {0, east(4) + b, 0});
    at(embedding_ + b, kConfigured + 4, LpuOp::Gather, {west(0) + b, east(4)});
  }
  for (uint32_t b = 0; b < 4; ++b) {
    at(embedding_scale_ + b, kConfigured + 4 + kAlu, LpuOp::Gather, {west(1) + b, east(4)});
  }
  for (uint32_t i = 0; i < 16; ++i) {
    at(weight_ + i, kConfigured, LpuOp::Read, {0, west(4) + i, 1});
    repeat(weight_ + i, kTinyWidth / 16 - 1, 1);
  }
  at(mxm_, kConfigured + 12, LpuOp::LoadWeights, {west(4)});
  repeat(mxm_, kTinyWidth / 16 - 1, 1);
  at(mxm_, kConfigured + 20, LpuOp::InstallWeights, {});
}

// x = f32(w) * sw; m = max |x| in every lane; s = m / 32512, r = 32512 / m; rint(x * r) as two planes.
// Returns the cycle at which the planes leave for the MXM.
uint64_t TinyLpu::quantise(uint64_t cycle) {
  alu(cycle, LpuOp::Int16ToFloat, {east(0), west(0)});
  cycle += kAlu;
  alu(cycle, LpuOp::Multiply, {east(1), east(0), west(1), 0});
  cycle += kAlu;
  write_word(x_, cycle, 0, east(1));
  alu(cycle, LpuOp::Absolute, {east(2), east(1)});
  cycle += kAlu;
  // Shifts down gather the maximum in lane 0, shifts up spread it again; lanes come in as +0, |x| compares
  // as an integer.
  for (LpuOp direction : {LpuOp::ShiftDown, LpuOp::ShiftUp}) {
    for (uint64_t lanes = kLanesUsed / 2; lanes >= 1; lanes /= 2) {
      at(sxm_, cycle + kShift / 2, LpuOp::ShiftUp, {west(2), east(2), 0});
      at(sxm_ + 1, cycle + kShift / 2, direction, {west(3), east(2), lanes});
      cycle += kShift;
      alu(cycle, LpuOp::IntegerMaximum, {east(2), west(2), west(3), 0});
      cycle += kAlu;
    }
  }
  constexpr uint64_t kLevels = 0x46fe0000, kTooLarge = 0x4f800000, kZero = 0x1f800000;  // 32512, 2^32, 2^-64
  alu(cycle, LpuOp::IntegerLess, {west(6), east(2), kNone, kTooLarge});
  alu(cycle, LpuOp::IntegerLess, {east(3), east(2), kNone, kZero});
  alu(cycle, LpuOp::Divide, {east(4), east(2), kNone, kLevels});
  alu(cycle, LpuOp::DivideImmediate, {east(5), east(2), kLevels});
  read_word(x_, cycle + kAlu - kToVxm, 0, west(0));
  cycle += kAlu;
  alu(cycle, LpuOp::Int32ToInt8, {west(7), west(6)});
  alu(cycle, LpuOp::Xor, {east(6), east(3), kNone, 0xffffffff});
  alu(cycle, LpuOp::Multiply, {west(1), west(0), east(5), 0});
  alu(cycle, LpuOp::Or, {east(7), east(4), kNone, 0});
  cycle += kAlu;
  at(in_range_, cycle + kToVxm, LpuOp::Write, {0, west(7), 0});
  alu(cycle, LpuOp::And, {east(0), east(7), east(6), 0});  // s
  alu(cycle, LpuOp::And, {east(1), west(1), east(6), 0});  // x * r
  cycle += kAlu;
  write_word(s_, cycle + kToVxm, 0, east(0));
  alu(cycle, LpuOp::Rint, {west(0), east(1)});
  cycle += kAlu;
  alu(cycle, LpuOp::FloatToInt32, {east(1), west(0)});  // a
  cycle += kAlu;
  // hi = (a + (a >> 8) + 128) >> 8, lo = a - 255 * hi
  alu(cycle, LpuOp::ShiftRight, {west(0), east(1), kNone, 8});
  alu(cycle, LpuOp::IntegerAdd, {west(1), east(1), kNone, 128});
  alu(cycle, LpuOp::Or, {west(5), east(1), kNone, 0});
  cycle += kAlu;
  alu(cycle, LpuOp::IntegerAdd, {east(0), west(0), west(1), 0});
  alu(cycle, LpuOp::Or, {east(3), west(5), kNone, 0});
  cycle += kAlu;
  alu(cycle, LpuOp::ShiftRight, {west(0), east(0), kNone, 8});
  alu(cycle, LpuOp::Or, {west(1), east(3), kNone, 0});
  cycle += kAlu;
  alu(cycle, LpuOp::IntegerMultiply, {east(0), west(0), kNone, 255});
  alu(cycle, LpuOp::Or, {east(1), west(1), kNone, 0});
  alu(cycle, LpuOp::Int32ToInt8, {west(6), west(0)});
  cycle += kAlu;
  alu(cycle, LpuOp::IntegerSubtract, {west(0), east(1), east(0), 0});
  cycle += kAlu;
  alu(cycle, LpuOp::Int32ToInt8, {west(6) + 1, west(0)});
  return cycle + kAlu;
}

// Both planes through the array; returns the cycle at which the sums of the high plane are at the VXM, those
// of the low one kAlu after it.
uint64_t TinyLpu::multiply(uint64_t cycle) {
  constexpr uint64_t kToMxm = 14, kThrough = 24;
  at(mxm_, cycle + kToMxm - 2 * kAlu, LpuOp::ActivationControl, {west(6), 1});
  at(mxm_, cycle + kToMxm - 2 * kAlu + 1, LpuOp::ActivationControl, {west(6), 0});
  at(mxm_, cycle + kToMxm, LpuOp::ActivationControl, {west(6) + 1, 1});
  at(mxm_, cycle + kToMxm + 1, LpuOp::ActivationControl, {west(6) + 1, 0});
  at(mxm_, cycle + kToMxm + kThrough, LpuOp::Accumulate, {east(0), 0});
  at(mxm_, cycle + kToMxm + kThrough + kAlu, LpuOp::Accumulate, {east(1), 0});
  return cycle + kToMxm + kThrough + kToMxm;
}

// y = f32(255 * h + l) * (sw * s) + bias, the sum rounded once as NUMERICS.md section 4 writes it.
void TinyLpu::combine(uint64_t cycle) {
  alu(cycle, LpuOp::And, {west(0), east(0), kNone, 0xffff});
  alu(cycle, LpuOp::ShiftRight, {west(1), east(0), kNone, 16});
  cycle += kAlu;
  alu(cycle, LpuOp::IntegerMultiply, {east(2), west(0), kNone, 255});
  alu(cycle, LpuOp::IntegerMultiply, {east(3), west(1), kNone, 255});
  alu(cycle, LpuOp::And, {east(4), east(1), kNone, 0xffff});
  alu(cycle, LpuOp::ShiftRight, {east(5), east(1), kNone, 16});
  cycle += kAlu;
  alu(cycle, LpuOp::IntegerAdd, {west(0), east(2), east(4), 0});  // t
  alu(cycle, LpuOp::IntegerAdd, {west(1), east(3), east(5), 0});
  cycle += kAlu;
  alu(cycle, LpuOp::ShiftRight, {east(0), west(0), kNone, 16});
  alu(cycle, LpuOp::And, {east(1), west(0), kNone, 0xffff});
  alu(cycle, LpuOp::Or, {east(2), west(1), kNone, 0});
  cycle += kAlu;
  alu(cycle, LpuOp::IntegerAdd, {west(0), east(2), east(0), 0});
  alu(cycle, LpuOp::Int32ToFloat, {west(1), east(1)});
  cycle += kAlu;
  alu(cycle, LpuOp::Int32ToFloat, {east(0), west(0)});
  alu(cycle, LpuOp::Or, {east(1), west(1), kNone, 0});
  cycle += kAlu;
  constexpr uint64_t k65536 = 0x47800000;
  read_word(weight_scale_, cycle - kToVxm, 0, east(3));
  read_word(s_, cycle - kToVxm, 0, west(3));
  alu(cycle, LpuOp::Multiply, {west(0), east(0), kNone, k65536});
  alu(cycle, LpuOp::Or, {west(1), east(1), kNone, 0});
  alu(cycle, LpuOp::Multiply, {west(2), east(3), west(3), 0});
  cycle += kAlu;
  alu(cycle, LpuOp::Add, {east(0), west(0), west(1), 0});
  alu(cycle, LpuOp::Or, {east(2), west(2), kNone, 0});
  cycle += kAlu;
  alu(cycle, LpuOp::Multiply, {west(0), east(0), east(2), 0});
  read_word(bias_, cycle + kAlu - kToVxm, 0, east(3));
  cycle += kAlu;
  alu(cycle, LpuOp::Add, {west(1), west(0), east(3), 0});
  write_word(logits_, cycle + kAlu + kToVxm, 0, west(1));
}

}  // namespace

TinyProgram tiny_lpu_program() {
  return TinyLpu().build();
}

}  // namespace lockstep::program
