// lockstep bench: prefill and decode speed, of one or many streams, beside the bound that memory sets in the
// same run; where a step's time goes (--profile); how evenly tokens come (--jitter); what speculation gains
// (--workload).
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "base/stopwatch.h"
#include "cli/bench_jitter.h"
#include "cli/bench_profile.h"
#include "cli/bench_workload.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/statistics.h"

namespace lockstep::cli {

namespace {

struct Row {
  std::string what;
  uint32_t tokens = 0, depth = 0, streams = 1;  // tokens of each stream
  double tok_s = 0;                             // of all streams together
  uint64_t bytes_per_token = 0;
  double bandwidth = 0;  // bytes a second, read by the same threads right before and after
  double bound_tok_s() const { return bandwidth / static_cast<double>(bytes_per_token); }
};

Row measure_prefill(BenchTarget& bench, const BenchOptions& options) {
  std::vector<double> seconds, bandwidths = {bench.stream_bandwidth()};
  bench.fill(options.prompt);
  for (uint32_t repeat = 0; repeat < options.repeats; ++repeat) {
    const Stopwatch watch;
    bench.fill(options.prompt);
    seconds.push_back(watch.seconds());
    show_progress("prefill", repeat + 1, options.repeats);
  }
  bandwidths.push_back(bench.stream_bandwidth());
  // Weights are read once a chunk.
  const double chunks = static_cast<double>(bench.chunks(options.prompt).size());
  const auto bytes =
      static_cast<uint64_t>(static_cast<double>(bench.cost().weights_bytes) * chunks / options.prompt);
  return {"prefill", options.prompt, 0, 1, options.prompt / median(seconds), bytes, median(bandwidths)};
}

// Runs decode(i) for each of the tokens, several times.
Row measure_decode(BenchTarget& bench, const BenchOptions& options, Row row,
                   const std::function<void(uint32_t)>& decode) {
  for (uint32_t stream = 0; stream < row.streams && row.depth != 0; ++stream) bench.fill(row.depth, stream);
  std::vector<double> seconds, bandwidths = {bench.stream_bandwidth()};
  for (uint32_t repeat = 0; repeat < options.repeats + 1; ++repeat) {
    const Stopwatch watch;
    for (uint32_t i = 0; i < row.tokens; ++i) decode(i);
    if (repeat != 0) seconds.push_back(watch.seconds());  // the first warms up
    bandwidths.push_back(bench.stream_bandwidth());
    show_progress(fmt::format("decode at depth {}", row.depth), repeat, options.repeats);
  }
  const uint64_t cached_bytes = bench.cost().kv_bytes_per_position * (row.depth + row.tokens / 2);
  row.bytes_per_token = bench.cost().weights_bytes / row.streams + cached_bytes;
  row.tok_s = row.streams * row.tokens / median(seconds);
  row.bandwidth = median(bandwidths);
  return row;
}

// One token a step; what the engine does with its logits is left out, as in other engines' measurements.
Row measure_one(BenchTarget& bench, const BenchOptions& options, uint32_t depth) {
  return measure_decode(bench, options, {"decode", options.tokens, depth},
                        [&](uint32_t i) { bench.decode(depth + i); });
}

// A token of each stream a step, with its digest and choice.
Row measure_streams(BenchTarget& bench, const BenchOptions& options, uint32_t depth, uint32_t streams) {
  return measure_decode(bench, options, {"streams", options.tokens, depth, streams}, [&](uint32_t i) {
    bench.decode(depth + i, streams);
    bench.sample(streams);
  });
}

std::string rows_text(const std::vector<Row>& rows) {
  std::string out =
      "what     tokens  depth  streams     tok/s  MB a token  GB/s read  bound tok/s  reached\n";
  for (const Row& row : rows) {
    out += fmt::format("{:<8} {:>6} {:>6} {:>8} {:>9.1f} {:>11.1f} {:>10.1f} {:>12.1f} {:>7.0f}%\n", row.what,
                       row.tokens, row.depth, row.streams, row.tok_s,
                       static_cast<double>(row.bytes_per_token) / 1e6, row.bandwidth / 1e9, row.bound_tok_s(),
                       100 * row.tok_s / row.bound_tok_s());
  }
  return out;
}

nlohmann::ordered_json rows_json(const std::vector<Row>& rows, const targets::host::HostTarget& target) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    nlohmann::ordered_json item;
    item["what"] = row.what;
    item["tokens"] = row.tokens;
    item["depth"] = row.depth;
    item["streams"] = row.streams;
    item["tok_s"] = row.tok_s;
    item["bytes_per_token"] = row.bytes_per_token;
    item["read_bytes_s"] = row.bandwidth;
    item["bound_tok_s"] = row.bound_tok_s();
    item["fraction"] = row.tok_s / row.bound_tok_s();
    item["threads"] = target.workers();
    item["isa"] = api::kernels_name(target);
    list.push_back(std::move(item));
  }
  return list;
}

void run(const BenchOptions& options) {
  if (!options.workload.empty()) return bench_workload(options);
  const api::LoadedProgram loaded = api::load_program(options.model.path(), options.model.load_options());
  uint32_t positions = options.jitter ? 1 : options.prompt;
  for (uint32_t depth : options.depths) {
    positions = std::max(positions, depth + (options.jitter ? 1 : std::max(1u, options.tokens)));
  }
  const uint32_t streams_max =
      options.streams.empty() ? 1 : *std::max_element(options.streams.begin(), options.streams.end());
  BenchTarget bench(options.model, loaded.program, positions, streams_max);

  std::string told;
  nlohmann::ordered_json result;
  auto tell = [&](std::string as_text, nlohmann::ordered_json as_json) {
    told = std::move(as_text);
    result = std::move(as_json);
  };
  if (options.profile) {
    const ProfileReport report = measure_profile(bench, options);
    tell(text(report), json(report));
  } else if (options.jitter) {
    const JitterReport report = measure_jitter(bench, options);
    tell(text(report), json(report));
  } else {
    std::vector<Row> rows;
    if (options.prompt != 0) rows.push_back(measure_prefill(bench, options));
    for (uint32_t depth : options.depths) {
      if (options.tokens == 0) break;
      if (options.streams.empty()) rows.push_back(measure_one(bench, options, depth));
      for (uint32_t streams : options.streams) {
        rows.push_back(measure_streams(bench, options, depth, streams));
      }
    }
    end_progress();
    tell(rows_text(rows), rows_json(rows, bench.target()));
  }
  if (options.json) return print_json(result);
  print_text(fmt::format("{}, {} weights, {} KV bits, {} kernels, {} threads\n{}", loaded.program.model_name,
                         loaded.program.weight_variant, loaded.program.state.kv_bits,
                         api::kernels_name(bench.target()), bench.target().workers(), told));
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("bench", "Measure prefill and decode beside the memory bound of the same run");
  auto options = std::make_shared<BenchOptions>();
  command->add_option("-p,--prompt", options->prompt, "prompt tokens of the prefill; 0: none")
      ->capture_default_str();
  command->add_option("-n,--tokens", options->tokens, "tokens to decode; 0: none")->capture_default_str();
  command->add_option("--depth", options->depths, "positions before the decoded tokens, such as 0,2048")
      ->delimiter(',');
  command->add_option("-r,--repeats", options->repeats, "measurements; the median counts")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  CLI::Option* profile =
      command->add_flag("--profile", options->profile,
                        "show where a step's time goes, each part beside the least that it can take");
  CLI::Option* jitter =
      command->add_flag("--jitter", options->jitter,
                        "show how evenly tokens come, beside threads that only spin; at the first depth");
  profile->excludes(jitter);
  command
      ->add_option("--streams", options->streams,
                   "decode so many sequences together, each token sampled, such as 1,4,16")
      ->delimiter(',')
      ->check(CLI::Range(1u, 65536u))
      ->excludes(jitter);
  CLI::Option* workload =
      command
          ->add_option("--workload", options->workload,
                       "answer the prompts in these files with speculation and without, in turn")
          ->type_name("FILE")
          ->delimiter(',')
          ->excludes(profile)
          ->excludes(jitter)
          ->excludes("--streams")
          ->excludes("--depth");
  command->add_option("--temperature", options->temperature, "of --workload")
      ->capture_default_str()
      ->needs(workload);
  command->add_option("--steps", options->steps, "tokens of --jitter")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command->add_flag("--json", options->json,
                    "print JSON: a list of rows; an object with --profile, --jitter or --workload");
  options->model.add(*command);
  command->footer(
      "\nExamples:\n  lockstep bench -p 512 -n 128 --depth 0,2048 --threads 2\n  lockstep bench --profile -n "
      "64\n"
      "  lockstep bench --jitter\n  lockstep bench -p 0 -n 64 --streams 1,4,16 --depth 32\n"
      "  lockstep bench --workload prompt.txt");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
