// Random instruction streams on two small chips: three bytes and two for every field make an instruction of
// some queue. What the verifier lets pass either runs or stops with a user's error, with values and without,
// and never touches what is outside its arrays.
#include <cstdlib>
#include <map>

#include "base/error.h"
#include "program/verify.h"
#include "targets/lpu/simulator.h"

namespace {

using lockstep::machine::Machine;
using lockstep::program::Instruction;
using lockstep::program::MemoryKind;
using lockstep::program::Program;
using lockstep::program::isa::FieldKind;
using lockstep::program::isa::LpuOp;
namespace isa = lockstep::program::isa;

constexpr uint64_t kWaitMax = 64;  // cycles of a Nop, times and distance of a Repeat: keeps a run short

class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool ended() const { return size_ == 0; }
  uint64_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

class Fuzzed {
 public:
  explicit Fuzzed(Input input) : machine_(machine()) {
    program_.isa = isa::lpu().name;
    program_.isa_version = isa::lpu().version;
    program_.model_name = "fuzzed";
    program_.machine = machine_.name;
    program_.entries = {{"step", {}, {}}};
    for (size_t i = 0; i < image_.size(); ++i) image_[i] = static_cast<std::byte>(i % 7 == 0 ? 0 : i % 5);
    for (size_t lane = 0; lane < 32; ++lane) permutation_[2 * lane] = static_cast<std::byte>(lane ^ 5);
    add_file("permutations", permutation_);
    add_file("distributions", std::span(image_).first(8 * 16));
    wires_[4] = std::byte{1};
    wires_[8] = std::byte{1};
    add_file("links", wires_);
    while (!input.ended()) add_instruction(input);
  }

  void run() const {
    for (bool arithmetic : {true, false}) {
      try {
        lockstep::program::verify_structure(program_, "input");
        lockstep::targets::lpu::Simulator simulator(program_, machine_, {.arithmetic = arithmetic});
        simulator.run("step");
        simulator.run("step");
      } catch (const lockstep::Error& error) {
        if (error.kind() != lockstep::ErrorKind::User) std::abort();
      }
    }
  }

 private:
  static const Machine& machine() {
    static const Machine found = lockstep::machine::find_machine("lpu-mini");
    return found;
  }

  void add_file(const std::string& name, lockstep::Bytes bytes) {
    program_.contents[static_cast<uint32_t>(program_.memories.size())] = bytes;
    program_.memories.push_back({name, MemoryKind::File, bytes.size()});
  }

  void add_instruction(Input& input) {
    const isa::Opcode& opcode = isa::lpu().opcodes[input.byte() % isa::lpu().opcodes.size()];
    const uint64_t where = input.byte(), place = input.byte();
    Instruction instruction = {opcode.number, {}};
    for (const isa::Field& field : opcode.fields) {
      uint64_t word = input.byte();
      word |= input.byte() << 8;
      if (field.optional && word % 4 == 0) {
        word = lockstep::program::kNone;
      } else if (opcode.number <= static_cast<uint16_t>(LpuOp::Repeat)) {
        word = 1 + word % kWaitMax;
      } else if (field.kind != FieldKind::Float) {
        word = word % (field.max + 1) / field.multiple * field.multiple;
      }
      instruction.words.push_back(word);
    }
    queue(opcode.number, where, static_cast<uint32_t>(place)).push_back(std::move(instruction));
  }

  // The queue of an opcode's unit at some place; one of the VXM or a slice for those that every unit has.
  std::vector<Instruction>& queue(uint16_t opcode, uint64_t where, uint32_t place) {
    isa::UnitName name;
    name.unit = isa::lpu_unit(opcode);
    if (name.unit == isa::LpuUnit::Icu) name.unit = where % 2 == 0 ? isa::LpuUnit::Mem : isa::LpuUnit::Vxm;
    name.chip = where / 2 % 2;
    if (name.unit != isa::LpuUnit::Vxm && name.unit != isa::LpuUnit::C2c) name.hemisphere = where / 4 % 2;
    name.place = place % 24;
    const auto [found, is_new] = queues_.try_emplace(isa::unit_name(name), program_.queues.size());
    if (is_new) {
      uint32_t memory = lockstep::program::kNone;
      if (name.unit == isa::LpuUnit::Mem) {
        memory = static_cast<uint32_t>(program_.memories.size());
        add_file(found->first, image_);
      }
      program_.entries[0].queues.push_back(static_cast<uint32_t>(program_.queues.size()));
      program_.queues.push_back({found->first, memory, {}});
    }
    return program_.queues[found->second].instructions;
  }

  const Machine& machine_;
  Program program_;
  std::map<std::string, size_t> queues_;
  std::vector<std::byte> image_ = std::vector<std::byte>(48 * 32);
  std::vector<std::byte> permutation_ = std::vector<std::byte>(2 * 32);
  std::vector<std::byte> wires_ = std::vector<std::byte>(16);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Fuzzed(Input(data, size)).run();
  return 0;
}
