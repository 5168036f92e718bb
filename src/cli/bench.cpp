// lockstep bench: prefill and decode speed beside the bound that memory sets in the same run.
#include <algorithm>
#include <memory>
#include <thread>

#include "cli/answer.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/cost.h"
#include "cli/options.h"
#include "targets/sole_sequence.h"

namespace lockstep::cli {

namespace {

struct BenchOptions {
  ModelOptions model;
  uint32_t prompt = 512, tokens = 128, repeats = 3;
  std::vector<uint32_t> depths = {0};
  bool json = false;
};

struct Row {
  std::string what;
  uint32_t tokens = 0, depth = 0;
  double tok_s = 0;
  uint64_t bytes_per_token = 0;
  double bandwidth = 0;  // bytes a second, read by the same threads right before and after
  double bound_tok_s() const { return bandwidth / static_cast<double>(bytes_per_token); }
};

// Reads every byte once, in four streams, which is faster than one; the sum keeps the loads from being
// dropped.
uint64_t read_all(const std::byte* data, uint64_t bytes) {
  typedef uint64_t Lanes __attribute__((vector_size(64)));
  constexpr uint64_t kStreams = 4;
  const uint64_t lanes_each = bytes / kStreams / sizeof(Lanes);
  const auto* lanes = reinterpret_cast<const Lanes*>(data);
  Lanes sums[kStreams] = {};
  for (uint64_t i = 0; i < lanes_each; ++i) {
    for (uint64_t stream = 0; stream < kStreams; ++stream) sums[stream] += lanes[stream * lanes_each + i];
  }
  uint64_t total = 0;
  for (const Lanes& sum : sums) {
    for (int j = 0; j < 8; ++j) total += sum[j];
  }
  return total;
}

// Bytes a second with which `threads` threads stream a buffer, each its own part, over and over.
double read_bandwidth(const AlignedBuffer& buffer, uint32_t threads, uint32_t rounds) {
  std::atomic<uint64_t> total{0};
  const uint64_t part = buffer.size() / threads / 4096 * 4096;
  auto read_part = [&](uint32_t thread) {
    for (uint32_t round = 0; round < rounds; ++round) total += read_all(buffer.data() + thread * part, part);
  };
  const Stopwatch watch;
  {
    std::vector<std::jthread> helpers;
    for (uint32_t thread = 1; thread < threads; ++thread) helpers.emplace_back(read_part, thread);
    read_part(0);
  }
  const double bytes = static_cast<double>(part) * threads * rounds;
  // Uses the sum, so that no load can be left out.
  return bytes / watch.seconds() + (total == 1 ? 1.0 : 0.0);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Bench {
 public:
  Bench(const BenchOptions& options, const api::LoadedProgram& loaded)
      : options_(options), program_(loaded.program), cost_(step_cost(program_)) {
    uint32_t context = std::max(options.prompt, options.tokens);
    for (uint32_t depth : options.depths) context = std::max(context, depth + options.tokens);
    targets::host::HostOptions host = options.model.host_options();
    host.context = std::max(host.context, context);
    target_ = api::load_target(program_, host);
    sequence_.emplace(*target_);
    buffer_ = AlignedBuffer(cost_.weights_bytes, PageSize::Huge);
    for (uint64_t i = 0; i < buffer_.size(); i += 8) buffer_.data()[i] = static_cast<std::byte>(i >> 6);
  }

  std::vector<Row> run() {
    std::vector<Row> rows;
    if (options_.prompt != 0) rows.push_back(prefill());
    if (options_.tokens != 0) {
      for (uint32_t depth : options_.depths) rows.push_back(decode(depth));
    }
    return rows;
  }

  const targets::host::HostTarget& target() const { return *target_; }

 private:
  // Tokens that differ from one another; which they are does not change the work.
  std::vector<int32_t> some_tokens(uint32_t count) const {
    std::vector<int32_t> tokens(count);
    for (uint32_t i = 0; i < count; ++i)
      tokens[i] = static_cast<int32_t>((i * 7919u + 13u) % program_.vocabulary);
    return tokens;
  }

  void fill(std::span<const int32_t> tokens) { sequence_->prefill(tokens, 0, options_.model.chunk); }

  double bandwidth() const { return read_bandwidth(buffer_, target_->workers(), 4); }

  Row prefill() {
    const std::vector<int32_t> tokens = some_tokens(options_.prompt);
    std::vector<double> seconds, bandwidths = {bandwidth()};
    fill(tokens);
    for (uint32_t repeat = 0; repeat < options_.repeats; ++repeat) {
      const Stopwatch watch;
      fill(tokens);
      seconds.push_back(watch.seconds());
      show_progress("prefill", repeat + 1, options_.repeats);
    }
    bandwidths.push_back(bandwidth());
    // Weights are read once a chunk.
    const uint32_t chunk = options_.model.chunk == 0 ? targets::kPrefillRows : options_.model.chunk;
    const double chunks = std::max(1.0, static_cast<double>(options_.prompt) / chunk);
    const auto bytes =
        static_cast<uint64_t>(static_cast<double>(cost_.weights_bytes) * chunks / options_.prompt);
    return {"prefill", options_.prompt, 0, options_.prompt / median(seconds), bytes, median(bandwidths)};
  }

  Row decode(uint32_t depth) {
    const std::vector<int32_t> tokens = some_tokens(depth + options_.tokens);
    if (depth != 0) fill(std::span(tokens).first(depth));
    std::vector<double> seconds, bandwidths = {bandwidth()};
    for (uint32_t repeat = 0; repeat < options_.repeats + 1; ++repeat) {
      const Stopwatch watch;
      for (uint32_t i = 0; i < options_.tokens; ++i) {
        const int32_t wanted = 0;
        sequence_->step(std::span(&tokens[depth + i], 1), depth + i, std::span(&wanted, 1));
      }
      if (repeat != 0) seconds.push_back(watch.seconds());  // the first warms up
      bandwidths.push_back(bandwidth());
      show_progress(fmt::format("decode at depth {}", depth), repeat, options_.repeats);
    }
    const uint64_t bytes = cost_.weights_bytes + cost_.kv_bytes_per_position * (depth + options_.tokens / 2);
    return {"decode", options_.tokens, depth, options_.tokens / median(seconds), bytes, median(bandwidths)};
  }

  const BenchOptions& options_;
  const program::Program& program_;
  const StepCost cost_;
  std::unique_ptr<targets::host::HostTarget> target_;
  std::optional<targets::SoleSequence> sequence_;
  AlignedBuffer buffer_;
};

void run(const BenchOptions& options) {
  const api::LoadedProgram loaded = api::load_program(options.model.path(), options.model.load_options());
  Bench bench(options, loaded);
  const std::vector<Row> rows = bench.run();
  end_progress();
  if (!options.json) {
    print_text(fmt::format("{}, {} weights, {} KV bits, {} kernels, {} threads\n", loaded.program.model_name,
                           loaded.program.weight_variant, loaded.program.state.kv_bits,
                           api::kernels_name(bench.target()), bench.target().workers()));
    print_text("what     tokens  depth     tok/s  MB a token  GB/s read  bound tok/s  reached\n");
  }
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    nlohmann::ordered_json item;
    item["what"] = row.what;
    item["tokens"] = row.tokens;
    item["depth"] = row.depth;
    item["tok_s"] = row.tok_s;
    item["bytes_per_token"] = row.bytes_per_token;
    item["read_bytes_s"] = row.bandwidth;
    item["bound_tok_s"] = row.bound_tok_s();
    item["fraction"] = row.tok_s / row.bound_tok_s();
    item["threads"] = bench.target().workers();
    item["isa"] = api::kernels_name(bench.target());
    json.push_back(std::move(item));
    if (options.json) continue;
    print_text(fmt::format("{:<8} {:>6} {:>6} {:>9.1f} {:>11.1f} {:>10.1f} {:>12.1f} {:>7.0f}%\n", row.what,
                           row.tokens, row.depth, row.tok_s, static_cast<double>(row.bytes_per_token) / 1e6,
                           row.bandwidth / 1e9, row.bound_tok_s(), 100 * row.tok_s / row.bound_tok_s()));
  }
  if (options.json) print_json(json);
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
  command->add_flag("--json", options->json, "print JSON: a list of rows");
  options->model.add(*command);
  command->footer("\nExample:\n  lockstep bench -p 512 -n 128 --depth 0,2048 --threads 2");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
