#include "targets/lpu/look/perfetto_trace.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "targets/lpu/look/hand_made.h"
#include "targets/lpu/look/run_entry.h"

namespace lockstep::targets::lpu {
namespace {

using Json = nlohmann::json;

Json trace_of(const HandMadeChain& chain, Window window = {}) {
  std::string text;
  PerfettoTrace trace(chain.program, "step", window, [&](std::string_view part) { text += part; });
  run_entry(chain.program, chain.machine, "step", &trace);
  trace.finish();
  return Json::parse(text);
}

// Slices of a queue: begin and length in cycles, and the name.
using Slices = std::vector<std::tuple<int64_t, int64_t, std::string>>;
Slices slices(const Json& trace, const std::string& unit, const std::string& category) {
  Json track;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == "M" && event["name"] == "thread_name" &&
        event["args"]["name"].get<std::string>().find("(" + unit + ")") != std::string::npos) {
      track = event;
    }
  }
  Slices found;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] != "X" || event["cat"] != category) continue;
    if (event["pid"] != track["pid"] || event["tid"] != track["tid"]) continue;
    const auto cycles = [](const Json& time) { return std::lround(time.get<double>() * 1000); };
    found.push_back({cycles(event["ts"]), cycles(event["dur"]), event["name"]});
  }
  return found;
}

TEST(PerfettoTraceTest, EveryQueueHasItsInstructionsAndNodes) {
  const HandMadeChain chain;
  const Json trace = trace_of(chain);
  EXPECT_EQ(slices(trace, "c0.vxm.1", "instruction"), (Slices{{9, 1, "iadd alu0 #1 -> e8.i8"}}));
  EXPECT_EQ(slices(trace, "c0.mem.w.3", "instruction"), (Slices{{2, 4, "read row=0 out=w0 step=1"}}));
  EXPECT_EQ(slices(trace, "c0.mem.e.4", "instruction"),
            (Slices{{14, 1, "write row=5 in=e8"}, {20, 1, "read row=5 out=e9"}}));
  EXPECT_EQ(slices(trace, "c0.mem.e.4", "node"), (Slices{{14, 7, "blk.0.second"}}));
  EXPECT_EQ(slices(trace, "c0.mem.e.0", "node"), Slices{});
  for (const char* key : {"model", "entry", "machine"}) EXPECT_TRUE(trace["otherData"].contains(key)) << key;
}

TEST(PerfettoTraceTest, QueuesAreGroupedByChipAndBlock) {
  const HandMadeChain chain;
  std::map<int, std::string> processes;
  std::set<std::pair<int, int>> threads;
  const Json trace = trace_of(chain);
  for (const Json& event : trace["traceEvents"]) {
    if (event["name"] == "process_name") processes[event["pid"]] = event["args"]["name"];
    if (event["name"] == "thread_name") {
      EXPECT_TRUE(processes.contains(event["pid"].get<int>()));
      EXPECT_TRUE(threads.insert({event["pid"].get<int>(), event["tid"].get<int>()}).second);
    }
  }
  std::set<std::string> names;
  for (const auto& [process, name] : processes) names.insert(name);
  EXPECT_EQ(names, (std::set<std::string>{"graph", "chip 0: MEM east", "chip 0: MEM west", "chip 0: VXM"}));
  EXPECT_EQ(threads.size(), chain.program.queues.size());
}

TEST(PerfettoTraceTest, TheGraphHasTheTimeOfNodesAndLayers) {
  const HandMadeChain chain;
  std::map<std::string, std::vector<int64_t>> spans;
  const Json trace = trace_of(chain);
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == "b" || event["ph"] == "e") {
      spans[event["name"]].push_back(std::lround(event["ts"].get<double>() * 1000));
    }
  }
  // Memory alone gives a node no time.
  EXPECT_EQ(spans,
            (std::map<std::string, std::vector<int64_t>>{{"blk.0.first", {4, 10}}, {"layer 0", {4, 10}}}));
}

TEST(PerfettoTraceTest, AWindowLeavesOutTheRest) {
  const HandMadeChain chain;
  const Json trace = trace_of(chain, {3, 10});
  EXPECT_EQ(slices(trace, "c0.mem.w.3", "instruction"), (Slices{{3, 3, "read row=0 out=w0 step=1"}}));
  EXPECT_EQ(slices(trace, "c0.vxm.1", "instruction").size(), 1u);
  EXPECT_EQ(slices(trace, "c0.mem.e.4", "instruction"), Slices{});
}

}  // namespace
}  // namespace lockstep::targets::lpu
