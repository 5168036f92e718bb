// When instructions issue: waiting, repeating, instruction text; and what a machine does not have.
#include "program/instruction_code.h"
#include "targets/lpu/test_chip.h"

namespace lockstep::targets::lpu {
namespace {

using program::Instruction;

Instruction instruction(LpuOp op, std::vector<uint64_t> words = {}) {
  return {static_cast<uint16_t>(op), std::move(words)};
}

// A program with one queue for each list.
class QueueTest : public testing::Test {
 protected:
  program::Program& program_of(const std::vector<std::pair<std::string, std::vector<Instruction>>>& queues) {
    program_ = {};
    program_.model_name = "test";
    program_.isa = program::isa::lpu().name;
    program_.isa_version = program::isa::lpu().version;
    program_.entries = {{"step", {}, {}}};
    for (const auto& [unit, instructions] : queues) {
      program_.entries[0].queues.push_back(static_cast<uint32_t>(program_.queues.size()));
      uint32_t memory = program::kNone;
      if (unit.find("mem") != std::string::npos) {
        memory = static_cast<uint32_t>(program_.memories.size());
        program_.memories.push_back({unit, program::MemoryKind::File, bytes_.size()});
        program_.contents[memory] = bytes_;
      }
      program_.queues.push_back({unit, memory, instructions});
    }
    return program_;
  }
  std::string error_of(const std::vector<std::pair<std::string, std::vector<Instruction>>>& queues) {
    try {
      Simulator simulator(program_of(queues), machine, {});
      simulator.run("step");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::User);
      return error.what();
    }
    return "";
  }
  static bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  // The cycles in which the instructions of a VXM queue issue.
  std::vector<uint64_t> issues(const std::vector<Instruction>& instructions) {
    class Sink : public TraceSink {
     public:
      void issued(const Issue& issue, uint64_t) override { cycles.push_back(issue.cycle); }
      void put(Place, uint32_t, uint64_t) override {}
      std::vector<uint64_t> cycles;
    } sink;
    Simulator simulator(program_of({{"c0.vxm.0", instructions}}), machine, {.trace = &sink});
    simulator.run("step");
    return sink.cycles;
  }

  machine::Machine machine = small_machine();
  std::vector<std::byte> bytes_ = std::vector<std::byte>(32 * 4);
  program::Program program_;
  const Instruction move = instruction(LpuOp::Move, {immediate(), none(), none(), 7, kNo, kNo, 0});
};

TEST_F(QueueTest, InstructionsIssueOneACycle) {
  EXPECT_EQ(issues({move, move, move}), (std::vector<uint64_t>{0, 1, 2}));
  EXPECT_EQ(issues({}), std::vector<uint64_t>{});
}

TEST_F(QueueTest, NopWaits) {
  EXPECT_EQ(issues({instruction(LpuOp::Nop, {5}), move, instruction(LpuOp::Nop, {1}), move}),
            (std::vector<uint64_t>{5, 7}));
  EXPECT_EQ(issues({instruction(LpuOp::Nop, {65535}), instruction(LpuOp::Nop, {2}), move}),
            std::vector<uint64_t>{65537});
}

TEST_F(QueueTest, RepeatIssuesAgain) {
  EXPECT_EQ(issues({move, instruction(LpuOp::Repeat, {3, 4}), move}),
            (std::vector<uint64_t>{0, 4, 8, 12, 13}));
  EXPECT_EQ(issues({move, instruction(LpuOp::Repeat, {1, 2000}), instruction(LpuOp::Nop, {10}), move}),
            (std::vector<uint64_t>{0, 2000, 2011}));
}

TEST_F(QueueTest, CyclesGoToTheLastEffect) {
  EXPECT_EQ(Simulator(program_of({{"c0.vxm.0", {}}}), machine, {}).run("step").cycles, 0u);
  Simulator simulator(program_of({{"c0.vxm.0", {move}}}), machine, {});
  EXPECT_EQ(simulator.run("step").cycles, machine.latency.vxm_operation + 1);
  EXPECT_EQ(simulator.run("step").cycles, machine.latency.vxm_operation + 1);  // and again
  Simulator waits(program_of({{"c0.vxm.0", {move, instruction(LpuOp::Nop, {1000})}}}), machine, {});
  EXPECT_EQ(waits.run("step").cycles, machine.latency.vxm_operation + 1);
}

TEST_F(QueueTest, SyncWaitsForNotify) {
  class Sink : public TraceSink {
   public:
    void issued(const Issue& issue, uint64_t cycles) override {
      lines.push_back({issue.queue.name(), issue.cycle, cycles});
    }
    void put(Place, uint32_t, uint64_t) override {}
    std::vector<std::tuple<std::string, uint64_t, uint64_t>> lines;
  } sink;
  const Instruction nop = instruction(LpuOp::Nop, {9});
  // Parked before the Notify, with it, and (a second time) after it.
  Simulator simulator(
      program_of({{"c0.vxm.0",
                   {nop, instruction(LpuOp::Notify), move, instruction(LpuOp::Nop, {99}),
                    instruction(LpuOp::Notify)}},
                  {"c0.vxm.1", {instruction(LpuOp::Sync), nop, move}},
                  {"c0.vxm.2", {nop, instruction(LpuOp::Sync), move}},
                  {"c0.vxm.3", {nop, instruction(LpuOp::Nop, {1}), instruction(LpuOp::Sync), move}}}),
      machine, {.trace = &sink});
  simulator.run("step");
  const uint64_t free = 9 + machine.latency.barrier, again = free + 100 + machine.latency.barrier;
  std::map<std::string, uint64_t> moved;
  for (const auto& [name, cycle, cycles] : sink.lines) moved[name] = std::max(moved[name], cycle);
  EXPECT_EQ(moved["c0.vxm.0"], free + 100);
  EXPECT_EQ(moved["c0.vxm.1"], free + 9);
  EXPECT_EQ(moved["c0.vxm.2"], free);
  EXPECT_EQ(moved["c0.vxm.3"], again);
}

TEST_F(QueueTest, SyncWithoutNotifyStops) {
  EXPECT_TRUE(contains(error_of({{"c0.vxm.0", {move, instruction(LpuOp::Sync), move}}}),
                       "c0.vxm.0 instruction 1 (sync): no Notify frees the queue"));
}

TEST_F(QueueTest, TextMustBeInTheBuffer) {
  const uint64_t bytes = program::instruction_bytes(move);
  std::vector<Instruction> list(10, move);
  machine.geometry.queue_bytes = static_cast<uint32_t>(10 * bytes);
  EXPECT_EQ(error_of({{"c0.vxm.0", list}}), "");
  machine.geometry.queue_bytes -= 1;
  EXPECT_TRUE(contains(error_of({{"c0.vxm.0", list}}), "in cycle 9: c0.vxm.0 instruction 9 (move a=imm"));
}

TEST_F(QueueTest, TheTextOfARepeatMustBeThereAfterTheFirst) {
  const Instruction repeat = instruction(LpuOp::Repeat, {5, 7});
  const std::vector<Instruction> list = {move, repeat};
  machine.geometry.queue_bytes =
      static_cast<uint32_t>(program::instruction_bytes(move) + program::instruction_bytes(repeat));
  EXPECT_EQ(error_of({{"c0.vxm.0", list}}), "");
  machine.geometry.queue_bytes -= 1;
  EXPECT_TRUE(contains(error_of({{"c0.vxm.0", list}}), "in cycle 1: c0.vxm.0 instruction 1 (repeat"));
}

TEST_F(QueueTest, IfetchBringsTextInTime) {
  const auto bytes = static_cast<uint32_t>(program::instruction_bytes(move));
  const auto fetch = static_cast<uint32_t>(program::instruction_bytes(instruction(LpuOp::Ifetch)));
  const auto nop = static_cast<uint32_t>(program::instruction_bytes(instruction(LpuOp::Nop, {20})));
  machine.geometry.instruction_bytes = bytes;
  machine.geometry.queue_bytes = fetch + nop + 2 * bytes;
  const uint64_t fetched = machine.latency.instruction_fetch;
  for (uint64_t early : {0, 1}) {
    // The third Move's text is fetched in cycle 0; two Moves issue while it is on its way.
    const std::vector<Instruction> list = {instruction(LpuOp::Ifetch), move, move,
                                           instruction(LpuOp::Nop, {fetched - 3 - early}), move};
    EXPECT_EQ(error_of({{"c0.vxm.0", list}}).empty(), early == 0);
  }
  // Room for what has issued when the text comes: the Ifetch and the Nops.
  std::vector<Instruction> full = {instruction(LpuOp::Ifetch)};
  for (int i = 0; i < 10; ++i) full.push_back(instruction(LpuOp::Nop, {fetched}));
  full.insert(full.end(), {move, move});
  const uint32_t free = fetch + nop;
  machine.geometry.queue_bytes = fetch + 10 * nop + 2 * bytes - free;
  machine.geometry.instruction_bytes = free;
  EXPECT_EQ(error_of({{"c0.vxm.0", full}}), "");
  machine.geometry.queue_bytes -= 1;
  machine.geometry.instruction_bytes += 1;
  EXPECT_TRUE(contains(error_of({{"c0.vxm.0", full}}), "in cycle 20: c0.vxm.0 instruction 2"));
  EXPECT_TRUE(contains(error_of({{"c0.vxm.0", full}}), "an Ifetch brings"));
}

TEST_F(QueueTest, ConfigTakesPowerFromSuperlanes) {
  bytes_.assign(32, std::byte{9});
  const Instruction read = instruction(LpuOp::Read, {0, east(0), 0});
  Simulator simulator(program_of({{"c0.mem.e.0", {instruction(LpuOp::Config, {2}), read}},
                                  {"c0.mem.e.1",
                                   {instruction(LpuOp::Nop, {machine.latency.mem_read + 1}),
                                    instruction(LpuOp::Write, {1, east(0), 0})}}}),
                      machine, {});
  simulator.run("step");
  const auto row = simulator.row({0, 0, 1}, 1);
  EXPECT_EQ(row[15], std::byte{0});
  EXPECT_EQ(row[16], std::byte{9});
}

TEST_F(QueueTest, RefusesWhatTheMachineDoesNotHave) {
  const auto refuses = [&](const std::string& unit, const Instruction& one, const std::string& why) {
    const std::string error = error_of({{unit, {one}}});
    EXPECT_TRUE(contains(error, why)) << unit << ": " << error;
  };
  machine.geometry.streams = 16;
  machine.geometry.alus = 4;
  refuses("c0.mem.e.20", instruction(LpuOp::Read, {0, 0, 0}), "does not fit");
  refuses("c0.vxm.4", move, "of a unit that the machine small does not have");
  refuses("c0.mxm.e.6", instruction(LpuOp::InstallWeights), "of a unit that the machine");
  refuses("c0.c2c.4", instruction(LpuOp::Deskew), "of a unit that the machine");
  refuses("c9999.vxm.0", move, "of a chip beyond the 4096");
  const std::string stream = "takes a stream that small does not have: 16 flow in each direction";
  refuses("c0.mem.e.0", instruction(LpuOp::Read, {0, east(16), 0}), stream);
  refuses("c0.mem.e.0", instruction(LpuOp::Write, {0, west(31), 0}), stream);
  refuses("c0.mem.e.0", instruction(LpuOp::Gather, {0, east(0), east(16)}), stream);
  refuses("c0.mem.e.0", instruction(LpuOp::Scatter, {0, east(0), east(30)}), stream);
  refuses("c0.mxm.e.0", instruction(LpuOp::LoadWeights, {east(16), 0}), stream);
  refuses("c0.mxm.e.0", instruction(LpuOp::LoadWeights, {west(0), 0}), "takes inward streams");
  refuses("c0.mxm.w.0", instruction(LpuOp::LoadWeights, {east(0), 0}), "takes inward streams");
  refuses("c0.mxm.e.1", instruction(LpuOp::ActivationControl, {west(0), 0, 0, 0}), "takes an inward stream");
  refuses("c0.mxm.w.1", instruction(LpuOp::ActivationControl, {west(16), 0, 0, 0}), stream);
  refuses("c0.mxm.e.2", instruction(LpuOp::Accumulate, {0, east(0), 0}), "puts sums on outward streams");
  refuses("c0.mxm.e.2", instruction(LpuOp::Accumulate, {0, west(16), 0}), stream);
  refuses("c0.sxm.e.7", instruction(LpuOp::ShiftUp, {east(0), east(16), 1}), stream);
  refuses("c0.sxm.e.9", instruction(LpuOp::Rotate, {east(0), east(12), 0, 2}), stream);
  refuses("c0.sxm.e.1", instruction(LpuOp::Transpose, {east(0), west(16)}), stream);
  refuses("c0.c2c.0", instruction(LpuOp::Send, {east(16)}), stream);
  refuses("c0.c2c.0", instruction(LpuOp::Receive, {west(16)}), stream);
  refuses("c0.vxm.0",
          instruction(LpuOp::Move, {on(OperandKind::Word, west(16)), none(), none(), 0, kNo, kNo, 0}),
          stream);
  refuses("c0.vxm.0", instruction(LpuOp::Move, {immediate(), none(), none(), 0, east(16), kNo, 4}), stream);
  refuses("c0.vxm.0", instruction(LpuOp::Move, {result(4), none(), none(), 0, kNo, kNo, 0}),
          "of an ALU that");
}

TEST_F(QueueTest, StopsAtRowsEntriesAndGroupsThatAreNotThere) {
  const auto repeated = [](Instruction first, uint64_t times) {
    return std::vector<Instruction>{std::move(first), instruction(LpuOp::Repeat, {times, 1})};
  };
  bytes_.assign(32 * 64, std::byte{1});
  EXPECT_EQ(error_of({{"c0.mem.e.0", repeated(instruction(LpuOp::Read, {0, east(0), 7}), 9)}}), "");
  EXPECT_TRUE(contains(error_of({{"c0.mem.e.0", repeated(instruction(LpuOp::Read, {1, east(0), 7}), 9)}}),
                       "repetition 9): row 64 is past the end of the slice, which has 64"));
  EXPECT_TRUE(contains(error_of({{"c0.mem.e.0", {instruction(LpuOp::Write, {64, east(0), 0})}}}), "row 64"));
  EXPECT_TRUE(contains(error_of({{"c0.mxm.e.0", {instruction(LpuOp::LoadWeights, {east(0), 2})}}}),
                       "group 2 is past the end of the buffer, which has 2"));
  EXPECT_TRUE(
      contains(error_of({{"c0.mxm.e.1", {instruction(LpuOp::ActivationControl, {east(0), 8, 0, 0})}}}),
               "entry 8 is past the end of the accumulators, of which there are 8"));
  EXPECT_TRUE(
      contains(error_of({{"c0.mxm.e.2", {instruction(LpuOp::Accumulate, {8, west(0), 0})}}}), "entry 8"));
  EXPECT_TRUE(contains(error_of({{"c0.mxm.e.2", {instruction(LpuOp::Accumulate, {7, west(0), 0})}}}),
                       "was never filled"));
  EXPECT_TRUE(contains(error_of({{"c0.c2c.0", {instruction(LpuOp::Receive, {west(0)})}}}), "no wire comes"));
  EXPECT_TRUE(contains(error_of({{"c0.c2c.0", {instruction(LpuOp::Send, {west(0)})}}}), "no wire leaves"));
  EXPECT_TRUE(contains(error_of({{"c0.sxm.e.0", {instruction(LpuOp::Permute, {0, 0, 0})}}}),
                       "map 0 is not in the program, which has 0"));
  EXPECT_TRUE(contains(error_of({{"c0.sxm.e.3", {instruction(LpuOp::Distribute, {0, 0, 3})}}}), "map 3"));
}

TEST_F(QueueTest, StopsAtTwoResultsInACycle) {
  const Instruction fma =
      instruction(LpuOp::Fma, {immediate(), immediate(), immediate(), 0x3f800000, kNo, kNo, 0});
  const uint64_t between = machine.latency.vxm_fma - machine.latency.vxm_operation;
  EXPECT_TRUE(contains(error_of({{"c0.vxm.0", {fma, instruction(LpuOp::Nop, {between - 1}), move}}}),
                       "gives its result in the same cycle"));
  EXPECT_EQ(error_of({{"c0.vxm.0", {fma, instruction(LpuOp::Nop, {between}), move}}}), "");
  EXPECT_EQ(error_of({{"c0.vxm.0", {fma, move}}}), "");  // the later operation gives first
}

TEST_F(QueueTest, StopsAtCollisions) {
  bytes_.assign(32 * 4, std::byte{1});
  const Instruction nop = instruction(LpuOp::Nop, {20});
  for (uint64_t stream : {east(3), west(3)}) {
    const Instruction read = instruction(LpuOp::Read, {0, stream, 0});
    // Two groups, five hops apart: only a read five cycles apart meets the other's value, whichever is first.
    for (uint64_t cycle = 10; cycle <= 30; ++cycle) {
      const std::string error =
          error_of({{"c0.mem.e.0", {nop, read}}, {"c0.mem.e.16", {instruction(LpuOp::Nop, {cycle}), read}}});
      const bool meets = stream == east(3) ? cycle == 24 : cycle == 16;
      EXPECT_EQ(contains(error, "a collision on stream"), meets) << cycle << error;
      EXPECT_EQ(error.empty(), !meets);
    }
  }
}

}  // namespace
}  // namespace lockstep::targets::lpu
