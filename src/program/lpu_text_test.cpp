// The timed text: what it looks like, that it gives back random programs, and what it refuses.
#include "program/isa/lpu_text.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "program/tiny_programs.h"
#include "program/verify.h"

namespace lockstep::program {
namespace {

using isa::Field;
using isa::FieldKind;
using isa::LpuOp;
using isa::LpuUnit;
using isa::Opcode;
using isa::Operand;
using isa::OperandKind;
using isa::parse_timed;
using isa::print_timed;

bool same(const Queue& a, const Queue& b) {
  return a.unit == b.unit && a.memory == b.memory &&
         std::equal(a.instructions.begin(), a.instructions.end(), b.instructions.begin(),
                    b.instructions.end(), [](const Instruction& x, const Instruction& y) {
                      return x.opcode == y.opcode && x.words == y.words;
                    });
}

// Programs that verify_structure accepts, with every opcode and kind of operand.
class RandomProgram {
 public:
  explicit RandomProgram(uint64_t seed) : random_(seed) {}

  Program make() {
    Program program;
    program.isa = isa::lpu().name;
    program.isa_version = isa::lpu().version;
    program.model_name = "random";
    for (uint32_t i = 0; i < 12; ++i) {
      static constexpr LpuUnit kUnits[] = {LpuUnit::Mem, LpuUnit::Vxm, LpuUnit::Mxm, LpuUnit::Sxm,
                                           LpuUnit::C2c};
      static constexpr uint32_t kPlaces[] = {44, 16, 12, 10, 11};
      const uint32_t unit = below(5);
      const isa::UnitName name = {i, kUnits[unit], 0, below(kPlaces[unit])};
      Queue queue{isa::unit_name(name), kNone, {}};
      if (name.unit == LpuUnit::Mem) {
        queue.memory = static_cast<uint32_t>(program.memories.size());
        program.contents[queue.memory] = {};
        program.memories.push_back({"slice", MemoryKind::File, 0});
      }
      for (uint32_t count = below(60); count > 0; --count) add(queue, name);
      program.queues.push_back(queue);
    }
    return program;
  }

 private:
  uint32_t below(uint64_t end) { return static_cast<uint32_t>(random_() % end); }

  void add(Queue& queue, const isa::UnitName& name) {
    const auto opcodes = isa::lpu().opcodes;
    const Opcode* opcode = &opcodes[below(opcodes.size())];
    while (!isa::executes(name, opcode->number)) opcode = &opcodes[below(opcodes.size())];
    Instruction instruction{opcode->number, {}};
    if (opcode->number == static_cast<uint16_t>(LpuOp::Repeat)) {
      const bool repeats =
          !queue.instructions.empty() && isa::lpu_unit(queue.instructions.back().opcode) != LpuUnit::Icu;
      if (!repeats) return;
      instruction.words = {1 + below(5), 1 + below(300)};
    } else if (opcode->number == static_cast<uint16_t>(LpuOp::Nop)) {
      instruction.words = {below(4) == 0 ? 65535 : 1 + below(100)};
    } else if (isa::lpu_unit(opcode->number) == LpuUnit::Vxm) {
      vxm_words(instruction);
    } else {
      for (const Field& field : opcode->fields) instruction.words.push_back(word(field));
      if (instruction.opcode == static_cast<uint16_t>(LpuOp::Rotate)) {
        instruction.words = {4 * below(16), 32 * below(2), below(9), 1 + below(7)};
      }
    }
    queue.instructions.push_back(instruction);
  }

  // Small enough that a few repetitions stay inside.
  uint64_t word(const Field& field) {
    if (field.kind == FieldKind::Stream) return field.multiple * below(field.max / field.multiple + 1);
    return below(std::min<uint64_t>(field.max / 8, 500) + 1);
  }

  void vxm_words(Instruction& instruction) {
    const uint32_t operands = isa::vxm_operands(static_cast<LpuOp>(instruction.opcode));
    for (uint32_t i = 0; i < 3; ++i) {
      Operand operand;
      if (i < operands) operand.kind = static_cast<OperandKind>(1 + below(6));
      if (operand.kind == OperandKind::Alu) operand.index = static_cast<uint8_t>(below(isa::kLpuAlus));
      if (const uint32_t streams = isa::operand_streams(operand.kind)) {
        operand.index = static_cast<uint8_t>(streams * below(isa::kLpuStreams / streams));
      }
      instruction.words.push_back(isa::encode_operand(operand));
    }
    instruction.words.push_back(random_() >> (32 + below(33)) % 64 & 0xffffffff);
    const uint64_t bytes = 1u << below(3);
    const auto stream = [&] { return below(2) == 0 ? kNone : bytes * below(32 / bytes); };
    const uint64_t east = stream();
    uint64_t west = stream();
    if (west != kNone) west += 32;
    instruction.words.insert(instruction.words.end(),
                             {east, west, east == kNone && west == kNone ? 0 : bytes});
  }

  std::mt19937_64 random_;
};

TEST(TimedText, GivesBackRandomPrograms) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const Program program = RandomProgram(seed).make();
    verify_structure(program, "random");
    std::string text;
    for (const Queue& queue : program.queues) text += print_timed(queue);
    const std::vector<Queue> queues = parse_timed(text, "text");
    ASSERT_EQ(queues.size(), program.queues.size());
    for (size_t i = 0; i < queues.size(); ++i) {
      ASSERT_TRUE(same(queues[i], program.queues[i])) << seed << "\n" << print_timed(program.queues[i]);
    }
  }
}

const Queue& queue_of(const Program& program, std::string_view unit) {
  for (const Queue& queue : program.queues) {
    if (queue.unit == unit) return queue;
  }
  throw std::out_of_range(std::string(unit));
}

TEST(TimedText, ShowsCyclesAndOperands) {
  const TinyProgram tiny = tiny_lpu_program();
  EXPECT_EQ(print_timed(queue_of(tiny.program, "c0.mem.w.1")),
            "queue c0.mem.w.1 memory 1\n"
            "  0: sync\n"
            "  0: read row=0 out=w17 step=1 repeat 2 every 1\n");
  EXPECT_EQ(print_timed(queue_of(tiny.program, "c0.mxm.w.0")),
            "queue c0.mxm.w.0\n"
            "  0: sync\n"
            "  16: lw in=w16 repeat 2 every 1\n"
            "  19: iw\n");
  EXPECT_EQ(print_timed(queue_of(tiny.program, "c0.vxm.1")),
            "queue c0.vxm.1\n"
            "  0: sync\n"
            "  74: imad alu0 #256 e4\n");
  EXPECT_EQ(print_timed(queue_of(tiny.program, "c0.vxm.4")),
            "queue c0.vxm.4\n"
            "  0: sync\n"
            "  83: add alu3 e12 -> w0\n");
  for (const Queue& queue : tiny.program.queues) {
    EXPECT_TRUE(same(parse_timed(print_timed(queue), "text").at(0), queue));
  }
}

Instruction one(const std::string& line, const char* unit = "c0.vxm.0") {
  const std::vector<Queue> queues = parse_timed(std::string("queue ") + unit + "\n 0: " + line, "text");
  return queues.at(0).instructions.at(0);
}

TEST(TimedText, ImmediatesAreReadAsTheOperationTakesThem) {
  const auto immediate = [](const std::string& line) { return one(line).words[3]; };
  EXPECT_EQ(immediate("add alu1 #1.5"), std::bit_cast<uint32_t>(1.5f));
  EXPECT_EQ(immediate("add alu1 #-0"), 0x80000000u);
  EXPECT_EQ(immediate("add alu1 #1e-45"), 1u);
  EXPECT_EQ(immediate("add alu1 #0x7fc00000"), 0x7fc00000u);
  EXPECT_EQ(immediate("iadd alu1 #-3"), 0xfffffffdu);
  EXPECT_EQ(immediate("i32_to_f32 #7"), 7u);
  EXPECT_EQ(immediate("and alu1 #0xff"), 255u);
  EXPECT_EQ(immediate("fma #2 alu1 #2"), std::bit_cast<uint32_t>(2.0f));
  const Queue queue{"c0.vxm.0",
                    kNone,
                    {{static_cast<uint16_t>(LpuOp::Add), {1 << 6, 2 << 6, 0, 0x7f800000, kNone, kNone, 0}},
                     {static_cast<uint16_t>(LpuOp::Add), {2 << 6, 2 << 6, 0, 5, kNone, kNone, 0}}}};
  EXPECT_EQ(print_timed(queue), "queue c0.vxm.0\n  0: add #0x7f800000 alu0\n  1: add alu0 alu0 unused=0x5\n");
}

TEST(TimedText, WaitsAreGapsWhereTheyCanBe) {
  const auto nop = [](uint64_t cycles) { return Instruction{static_cast<uint16_t>(LpuOp::Nop), {cycles}}; };
  const Instruction sync{static_cast<uint16_t>(LpuOp::Sync), {}};
  const Queue queue{"c0.c2c.1", kNone, {nop(65535), nop(3), sync, nop(2), nop(4), sync, nop(9)}};
  const std::string text = print_timed(queue);
  EXPECT_EQ(text,
            "queue c0.c2c.1\n"
            "  65538: sync\n"
            "  0: nop cycles=2\n"
            "  6: sync\n"
            "  0: nop cycles=9\n");
  EXPECT_TRUE(same(parse_timed(text, "text").at(0), queue));
  EXPECT_TRUE(
      same(parse_timed("; comment\n\n queue\tc0.c2c.1 ; a link\r\n65538: sync\n0: nop cycles=0x2\n6: sync"
                       "\n0: nop cycles=9 ; end",
                       "text")
               .at(0),
           queue));
}

TEST(TimedText, SaysWhatIsWrong) {
  struct Wrong {
    const char* text;
    const char* says;  // after "text: line "
  };
  const Wrong wrongs[] = {
      {"0: sync", "1: an instruction stands before the first queue"},
      {"queue", "1: the name of a queue is missing"},
      {"queue c0.gpu.1", "1: c0.gpu.1 is no queue; c0.mem.e.7 and c0.vxm.3 are"},
      {"queue c0.vxm.01", "1: c0.vxm.01 is no queue"},
      {"queue c0.vxm.1 slice 3", "1: after a queue's name there may be memory"},
      {"queue c0.mem.e.1 memory 4294967295",
       "1: 4294967295 is no memory, which is a number from 0 to 4294967294"},
      {"queue c0.vxm.1 memory 3 4", "1: 4 is too much"},
      {"queue c0.vxm.1\n\nsync", "3: sync is no cycle, which is a number and a colon"},
      {"queue c0.vxm.1\n-1: sync", "2: -1 is no cycle from 0 to"},
      {"queue c0.vxm.1\n1099511627777: sync", "2: 1099511627777 is no cycle"},
      {"queue c0.vxm.1\n3:", "2: an instruction is missing"},
      {"queue c0.c2c.1\n3: mull",
       "2: mull is no instruction of c0.c2c.1; nop, ifetch, sync, notify, config, deskew, "
       "send, receive are"},
      {"queue c0.c2c.1\n3: read row=0 out=e0", "2: read is no instruction of c0.c2c.1"},
      {"queue c0.mxm.e.1\n3: iw", "2: iw is no instruction of c0.mxm.e.1"},
      {"queue c0.c2c.1\n3: send in=e0\n3: send in=e0", "3: cycle 3 is taken; 4 is the first free one"},
      {"queue c0.c2c.1\n3: send in=e0 repeat 2 every 4\n11: deskew", "3: cycle 11 is taken; 12 is"},
      {"queue c0.c2c.1\n3: repeat 2 every 4", "2: repeat is no instruction"},
      {"queue c0.c2c.1\n3: config repeat 2 every 4", "2: this instruction cannot be repeated"},
      {"queue c0.c2c.1\n3: send in=e0 repeat 0 every 4", "2: 0 is no number of repetitions"},
      {"queue c0.c2c.1\n3: send in=e0 repeat 1 in 4", "2: after the number of repetitions comes every"},
      {"queue c0.c2c.1\n3: send in=e0 repeat 1 every", "2: number of cycles is missing"},
      {"queue c0.c2c.1\n3: send in=e0 repeat 1 every 1 1", "2: 1 is too much"},
      {"queue c0.c2c.1\n3: send", "2: send needs in"},
      {"queue c0.c2c.1\n3: send e0", "2: e0 is no field of send; in= are"},
      {"queue c0.c2c.1\n3: deskew in=e0", "2: in=e0 is no field of deskew; it has none"},
      {"queue c0.c2c.1\n3: send in=e0 in=e0", "2: in is given twice"},
      {"queue c0.c2c.1\n3: send in=e32", "2: in=e32 is no stream; e0 and w0 and every 1 from there on are"},
      {"queue c0.c2c.1\n3: nop", "2: nop needs cycles"},
      {"queue c0.mem.e.1\n3: read row=8192 out=e0", "2: row=8192 is out of range; 0 to 8191 is possible"},
      {"queue c0.mem.e.1\n3: read out=e0", "2: read needs row"},
      {"queue c0.mem.e.1\n3: gather base=0 out=e0 map=e1",
       "2: map=e1 is no stream; e0 and w0 and every 2 from"},
      {"queue c0.vxm.1\n3: add alu0", "2: this operation takes 2 operands and has 1"},
      {"queue c0.vxm.1\n3: move alu0 alu1", "2: alu1 is too much"},
      {"queue c0.vxm.1\n3: move alu16", "2: alu16 is no operand; alu3"},
      {"queue c0.vxm.1\n3: move e2", "2: e2 is no operand"},
      {"queue c0.vxm.1\n3: move e2.i32", "2: e2.i32 is no operand"},
      {"queue c0.vxm.1\n3: move #1", "2: #1 is no immediate here; #0x0 or 32 bits such as #0x3fc00000 are"},
      {"queue c0.vxm.1\n3: rint #x", "2: #x is no immediate here; a number such as #1.5 or"},
      {"queue c0.vxm.1\n3: rint #1e99", "2: #1e99 is no immediate"},
      {"queue c0.vxm.1\n3: iadd alu0 #1.5", "2: #1.5 is no immediate here; an integer of 32 bits"},
      {"queue c0.vxm.1\n3: iadd #1 #2", "2: an operation has one immediate; #2 is a second"},
      {"queue c0.vxm.1\n3: move alu0 ->", "2: a stream for the result is missing"},
      {"queue c0.vxm.1\n3: move alu0 -> e2", "2: e2 is no stream for a result"},
      {"queue c0.vxm.1\n3: move alu0 -> e2.u8", "2: e2.u8 is no stream for a result"},
      {"queue c0.vxm.1\n3: move alu0 -> e0 e4", "2: a result goes to one eastward and one westward stream"},
      {"queue c0.vxm.1\n3: move alu0 -> e0 w4.i8",
       "2: a result goes to one eastward and one westward stream"},
  };
  for (const Wrong& wrong : wrongs) {
    std::string message;
    try {
      parse_timed(wrong.text, "text");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::User);
      message = error.what();
    }
    EXPECT_TRUE(message.starts_with(std::string("text: line ") + wrong.says))
        << wrong.text << ": " << message;
  }
}

TEST(TimedText, WaitsDoNotFillMemory) {
  EXPECT_EQ(parse_timed("queue c0.vxm.1\n65535000: sync\n", "text")[0].instructions.size(), 1001u);
  EXPECT_THROW(parse_timed("queue c0.vxm.1\n1099511627776: sync\n", "text"), Error);
}

}  // namespace
}  // namespace lockstep::program
