#include "cli/bench_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/stopwatch.h"
#include "base/ticks.h"
#include "cli/console.h"
#include "cli/statistics.h"

namespace lockstep::cli {

namespace {

using program::isa::PanelKind;
using targets::host::StepProfile;

// A piece of work that is run several times: what its steps cost and take.
class ProfiledWork {
 public:
  // `shapes`: of the steps, each the same for every stream.
  ProfiledWork(BenchTarget& bench, std::string what, uint32_t tokens, uint32_t depth, uint32_t streams,
               std::vector<SequenceShape> shapes)
      : bench_(&bench),
        queue_(&bench.program().queues[bench.program().entry("step").queues[0]].instructions),
        shapes_(std::move(shapes)),
        profile_(static_cast<uint32_t>(queue_->size()), bench.target().workers()) {
    table_.what = std::move(what);
    table_.tokens = tokens;
    table_.depth = depth;
    table_.streams = streams;
    table_.steps = static_cast<uint32_t>(shapes_.size());
  }

  const std::string& what() const { return table_.what; }

  // The cache before a depth; also warms up.
  void fill() {
    for (uint32_t stream = 0; stream < table_.streams; ++stream) {
      bench_->fill(std::max(1u, table_.depth), stream);
    }
  }

  // Runs the steps once without the profile and once with it.
  void run() {
    const Stopwatch watch;
    run_steps();
    unprofiled_s_.push_back(watch.seconds() / table_.steps);
    bench_->target().profile = &profile_;
    run_steps();
    bench_->target().profile = nullptr;
    profiled_steps_ += table_.steps;
  }

  ProfileTable table(const MachineLimits& limits) const {
    ProfileTable table = table_;
    table.step_s = static_cast<double>(profiled_ticks_) * tick_s() / profiled_steps_;
    table.unprofiled_step_s = median(unprofiled_s_);
    double part_s[kParts] = {};
    const uint32_t workers = profile_.workers();
    for (uint32_t i = 0; i < queue_->size(); ++i) {
      for (uint32_t worker = 0; worker < workers; ++worker) {
        part_s[static_cast<size_t>(part_of((*queue_)[i]))] +=
            profile_.seconds(i, worker) / workers / profiled_steps_;
      }
    }
    part_s[static_cast<size_t>(Part::Sampling)] =
        static_cast<double>(sampling_ticks_) * tick_s() / profiled_steps_;
    // What no instruction took: waking the workers, waiting for the last, the caller.
    const double named_s = std::accumulate(part_s, part_s + kParts, 0.0);
    part_s[static_cast<size_t>(Part::Rest)] += table.step_s - named_s;
    for (size_t i = 0; i < kParts; ++i) table.parts.push_back({static_cast<Part>(i), part_s[i], 0});
    for (const SequenceShape& shape : shapes_) {
      const std::vector<SequenceShape> sequences(table_.streams, shape);
      const PartCosts costs = part_costs(bench_->program(), sequences);
      for (size_t i = 0; i < kParts; ++i)
        table.parts[i].bound_s += cli::bound_s(costs[i], limits) / table.steps;
    }
    return table;
  }

 private:
  // Adds to the ticks where the profile is switched on.
  void run_steps() {
    const bool profiled = bench_->target().profile != nullptr;
    for (const SequenceShape& shape : shapes_) {
      const uint64_t begin = ticks();
      bench_->run(shape, table_.streams);
      const uint64_t stepped = ticks();
      if (shape.wanted != 0) bench_->sample(table_.streams);
      const uint64_t end = ticks();
      profiled_ticks_ += profiled ? end - begin : 0;
      sampling_ticks_ += profiled ? end - stepped : 0;
    }
  }

  BenchTarget* bench_;
  const std::vector<program::Instruction>* queue_;
  std::vector<SequenceShape> shapes_;  // of the steps
  StepProfile profile_;
  ProfileTable table_;  // without its times
  std::vector<double> unprofiled_s_;
  uint64_t profiled_ticks_ = 0, sampling_ticks_ = 0, profiled_steps_ = 0;
};

// The best of both.
void improve(MachineLimits& limits, const MachineLimits& other) {
  limits.stream_bytes_s = std::max(limits.stream_bytes_s, other.stream_bytes_s);
  limits.cached_bytes_s = std::max(limits.cached_bytes_s, other.cached_bytes_s);
  for (size_t kind = 0; kind < kPanelKinds; ++kind) {
    limits.products_s[kind] = std::max(limits.products_s[kind], other.products_s[kind]);
  }
  limits.sync_s = std::min(limits.sync_s, other.sync_s);
}

}  // namespace

double ProfileTable::bound_s() const {
  double sum = 0;
  for (const PartTime& part : parts) sum += part.bound_s;
  return sum;
}

ProfileReport measure_profile(BenchTarget& bench, const BenchOptions& options) {
  std::vector<ProfiledWork> works;
  if (options.prompt != 0)
    works.emplace_back(bench, "prefill", options.prompt, 0, 1, bench.chunks(options.prompt));
  for (uint32_t depth : options.depths) {
    if (options.tokens == 0) break;
    std::vector<SequenceShape> shapes;
    for (uint32_t i = 0; i < options.tokens; ++i) shapes.push_back({1, depth + i, 1});
    if (options.streams.empty()) works.emplace_back(bench, "decode", options.tokens, depth, 1, shapes);
    for (uint32_t streams : options.streams) {
      works.emplace_back(bench, "streams", options.tokens, depth, streams, shapes);
    }
  }
  ProfileReport report;
  report.limits = bench.limits();
  for (ProfiledWork& work : works) {
    work.fill();
    for (uint32_t repeat = 0; repeat < options.repeats; ++repeat) {
      work.run();
      show_progress("profile of " + work.what(), repeat + 1, options.repeats);
    }
    improve(report.limits, bench.limits());
  }
  end_progress();
  for (const ProfiledWork& work : works) report.tables.push_back(work.table(report.limits));
  return report;
}

std::string text(const ProfileReport& report) {
  const MachineLimits& limits = report.limits;
  std::string out = fmt::format(
      "limits of this run: {:.1f} GB/s streamed, {:.0f} GB/s from the first cache, {:.2f} us a meeting\n"
      "products of a weight and an activation, G/s:",
      limits.stream_bytes_s / 1e9, limits.cached_bytes_s / 1e9, limits.sync_s * 1e6);
  for (size_t kind = 0; kind < kPanelKinds; ++kind) {
    out += fmt::format(" {} {:.0f}", panel_kind_name(static_cast<PanelKind>(kind)),
                       limits.products_s[kind] / 1e9);
  }
  out += "\n";
  for (const ProfileTable& table : report.tables) {
    out += fmt::format(
        "\n{} of {} tokens at depth {}, {} at once: {} steps of {:.1f} us ({:.1f} unprofiled), {:.1f} "
        "tok/s\n",
        table.what, table.tokens, table.depth, table.streams, table.steps, table.step_s * 1e6,
        table.unprofiled_step_s * 1e6, table.tok_s());
    out += "part                    us a step  share   bound us  reached\n";
    auto row = [&](const char* name, double step_s, double bound_s) {
      const std::string bound = bound_s == 0 ? "-" : fmt::format("{:.1f}", bound_s * 1e6);
      const std::string reached = bound_s == 0 ? "-" : fmt::format("{:.0f}%", 100 * bound_s / step_s);
      out += fmt::format("{:<22} {:>10.1f} {:>5.1f}% {:>10} {:>8}\n", name, step_s * 1e6,
                         100 * step_s / table.step_s, bound, reached);
    };
    for (const PartTime& part : table.parts) row(part_name(part.part), part.step_s, part.bound_s);
    row("a step", table.step_s, table.bound_s());
  }
  return out;
}

nlohmann::ordered_json json(const ProfileReport& report) {
  nlohmann::ordered_json out;
  out["read_bytes_s"] = report.limits.stream_bytes_s;
  out["cached_bytes_s"] = report.limits.cached_bytes_s;
  for (size_t kind = 0; kind < kPanelKinds; ++kind) {
    out["products_s"][panel_kind_name(static_cast<PanelKind>(kind))] = report.limits.products_s[kind];
  }
  out["sync_s"] = report.limits.sync_s;
  out["profiles"] = nlohmann::ordered_json::array();
  for (const ProfileTable& table : report.tables) {
    nlohmann::ordered_json item;
    item["what"] = table.what;
    item["tokens"] = table.tokens;
    item["depth"] = table.depth;
    item["streams"] = table.streams;
    item["steps"] = table.steps;
    item["tok_s"] = table.tok_s();
    item["step_s"] = table.step_s;
    item["unprofiled_step_s"] = table.unprofiled_step_s;
    item["bound_s"] = table.bound_s();
    item["parts"] = nlohmann::ordered_json::array();
    for (const PartTime& part : table.parts) {
      item["parts"].push_back({{"part", part_name(part.part)},
                               {"step_s", part.step_s},
                               {"share", part.step_s / table.step_s},
                               {"bound_s", part.bound_s}});
    }
    out["profiles"].push_back(std::move(item));
  }
  return out;
}

}  // namespace lockstep::cli
