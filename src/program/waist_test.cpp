// The waist holds for two kinds of machine: the same computation, written by hand for the host and for the
// LPU, goes through one encoding, one verifier, one printer and one hash; and what is broken is refused.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>

#include "program/encode.h"
#include "program/isa/host.h"
#include "program/isa/host_panels.h"
#include "program/isa/lpu.h"
#include "program/print.h"
#include "program/tiny_programs.h"
#include "program/verify.h"

namespace lockstep::program {
namespace {

using isa::HostOp;
using isa::LpuOp;

void compare_with_golden(const std::string& text, const std::string& name) {
  const std::string path = std::string(LOCKSTEP_GOLDEN_DIR) + "/" + name;
  const char* update = std::getenv("LOCKSTEP_UPDATE_GOLDEN");
  if (update != nullptr && std::string_view(update) == "1") {
    std::ofstream(path, std::ios::binary) << text;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  const std::string golden(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(text, golden) << path
                          << " differs; if the change is meant, run this test with LOCKSTEP_UPDATE_GOLDEN=1";
}

// Through the whole waist and back.
void go_through(const Program& program, const std::string& golden) {
  const std::vector<std::byte> file = encode(program);
  EXPECT_EQ(file, encode(program));
  ASSERT_TRUE(looks_like_program(file));
  const Program decoded = decode(file, "tiny");
  verify_structure(decoded, "tiny");
  verify_flow(decoded, "tiny");
  verify_weights(decoded, "tiny");
  check_leaves(file, "tiny", 2);
  const std::vector<std::byte> again = encode(decoded);
  EXPECT_EQ(file, again);
  EXPECT_EQ(program_hash(file), program_hash(again));
  EXPECT_EQ(print(program), print(decoded));
  // The hash pins every byte of the encoding.
  compare_with_golden(print(decoded) + "program hash " + hex(program_hash(file)) + "\n", golden);
}

TEST(Waist, HostProgramGoesThrough) {
  go_through(tiny_host_program().program, "waist_host.txt");
}

TEST(Waist, LpuProgramGoesThrough) {
  go_through(tiny_lpu_program().program, "waist_lpu.txt");
}

TEST(Waist, ProgramsDifferInHash) {
  const TinyProgram host = tiny_host_program(), lpu = tiny_lpu_program();
  EXPECT_NE(program_hash(encode(host.program)), program_hash(encode(lpu.program)));
}

// The bytes of a row of memory slices side by side, from the first one on.
Bytes slice_row(const Program& program, const std::string& name, uint64_t row) {
  for (uint32_t i = 0; i < program.memories.size(); ++i) {
    if (program.memories[i].name == name)
      return program.contents.at(i).subspan(row * isa::kLpuLanesMax, isa::kLpuLanesMax);
  }
  throw std::out_of_range(name);
}

TEST(Waist, BothProgramsHoldTheSameIntegers) {
  const TinyProgram host = tiny_host_program(), lpu = tiny_lpu_program();
  std::vector<int16_t> w(kTinyWidth);
  const Bytes weights = host.program.contents.at(0);
  const Matrix& embedding = host.program.matrices[0];
  for (uint64_t token = 0; token < kTinyVocabulary; ++token) {
    isa::unpack_row(isa::panel_layout(embedding), weights.subspan(embedding.offset), token, w);
    for (uint64_t k = 0; k < kTinyWidth; ++k) {
      const int8_t low = static_cast<int8_t>(slice_row(lpu.program, "slice.w.20", token)[k]);
      const int8_t high = static_cast<int8_t>(slice_row(lpu.program, "slice.w.21", token)[k]);
      ASSERT_EQ(w[k], 256 * high + low) << token << " " << k;
    }
  }
  const Matrix& weight = host.program.matrices[1];
  for (uint64_t r = 0; r < kTinyOut; ++r) {
    isa::unpack_row(isa::panel_layout(weight), weights.subspan(weight.offset), r, w);
    for (uint64_t k = 0; k < kTinyWidth; ++k) {
      const Bytes row = slice_row(lpu.program, "slice.w." + std::to_string(r % 16), r / 16);
      ASSERT_EQ(w[k], static_cast<int8_t>(row[k])) << r << " " << k;
    }
  }
}

// What breaks a program, and words of the sentence that must come.
struct Break {
  const char* name;
  std::function<void(Program&)> apply;
  const char* says;
};

// The error of taking a program through encoding, decoding and all checks; "" when it passes.
std::string refusal(const Program& program) {
  try {
    const std::vector<std::byte> file = encode(program);
    const Program decoded = decode(file, "tiny");
    verify_flow(decoded, "tiny");
    verify_weights(decoded, "tiny");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User) << error.what();
    return error.what();
  }
  return "";
}

void expect_refused(TinyProgram (*make)(), const std::vector<Break>& breaks) {
  for (const Break& broken : breaks) {
    TinyProgram tiny = make();
    EXPECT_EQ(refusal(tiny.program), "");
    broken.apply(tiny.program);
    const std::string message = refusal(tiny.program);
    EXPECT_NE(message.find(broken.says), std::string::npos) << broken.name << ": " << message;
    EXPECT_NE(message.find("tiny"), std::string::npos) << broken.name << ": " << message;
  }
}

std::vector<Instruction>& host_queue(Program& program) {
  return program.queues[0].instructions;
}

TEST(Waist, BrokenHostProgramsAreRefused) {
  const char* malformed = "not well formed";
  expect_refused(
      tiny_host_program,
      {
          {"opcode", [](Program& p) { host_queue(p)[2].opcode = 999; }, "unknown opcode 999"},
          {"too few words", [](Program& p) { host_queue(p)[2].words.pop_back(); }, malformed},
          {"region index", [](Program& p) { host_queue(p)[2].words[0] = 5; },
           "out of range in its field out"},
          {"none where needed", [](Program& p) { host_queue(p)[2].words[0] = kNone; }, "out of range"},
          {"matrix index", [](Program& p) { host_queue(p)[4].words[2] = 2; },
           "out of range in its field weight"},
          {"float", [](Program& p) { host_queue(p)[0].words[3] = uint64_t{1} << 32; }, "out of range"},
          {"region past its memory", [](Program& p) { p.regions[1].offset = 64; }, "region embedded"},
          {"region row", [](Program& p) { p.regions[1].width = 65; }, "region embedded"},
          {"region memory", [](Program& p) { p.regions[1].memory = 6; }, "region embedded"},
          {"region without rows", [](Program& p) { p.parameters[0].name = "columns"; }, "region tokens"},
          {"rows overflow", [](Program& p) { p.parameters[0].max = uint64_t{1} << 47; }, "region tokens"},
          {"row bytes overflow", [](Program& p) { p.regions[1].row_bytes = ~uint64_t{0} / 8 + 64; },
           malformed},
          {"matrix past its memory", [](Program& p) { p.matrices[1].offset += 4096; }, "matrix weight"},
          {"scales past their memory", [](Program& p) { p.matrices[1].scales_offset += 4096; },
           "matrix weight"},
          {"matrix in scratch", [](Program& p) { p.matrices[1].memory = 2; }, "matrix weight"},
          {"matrix rows overflow", [](Program& p) { p.matrices[1].rows = ~uint64_t{0} - 14; },
           "matrix weight"},
          {"matrix layout", [](Program& p) { p.matrices[1].layout = 4; }, "matrix weight"},
          {"matrix group", [](Program& p) { p.matrices[1].group_columns = 0; }, "matrix weight"},
          {"operand widths", [](Program& p) { p.regions[2].width = 32; }, "at instruction 2"},
          {"private output", [](Program& p) { p.memories[5].kind = MemoryKind::Private; },
           "at instruction 4"},
          {"shared copies", [](Program& p) { p.memories[3].kind = MemoryKind::Scratch; }, "at instruction 2"},
          {"missing sync",
           [](Program& p) {
             host_queue(p).erase(host_queue(p).begin() + 1);
             p.source_map.clear();
           },
           "a sync is missing"},
          {"missing sync of many rows",
           [](Program& p) {
             host_queue(p).erase(host_queue(p).begin() + 3);
             p.source_map.clear();
           },
           "a sync is missing"},
          {"sync too weak", [](Program& p) { host_queue(p)[1].words[0] = 1; }, "a sync is missing"},
          {"read before write",
           [](Program& p) {
             host_queue(p).erase(host_queue(p).begin(), host_queue(p).begin() + 2);
             p.source_map.clear();
           },
           "reads embedded, which is not written"},
          {"read of what was overwritten",
           [](Program& p) {
             p.regions.push_back(p.regions[1]);
             p.regions[5].name = "other";
             p.regions[5].offset = 1024;
             p.memories[2].bytes += 1024;
             std::vector<Instruction>& queue = host_queue(p);
             Instruction other = queue[0];
             other.words[0] = 5;
             queue.insert(queue.begin() + 1, {queue[1], other});
           },
           "reads embedded, which is not written or was overwritten"},
          {"write of an input", [](Program& p) { p.memories[5].kind = MemoryKind::Input; },
           "may only be read"},
          {"parameter range", [](Program& p) { p.parameters[0].min = 9; }, "parameter rows"},
          {"entry queue", [](Program& p) { p.entries[0].queues = {1}; }, "entry step"},
          {"entry of no queue", [](Program& p) { p.entries[0].queues.clear(); }, "entry step"},
          {"entry parameter",
           [](Program& p) {
             p.entries[0].parameters = {0, 0};
           },
           "entry step"},
          {"source map", [](Program& p) { p.source_map[0].instruction = 5; }, "source map at embed"},
          {"no contents", [](Program& p) { p.contents.erase(1); }, "memory constants"},
          {"contents of scratch", [](Program& p) { p.memories[1].kind = MemoryKind::Scratch; },
           "memory constants"},
          {"state", [](Program& p) { p.state.memory = 2; }, "state layout"},
          {"contract", [](Program& p) { p.contract_version = 2; }, "numerics contract 2"},
          {"instruction set", [](Program& p) { p.isa = "abacus"; }, "instruction set abacus"},
          {"instruction set version", [](Program& p) { p.isa_version = 2; },
           "version 2 of the instruction set host"},
          {"too many parameters", [](Program& p) { p.parameters.resize(65); }, "number of parameters"},
      });
}

std::vector<Instruction>& lpu_queue(Program& program, std::string_view unit) {
  for (Queue& queue : program.queues) {
    if (queue.unit == unit) return queue.instructions;
  }
  throw std::out_of_range(std::string(unit));
}

Instruction& lpu_instruction(Program& program, std::string_view unit, LpuOp op) {
  for (Instruction& instruction : lpu_queue(program, unit)) {
    if (instruction.opcode == static_cast<uint16_t>(op)) return instruction;
  }
  throw std::out_of_range(std::string(unit));
}

TEST(Waist, BrokenLpuProgramsAreRefused) {
  const char* misfit = "fields that do not fit one another";
  const char* foreign = "opcode of another unit";
  // Sets a word of the first instruction with the opcode in a queue.
  const auto set = [](const char* unit, LpuOp op, size_t word, uint64_t value) {
    return [=](Program& p) { lpu_instruction(p, unit, op).words[word] = value; };
  };
  const auto rename = [](const char* unit, const char* name) {
    return [=](Program& p) {
      for (Queue& queue : p.queues) {
        if (queue.unit == unit) queue.unit = name;
      }
    };
  };
  expect_refused(
      tiny_lpu_program,
      {
          {"opcode", [](Program& p) { lpu_queue(p, "c0.vxm.0")[0].opcode = 0x02ff; }, "unknown opcode 767"},
          {"host opcode", [](Program& p) { p.isa = "host"; }, "tiny"},
          {"stream past the last", set("c0.mem.w.0", LpuOp::Read, 1, 64), "64 out of range in its field out"},
          {"group of streams past the last", set("c0.mxm.w.0", LpuOp::LoadWeights, 0, 64), "out of range"},
          {"group of streams unaligned", set("c0.mxm.w.2", LpuOp::Accumulate, 1, 2),
           "2 out of range in its field out"},
          {"no stream", set("c0.mem.w.0", LpuOp::Read, 1, kNone), "out of range"},
          {"row past a slice", set("c0.mem.w.0", LpuOp::Read, 0, 8192), "8192 out of range in its field row"},
          {"row overflow", set("c0.mem.w.0", LpuOp::Read, 0, ~uint64_t{0}), "out of range"},
          {"row repeated past a slice", set("c0.mem.w.0", LpuOp::Read, 0, 8190),
           "repeated past the last row"},
          {"group repeated past the last", set("c0.mxm.w.0", LpuOp::LoadWeights, 1, 18), "repeated past"},
          {"repeat of nothing",
           [](Program& p) { std::swap(lpu_queue(p, "c0.mem.w.0")[0], lpu_queue(p, "c0.mem.w.0").back()); },
           "repeats nothing"},
          {"no repeat", set("c0.mem.w.0", LpuOp::Repeat, 0, 0), misfit},
          {"repeat without time", set("c0.mem.w.0", LpuOp::Repeat, 1, 0), misfit},
          {"wait for nothing", set("c0.mxm.w.0", LpuOp::Nop, 0, 0), misfit},
          {"kind of operand", set("c0.vxm.0", LpuOp::Move, 0, 448), "448 out of range in its field a"},
          {"operand of no ALU", set("c0.vxm.2", LpuOp::Int32ToFloat, 0, 2 << 6 | 16), "out of range"},
          {"operand of an unaligned word", set("c0.vxm.0", LpuOp::Move, 0, 3 << 6 | 2), "out of range"},
          {"immediate with an index", set("c0.vxm.0", LpuOp::Move, 0, 1 << 6 | 1), "out of range"},
          {"operand too few", set("c0.vxm.3", LpuOp::Multiply, 1, 0), misfit},
          {"operand too many", set("c0.vxm.3", LpuOp::Multiply, 2, 1 << 6), misfit},
          {"west to the east", set("c0.vxm.4", LpuOp::Add, 5, 0), misfit},
          {"three bytes", set("c0.vxm.4", LpuOp::Add, 6, 3), misfit},
          {"result unaligned", set("c0.vxm.4", LpuOp::Add, 5, 34), misfit},
          {"bytes for no stream", set("c0.vxm.3", LpuOp::Multiply, 6, 4), misfit},
          {"opcode of another unit", rename("c0.mxm.w.1", "c0.c2c.1"), foreign},
          {"opcode of another queue", rename("c0.mxm.w.1", "c0.mxm.w.3"), foreign},
          {"unknown unit", rename("c0.vxm.4", "c0.gpu.0"), "c0.gpu.0 is of no LPU unit"},
          {"name written otherwise", rename("c0.vxm.4", "c0.vxm.04"), "c0.vxm.04 is of no LPU unit"},
          {"place that is nowhere", rename("c0.vxm.4", "c0.vxm.16"),
           "c0.vxm.16 is of a unit that no machine"},
          {"unit named twice", rename("c0.vxm.4", "c0.vxm.3"), "two queues of the unit c0.vxm.3"},
          {"memory of no memory unit", [](Program& p) { p.queues.back().memory = 0; }, "no memory unit"},
          {"memory unit of none", [](Program& p) { p.queues[0].memory = kNone; }, "out of range"},
          {"two owners", [](Program& p) { p.queues[1].memory = p.queues[0].memory; }, "belongs to two units"},
          {"scratch for a slice",
           [](Program& p) {
             p.contents.erase(p.queues[0].memory);
             p.memories[p.queues[0].memory].kind = MemoryKind::Scratch;
           },
           "slice.w.0 of the queue c0.mem.w.0 is no image"},
          {"region past a slice", [](Program& p) { p.regions[0].offset = isa::kLpuSliceBytesMax; },
           "region token"},
          {"entry order", [](Program& p) { std::swap(p.entries[0].queues[0], p.entries[0].queues[1]); },
           "entry step"},
          {"missing contents", [](Program& p) { p.contents.erase(p.contents.begin()); }, "memory slice.w.0"},
          {"instruction set version", [](Program& p) { p.isa_version = 0; },
           "version 0 of the instruction set lpu"},
      });
}

TEST(Waist, EntriesMayShareUnits) {
  TinyProgram tiny = tiny_lpu_program();
  Program& program = tiny.program;
  const uint32_t queues = static_cast<uint32_t>(program.queues.size());
  for (uint32_t q = 0; q < queues; ++q) program.queues.push_back(program.queues[q]);
  program.entries.push_back({"prefill", {}, {}});
  for (uint32_t q = 0; q < queues; ++q) program.entries[1].queues.push_back(queues + q);
  EXPECT_EQ(refusal(program), "");
  program.queues[queues].memory = program.queues[1].memory;
  EXPECT_NE(refusal(program).find("the unit c0.mem.w.0 has two memories"), std::string::npos)
      << refusal(program);
}

TEST(Waist, WeightsOutOfBoundsAreRefused) {
  const auto edit = [](uint64_t offset, std::byte value) {
    return [=](Program& p) { const_cast<std::byte&>(p.contents.at(0)[offset]) = value; };
  };
  const Matrix embedding = tiny_host_program().program.matrices[0];
  const uint64_t scale_high = embedding.scales_offset + 3, scale_second = scale_high + 4;
  expect_refused(tiny_host_program,
                 {{"plane of -128", edit(embedding.offset, std::byte{0}), "matrix embedding"},
                  {"scale too small", edit(scale_high, std::byte{0x20}), "in row 0"},
                  {"negative scale", edit(scale_second, std::byte{0xbf}), "in row 1"},
                  {"scale not a number", edit(scale_second, std::byte{0x7f}), "in row 1"}});
}

}  // namespace
}  // namespace lockstep::program
