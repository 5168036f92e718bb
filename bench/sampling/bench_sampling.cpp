// What a token costs after the last matrix product, at the default model's vocabulary: the digest of the
// logits, the largest of them, a draw for each kind of request. `steep` logits are spread as a language
// model's are where it is fairly sure; `flat` ones leave all ids in the race.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "numerics/digest.h"
#include "numerics/sampling.h"

namespace lockstep::numerics {
namespace {

constexpr size_t kVocabulary = 49152;

std::vector<float> make_logits(float deviation) {
  std::mt19937 engine(7);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> logits(kVocabulary);
  for (float& l : logits) l = normal(engine);
  return logits;
}

void digest(benchmark::State& state) {
  const std::vector<float> logits = make_logits(3);
  Digest digest;
  for (auto _ : state) digest.logits(logits);
}

void largest(benchmark::State& state) {
  const std::vector<float> logits = make_logits(3);
  for (auto _ : state) benchmark::DoNotOptimize(argmax(logits));
}

void log_probability(benchmark::State& state) {
  const std::vector<float> logits = make_logits(3);
  std::vector<float> out(kVocabulary);
  for (auto _ : state) log_probabilities(logits, out);
}

void draw(benchmark::State& state, float deviation, const SamplingParameters& parameters) {
  std::vector<float> logits = make_logits(deviation);
  Sampler sampler;
  uint32_t position = 0;
  for (auto _ : state) benchmark::DoNotOptimize(sampler.sample(logits, parameters, {}, position++, 0));
}

SamplingParameters request(float temperature, int32_t top_k, float top_p, float min_p) {
  SamplingParameters parameters;
  parameters.temperature = temperature;
  parameters.top_k = top_k;
  parameters.top_p = top_p;
  parameters.min_p = min_p;
  return parameters;
}

void register_all() {
  auto add = [](const std::string& name, auto... arguments) {
    benchmark::RegisterBenchmark(name.c_str(), arguments...)->Unit(benchmark::kMicrosecond);
  };
  add("digest", digest);
  add("argmax", largest);
  add("log_probabilities", log_probability);
  for (float deviation : {3.0f, 0.3f}) {
    const std::string kind = deviation > 1 ? "steep/" : "flat/";
    add(kind + "temperature_1", draw, deviation, request(1, 0, 1, 0));
    add(kind + "temperature_0.7", draw, deviation, request(0.7f, 0, 1, 0));
    add(kind + "top_k_40", draw, deviation, request(1, 40, 1, 0));
    add(kind + "top_k_5000", draw, deviation, request(1, 5000, 1, 0));
    add(kind + "top_p_0.9", draw, deviation, request(1, 0, 0.9f, 0));
    add(kind + "top_p_0.999", draw, deviation, request(1, 0, 0.999f, 0));
    add(kind + "top_k_40_top_p_0.9", draw, deviation, request(1, 40, 0.9f, 0));
    add(kind + "min_p_0.05", draw, deviation, request(1, 0, 1, 0.05f));
  }
}

}  // namespace
}  // namespace lockstep::numerics

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  lockstep::numerics::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
