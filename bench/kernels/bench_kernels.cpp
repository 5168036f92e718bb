// How near the host's kernels come to the machine's limits: one token's matrix products against the plain
// reading of memory, a prefill's products in multiply-adds a second, attention in cached bytes a second.
// Weights are read from buffers larger than the last cache. Compare rows of one run: the machine may be
// shared.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/cpu_features.h"
#include "base/memory.h"
#include "targets/host/kernels/kernels.h"

namespace lockstep::targets::host {
namespace {

using program::isa::KvLayout;
using program::isa::PanelKind;
using program::isa::PanelLayout;

constexpr uint64_t kPastCaches = uint64_t{256} << 20;  // bytes

// The memory that all benchmarks read: any bytes are valid codes.
const AlignedBuffer& weights_memory() {
  static const AlignedBuffer buffer = [] {
    AlignedBuffer memory(kPastCaches);
    uint64_t state = 88172645463325252u;
    for (uint64_t i = 0; i < memory.size(); i += sizeof(state)) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      std::memcpy(memory.data() + i, &state, sizeof(state));
    }
    return memory;
  }();
  return buffer;
}

void count_bytes(benchmark::State& state, uint64_t bytes_an_iteration) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes_an_iteration));
}

// Reads each thread's part of the memory and adds it up.
void read_memory(benchmark::State& state) {
  const AlignedBuffer& memory = weights_memory();
  const uint64_t share = memory.size() / static_cast<uint64_t>(state.threads());
  const std::byte* begin = memory.data() + share * static_cast<uint64_t>(state.thread_index());
  for (auto _ : state) {
    uint64_t sums[8] = {};
    for (uint64_t i = 0; i < share; i += 64) {
      uint64_t words[8];
      std::memcpy(words, begin + i, sizeof(words));
      for (int k = 0; k < 8; ++k) sums[k] += words[k];
    }
    benchmark::DoNotOptimize(sums);
  }
  count_bytes(state, share);
}

// What matmul could reach if it did nothing but multiply.
void multiply_peak(benchmark::State& state, const KernelTable* table, PanelKind kind) {
  constexpr uint64_t kRounds = 100000;
  uint64_t products = 0;
  for (auto _ : state) products += table->multiply_peak(kind, kRounds);
  state.counters["MAC/s"] = benchmark::Counter(static_cast<double>(products), benchmark::Counter::kIsRate);
}

PanelLayout layout_of(PanelKind kind, uint64_t rows, uint64_t columns) {
  PanelLayout layout;
  layout.kind = kind;
  layout.rows = rows;
  layout.columns = columns;
  layout.has_offsets = kind == PanelKind::Nibble;
  return layout;
}

// Quantised rows of normal numbers.
std::vector<std::byte> make_rows(uint64_t columns, uint32_t rows) {
  const Q16Layout layout(columns);
  std::vector<std::byte> out(layout.row_bytes() * rows);
  std::mt19937 engine(7);
  std::normal_distribution<float> normal;
  std::vector<float> x(columns);
  for (uint32_t m = 0; m < rows; ++m) {
    for (float& value : x) value = normal(engine);
    scalar_kernels().quantise(x.data(), columns, out.data() + m * layout.row_bytes());
  }
  return out;
}

// Products of `tokens` rows with the matrices of `layouts` in turn, each time the memory's next copy of one;
// with several threads each has its share of the panels. One iteration takes every matrix once.
void matmul(benchmark::State& state, const KernelTable* table, std::vector<PanelLayout> layouts,
            uint32_t tokens) {
  const AlignedBuffer& memory = weights_memory();
  const auto threads = static_cast<uint64_t>(state.threads()),
             thread = static_cast<uint64_t>(state.thread_index());
  std::vector<std::vector<std::byte>> x;
  for (const PanelLayout& layout : layouts) x.push_back(make_rows(layout.columns, tokens));
  uint64_t rows_max = 0;
  for (const PanelLayout& layout : layouts) rows_max = std::max(rows_max, layout.rows);
  const std::vector<float> scales(rows_max + program::isa::kPanelRows, 1e-4f);
  std::vector<float> y(rows_max * tokens);
  uint64_t at = 0, bytes = 0, products = 0;
  for (auto _ : state) {
    for (uint64_t i = 0; i < layouts.size(); ++i) {
      const PanelLayout& layout = layouts[i];
      if (at + layout.bytes() > memory.size()) at = 0;
      MatMulArguments arguments;
      arguments.x = x[i].data();
      arguments.x_row_bytes = Q16Layout(layout.columns).row_bytes();
      arguments.y = y.data();
      arguments.y_row_floats = layout.rows;
      arguments.rows = tokens;
      arguments.layout = layout;
      arguments.panels = memory.data() + at;
      arguments.scales = scales.data();
      arguments.panel_begin = layout.panels() * thread / threads;
      arguments.panel_end = layout.panels() * (thread + 1) / threads;
      table->matmul(arguments);
      benchmark::ClobberMemory();
      at += layout.bytes();
      const uint64_t panels = arguments.panel_end - arguments.panel_begin;
      bytes += panels * layout.panel_bytes();
      products += panels * program::isa::kPanelRows * layout.columns * tokens;
    }
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
  state.counters["MAC/s"] = benchmark::Counter(static_cast<double>(products), benchmark::Counter::kIsRate);
}

// The matrices of a layer of the default model.
std::vector<PanelLayout> layer_of(PanelKind kind) {
  return {layout_of(kind, 576, 576), layout_of(kind, 192, 576),  layout_of(kind, 192, 576),
          layout_of(kind, 576, 576), layout_of(kind, 1536, 576), layout_of(kind, 1536, 576),
          layout_of(kind, 576, 1536)};
}

// Rows of three heads that share a KV head, over the 2048 positions up to the last row. The cache is in
// memory for a decoded row, and stays near for a block of rows, as in a prefill.
void attention(benchmark::State& state, const KernelTable* table, uint32_t kv_bits, uint32_t rows) {
  constexpr uint32_t kPositions = 2048, kWidth = 64, kHeads = 3;
  program::StateLayout layout;
  layout.layers = layout.kv_heads = 1;
  layout.head_width = layout.value_width = kWidth;
  layout.kv_bits = kv_bits;
  const KvLayout kv(layout);
  const uint32_t pages = kPositions / program::isa::kPagePositions;
  const uint64_t copies = rows == 1 ? kPastCaches / (pages * kv.page_bytes()) : 1;
  AlignedBuffer cache(copies * pages * kv.page_bytes(), PageSize::Huge);
  std::vector<const std::byte*> addresses;
  for (uint64_t at = 0; at < cache.size(); at += kv.page_bytes()) {
    std::memcpy(cache.data() + at, weights_memory().data(), kv.key_bytes() + kv.value_bytes());
    for (uint64_t slot = 0; slot < 2 * program::isa::kPagePositions; ++slot) {
      const float scale = 1e-6f;
      std::memcpy(cache.data() + at + kv.key_scales(0, 0) + slot * sizeof(float), &scale, sizeof(scale));
    }
    addresses.push_back(cache.data() + at);
  }
  const uint64_t queries = uint64_t{rows} * kHeads;
  std::vector<float> q(queries * kWidth, 1.0f), out(queries * kWidth);
  std::vector<AttentionQuery> known(queries);
  const AlignedBuffer planes(queries * 2 * kWidth * sizeof(int16_t)), sums(queries * kWidth * sizeof(double)),
      weights(queries * kPositions * sizeof(float));
  AttentionBlock block;
  block.q = q.data();
  block.out = out.data();
  block.q_row_floats = block.out_row_floats = kHeads * kWidth;
  block.rows = rows;
  block.heads = kHeads;
  block.position = kPositions - rows;
  block.page_end = pages;
  block.kv = &kv;
  block.scale_log2 = 0.18f;
  block.queries = known.data();
  block.planes = reinterpret_cast<int16_t*>(planes.data());
  block.sums = reinterpret_cast<double*>(sums.data());
  block.weights = reinterpret_cast<float*>(weights.data());
  uint64_t copy = 0;
  for (auto _ : state) {
    block.pages = addresses.data() + copy * pages;
    copy = copy + 1 == copies ? 0 : copy + 1;
    table->attention_scores(block);
    table->attention_weigh(block);
    table->attention_values(block);
    table->attention_finish(block, 0, block.count());
    benchmark::ClobberMemory();
  }
  count_bytes(state, pages * kv.page_bytes());
  state.counters["positions/s"] = benchmark::Counter(static_cast<double>(queries * kPositions),
                                                     benchmark::Counter::kIsIterationInvariantRate);
}

// The steps between matrix products, on vectors of the default model's widths.
void norm_quantise(benchmark::State& state, const KernelTable* table) {
  const uint64_t n = 576;
  std::vector<float> x(n, 0.5f), gain(n, 1.0f), scratch(n);
  std::vector<std::byte> out(Q16Layout(n).row_bytes());
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        table->norm_quantise(x.data(), gain.data(), 1e-5f, n, scratch.data(), out.data()));
  }
}
void gate_quantise(benchmark::State& state, const KernelTable* table) {
  const uint64_t n = 1536;
  std::vector<float> gate(n, 0.5f), up(n, 1.0f), scratch(n);
  std::vector<std::byte> out(Q16Layout(n).row_bytes());
  for (auto _ : state) {
    benchmark::DoNotOptimize(table->gate_quantise(gate.data(), up.data(), n, scratch.data(), out.data()));
  }
}

void register_all() {
  std::vector<const KernelTable*> tables;
#if defined(__x86_64__)
  if (cpu_features().avx512_vnni) tables.push_back(&avx512_kernels());
  if (cpu_features().avx2) tables.push_back(&avx2_kernels());
#endif
  constexpr PanelKind kKinds[] = {PanelKind::Nibble, PanelKind::Byte, PanelKind::Plain8, PanelKind::Plain16};
  const PanelLayout head = layout_of(PanelKind::Byte, 49152, 576);
  for (int threads : {1, 2}) {
    benchmark::RegisterBenchmark("read_memory", read_memory)->Threads(threads)->UseRealTime();
    for (const KernelTable* table : tables) {
      const std::string name = table->name;
      benchmark::RegisterBenchmark((name + "/head/1_token").c_str(), matmul, table, std::vector{head}, 1)
          ->Threads(threads)
          ->UseRealTime();
      for (uint32_t tokens : {1u, 2u, 3u, 4u, 6u, 8u, 12u, 16u, 24u, 32u}) {
        const std::string count = "/" + std::to_string(tokens) + "_tokens";
        benchmark::RegisterBenchmark((name + "/layer_nibble" + count).c_str(), matmul, table,
                                     layer_of(PanelKind::Nibble), tokens)
            ->Threads(threads)
            ->UseRealTime();
      }
    }
  }
  for (const KernelTable* table : tables) {
    const std::string name = table->name;
    for (PanelKind kind : kKinds) {
      const std::string of_kind = program::isa::panel_kind_name(kind);
      benchmark::RegisterBenchmark((name + "/multiply_peak_" + of_kind).c_str(), multiply_peak, table, kind);
      for (uint32_t tokens : {4u, 16u, 64u, 512u}) {
        const std::string count = "/" + std::to_string(tokens) + "_tokens";
        benchmark::RegisterBenchmark((name + "/matmul_576x1536_" + of_kind + count).c_str(), matmul, table,
                                     std::vector{layout_of(kind, 576, 1536)}, tokens);
        benchmark::RegisterBenchmark((name + "/matmul_1536x576_" + of_kind + count).c_str(), matmul, table,
                                     std::vector{layout_of(kind, 1536, 576)}, tokens);
      }
    }
    for (uint32_t rows : {1u, 16u}) {
      const std::string rows_name = "/attention_2048/" + std::to_string(rows) + "_rows";
      benchmark::RegisterBenchmark((name + rows_name + "/16_bits").c_str(), attention, table, 16, rows);
      benchmark::RegisterBenchmark((name + rows_name + "/8_bits").c_str(), attention, table, 8, rows);
    }
    benchmark::RegisterBenchmark((name + "/norm_quantise_576").c_str(), norm_quantise, table);
    benchmark::RegisterBenchmark((name + "/gate_quantise_1536").c_str(), gate_quantise, table);
  }
}

}  // namespace
}  // namespace lockstep::targets::host

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  lockstep::targets::host::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
