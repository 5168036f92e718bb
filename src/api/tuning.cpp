#include "api/tuning.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/run_delay.h"
#include "base/stopwatch.h"
#include "store/cache.h"
#include "targets/host/kernels/kernels.h"
#include "targets/sole_sequence.h"

namespace lockstep::api {

namespace {

constexpr double kMeasureSeconds = 1.0;  // in all, about
constexpr uint32_t kStreamRows = 32;     // up to which a step's rows may all be streams and drafts
constexpr uint32_t kRows[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512};
// Fewer workers must be this much faster to be chosen: the machine may just have been busy.
constexpr double kClearlyFaster = 0.85;

// Waiting for a core, this part of a measurement's time, makes it one of the machine's other work.
constexpr double kCalmWaiting = 0.05;

struct Measured {
  Tuning tuning;
  bool calm = true;  // no other work was in the way
};

// Whether the process's threads had their cores for themselves since this was made.
class CalmWatch {
 public:
  bool calm() const { return run_delay_seconds() - delay_s_ <= kCalmWaiting * watch_.seconds(); }

 private:
  double delay_s_ = run_delay_seconds();
  Stopwatch watch_;
};

// The best of some steps of `rows` rows, within about `budget_s`. Of few rows all logits are wanted, as
// drafts and many streams want them, of many the last, as a prompt does.
double step_seconds(targets::SoleSequence& sequence, uint32_t rows, double budget_s) {
  std::vector<int32_t> tokens(rows), wanted;
  for (uint32_t i = 0; i < rows; ++i) tokens[i] = static_cast<int32_t>(i % 2);
  for (uint32_t i = rows <= kStreamRows ? 0 : rows - 1; i < rows; ++i)
    wanted.push_back(static_cast<int32_t>(i));
  double best = std::numeric_limits<double>::infinity();
  const Stopwatch all;
  for (uint32_t repeat = 0; repeat < 10 && (repeat == 0 || all.seconds() < budget_s); ++repeat) {
    const Stopwatch watch;
    sequence.step(tokens, 0, wanted);
    best = std::min(best, watch.seconds());
  }
  return best;
}

Measured measure(const program::Program& program, targets::host::HostOptions host) {
  Tuning tuning;
  const CalmWatch calm_watch;
  host.context = std::min(program.context_max, kRows[std::size(kRows) - 1]);
  host.kv_positions = 0;
  const bool choose_workers = host.workers == 0;
  if (choose_workers) host.workers = targets::host::default_workers();
  auto target = targets::host::load(program, host);
  double best = 0;
  {
    targets::SoleSequence sequence(*target);
    best = step_seconds(sequence, 1, kMeasureSeconds / 16);
  }
  while (choose_workers && host.workers > 1) {
    targets::host::HostOptions fewer = host;
    fewer.workers = host.workers / 2;
    auto other = targets::host::load(program, fewer);
    targets::SoleSequence sequence(*other);
    const double seconds = step_seconds(sequence, 1, kMeasureSeconds / 16);
    if (seconds > best * kClearlyFaster || !calm_watch.calm()) break;
    best = seconds;
    host = fewer;
    target = std::move(other);
  }
  tuning.workers = host.workers;
  targets::SoleSequence sequence(*target);
  const Stopwatch watch;
  for (uint32_t rows : kRows) {
    if (rows > std::min(target->rows_max(), target->context())) break;
    tuning.steps.push_back({rows, step_seconds(sequence, rows, kMeasureSeconds / 32)});
    // The next takes about twice as long as this one.
    if (watch.seconds() + 2 * tuning.steps.back().seconds > kMeasureSeconds) break;
  }
  return {tuning, calm_watch.calm()};
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name") || line.starts_with("CPU part")) return line;
  }
  return "unknown";
}

// Names what a tuning depends on.
std::string tuning_key(const LoadedProgram& loaded, const targets::host::HostOptions& host) {
  const std::string text =
      fmt::format("{}|{}|{}|{}|{}|{}", hex(loaded.program_hash), targets::host::select_kernels(host.isa).name,
                  host.workers, targets::host::default_workers(), cpu_name(), compiler::kCompilerVersion);
  return hex(blake2b(lockstep::as_bytes(text)));
}

}  // namespace

uint32_t Tuning::prefill_rows() const {
  // A large model's measurement ends early, with rows still getting cheaper.
  if (steps.empty() || steps.back().rows < targets::kPrefillRows) return targets::kPrefillRows;
  double least = std::numeric_limits<double>::infinity();
  for (const engine::StepTime& step : steps) least = std::min(least, step.seconds / step.rows);
  for (const engine::StepTime& step : steps) {
    if (step.seconds / step.rows <= 1.03 * least) return step.rows;
  }
  return targets::kPrefillRows;
}

uint32_t Tuning::mixed_rows() const {
  uint32_t rows = 1;
  for (const engine::StepTime& step : steps) {
    if (step.seconds <= kPace * steps.front().seconds) rows = std::max(rows, step.rows);
  }
  return rows;
}

engine::BatchOptions batch_options(const Tuning& tuning) {
  engine::BatchOptions options;
  options.prefill_rows = tuning.prefill_rows();
  options.mixed_rows = tuning.mixed_rows();
  for (const engine::StepTime& step : tuning.steps) {
    if (step.rows <= kStreamRows) options.step_times.push_back(step);
  }
  return options;
}

std::vector<std::byte> encode_tuning(const Tuning& tuning) {
  nlohmann::ordered_json json = {{"workers", tuning.workers}, {"steps", nlohmann::ordered_json::array()}};
  for (const engine::StepTime& step : tuning.steps) json["steps"].push_back({step.rows, step.seconds});
  const std::string text = json.dump(1);
  const Bytes bytes = lockstep::as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

std::optional<Tuning> decode_tuning(Bytes bytes) {
  const nlohmann::json json = nlohmann::json::parse(lockstep::as_text(bytes), nullptr, false);
  if (!json.is_object() || !json.contains("workers") || !json["workers"].is_number_unsigned())
    return std::nullopt;
  if (!json.contains("steps") || !json["steps"].is_array() || json["steps"].empty()) return std::nullopt;
  Tuning tuning;
  tuning.workers = json["workers"].get<uint32_t>();
  if (tuning.workers == 0 || tuning.workers > kWorkersMax) return std::nullopt;
  uint32_t before = 0;
  for (const nlohmann::json& step : json["steps"]) {
    if (!step.is_array() || step.size() != 2 || !step[0].is_number_unsigned() || !step[1].is_number()) {
      return std::nullopt;
    }
    tuning.steps.push_back({step[0].get<uint32_t>(), step[1].get<double>()});
    if (tuning.steps.back().rows <= before || !(tuning.steps.back().seconds > 0)) return std::nullopt;
    before = tuning.steps.back().rows;
  }
  return tuning;
}

Tuning find_tuning(const LoadedProgram& loaded, const targets::host::HostOptions& host,
                   const LoadOptions& options) {
  if (!options.use_cache) return measure(loaded.program, host).tuning;
  const store::Cache::Opened opened = store::Cache::open(store::cache_settings_from_environment());
  if (!opened.cache) return measure(loaded.program, host).tuning;
  const std::string key = tuning_key(loaded, host);
  try {
    if (const auto file = opened.cache->tunings().open(key)) {
      if (auto tuning = decode_tuning(file->bytes())) return *tuning;
    }
    if (options.progress) options.progress("find what is fastest here", 0, 1);
    const Measured measured = measure(loaded.program, host);
    if (options.progress) options.progress("find what is fastest here", 1, 1);
    if (measured.calm) opened.cache->tunings().put(key, encode_tuning(measured.tuning));
    return measured.tuning;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Machine) throw;
    return measure(loaded.program, host).tuning;
  }
}

}  // namespace lockstep::api
