// Every latency and every distance of the chip: at t it works with the right value, at t - 1 it is caught or,
// where docs/lpu.md says so, the old value stands.
#include "targets/lpu/test_chip.h"

namespace lockstep::targets::lpu {
namespace {

constexpr int kOld = 1, kNew = 50;  // first bytes of rows

std::vector<int> counting(int first, size_t count, int step = 1) {
  std::vector<int> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<int8_t>(first + static_cast<int>(i) * step);
  return values;
}

std::string slice(uint32_t hemisphere, uint32_t number) {
  return (hemisphere == 0 ? "mem.e." : "mem.w.") + std::to_string(number);
}

class LatencyTest : public testing::Test {
 protected:
  LatencyTest() : machine(small_machine()), latency(machine.latency), lanes(machine.geometry.lanes()) {}

  // Expects row 9 of slice 1 of the eastern hemisphere to be `values` after the schedule.
  void expect_row(Schedule& schedule, const std::vector<int>& values, uint32_t slice_number = 1) {
    Outcome outcome(schedule);
    EXPECT_EQ(outcome.error, "");
    EXPECT_EQ(outcome.row(0, slice_number, 9), values);
    expect_same_without_values(schedule, outcome);
  }
  void expect_stop(Schedule& schedule, const std::string& why) {
    Outcome outcome(schedule);
    EXPECT_NE(outcome.error.find(why), std::string::npos) << outcome.error;
    expect_same_without_values(schedule, outcome);
  }
  static void expect_same_without_values(Schedule& schedule, const Outcome& outcome) {
    const Outcome timed(schedule, {.arithmetic = false});
    EXPECT_EQ(timed.error, outcome.error);
    EXPECT_EQ(timed.run.cycles, outcome.run.cycles);
    EXPECT_EQ(timed.run.events.stream_hops, outcome.run.events.stream_hops);
  }

  const machine::Machine machine;
  const machine::Latency& latency;
  const uint32_t lanes;
};

constexpr const char* kNothing = "carries no value";

TEST_F(LatencyTest, ReadAndEveryHopOfTheMemory) {
  for (uint32_t hemisphere : {0u, 1u}) {
    for (uint32_t from = 0; from < machine.geometry.slices; from += 4) {
      for (uint32_t to = 1; to < machine.geometry.slices; to += 4) {
        const bool is_outward = from <= to;
        const uint64_t stream = is_outward == (hemisphere == 0) ? east(7) : west(7);
        const uint32_t hops = is_outward ? to / 4 - from / 4 : from / 4 - to / 4;
        for (int late : {-1, 0, 1}) {
          Schedule schedule(machine);
          schedule.fill(slice(hemisphere, from), 3, kNew);
          schedule.at(slice(hemisphere, from), 2, LpuOp::Read, {3, stream, 0});
          const uint64_t cycle = 2 + latency.mem_read + hops;
          schedule.at(slice(hemisphere, to), cycle + static_cast<uint64_t>(late), LpuOp::Write,
                      {9, stream, 0});
          if (late != 0) {
            expect_stop(schedule, kNothing);
            continue;
          }
          Outcome outcome(schedule);
          EXPECT_EQ(outcome.error, "");
          EXPECT_EQ(outcome.row(hemisphere, to, 9), counting(kNew, lanes));
          EXPECT_EQ(outcome.run.cycles, cycle + latency.mem_write + 1);
        }
      }
    }
  }
}

TEST_F(LatencyTest, WriteIsSeenAndNotBefore) {
  for (uint64_t early : {0, 1}) {
    Schedule schedule(machine);
    schedule.fill("mem.e.0", 3, kNew);
    schedule.fill("mem.e.4", 5, kOld);
    schedule.at("mem.e.0", 0, LpuOp::Read, {3, east(0), 0});
    const uint64_t write = latency.mem_read + 1;
    schedule.at("mem.e.4", write, LpuOp::Write, {5, east(0), 0});
    const uint64_t read = write + latency.mem_write - early;
    schedule.at("mem.e.4", read, LpuOp::Read, {5, west(1), 0});
    schedule.at("mem.e.1", read + latency.mem_read + 1, LpuOp::Write, {9, west(1), 0});
    expect_row(schedule, counting(early == 0 ? kNew : kOld, lanes));
  }
}

TEST_F(LatencyTest, ReadOfARowBeforeItsFirstWriteStops) {
  for (uint64_t early : {0, 1}) {
    Schedule schedule(machine);
    schedule.fill("mem.e.0", 3, kNew);
    schedule.at("mem.e.0", 0, LpuOp::Read, {3, east(0), 0});
    schedule.at("mem.e.4", latency.mem_read + 1, LpuOp::Write, {5, east(0), 0});
    schedule.at("mem.e.4", latency.mem_read + 1 + latency.mem_write - early, LpuOp::Read, {5, west(1), 0});
    if (early == 0) {
      Outcome outcome(schedule);
      EXPECT_EQ(outcome.error, "");
    } else {
      expect_stop(schedule, "nothing has written it");
    }
  }
}

TEST_F(LatencyTest, Gather) {
  for (uint64_t early : {0, 1}) {
    Schedule schedule(machine);
    for (const char* map : {"mem.e.0", "mem.e.1"}) {
      schedule.fill(map, 0, map[6] == '0' ? 3 : 0, 0);  // row 3 in every superlane
      schedule.at(map, 0, LpuOp::Read, {0, map[6] == '0' ? east(2) : east(3), 0});
    }
    schedule.fill("mem.e.4", 5, kNew);
    const uint64_t gather = latency.mem_read + 1;
    schedule.at("mem.e.4", gather, LpuOp::Gather, {2, west(1), east(2)});
    schedule.at("mem.e.1", gather + latency.mem_gather + 1 - early, LpuOp::Write, {9, west(1), 0});
    if (early == 0) {
      expect_row(schedule, counting(kNew, lanes));
    } else {
      expect_stop(schedule, kNothing);
    }
  }
}

TEST_F(LatencyTest, EntryOfTheVxm) {
  for (uint32_t hemisphere : {0u, 1u}) {
    for (int late : {-1, 0, 1}) {
      Schedule schedule(machine);
      const uint64_t in = hemisphere == 0 ? west(4) : east(4);
      schedule.fill(slice(hemisphere, 9), 3, kNew);
      schedule.at(slice(hemisphere, 9), 0, LpuOp::Read, {3, in, 0});
      const uint64_t operation = latency.mem_read + 3 + latency.vxm_entry;
      schedule.at("vxm.0", operation + static_cast<uint64_t>(late), LpuOp::Move,
                  {on(OperandKind::Uint8, in), none(), none(), 0, east(6), kNo, 1});
      schedule.at("mem.e.1", operation + latency.vxm_operation + 1, LpuOp::Write, {9, east(6), 0});
      if (late == 0) {
        expect_row(schedule, counting(kNew, lanes));
      } else {
        expect_stop(schedule, kNothing);
      }
    }
  }
}

TEST_F(LatencyTest, OperationsOfTheVxm) {
  const std::pair<LpuOp, uint32_t> operations[] = {{LpuOp::IntegerAdd, latency.vxm_operation},
                                                   {LpuOp::IntegerMultiplyAdd, latency.vxm_fma},
                                                   {LpuOp::RSqrt, latency.vxm_rsqrt}};
  for (const auto& [op, cycles] : operations) {
    const uint32_t count = program::isa::vxm_operands(op);
    const std::vector<uint64_t> words = {
        immediate(), count > 1 ? immediate() : none(), count > 2 ? immediate() : none(), 5, east(0), kNo, 1};
    // Onto a stream.
    for (uint64_t early : {0, 1}) {
      Schedule schedule(machine);
      schedule.at("vxm.3", 10, op, words);
      schedule.at("mem.e.1", 10 + cycles + 1 - early, LpuOp::Write, {9, east(0), 0});
      Outcome outcome(schedule);
      EXPECT_EQ(outcome.error.empty(), early == 0) << outcome.error;
      if (op == LpuOp::IntegerAdd && early == 0) {
        EXPECT_EQ(outcome.row(0, 1, 9), counting(10, lanes, 0));
      }
      if (op == LpuOp::IntegerMultiplyAdd && early == 0) {
        EXPECT_EQ(outcome.row(0, 1, 9), counting(30, lanes, 0));
      }
    }
    // To another ALU, which finds nothing before.
    for (uint64_t early : {0, 1}) {
      Schedule schedule(machine);
      schedule.at("vxm.3", 10, op, words);
      schedule.at("vxm.4", 10 + cycles - early, LpuOp::Move, {result(3), none(), none(), 0, east(1), kNo, 1});
      if (early == 0) {
        EXPECT_EQ(Outcome(schedule).error, "");
      } else {
        expect_stop(schedule, "ALU 3 has given no result yet");
      }
    }
  }
}

TEST_F(LatencyTest, ResultOfAnAluStandsUntilTheNext) {
  for (uint64_t early : {0, 1}) {
    Schedule schedule(machine);
    schedule.at("vxm.0", 0, LpuOp::Move, {immediate(), none(), none(), kOld, kNo, kNo, 0});
    schedule.at("vxm.0", 20, LpuOp::Move, {immediate(), none(), none(), kNew, kNo, kNo, 0});
    const uint64_t taken = 20 + latency.vxm_operation - early;
    schedule.at("vxm.1", taken, LpuOp::Move, {result(0), none(), none(), 0, east(0), kNo, 1});
    schedule.at("mem.e.1", taken + latency.vxm_operation + 1, LpuOp::Write, {9, east(0), 0});
    expect_row(schedule, counting(early == 0 ? kNew : kOld, lanes, 0));
  }
}

// Puts weights of `diagonal` on all 16 streams of the first group, then a vector of ones through the array.
struct MatrixCycles {
  uint64_t load, install, activation, accumulate, write;
};
class MatrixLatencyTest : public LatencyTest {
 protected:
  // Cycles that are as early as they can be; `load` comes from the slices.
  MatrixCycles cycles() const {
    MatrixCycles c;
    c.load = 20 + latency.mem_read + machine.hops.mxm - machine.hops.mem_first;
    c.install = c.load + latency.mxm_load;
    c.activation = c.install + latency.mxm_install;
    c.accumulate = c.activation + latency.mxm_product;
    c.write = c.accumulate + latency.mxm_result + machine.hops.mxm - machine.hops.mem_first;
    return c;
  }
  // Output lane k of group 0 has the weight k + 1 for input lane 0 alone, which gets a 3.
  Schedule schedule_of(const MatrixCycles& c) const {
    Schedule schedule(machine);
    for (uint32_t k = 0; k < 16; ++k) {
      const std::string name = slice(0, k);
      schedule.row(name, 0)[0] = static_cast<std::byte>(k + 1);
      schedule.at(name, 20 + k / 4, LpuOp::Read, {0, east(k), 0});  // one hop less for each group
    }
    schedule.at("mxm.e.0", c.load, LpuOp::LoadWeights, {east(0), 0});
    schedule.at("mxm.e.0", c.install, LpuOp::InstallWeights, {});
    schedule.row("mem.e.16", 1)[0] = std::byte{3};
    schedule.at("mem.e.16", c.activation - latency.mem_read - (machine.hops.mxm - machine.mem_hop(16)),
                LpuOp::Read, {1, east(20), 0});
    schedule.at("mxm.e.1", c.activation, LpuOp::ActivationControl, {east(20), 2, 0, 0});
    schedule.at("mxm.e.2", c.accumulate, LpuOp::Accumulate, {2, west(0), 0});
    schedule.at("mem.e.1", c.write, LpuOp::Write, {9, west(0), 0});
    return schedule;
  }
  std::vector<int> expected() const {
    std::vector<int> values(lanes, 0);
    for (int k = 0; k < 16; ++k) values[static_cast<size_t>(k)] = 3 * (k + 1);
    return values;
  }
};

TEST_F(MatrixLatencyTest, EverythingAsEarlyAsItCanBe) {
  Schedule schedule = schedule_of(cycles());
  expect_row(schedule, expected());
}

TEST_F(MatrixLatencyTest, WeightsComeFromTheStreams) {
  for (uint64_t late : {~uint64_t{0}, uint64_t{1}}) {
    MatrixCycles c = cycles();
    c.load += late;
    c.install += 1;
    c.activation += 1;
    c.accumulate += 1;
    c.write += 1;
    Schedule schedule = schedule_of(c);
    expect_stop(schedule, kNothing);
  }
}

TEST_F(MatrixLatencyTest, InstallOneCycleEarly) {
  MatrixCycles c = cycles();
  c.install -= 1;
  Schedule schedule = schedule_of(c);
  expect_stop(schedule, "the last LoadWeights is 3 cycles old and takes 4");
}

TEST_F(MatrixLatencyTest, ActivationOneCycleEarlyMeetsNoWeights) {
  MatrixCycles c = cycles();
  c.activation -= 1;
  Schedule schedule = schedule_of(c);
  expect_stop(schedule, "no weights are installed yet");
}

TEST_F(MatrixLatencyTest, ActivationOneCycleEarlyMeetsTheOldWeights) {
  for (uint64_t early : {0, 1}) {
    MatrixCycles c = cycles();
    c.activation -= early;
    Schedule schedule = schedule_of(c);
    schedule.at("mxm.e.0", 0, LpuOp::InstallWeights, {});  // rows that were not loaded: zeros
    expect_row(schedule, early == 0 ? expected() : std::vector<int>(lanes, 0));
  }
}

TEST_F(MatrixLatencyTest, OneInstallInFlight) {
  for (uint64_t early : {0, 1}) {
    MatrixCycles c = cycles();
    Schedule schedule = schedule_of(c);
    schedule.at("mxm.e.0", c.install - latency.mxm_install + early, LpuOp::InstallWeights, {});
    if (early == 0) {
      expect_row(schedule, expected());
    } else {
      expect_stop(schedule, "an install is in flight until 1 cycles from now");
    }
  }
}

TEST_F(MatrixLatencyTest, RowsThatWereNotLoadedSinceAreZero) {
  // Another install before the activations, and nothing loaded between.
  MatrixCycles c = cycles();
  c.activation += 2 * latency.mxm_install;
  c.accumulate += 2 * latency.mxm_install;
  c.write += 2 * latency.mxm_install;
  Schedule schedule = schedule_of(c);
  schedule.at("mxm.e.0", c.install + latency.mxm_install, LpuOp::InstallWeights, {});
  expect_row(schedule, std::vector<int>(lanes, 0));
}

TEST_F(MatrixLatencyTest, SumsOneCycleEarly) {
  MatrixCycles c = cycles();
  c.accumulate -= 1;
  Schedule schedule = schedule_of(c);
  expect_stop(schedule, "a product is on its way to entry 2 for 1 more cycles");
}

TEST_F(MatrixLatencyTest, ResultOneCycleEarly) {
  MatrixCycles c = cycles();
  c.write -= 1;
  Schedule schedule = schedule_of(c);
  expect_stop(schedule, kNothing);
}

TEST_F(MatrixLatencyTest, AnActivationThatBeginsWithTheResultIsNotMet) {
  const MatrixCycles c = cycles();
  Schedule schedule = schedule_of(c);
  // The same ones again, in the cycle in which the entry is read.
  schedule.at("mem.e.16", c.accumulate - latency.mem_read - (machine.hops.mxm - machine.mem_hop(16)),
              LpuOp::Read, {1, east(20), 0});
  schedule.at("mxm.e.1", c.accumulate, LpuOp::ActivationControl, {east(20), 2, 1, 0});
  expect_row(schedule, expected());
}

TEST_F(LatencyTest, OperationsOfTheSxm) {
  struct Case {
    LpuOp op;
    const char* unit;
    uint32_t cycles;
    std::vector<uint64_t> rest;
  };
  const std::vector<Case> cases = {{LpuOp::ShiftUp, "sxm.e.7", latency.sxm_shift, {0}},
                                   {LpuOp::ShiftDown, "sxm.e.8", latency.sxm_shift, {0}},
                                   {LpuOp::Rotate, "sxm.e.9", latency.sxm_rotate, {0, 1}},
                                   {LpuOp::Permute, "sxm.e.0", latency.sxm_permute, {0}},
                                   {LpuOp::Distribute, "sxm.e.3", latency.sxm_distribute, {0}}};
  for (const Case& c : cases) {
    for (int take_late : {-1, 0, 1}) {
      for (int put_late : {-1, 0, 1}) {
        if (take_late != 0 && put_late != 0) continue;
        Schedule schedule(machine);
        std::vector<std::byte> permutation(2 * lanes), distribution(16);
        for (uint32_t i = 0; i < lanes; ++i) permutation[2 * i] = static_cast<std::byte>(i);
        for (uint32_t i = 0; i < 16; ++i) distribution[i] = static_cast<std::byte>(i);
        schedule.file("permutations", permutation);
        schedule.file("distributions", distribution);
        for (uint32_t b = 0; b < 4; ++b) {
          schedule.fill(slice(0, 4 + b), 0, kNew + static_cast<int>(b));
          schedule.at(slice(0, 4 + b), 0, LpuOp::Read, {0, east(8 + b), 0});
        }
        const uint64_t taken = latency.mem_read + machine.hops.sxm - machine.mem_hop(4);
        std::vector<uint64_t> words = {east(8), west(4)};
        words.insert(words.end(), c.rest.begin(), c.rest.end());
        schedule.at(c.unit, taken + static_cast<uint64_t>(take_late), c.op, words);
        schedule.at(
            "mem.e.1",
            taken + c.cycles + machine.hops.sxm - machine.mem_hop(1) + static_cast<uint64_t>(put_late),
            LpuOp::Write, {9, west(6), 0});
        if (take_late == 0 && put_late == 0) {
          expect_row(schedule, counting(kNew + 2, lanes));
        } else {
          expect_stop(schedule, kNothing);
        }
      }
    }
  }
}

TEST_F(LatencyTest, TransposeOfTheSxm) {
  for (int late : {-1, 0, 1}) {
    Schedule schedule(machine);
    for (uint32_t k = 0; k < 16; ++k) {
      schedule.fill(slice(0, k), 0, static_cast<int>(16 * (k % 8)));
      schedule.at(slice(0, k), k / 4, LpuOp::Read, {0, east(k), 0});
    }
    const uint64_t taken = latency.mem_read + machine.hops.sxm - machine.mem_hop(0);
    schedule.at("sxm.e.1", taken, LpuOp::Transpose, {east(0), west(16)});
    schedule.at(
        "mem.e.1",
        taken + latency.sxm_transpose + machine.hops.sxm - machine.mem_hop(1) + static_cast<uint64_t>(late),
        LpuOp::Write, {9, west(19), 0});
    if (late != 0) {
      expect_stop(schedule, kNothing);
      continue;
    }
    std::vector<int> values(lanes);  // lane 3 of each superlane of every input
    for (uint32_t i = 0; i < lanes; ++i) {
      values[i] = static_cast<int8_t>(16 * (i % 8) + 3 + i / 16 * 16);
    }
    expect_row(schedule, values);
  }
}

class LinkLatencyTest : public LatencyTest {
 protected:
  // Link 1 of chip 0 to link 0 of chip 1.
  static std::vector<std::byte> wire() {
    std::vector<std::byte> bytes(16);
    bytes[4] = std::byte{1};
    bytes[8] = std::byte{1};
    return bytes;
  }
  // Sends rows 0, 1, ... of slice 16 with a distance, receives them with another.
  Schedule schedule_of(uint32_t count, uint64_t send_every, uint64_t receive_late, uint64_t receive_every,
                       int put_late = 0) const {
    Schedule schedule(machine);
    schedule.file("links", wire());
    for (uint32_t i = 0; i < count; ++i) schedule.fill("mem.e.16", i, static_cast<int>(kNew + i));
    const uint64_t send = latency.mem_read + machine.hops.c2c - machine.mem_hop(16);
    const uint64_t receive = send + latency.c2c_link + receive_late;
    for (uint32_t i = 0; i < count; ++i) {
      schedule.at("mem.e.16", i * send_every, LpuOp::Read, {i, east(3), 0});
      schedule.at("c0.c2c.1", send + i * send_every, LpuOp::Send, {east(3)});
      schedule.at("c1.c2c.0", receive + i * receive_every, LpuOp::Receive, {west(5)});
      schedule.at("c1.mem.e.1",
                  receive + i * receive_every + machine.hops.c2c - machine.mem_hop(1) +
                      static_cast<uint64_t>(put_late),
                  LpuOp::Write, {9 + i, west(5), 0});
    }
    return schedule;
  }
};

TEST_F(LinkLatencyTest, AVectorArrives) {
  Schedule schedule = schedule_of(3, machine.packet_cycles(), 0, machine.packet_cycles());
  Outcome outcome(schedule);
  EXPECT_EQ(outcome.error, "");
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(outcome.row(0, 1, 9 + i, 1), counting(static_cast<int>(kNew + i), lanes));
  }
  EXPECT_EQ(outcome.run.events.c2c_vectors, 3u);
}

TEST_F(LinkLatencyTest, ReceivedOneCycleEarly) {
  Schedule schedule = schedule_of(1, 1, ~uint64_t{0}, 1);
  expect_stop(schedule, "no vector has arrived");
}

TEST_F(LinkLatencyTest, PutInTheCycleOfTheReceive) {
  for (int late : {-1, 1}) {
    Schedule schedule = schedule_of(1, 1, 0, 1, late);
    expect_stop(schedule, kNothing);
  }
}

TEST_F(LinkLatencyTest, PacketsOneCycleTooClose) {
  ASSERT_EQ(machine.packet_cycles(), 2u);
  Schedule schedule = schedule_of(2, 1, 10, 2);
  expect_stop(schedule, "the packet before needs the link for 1 more cycles");
}

TEST_F(LinkLatencyTest, ALinkKeeps64) {
  for (bool room : {true, false}) {
    // The 65th vector arrives 128 cycles after the first, which must be received by then.
    Schedule schedule(machine);
    schedule.file("links", wire());
    schedule.fill("mem.e.16", 0, kNew);
    const uint64_t send = latency.mem_read + machine.hops.c2c - machine.mem_hop(16);
    schedule.at("mem.e.16", 0, LpuOp::Read, {0, east(3), 0}, 64, 2);
    schedule.at("c0.c2c.1", send, LpuOp::Send, {east(3)}, 64, 2);
    schedule.at("c1.c2c.0", send + latency.c2c_link + 128 + (room ? 0 : 1), LpuOp::Receive, {west(5)}, 64, 1);
    if (room) {
      EXPECT_EQ(Outcome(schedule).error, "");
    } else {
      expect_stop(schedule, "the link keeps 64 vectors, and one more came before this");
    }
  }
}

TEST_F(LatencyTest, TheBarrier) {
  Schedule schedule(machine);
  schedule.fill("mem.e.0", 3, kNew);
  schedule.at("mem.e.0", 0, LpuOp::Read, {3, east(5), 0});
  schedule.at("mem.e.1", latency.mem_read, LpuOp::Write, {9, east(5), 0});
  program::Program program = schedule.build();
  // The queue that notifies waits as long as those that it frees.
  for (uint32_t notify : {0u, 1u}) {
    for (uint32_t q : {0u, 1u}) {
      program.queues[q].instructions[0].opcode =
          static_cast<uint16_t>(q == notify ? LpuOp::Notify : LpuOp::Sync);
    }
    Simulator simulator(program, machine, {});
    EXPECT_EQ(simulator.run("step").cycles, latency.mem_read + latency.mem_write + 1);
  }
  // A queue without a Sync comes a barrier earlier, and its value has gone.
  program.queues[0].instructions.erase(program.queues[0].instructions.begin());
  Simulator simulator(program, machine, {});
  EXPECT_THROW(simulator.run("step"), Error);
  program.queues[0].instructions.insert(program.queues[0].instructions.begin(),
                                        {static_cast<uint16_t>(LpuOp::Nop), {latency.barrier}});
  Simulator waited(program, machine, {});
  EXPECT_EQ(waited.run("step").cycles, latency.mem_read + latency.mem_write + 1);
}

}  // namespace
}  // namespace lockstep::targets::lpu
