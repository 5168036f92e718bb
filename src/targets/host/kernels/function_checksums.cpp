// The check sums of NUMERICS.md section 6: every function over every input of its domain, result bits added
// modulo 2^64. Arguments name tables ("scalar", "avx2", "avx512", "neon"); without any, all that this CPU can
// run. Exit status 1 where a sum differs, 77 where the CPU can run no table of those named.
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "targets/host/kernels/kernels.h"

namespace lockstep::targets::host {
namespace {

constexpr uint64_t kBlock = 1u << 12;  // inputs at a time, inside the first cache

uint64_t sum_bits(const float* values, uint64_t n) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < n; ++i) sum += std::bit_cast<uint32_t>(values[i]);
  return sum;
}

// The sum of block_sum(first, count) over blocks that cover [0, inputs), on all CPUs.
uint64_t sum_over(uint64_t inputs, const std::function<uint64_t(uint64_t first, uint64_t count)>& block_sum) {
  std::atomic<uint64_t> next{0}, total{0};
  auto work = [&] {
    constexpr uint64_t kShare = kBlock << 8;
    uint64_t sum = 0;
    for (uint64_t share = next.fetch_add(kShare); share < inputs; share = next.fetch_add(kShare)) {
      const uint64_t end = std::min(inputs, share + kShare);
      for (uint64_t first = share; first < end; first += kBlock)
        sum += block_sum(first, std::min(kBlock, end - first));
    }
    total += sum;
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::max(1u, std::thread::hardware_concurrency()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return total;
}

using Function = void (*)(const float*, float*, uint64_t);

// Over the floats with the bits [first, first + count).
uint64_t sum_of_floats(Function function, uint32_t first_bits, uint64_t count) {
  return sum_over(count, [&](uint64_t first, uint64_t n) {
    float x[kBlock] = {}, y[kBlock];
    for (uint64_t i = 0; i < n; ++i)
      x[i] = std::bit_cast<float>(static_cast<uint32_t>(first_bits + first + i));
    function(x, y, n);
    return sum_bits(y, n);
  });
}

uint64_t exp2_sum(const KernelTable& table) {
  return sum_of_floats(table.exp2, 0, 0x42fc0001u) + sum_of_floats(table.exp2, 0x80000000u, 0x42800001u);
}

uint64_t ln_sum(const KernelTable& table) {
  return sum_of_floats(table.ln, 0x00800000u, 0x7f000000u);
}

// E of section 9.
uint64_t exponential_sum(const KernelTable& table) {
  return sum_over(uint64_t{1} << 31, [&](uint64_t first, uint64_t n) {
    float v[kBlock] = {}, y[kBlock];
    for (uint64_t i = 0; i < n; ++i) {
      const float uniform = static_cast<float>(static_cast<int32_t>(first + i)) * 0x1p-31f + 0x1p-32f;
      v[i] = std::min(uniform, 1.0f - 0x1p-24f);
    }
    table.ln1m(v, y, n);
    for (uint64_t i = 0; i < n; ++i) y[i] = -y[i];
    return sum_bits(y, n);
  });
}

// Of cos over all h; that of sin into sin_total.
uint64_t turn_sums(const KernelTable& table, uint64_t& sin_total) {
  std::atomic<uint64_t> sin_sum{0};
  const uint64_t cos_sum = sum_over(uint64_t{1} << 32, [&](uint64_t first, uint64_t n) {
    int32_t h[kBlock] = {};
    float cos[kBlock], sin[kBlock];
    for (uint64_t i = 0; i < n; ++i) h[i] = static_cast<int32_t>(static_cast<uint32_t>(first + i));
    table.cos_sin(h, cos, sin, n);
    sin_sum += sum_bits(sin, n);
    return sum_bits(cos, n);
  });
  sin_total = sin_sum;
  return cos_sum;
}

bool check(const KernelTable& table, const char* function, uint64_t expected,
           const std::function<uint64_t()>& sum) {
  const auto start = std::chrono::steady_clock::now();
  const uint64_t actual = sum();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%-7s %-5s %016llx %s %.1f s\n", table.name, function, static_cast<unsigned long long>(actual),
              actual == expected ? "as it should be," : "WRONG,", seconds.count());
  std::fflush(stdout);
  return actual == expected;
}

bool check_table(const KernelTable& table) {
  bool right = check(table, "exp2", 0x2132f49c44f4c7b1u, [&] { return exp2_sum(table); });
  right &= check(table, "ln", 0x403b809c71e3f2b8u, [&] { return ln_sum(table); });
  right &= check(table, "E", 0x1f8709675ba03a09u, [&] { return exponential_sum(table); });
  uint64_t sin_total = 0;
  right &= check(table, "cos", 0x7ef9b57cdf9cac50u, [&] { return turn_sums(table, sin_total); });
  right &= check(table, "sin", 0x7ef9b57cdf9cac50u, [&] { return sin_total; });
  return right;
}

int run(const std::vector<std::string>& names) {
  bool right = true, ran = false;
  for (const KernelTable* table : available_kernels()) {
    if (!names.empty() && std::find(names.begin(), names.end(), table->name) == names.end()) continue;
    right &= check_table(*table);
    ran = true;
  }
  if (!ran) {
    std::fprintf(stderr, "this CPU can run none of the tables named; all: scalar, avx2, avx512, neon\n");
    return 77;
  }
  return right ? 0 : 1;
}

}  // namespace
}  // namespace lockstep::targets::host

int main(int argc, char** argv) {
  return lockstep::targets::host::run(std::vector<std::string>(argv + 1, argv + argc));
}
