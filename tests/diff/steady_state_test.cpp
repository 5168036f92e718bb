// A decode step in its steady state, with workers on free cores, neither allocates nor faults a page in nor
// calls the system. Counts all three in a process of its own.
//
// System calls are counted by a seccomp filter that traps every one; the handler counts it and makes it from
// the one place that the filter lets through. Where cores are taken away from the workers, they yield and
// sleep: such rounds do not count, but every other call, allocation or fault is an error even in them.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>

#include "base/memory.h"
#include "small_model.h"
#include "targets/host/host_target.h"

#if defined(__x86_64__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#endif

namespace {
std::atomic<uint64_t> allocations{0};
}

// glibc's allocator under its other names; operator new comes here too. Memory may be freed by free.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void* malloc(size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  ++allocations;
  return __libc_realloc(memory, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}
}

namespace lockstep::tests {
namespace {

constexpr uint32_t kRounds = 40;
constexpr uint32_t kSteps = 50;  // of a round
constexpr uint32_t kWarmUp = 20;

struct Round {
  uint64_t allocations = 0, faults = 0;
  uint64_t waits = 0;     // sched_yield and futex
  uint64_t calls = 0;     // other system calls
  int64_t call = -1;      // one of them
  uint64_t switches = 0;  // involuntary
};
struct Report {
  bool finished = false;
  bool counts_calls = false;
  std::array<Round, kRounds> rounds;
};

std::atomic<uint64_t> waits{0}, other_calls{0};
std::atomic<int64_t> other_call{-1};

#if defined(__x86_64__)
extern "C" long steady_state_call(long number, long a, long b, long c, long d, long e, long f);
extern "C" const char steady_state_called[];
// The kernel reports the address after the syscall instruction.
asm(R"(
.text
.globl steady_state_call, steady_state_called
steady_state_call:
  movq %rdi, %rax
  movq %rsi, %rdi
  movq %rdx, %rsi
  movq %rcx, %rdx
  movq %r8, %r10
  movq %r9, %r8
  movq 8(%rsp), %r9
  syscall
steady_state_called:
  ret
)");

void on_call(int, siginfo_t*, void* context) {
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const long number = registers[REG_RAX];
  if (number == SYS_sched_yield || number == SYS_futex) {
    ++waits;
  } else {
    ++other_calls;
    other_call = number;
  }
  registers[REG_RAX] = steady_state_call(number, registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                                         registers[REG_R10], registers[REG_R8], registers[REG_R9]);
}

// From here on every system call of every thread comes to on_call. False where the system does not permit it.
bool count_calls() {
  struct sigaction action {};
  action.sa_sigaction = on_call;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (::sigaction(SIGSYS, &action, nullptr) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return false;
  const auto address = reinterpret_cast<uint64_t>(steady_state_called);
  constexpr uint32_t kLow = offsetof(seccomp_data, instruction_pointer), kHigh = kLow + 4;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 5, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kLow),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(address), 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kHigh),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(address >> 32), 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {static_cast<unsigned short>(std::size(code)), code};
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}
#else
bool count_calls() {
  return false;
}
#endif

void measure(Report& report) {
  const auto model = make_small_model();
  const uint32_t workers = std::min(2u, targets::host::default_workers());
  const auto target = targets::host::load(model->compiled.program, {"", workers, 256});
  std::vector<uint32_t> pages;
  for (uint32_t page = 0; page < target->pages(); ++page) {
    pages.push_back(page);
    populate(target->page(page));
  }
  uint32_t position = 0;
  auto decode = [&](uint32_t steps) {
    for (uint32_t i = 0; i < steps; ++i) {
      const int32_t token = static_cast<int32_t>(position % 256), wanted = 0;
      const targets::StepSequence sequence = {{&token, 1}, position, pages, {&wanted, 1}};
      target->step({&sequence, 1});
      position = (position + 1) % target->context();
    }
  };
  decode(kWarmUp);
  report.counts_calls = count_calls();
  decode(target->context());
  for (Round& round : report.rounds) {
    rusage before, after;
    ::getrusage(RUSAGE_SELF, &before);
    const uint64_t allocations_before = allocations, waits_before = waits, calls_before = other_calls;
    decode(kSteps);
    round.allocations = allocations - allocations_before;
    round.waits = waits - waits_before;
    round.calls = other_calls - calls_before;
    round.call = other_call;
    ::getrusage(RUSAGE_SELF, &after);
    round.faults = static_cast<uint64_t>(after.ru_minflt - before.ru_minflt);
    round.switches = static_cast<uint64_t>(after.ru_nivcsw - before.ru_nivcsw);
  }
  report.finished = true;
  ::_exit(0);
}

TEST(SteadyState, AStepNeitherAllocatesNorFaultsNorCallsTheSystem) {
  void* shared = ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  Report& report = *new (shared) Report;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) measure(report);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(report.finished) << "status " << status;
  if (!report.counts_calls) std::puts("seccomp is not permitted here: system calls are not counted");

  uint32_t quiet_rounds = 0;
  for (const Round& round : report.rounds) {
    EXPECT_EQ(round.allocations, 0u);
    EXPECT_EQ(round.faults, 0u);
    EXPECT_EQ(round.calls, 0u) << "system call " << round.call;
    // A worker that waits for one without a core looks once in 50 us and then yields.
    if (round.waits == 0) ++quiet_rounds;
  }
  if (quiet_rounds == 0) GTEST_SKIP() << "other processes took the cores away in all rounds";
}

}  // namespace
}  // namespace lockstep::tests
