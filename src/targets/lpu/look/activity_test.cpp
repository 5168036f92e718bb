#include "targets/lpu/look/activity.h"

#include <gtest/gtest.h>

#include "targets/lpu/energy.h"
#include "targets/lpu/look/hand_made.h"
#include "targets/lpu/look/run_entry.h"

namespace lockstep::targets::lpu {
namespace {

struct Recorded {
  explicit Recorded(const HandMadeChain& chain, Window window = {}, uint32_t bins_max = 1000)
      : map(chain.program), recorder(chain.program, chain.machine) {
    run = run_entry(chain.program, chain.machine, "step", &recorder);
    activity = analyse(recorder, chain.program, chain.machine, chain.program.entries[0], map, run.cycles,
                       window, bins_max);
  }
  const Record& record(uint32_t cycle, uint32_t queue) const {
    static const Record kNone;
    for (const Record& one : recorder.records()) {
      if (one.cycle == cycle && one.queue == queue) return one;
    }
    ADD_FAILURE() << "nothing issued in cycle " << cycle << " of queue " << queue;
    return kNone;
  }

  NodeMap map;
  Recorder recorder;
  Run run;
  Activity activity;
};

uint64_t sum(const Bins& bins) {
  uint64_t all = 0;
  for (uint32_t value : bins) all += value;
  return all;
}

TEST(RecorderTest, FollowsValuesThroughUnits) {
  const HandMadeChain chain;
  const Recorded recorded(chain);
  EXPECT_EQ(recorded.run.cycles, 26u);
  EXPECT_EQ(recorded.recorder.records().size(), 10u);
  const auto cause = [&](const Record& record) { return recorded.recorder.records().at(record.cause).cycle; };

  EXPECT_EQ(recorded.record(0, chain.queue("c0.mem.e.0")).cause, kNoRecord);
  const Record& move = recorded.record(4, chain.queue("c0.vxm.0"));
  EXPECT_EQ(cause(move), 0u);
  EXPECT_EQ(move.earliest, 4u);
  EXPECT_EQ(move.operation_cycles, 1);
  EXPECT_EQ(move.travel_cycles, 1);
  EXPECT_EQ(move.entry_cycles, 2);
  const Record& sum_of = recorded.record(9, chain.queue("c0.vxm.1"));
  EXPECT_EQ(cause(sum_of), 4u);
  EXPECT_EQ(sum_of.earliest, 7u);
  const Record& write = recorded.record(14, chain.queue("c0.mem.e.4"));
  EXPECT_EQ(cause(write), 9u);
  EXPECT_EQ(write.earliest, 12u);
  EXPECT_EQ(write.travel_cycles, 2);
  const Record& read = recorded.record(20, chain.queue("c0.mem.e.4"));
  EXPECT_EQ(cause(read), 14u);
  EXPECT_EQ(read.earliest, 15u);
  EXPECT_EQ(cause(recorded.record(22, chain.queue("c0.mem.e.8"))), 20u);
  EXPECT_EQ(recorded.record(22, chain.queue("c0.mem.e.8")).earliest, 17u);
}

TEST(RecorderTest, FollowsWeightsAndSums) {
  const machine::Machine machine = machine::find_machine("lpu-mini");
  Schedule schedule = hand_made_product(machine);
  const program::Program& program = schedule.build();
  Recorder recorder(program, machine);
  run_entry(program, machine, "step", &recorder);
  const std::vector<Record>& records = recorder.records();
  const auto find = [&](uint32_t cycle) {
    return *std::find_if(records.begin(), records.end(), [&](const Record& r) { return r.cycle == cycle; });
  };
  // Slice 0 at position 1 is the farthest: a read, eight hops.
  EXPECT_EQ(find(20).earliest, 9u);
  EXPECT_EQ(find(22).earliest, 11u);
  EXPECT_EQ(records[find(26).cause].cycle, 22u);
  EXPECT_EQ(find(26).earliest, 14u);
  EXPECT_EQ(records[find(34).cause].cycle, 26u);
  EXPECT_EQ(find(34).earliest, 21u);
  EXPECT_EQ(find(34).effect_cycles, machine.latency.mxm_result);
}

TEST(ActivityTest, TheChainIsTheRunCutAtWhatPasses) {
  const HandMadeChain chain;
  const Activity activity = Recorded(chain).activity;
  const uint32_t first = 0, second = 1, none = program::kNone;
  const std::vector<std::tuple<uint32_t, uint32_t, Passing, uint32_t>> expected = {
      {0, 1, Passing::Mem, none},        {1, 1, Passing::Streams, first},   {2, 2, Passing::Entry, first},
      {4, 3, Passing::Vxm, first},       {7, 2, Passing::Waiting, first},   {9, 3, Passing::Vxm, first},
      {12, 2, Passing::Streams, second}, {14, 3, Passing::Mem, second},     {17, 3, Passing::Waiting, second},
      {20, 1, Passing::Mem, second},     {21, 1, Passing::Streams, second}, {22, 4, Passing::Mem, second}};
  ASSERT_EQ(activity.chain.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const Stretch& stretch = activity.chain[i];
    EXPECT_EQ(std::tuple(stretch.from, stretch.cycles, stretch.passing, stretch.node), expected[i]) << i;
  }
  EXPECT_EQ(activity.least_cycles, 21u);
  EXPECT_EQ(activity.nodes.at(first).chain_cycles, 11u);
  EXPECT_EQ(activity.nodes.at(second).chain_cycles, 14u);
  EXPECT_EQ(activity.nodes.at(2).chain_cycles, 0u);
}

TEST(ActivityTest, CountsWhatIsBusyInBins) {
  const HandMadeChain chain;
  const Recorded recorded(chain, {}, 6);
  const Activity& activity = recorded.activity;
  EXPECT_EQ(activity.bin_cycles, 5u);
  EXPECT_EQ(activity.bins, 6u);
  std::map<uint32_t, Bins> bins;
  for (const QueueUse& use : activity.queues) {
    EXPECT_EQ(sum(use.bins), use.issues);
    bins[use.queue] = use.bins;
  }
  EXPECT_EQ(bins[chain.queue("c0.mem.w.3")], (Bins{3, 1, 0, 0, 0, 0}));
  EXPECT_EQ(bins[chain.queue("c0.mem.e.4")], (Bins{0, 0, 1, 0, 1, 0}));
  // West of slice 0: position 1 in cycle 1, 0 in cycle 2.
  const ChipStreams& streams = activity.streams.at(0);
  EXPECT_EQ(sum(streams.streams.at(32 + 4)), 2u);
  // e8 from the VXM in cycle 12 to position 9; e9 from position 2 in cycle 21, of which 26 cycles show five.
  EXPECT_EQ(streams.streams.at(8), (Bins{0, 0, 3, 5, 2, 0}));
  EXPECT_EQ(sum(streams.streams.at(9)), 5u);
  const uint32_t places = 10, east_outward = 0 * places;
  EXPECT_EQ(streams.positions.at(east_outward + 2), (Bins{0, 0, 1, 0, 1, 0}));
  // The VXM from issue to result: two operations of three cycles.
  EXPECT_EQ(activity.together[1], 6u);
  EXPECT_EQ(activity.together[0], 20u);
}

TEST(ActivityTest, EventsAreThoseOfTheRun) {
  const HandMadeChain chain;
  const Recorded recorded(chain);
  const Events &counted = recorded.activity.events, &run = recorded.run.events;
  EXPECT_EQ(counted.mem_reads, run.mem_reads);
  EXPECT_EQ(counted.mem_writes, run.mem_writes);
  EXPECT_EQ(counted.stream_hops, run.stream_hops);
  EXPECT_EQ(counted.vxm_operations, run.vxm_operations);
  EXPECT_EQ(counted.instructions + chain.program.queues.size(), run.instructions);  // without the barrier's
  EXPECT_EQ(run.mem_reads, 6u);
  EXPECT_EQ(run.vxm_operations, 2u);
}

TEST(ActivityTest, AWindowShowsItsPart) {
  const HandMadeChain chain;
  const Recorded recorded(chain, {4, 10});
  EXPECT_EQ(recorded.activity.bins, 6u);
  EXPECT_EQ(recorded.activity.bin_cycles, 1u);
  EXPECT_EQ(recorded.activity.events.instructions, 4u);  // two repetitions and both ALUs
  EXPECT_EQ(recorded.activity.events.vxm_operations, 2u);
  EXPECT_EQ(recorded.activity.chain.size(), 12u);  // of the whole run
  try {
    Recorded(chain, {26, 30});
    ADD_FAILURE() << "a window after the end was taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("26 cycles"), std::string::npos) << error.what();
  }
}

TEST(ActivityTest, NodesHaveTheirBounds) {
  const HandMadeChain chain;
  const Activity activity = Recorded(chain).activity;
  const NodeUse& first = activity.nodes.at(0);
  EXPECT_EQ(first.from, 4u);
  EXPECT_EQ(first.end, 10u);
  EXPECT_DOUBLE_EQ(least_cycles(first, UnitKind::Vxm, chain.machine, 1), 2.0 / 16);
  EXPECT_DOUBLE_EQ(least_cycles(first, UnitKind::Vxm, chain.machine, 2), 1.0 / 16);
  EXPECT_DOUBLE_EQ(least_stream_cycles(first, chain.machine, 1), 9.0 / (4 * 16 * 10));
  const NodeUse& weights = activity.nodes.at(2);
  EXPECT_EQ(weights.end, 0u);  // memory alone
  EXPECT_DOUBLE_EQ(least_cycles(weights, UnitKind::Mem, chain.machine, 1), 4.0 / 40);
}

TEST(NodeMapTest, NamesWithoutTheirLayer) {
  EXPECT_EQ((NodeMap::Node{"blk.3.attn_q", 3}.kind()), "attn_q");
  EXPECT_EQ((NodeMap::Node{"blk.13.attn_q.rope", 13}.kind()), "attn_q.rope");
  EXPECT_EQ((NodeMap::Node{"output", -1}.kind()), "output");
}

TEST(UnitKindsTest, EveryQueueHasATitleAndABlock) {
  const machine::Geometry geometry = machine::find_machine("lpu-v1").geometry;
  const auto title = [](const char* name) { return unit_title(program::isa::parse_unit_name(name)); };
  EXPECT_EQ(title("c0.mem.w.7"), "slice 7");
  EXPECT_EQ(title("c0.vxm.3"), "ALU 3");
  EXPECT_EQ(title("c0.mxm.e.4"), "plane 1 activations");
  EXPECT_EQ(title("c0.sxm.e.0"), "permuter");
  EXPECT_EQ(title("c0.sxm.e.6"), "distributor 3");
  EXPECT_EQ(title("c0.sxm.w.9"), "rotator");
  EXPECT_EQ(title("c2.c2c.5"), "link 5");
  EXPECT_STREQ(block_name(unit_block(program::isa::parse_unit_name("c0.sxm.w.9"))), "SXM west");
  EXPECT_EQ(kind_queues(UnitKind::Mem, geometry), 88u);
  EXPECT_EQ(kind_queues(UnitKind::MxmWeights, geometry), 4u);
  EXPECT_EQ(kind_queues(UnitKind::SxmDistributor, geometry), 8u);
  EXPECT_EQ(kind_queues(UnitKind::SxmRotator, geometry), 2u);
}

}  // namespace
}  // namespace lockstep::targets::lpu
