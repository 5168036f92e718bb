#include "cli/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <string_view>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/stopwatch.h"
#include "targets/host/kernels/kernels.h"
#include "targets/host/worker_team.h"

namespace lockstep::cli {

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

// 8-bit multiply-adds a second of all workers together, from registers alone.
#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) uint64_t multiply_512(uint32_t rounds) {
  __m512i sums[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) sums[i] = _mm512_setzero_si512();
  const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
  for (uint32_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
      asm volatile("" : "+v"(sums[i]));
    }
  }
  alignas(64) uint32_t lanes[16] = {};
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) _mm512_store_si512(lanes, sums[i]);
  return lanes[0];
}
__attribute__((target("avx2"))) uint64_t multiply_256(uint32_t rounds) {
  __m256i sums[12];
#pragma GCC unroll 12
  for (int i = 0; i < 12; ++i) sums[i] = _mm256_setzero_si256();
  const __m256i ones = _mm256_set1_epi16(1), a = _mm256_set1_epi8(3);
  for (uint32_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) {
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, sums[i]), ones));
      asm volatile("" : "+x"(sums[i]));
    }
  }
  alignas(32) uint32_t lanes[8] = {};
#pragma GCC unroll 12
  for (int i = 0; i < 12; ++i) _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sums[i]);
  return lanes[0];
}
double multiply_bandwidth(targets::host::HostTarget& target) {
  constexpr uint32_t kRounds = 400000;
  const bool wide = std::string_view(target.kernels().name) == "avx512";
  if (!wide && std::string_view(target.kernels().name) != "avx2") return 0;
  std::atomic<uint64_t> total{0};
  const std::function<void(uint32_t)> work = [&](uint32_t) {
    total += wide ? multiply_512(kRounds) : multiply_256(kRounds);
  };
  const Stopwatch watch;
  target.run_on_workers(work);
  const double elapsed_s = watch.seconds();
  const double each = wide ? 16.0 * 64 : 12.0 * 32;
  return each * kRounds * target.workers() / elapsed_s + (total == 1 ? 1.0 : 0.0);
}
#else
double multiply_bandwidth(targets::host::HostTarget&) {
  return 0;
}
#endif

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
  limits.multiply_adds_s = best_of(3, [&] { return multiply_bandwidth(target); });
  limits.sync_s = empty_sync_s(target.workers());
  return limits;
}

}  // namespace lockstep::cli
