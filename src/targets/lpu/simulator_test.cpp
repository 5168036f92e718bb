// What the units do with values, one small program each; the host's access; counts; several chips.
#include "targets/lpu/simulator.h"

#include "targets/lpu/test_chip.h"

namespace lockstep::targets::lpu {
namespace {

class SimulatorTest : public testing::Test {
 protected:
  const machine::Machine machine = small_machine();
  const machine::Latency& latency = machine.latency;
  const uint32_t lanes = machine.geometry.lanes();
  static constexpr uint64_t kLate = 60;

  // Reads rows of a word (four slices side by side from mem.e.16 on) so that it is at a position in a cycle.
  void word_at(Schedule& schedule, uint32_t row, uint64_t stream, uint32_t position, uint64_t cycle) const {
    const uint32_t x = machine.mem_hop(16), hops = position > x ? position - x : x - position;
    for (uint32_t b = 0; b < 4; ++b) {
      const std::string name = "mem.e." + std::to_string(16 + b);
      schedule.row(name, row);
      schedule.at(name, cycle - latency.mem_read - hops, LpuOp::Read, {row, stream + b, 0});
    }
  }
  static void set_word(Schedule& schedule, uint32_t row, uint32_t lane, uint32_t value) {
    for (uint32_t b = 0; b < 4; ++b) {
      schedule.row("mem.e." + std::to_string(16 + b), row)[lane] = static_cast<std::byte>(value >> (8 * b));
    }
  }
  // Writes a word on eastern streams, put at a position in a cycle, to mem.e.4 to 7.
  void write_word(Schedule& schedule, uint32_t row, uint64_t stream, uint32_t position,
                  uint64_t cycle) const {
    const uint32_t x = machine.mem_hop(4), hops = position > x ? position - x : x - position;
    for (uint32_t b = 0; b < 4; ++b) {
      schedule.at("mem.e." + std::to_string(4 + b), cycle + hops, LpuOp::Write, {row, stream + b, 0});
    }
  }
  std::vector<uint32_t> words(Outcome& outcome, uint32_t row) const {
    EXPECT_EQ(outcome.error, "");
    std::vector<uint32_t> result(lanes);
    for (uint32_t b = 0; b < 4; ++b) {
      const std::vector<int> bytes = outcome.row(0, 4 + b, row);
      if (bytes.size() != lanes) return {};
      for (uint32_t i = 0; i < lanes; ++i) result[i] |= static_cast<uint32_t>(bytes[i] & 255) << (8 * b);
    }
    return result;
  }
  // A word per lane through one operation of the SXM.
  std::vector<uint32_t> switched(Schedule& schedule, const std::string& unit, LpuOp op, uint32_t cycles,
                                 const std::vector<uint64_t>& rest, uint32_t output = 0) const {
    for (uint32_t i = 0; i < lanes; ++i) set_word(schedule, 0, i, 0x01020304u * (i + 1));
    word_at(schedule, 0, east(4), machine.hops.sxm, kLate);
    std::vector<uint64_t> fields = {east(4), west(8)};
    fields.insert(fields.end(), rest.begin(), rest.end());
    schedule.at(unit, kLate, op, fields);
    write_word(schedule, 3, west(8 + 4 * output), machine.hops.sxm, kLate + cycles);
    Outcome outcome(schedule);
    return words(outcome, 3);
  }
  std::vector<uint32_t> from_lanes(const std::function<int(int)>& source) const {
    std::vector<uint32_t> result;
    for (int i = 0; i < static_cast<int>(lanes); ++i) {
      const int lane = source(i);
      result.push_back(lane < 0 ? 0 : 0x01020304u * static_cast<uint32_t>(lane + 1));
    }
    return result;
  }
};

TEST_F(SimulatorTest, ShiftsBringZeros) {
  Schedule up(machine), down(machine);
  EXPECT_EQ(switched(up, "sxm.e.7", LpuOp::ShiftUp, latency.sxm_shift, {5}),
            from_lanes([](int i) { return i - 5; }));
  EXPECT_EQ(switched(down, "sxm.e.8", LpuOp::ShiftDown, latency.sxm_shift, {31}),
            from_lanes([&](int i) { return i + 31 < static_cast<int>(lanes) ? i + 31 : -1; }));
}

TEST_F(SimulatorTest, RotatesStayInSuperlanes) {
  for (uint32_t output : {0u, 1u, 2u}) {
    Schedule schedule(machine);
    EXPECT_EQ(switched(schedule, "sxm.e.9", LpuOp::Rotate, latency.sxm_rotate, {13, 3}, output),
              from_lanes([&](int i) { return i / 16 * 16 + (i + 13 + static_cast<int>(output)) % 16; }));
  }
}

TEST_F(SimulatorTest, MapsMoveLanes) {
  Schedule permuted(machine), spread(machine);
  std::vector<std::byte> permutations(2 * 2 * lanes), distributions(3 * 16, std::byte{255});
  for (uint32_t map : {0u, 1u}) {
    for (uint32_t i = 0; i < lanes; ++i) {
      permutations[2 * (map * lanes + i)] = static_cast<std::byte>((7 * i + map) % lanes);
    }
  }
  distributions[2 * 16 + 3] = std::byte{15};
  permuted.file("permutations", permutations);
  spread.file("distributions", distributions);
  EXPECT_EQ(switched(permuted, "sxm.e.0", LpuOp::Permute, latency.sxm_permute, {1}),
            from_lanes([&](int i) { return (7 * i + 1) % static_cast<int>(lanes); }));
  EXPECT_EQ(switched(spread, "sxm.e.6", LpuOp::Distribute, latency.sxm_distribute, {2}),
            from_lanes([](int i) { return i % 16 == 3 ? i / 16 * 16 + 15 : -1; }));
}

TEST_F(SimulatorTest, RefusesMapsThatLeadNowhere) {
  const auto refuses = [&](const char* name, std::vector<std::byte> bytes, const char* why) {
    Schedule schedule(machine);
    schedule.file(name, std::move(bytes));
    try {
      Outcome outcome(schedule);
      ADD_FAILURE() << "took a map of " << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::User);
      EXPECT_NE(std::string(error.what()).find(why), std::string::npos) << error.what();
    }
  };
  refuses("permutations", std::vector<std::byte>(2 * lanes), "permutation 0 is none of 32 lanes");
  refuses("permutations", std::vector<std::byte>(2 * lanes, std::byte{9}), "permutation 0");
  refuses("distributions", std::vector<std::byte>(32, std::byte{16}), "distribution 0 takes lane 16");
  refuses("links", std::vector<std::byte>(16), "the wire from link 0 of chip 0 to link 0 of chip 0");
  refuses("links", std::vector<std::byte>(16, std::byte{1}), "has an end that is not there");
}

TEST_F(SimulatorTest, OperandsOfAllKindsAndResultsToBothSides) {
  Schedule schedule(machine);
  for (uint32_t i = 0; i < lanes; ++i) set_word(schedule, 0, i, 0x8180ff7fu + 0x01010101u * i);
  // From the eastern hemisphere at the VXM together with a byte from the western one.
  word_at(schedule, 0, west(4), 0, kLate);
  schedule.fill("mem.w.8", 0, 100);
  schedule.at("mem.w.8", kLate - latency.mem_read - machine.mem_hop(8), LpuOp::Read, {0, east(30), 0});
  const uint64_t operation = kLate + latency.vxm_entry;
  schedule.at("vxm.5", operation, LpuOp::IntegerMultiplyAdd,
              {on(OperandKind::Word, west(4)), immediate(), on(OperandKind::Uint8, east(30)), 3, east(12),
               west(8), 4});
  schedule.at("vxm.6", operation, LpuOp::Move,
              {on(OperandKind::Int16, west(6)), none(), none(), 0, east(20), kNo, 4});
  schedule.at("vxm.7", operation, LpuOp::Move,
              {on(OperandKind::Int8, west(5)), none(), none(), 0, kNo, west(16), 2});
  write_word(schedule, 1, east(12), 0, operation + latency.vxm_fma);
  write_word(schedule, 2, east(20), 0, operation + latency.vxm_operation);
  for (uint32_t b = 0; b < 2; ++b) {
    schedule.at("mem.w." + std::to_string(b), operation + latency.vxm_fma + machine.mem_hop(0), LpuOp::Write,
                {1, west(8 + b), 0});
    schedule.at("mem.w." + std::to_string(2 + b), operation + latency.vxm_operation + machine.mem_hop(2),
                LpuOp::Write, {1, west(16 + b), 0});
  }
  Outcome outcome(schedule);
  const std::vector<uint32_t> multiplied = words(outcome, 1), moved = words(outcome, 2);
  for (uint32_t i = 0; i < lanes; ++i) {
    const uint32_t word = 0x8180ff7fu + 0x01010101u * i;
    EXPECT_EQ(multiplied[i], 3 * word + 100 + i);
    EXPECT_EQ(outcome.row(1, 1, 1)[i], static_cast<int8_t>((3 * word + 100 + i) >> 8));
    EXPECT_EQ(moved[i], static_cast<uint32_t>(int32_t{static_cast<int16_t>(word >> 16)}));
    EXPECT_EQ(outcome.row(1, 2, 1)[i], static_cast<int8_t>(word >> 8));
    EXPECT_EQ(outcome.row(1, 3, 1)[i], static_cast<int8_t>(word >> 8) < 0 ? -1 : 0);
  }
}

TEST_F(SimulatorTest, GatherAndScatterGoWhereTheMapSays) {
  Schedule schedule(machine);
  // Superlane 0 goes to row 2 + 5, superlane 1 nowhere.
  schedule.row("mem.e.0", 0)[0] = std::byte{5};
  schedule.row("mem.e.1", 0)[16] = std::byte{128};
  schedule.fill("mem.e.2", 0, 40);
  schedule.fill("mem.e.8", 7, 1);
  schedule.at("mem.e.0", 0, LpuOp::Read, {0, east(0), 0});
  schedule.at("mem.e.1", 0, LpuOp::Read, {0, east(1), 0});
  schedule.at("mem.e.2", 0, LpuOp::Read, {0, east(2), 0});
  const uint64_t there = latency.mem_read + machine.mem_hop(8) - machine.mem_hop(0);
  schedule.at("mem.e.8", there, LpuOp::Gather, {2, east(3), east(0)});
  schedule.at("mem.e.9", there, LpuOp::Scatter, {2, east(2), east(0)});
  schedule.at("mem.e.16", there + latency.mem_gather + 2, LpuOp::Write, {0, east(3), 0});
  Outcome outcome(schedule);
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.run.cycles, there + latency.mem_gather + 2 + latency.mem_write + 1);
  const std::vector<int> gathered = outcome.row(0, 16, 0);
  for (uint32_t i = 0; i < lanes; ++i) EXPECT_EQ(gathered[i], i < 16 ? static_cast<int>(i) + 1 : 0);
  EXPECT_TRUE(outcome.row(0, 9, 7).empty());  // half of it is written
  outcome.simulator().writable_row({0, 0, 9}, 8);
  EXPECT_FALSE(outcome.row(0, 9, 8).empty());
}

TEST_F(SimulatorTest, AGatherOfARowThatIsNotThereStops) {
  for (uint32_t row : {3u, 64u}) {
    Schedule schedule(machine);
    for (const char* name : {"mem.e.0", "mem.e.1"}) schedule.fill(name, 0, 0, 0);
    schedule.row("mem.e.0", 0)[16] = static_cast<std::byte>(row);
    schedule.fill("mem.e.4", 0, 1);
    schedule.at("mem.e.0", 0, LpuOp::Read, {0, east(0), 0});
    schedule.at("mem.e.1", 0, LpuOp::Read, {0, east(1), 0});
    schedule.at("mem.e.4", latency.mem_read + 1, LpuOp::Gather, {0, east(3), east(0)});
    Outcome outcome(schedule);
    EXPECT_NE(outcome.error.find(row == 3 ? "nothing has written it" : "row 64 is past the end"),
              std::string::npos)
        << outcome.error;
    EXPECT_EQ(Outcome(schedule, {.arithmetic = false}).error, "");  // no maps there
  }
}

TEST_F(SimulatorTest, MatrixProductsAddUp) {
  Schedule schedule(machine);
  // 32 x 32 weights in two groups, twice the same; rows 5 and 6 of slice 16 and 17 are activations.
  const auto weight = [](uint32_t output, uint32_t input) {
    return static_cast<int>(output * 7 + input * 3) % 255 - 127;
  };
  const auto activation = [](uint32_t vector, uint32_t input) {
    return static_cast<int>(input * 11 + vector * 5) % 256 - 128;
  };
  const uint64_t load = 20 + latency.mem_read + machine.hops.mxm - 1;
  for (uint32_t k = 0; k < 16; ++k) {
    const std::string name = "mem.w." + std::to_string(k);
    for (uint32_t group : {0u, 1u}) {
      for (uint32_t i = 0; i < lanes; ++i) {
        schedule.row(name, group)[i] = static_cast<std::byte>(weight(16 * group + k, i));
      }
    }
    schedule.at(name, 20 + k / 4, LpuOp::Read, {0, west(16 + k), 1}, 1, 3);
  }
  schedule.at("mxm.w.3", load, LpuOp::LoadWeights, {west(16), 0}, 1, 3);
  schedule.at("mxm.w.3", load + 3 + latency.mxm_load, LpuOp::InstallWeights, {});
  const uint64_t act = load + 3 + latency.mxm_load + latency.mxm_install;
  for (uint32_t v = 0; v < 4; ++v) {
    for (uint32_t i = 0; i < lanes; ++i) {
      schedule.row("mem.w.16", v)[i] = static_cast<std::byte>(activation(v, i));
    }
  }
  schedule.at("mem.w.16", act - latency.mem_read - (machine.hops.mxm - machine.mem_hop(16)), LpuOp::Read,
              {0, west(2), 1}, 3, 1);
  // Vectors 0 and 1 into entries 2 and 5, then 2 and 3 on top.
  schedule.at("mxm.w.4", act, LpuOp::ActivationControl, {west(2), 2, 0, 3}, 1, 1);
  schedule.at("mxm.w.4", act + 2, LpuOp::ActivationControl, {west(2), 2, 1, 3}, 1, 1);
  const uint64_t sums = act + 3 + latency.mxm_product;
  schedule.at("mxm.w.5", sums, LpuOp::Accumulate, {2, east(8), 3}, 1, 1);
  for (uint32_t b = 0; b < 4; ++b) {
    schedule.at("mem.w." + std::to_string(b), sums + latency.mxm_result + machine.hops.mxm - 1, LpuOp::Write,
                {9, east(8 + b), 1}, 1, 1);
  }
  Outcome outcome(schedule);
  EXPECT_EQ(outcome.error, "");
  for (uint32_t v : {0u, 1u}) {
    for (uint32_t r = 0; r < lanes; ++r) {
      int expected = 0, got = 0;
      for (uint32_t i = 0; i < lanes; ++i)
        expected += weight(r, i) * (activation(v, i) + activation(v + 2, i));
      for (uint32_t b = 0; b < 4; ++b) got |= (outcome.row(1, b, 9 + v).at(r) & 255) << (8 * b);
      ASSERT_EQ(got, expected) << v << " " << r;
    }
  }
  EXPECT_EQ(outcome.run.events.mxm_rows, 32u);
  EXPECT_EQ(outcome.run.events.mxm_products, 4u);
  EXPECT_EQ(outcome.run.events.mxm_results, 2u);
  EXPECT_EQ(outcome.run.events.mem_reads, 36u);
  EXPECT_EQ(outcome.run.events.mem_writes, 8u);
}

TEST_F(SimulatorTest, CountsAndTraces) {
  class Sink : public TraceSink {
   public:
    void issued(const Issue& issue, uint64_t cycles) override {
      lines.push_back(issue.queue.name() + " " + std::to_string(issue.queue.instruction_index()) + " " +
                      std::to_string(issue.cycle - issue.queue.schedule_start()) + " " +
                      std::to_string(cycles));
    }
    void put(Place place, uint32_t stream, uint64_t cycle) override {
      puts.push_back({place.hemisphere, place.position, stream, cycle});
    }
    std::vector<std::string> lines;
    std::vector<std::array<uint64_t, 4>> puts;
  } sink;
  Schedule schedule(machine);
  schedule.fill("mem.e.4", 0, 0);
  schedule.at("mem.e.4", 0, LpuOp::Read, {0, east(1), 0}, 1, 2);  // 7 hops to the end, each
  schedule.at("vxm.0", 1, LpuOp::Move, {immediate(), none(), none(), 1, kNo, west(0), 2});
  Outcome outcome(schedule, {.trace = &sink});
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.run.events.stream_hops, 2 * 7u + 2 * 9u);
  EXPECT_EQ(outcome.run.events.instructions, 2 + 3u);  // with Notify and Sync
  EXPECT_EQ(outcome.run.instructions[static_cast<size_t>(LpuUnit::Icu)], 2u);
  EXPECT_EQ(outcome.run.instructions[static_cast<size_t>(LpuUnit::Mem)], 2u);
  ASSERT_EQ(outcome.run.queues.size(), 2u);
  EXPECT_EQ(outcome.run.queues[0].busy_cycles, 3u);
  EXPECT_EQ(outcome.run.queues[1].busy_cycles, 2u);
  const std::vector<std::string> last(sink.lines.end() - 3, sink.lines.end());
  EXPECT_EQ(last, (std::vector<std::string>{"c0.mem.e.4 1 0 1", "c0.vxm.0 2 1 1", "c0.mem.e.4 1 2 1"}));
  ASSERT_EQ(sink.puts.size(), 4u);
  const uint64_t start = latency.barrier;
  EXPECT_EQ(sink.puts[0], (std::array<uint64_t, 4>{0, 2, 1, start + latency.mem_read}));
  EXPECT_EQ(sink.puts[2], (std::array<uint64_t, 4>{1, 0, 33, start + 1 + latency.vxm_operation}));
}

TEST_F(SimulatorTest, MemoryStaysBetweenRunsAndTheHostReachesIt) {
  Schedule schedule(machine);
  schedule.row("mem.e.0", 0);
  schedule.at("mem.e.0", 0, LpuOp::Read, {0, east(0), 0});
  schedule.at("mem.e.4", latency.mem_read + 1, LpuOp::Write, {20, east(0), 0});
  program::Program program = schedule.build();
  for (uint32_t b = 1; b < 4; ++b) {
    program.queues.push_back(
        {"c0.mem.e." + std::to_string(4 + b), static_cast<uint32_t>(program.memories.size()), {}});
    program.memories.push_back({"more", program::MemoryKind::File, 0});
    program.contents[program.queues.back().memory] = {};
  }
  Simulator simulator(program, machine, {});
  simulator.run("step");
  simulator.writable_row({0, 0, 0}, 0)[7] = std::byte{77};
  EXPECT_EQ(simulator.row({0, 0, 4}, 20)[7], std::byte{0});
  simulator.run("step");
  EXPECT_EQ(simulator.row({0, 0, 4}, 20)[7], std::byte{77});
  EXPECT_THROW(simulator.row({0, 0, 4}, 21), Error);
  EXPECT_THROW(simulator.row({0, 0, 4}, 64), Error);
  EXPECT_THROW(simulator.row({0, 0, 20}, 0), Error);
  EXPECT_THROW(simulator.row({1, 0, 0}, 0), Error);
  EXPECT_THROW(simulator.run("other"), Error);

  uint32_t memory = 0;
  for (const program::Queue& queue : program.queues) {
    if (queue.unit == "c0.mem.e.4") memory = queue.memory;
  }
  const program::Region region = {
      "words", memory, 30 * lanes, program::Element::I32, 40, 160, program::RowCount::One};
  EXPECT_EQ(simulator.vectors(region), 2u);
  std::vector<uint32_t> written(lanes), read(lanes);
  for (uint32_t i = 0; i < lanes; ++i) written[i] = 0x12345678u * (i + 1);
  simulator.write_words(region, 1, written);
  simulator.read_words(region, 1, read);
  EXPECT_EQ(read, written);
  EXPECT_EQ(simulator.row({0, 0, 6}, 31)[0], std::byte{0x34});
  EXPECT_THROW(simulator.read_words(region, 0, read), Error);  // nothing has written it
}

TEST_F(SimulatorTest, StopsAtVectorsThatNobodyReceives) {
  Schedule schedule(machine);
  std::vector<std::byte> wire(16);
  wire[8] = std::byte{1};
  schedule.file("links", wire);
  schedule.fill("mem.e.0", 0, 1);
  schedule.at("mem.e.0", 0, LpuOp::Read, {0, east(0), 0});
  schedule.at("c0.c2c.0", latency.mem_read + machine.hops.c2c - 1, LpuOp::Send, {east(0)});
  schedule.at("c1.c2c.0", 0, LpuOp::Deskew, {});
  EXPECT_NE(Outcome(schedule).error.find("link 0 of chip 1 ends with 1 vectors"), std::string::npos);
}

// A path through all units whose length is published for lpu-v1: from a transposer over the SXM's edge and
// the memory to the VXM, three operations, and out again to a distributor, 50 cycles.
TEST(PublishedTest, AChainThroughTheChip) {
  const machine::Machine machine = machine::find_machine("lpu-v1");
  const machine::Latency& latency = machine.latency;
  for (uint64_t late : {0, 1}) {
    Schedule schedule(machine);
    std::vector<std::byte> distribution(16, std::byte{2});
    schedule.file("distributions", distribution);
    const uint64_t start = 20;
    for (uint32_t k = 0; k < 16; ++k) {
      const std::string name = "mem.e." + std::to_string(28 + k);
      schedule.fill(name, 0, static_cast<int>(k));
      const uint32_t hops = machine.hops.sxm - machine.mem_hop(28 + k);
      schedule.at(name, start - hops - latency.mem_read, LpuOp::Read, {0, east(k), 0});
    }
    schedule.at("sxm.e.1", start, LpuOp::Transpose, {east(0), west(16)});
    const uint64_t first = start + latency.sxm_transpose + machine.hops.sxm + latency.vxm_entry;
    const auto operation = [&](uint32_t i, uint64_t in, uint64_t out) {
      schedule.at("vxm." + std::to_string(i), first + i * latency.vxm_operation, LpuOp::IntegerAdd,
                  {in, immediate(), none(), 1, out, kNo, out == kNo ? 0u : 4u});
    };
    operation(0, on(OperandKind::Word, west(16)), kNo);
    operation(1, result(0), kNo);
    operation(2, result(1), east(4));
    const uint64_t last = first + 3 * latency.vxm_operation + machine.hops.sxm;
    schedule.at("sxm.e.3", last + late, LpuOp::Distribute, {east(4), west(8), 0});
    schedule.at("mem.e.43", last + latency.sxm_distribute + machine.hops.sxm - machine.mem_hop(43),
                LpuOp::Write, {5, west(8), 0});
    Outcome outcome(schedule);
    EXPECT_EQ(outcome.error.empty(), late == 0) << outcome.error;
    if (late != 0) continue;
    EXPECT_EQ(last + latency.sxm_distribute - start, 50u);
    // Lane 2 of the transposed streams is the third input, slice 30's, whose lane 0 holds a 2; plus 3.
    EXPECT_EQ(outcome.row(0, 43, 5).at(9), 5);
  }
}

// All 409,600 weights into the four planes of lpu-v1, from memory to the installed array, in under 40 cycles.
TEST(PublishedTest, AllWeightsInUnder40Cycles) {
  const machine::Machine machine = machine::find_machine("lpu-v1");
  Schedule schedule(machine);
  const uint32_t groups = machine.geometry.lanes() / machine.geometry.load_streams;
  uint64_t end = 0;
  for (uint32_t hemisphere : {0u, 1u}) {
    const char* side = hemisphere == 0 ? "e." : "w.";
    for (uint32_t plane : {0u, 1u}) {
      const uint64_t first = (hemisphere == 0 ? 0u : 32u) + 16 * plane;
      // From the slices nearest to the planes, which read later.
      for (uint32_t k = 0; k < 16; ++k) {
        const uint32_t slice = 12 + 16 * plane + k;
        const std::string name = std::string("mem.") + side + std::to_string(slice);
        schedule.row(name, groups - 1);
        schedule.at(name, machine.mem_hop(slice) - machine.mem_hop(12), LpuOp::Read, {0, first + k, 1},
                    groups - 1, 1);
      }
      const std::string name = std::string("mxm.") + side + std::to_string(3 * plane);
      const uint64_t load = machine.latency.mem_read + machine.hops.mxm - machine.mem_hop(12);
      schedule.at(name, load, LpuOp::LoadWeights, {first, 0}, groups - 1, 1);
      const uint64_t install = load + groups - 1 + machine.latency.mxm_load;
      schedule.at(name, install, LpuOp::InstallWeights, {});
      end = install + machine.latency.mxm_install;
    }
  }
  Outcome outcome(schedule);
  EXPECT_EQ(outcome.error, "");
  EXPECT_EQ(outcome.run.events.mxm_rows, 4u * machine.geometry.lanes());
  EXPECT_LT(end, 40u);
}

TEST_F(SimulatorTest, RefusesAMachineThatItCannotBe) {
  const auto refuses = [&](auto change) {
    machine::Machine changed = machine;
    change(changed);
    Schedule schedule(changed);
    EXPECT_THROW(Outcome{schedule}, Error);
  };
  refuses([](machine::Machine& m) { m.latency.mem_read = 0; });
  refuses([](machine::Machine& m) { m.latency.barrier = 0; });
  refuses([](machine::Machine& m) { m.geometry.superlanes = 21; });
  refuses([](machine::Machine& m) { m.geometry.streams = 33; });
  refuses([](machine::Machine& m) { m.geometry.load_streams = 17; });
}

}  // namespace
}  // namespace lockstep::targets::lpu
