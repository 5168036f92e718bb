#include "cli/bench_jitter.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/stopwatch.h"
#include "base/ticks.h"
#include "cli/console.h"

namespace lockstep::cli {

namespace {

constexpr double kSliceS = 0.25;
constexpr double kGapS = 1e-6;
constexpr uint32_t kBucketsPerOctave = 16;

// What has happened to each worker's thread since it was made.
ThreadEvents thread_events(targets::host::HostTarget& target) {
  std::vector<ThreadEvents> each(target.workers());
  target.run_on_workers([&each](uint32_t worker) {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    each[worker] = {static_cast<uint64_t>(usage.ru_nivcsw), static_cast<uint64_t>(usage.ru_nvcsw),
                    static_cast<uint64_t>(usage.ru_minflt + usage.ru_majflt)};
  });
  ThreadEvents sum;
  for (const ThreadEvents& events : each) sum += events;
  return sum;
}

// Processor seconds that the hypervisor gave to others since the system started; 0 where nobody says.
double stolen_s() {
  std::ifstream file("/proc/stat");
  std::string name;
  double value = 0;
  file >> name;
  for (int column = 0; column < 8; ++column) file >> value;  // the eighth is "steal"
  return file ? value / static_cast<double>(::sysconf(_SC_CLK_TCK)) : 0;
}

class JitterRun {
 public:
  JitterRun(BenchTarget& bench, uint32_t depth) : bench_(bench), target_(bench.target()) {
    report_.depth = depth;
  }

  JitterReport run(uint32_t steps) {
    bench_.fill(std::max(1u, report_.depth));
    for (int i = 0; i < 16; ++i) token();
    while (report_.token_s.size() < steps) {
      decode_slice(steps);
      spin_slice();
      ++report_.slices;
      show_progress("jitter", report_.token_s.size(), steps);
    }
    end_progress();
    return std::move(report_);
  }

 private:
  void token() {
    bench_.decode(report_.depth);
    bench_.sample();
  }

  void decode_slice(uint32_t steps) {
    const double stolen_before_s = stolen_s();
    const Stopwatch slice;
    while (slice.seconds() < kSliceS && report_.token_s.size() < steps) {
      const ThreadEvents before = thread_events(target_);
      const uint64_t begin = ticks();
      token();
      const double token_s = static_cast<double>(ticks() - begin) * tick_s();
      const ThreadEvents events = thread_events(target_) - before;
      report_.token_s.push_back(token_s);
      if (events.preemptions == 0) report_.calm_token_s.push_back(token_s);
      report_.token_events += events;
    }
    report_.token_stolen_s += stolen_s() - stolen_before_s;
  }

  // Every worker reads the clock over and over; time that it does not see was taken from it.
  void spin_slice() {
    const double token_s = median(report_.token_s);
    const auto windows = static_cast<size_t>(std::max(1.0, kSliceS / token_s));
    const auto window_ticks = static_cast<uint64_t>(token_s / tick_s());
    const auto gap_ticks = static_cast<uint64_t>(kGapS / tick_s());
    std::vector<std::vector<uint64_t>> lost(target_.workers(), std::vector<uint64_t>(windows));
    std::vector<LogHistogram> gaps(target_.workers(), LogHistogram(1));
    const double stolen_before_s = stolen_s();
    const ThreadEvents before = thread_events(target_);
    target_.run_on_workers([&](uint32_t worker) {
      const uint64_t begin = ticks();
      uint64_t last = begin;
      while (true) {
        const uint64_t now = ticks();
        const uint64_t window = (now - begin) / window_ticks;
        if (window >= windows) break;
        if (now - last >= gap_ticks) {
          lost[worker][window] += now - last;
          gaps[worker].add(static_cast<double>(now - last) * tick_s());
        }
        last = now;
      }
    });
    report_.idle_events += thread_events(target_) - before;
    report_.idle_stolen_s += stolen_s() - stolen_before_s;
    report_.idle_s += static_cast<double>(windows) * token_s;
    for (const LogHistogram& of_worker : gaps) report_.idle_gaps.add(of_worker);
    for (size_t window = 0; window < windows; ++window) {
      uint64_t worst = 0;
      for (const std::vector<uint64_t>& of_worker : lost) worst = std::max(worst, of_worker[window]);
      report_.idle_token_s.push_back(token_s + static_cast<double>(worst) * tick_s());
    }
  }

  BenchTarget& bench_;
  targets::host::HostTarget& target_;
  JitterReport report_;
};

std::string spread_row(const char* name, const std::vector<double>& seconds) {
  const Spread s = spread(seconds);
  return fmt::format("{:<26} {:>7} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.1f} {:>9.3f} {:>9.3f}\n", name,
                     seconds.size(), s.p50_s * 1e6, s.p99_s * 1e6, s.p999_s * 1e6, s.worst_s * 1e6,
                     s.p99_s / s.p50_s, s.p999_s / s.p50_s);
}

nlohmann::ordered_json spread_json(const std::vector<double>& seconds) {
  const Spread s = spread(seconds);
  return {{"count", seconds.size()}, {"p50_s", s.p50_s},     {"p99_s", s.p99_s},
          {"p999_s", s.p999_s},      {"worst_s", s.worst_s}, {"p99_over_p50", s.p99_s / s.p50_s}};
}

nlohmann::ordered_json events_json(const ThreadEvents& events, double stolen_s) {
  return {{"preemptions", events.preemptions},
          {"waits", events.waits},
          {"page_faults", events.page_faults},
          {"stolen_s", stolen_s}};
}

LogHistogram histogram(const std::vector<double>& seconds) {
  LogHistogram out(kBucketsPerOctave);
  for (double value : seconds) out.add(value);
  return out;
}

}  // namespace

ThreadEvents& ThreadEvents::operator+=(const ThreadEvents& other) {
  preemptions += other.preemptions;
  waits += other.waits;
  page_faults += other.page_faults;
  return *this;
}

ThreadEvents ThreadEvents::operator-(const ThreadEvents& other) const {
  return {preemptions - other.preemptions, waits - other.waits, page_faults - other.page_faults};
}

Spread spread(const std::vector<double>& seconds) {
  if (seconds.empty()) return {};
  return {percentile(seconds, 0.5), percentile(seconds, 0.99), percentile(seconds, 0.999),
          percentile(seconds, 1)};
}

JitterReport measure_jitter(BenchTarget& bench, const BenchOptions& options) {
  return JitterRun(bench, options.depths.front()).run(options.steps);
}

std::string text(const JitterReport& report) {
  std::string out = fmt::format("decode at depth {}, {} slices of {} s in turn with spinning\n", report.depth,
                                report.slices, kSliceS);
  out += "                             count    p50 us    p99 us  p99.9 us  worst us   p99/p50 p99.9/p50\n";
  out += spread_row("token", report.token_s);
  if (!report.calm_token_s.empty()) out += spread_row("token, nobody preempted", report.calm_token_s);
  out += spread_row("token by idle gaps alone", report.idle_token_s);
  out += "\n                           preempted     slept  page faults  stolen s\n";
  auto events_row = [&](const char* name, const ThreadEvents& events, double stolen_s) {
    out += fmt::format("{:<26} {:>9} {:>9} {:>12} {:>9.2f}\n", name, events.preemptions, events.waits,
                       events.page_faults, stolen_s);
  };
  events_row("while decoding", report.token_events, report.token_stolen_s);
  events_row("while spinning", report.idle_events, report.idle_stolen_s);
  out += "\ntokens\n" + histogram(report.token_s).text();
  out += fmt::format("\ngaps of 1 us and more in {:.1f} s of spinning\n{}", report.idle_s,
                     report.idle_gaps.text());
  return out;
}

nlohmann::ordered_json json(const JitterReport& report) {
  nlohmann::ordered_json out;
  out["what"] = "jitter";
  out["depth"] = report.depth;
  out["slices"] = report.slices;
  out["token"] = spread_json(report.token_s);
  out["calm_token"] = spread_json(report.calm_token_s);
  out["idle_token"] = spread_json(report.idle_token_s);
  out["decoding"] = events_json(report.token_events, report.token_stolen_s);
  out["spinning"] = events_json(report.idle_events, report.idle_stolen_s);
  out["spinning_s"] = report.idle_s;
  out["token_histogram"] = histogram(report.token_s).json();
  out["idle_token_histogram"] = histogram(report.idle_token_s).json();
  out["idle_gaps"] = report.idle_gaps.json();
  return out;
}

}  // namespace lockstep::cli
