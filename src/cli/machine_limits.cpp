#include "cli/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <string_view>

#include "base/stopwatch.h"
#include "targets/host/kernels/kernels.h"
#include "targets/host/worker_team.h"

namespace lockstep::cli {

using program::isa::PanelKind;

namespace {

// Compiled once for each width of vectors; the widest that the CPU has runs.
#if defined(__x86_64__)
#define LOCKSTEP_EACH_VECTOR_WIDTH __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define LOCKSTEP_EACH_VECTOR_WIDTH
#endif

// Reads every byte once; the sum keeps the loads from being dropped.
LOCKSTEP_EACH_VECTOR_WIDTH uint64_t read_all(const std::byte* data, uint64_t bytes) {
  typedef uint64_t Lanes __attribute__((vector_size(64)));
  const uint64_t lanes = bytes / 4 / sizeof(Lanes);  // of each stream
  const auto *a = reinterpret_cast<const Lanes*>(data), *b = a + lanes, *c = b + lanes, *d = c + lanes;
  Lanes sum_a = {}, sum_b = {}, sum_c = {}, sum_d = {};
  for (uint64_t i = 0; i < lanes; ++i) {
    sum_a += a[i];
    sum_b += b[i];
    sum_c += c[i];
    sum_d += d[i];
  }
  const Lanes sums = sum_a + sum_b + sum_c + sum_d;
  uint64_t total = 0;
  for (int j = 0; j < 8; ++j) total += sums[j];
  return total;
}

// Bytes a second when worker w reads `part` bytes from begin + w * stride, `rounds` times.
double read_bandwidth(targets::host::HostTarget& target, const std::byte* begin, uint64_t stride,
                      uint64_t part, uint32_t rounds) {
  std::atomic<uint64_t> total{0};
  const std::function<void(uint32_t)> work = [&](uint32_t worker) {
    uint64_t sum = 0;
    for (uint32_t round = 0; round < rounds; ++round) sum += read_all(begin + worker * stride, part);
    total += sum;
  };
  const Stopwatch watch;
  target.run_on_workers(work);
  const double elapsed_s = watch.seconds();
  // Uses the sum, so that no load can be left out.
  return static_cast<double>(part) * target.workers() * rounds / elapsed_s + (total == 1 ? 1.0 : 0.0);
}

// The best of a few: what the machine can do, not what neighbours leave of it.
template <class Measure>
double best_of(uint32_t times, Measure measure) {
  double best = measure();
  for (uint32_t i = 1; i < times; ++i) best = std::max(best, measure());
  return best;
}

double cached_bandwidth(targets::host::HostTarget& target) {
  constexpr uint64_t kBytes = 16 << 10;  // half of a small first cache
  const AlignedBuffer buffer(kBytes * target.workers());
  std::fill_n(buffer.data(), buffer.size(), std::byte{1});
  return best_of(3, [&] { return read_bandwidth(target, buffer.data(), kBytes, kBytes, 20000); });
}

// Products a second of all workers together; see KernelTable::multiply_peak.
double product_rate(targets::host::HostTarget& target, PanelKind kind) {
  constexpr uint64_t kRounds = 200000;
  std::atomic<uint64_t> products{0};
  const std::function<void(uint32_t)> work = [&](uint32_t) {
    products += target.kernels().multiply_peak(kind, kRounds);
  };
  const Stopwatch watch;
  target.run_on_workers(work);
  return static_cast<double>(products) / watch.seconds();
}

// Seconds that the meeting of as many threads takes when none is late: the best of many tries, fewer where
// the threads have no cores of their own.
double empty_sync_s(uint32_t workers) {
  if (workers == 1) return 0;
  constexpr uint32_t kMeetings = 100, kTries = 200;
  constexpr double kTriesS = 0.05;
  targets::host::WorkerTeam team(workers);
  const std::function<void(uint32_t)> meet = [&](uint32_t worker) {
    for (uint32_t i = 0; i < kMeetings; ++i) team.barrier(worker);
  };
  double best_s = std::numeric_limits<double>::infinity();
  const Stopwatch all;
  for (uint32_t i = 0; i < kTries && (i == 0 || all.seconds() < kTriesS); ++i) {
    const Stopwatch watch;
    team.run(meet);
    best_s = std::min(best_s, watch.seconds() / kMeetings);
  }
  return best_s;
}

}  // namespace

AlignedBuffer make_stream_buffer(uint64_t bytes) {
  AlignedBuffer buffer(bytes, PageSize::Huge);
  for (uint64_t i = 0; i < buffer.size(); i += 8) buffer.data()[i] = static_cast<std::byte>(i >> 6);
  return buffer;
}

double stream_bandwidth(targets::host::HostTarget& target, const AlignedBuffer& buffer) {
  constexpr uint64_t kReadBytes = uint64_t{400} << 20;  // in all, so that starting counts for nothing
  const uint64_t part = buffer.size() / target.workers() / 256 * 256;
  const auto rounds = static_cast<uint32_t>(std::max<uint64_t>(2, kReadBytes / buffer.size()));
  return read_bandwidth(target, buffer.data(), part, part, rounds);
}

MachineLimits measure_limits(targets::host::HostTarget& target, const AlignedBuffer& buffer) {
  MachineLimits limits;
  limits.stream_bytes_s = best_of(3, [&] { return stream_bandwidth(target, buffer); });
  limits.cached_bytes_s = cached_bandwidth(target);
  for (PanelKind kind : {PanelKind::Nibble, PanelKind::Byte, PanelKind::Plain8, PanelKind::Plain16}) {
    limits.products_s[static_cast<size_t>(kind)] = best_of(3, [&] { return product_rate(target, kind); });
  }
  const std::string_view kernels = target.kernels().name;
  if (kernels == "amx" || kernels == "neon") limits.wide_products = PanelKind::Plain16;
  limits.sync_s = empty_sync_s(target.workers());
  return limits;
}

}  // namespace lockstep::cli
