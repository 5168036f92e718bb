#include "targets/host/worker_team.h"

#include <gtest/gtest.h>

#include <atomic>

namespace lockstep::targets::host {
namespace {

// More workers than this machine has cores, too: barriers must not need one each.
TEST(WorkerTeam, NoWorkerPassesABarrierBeforeAllHaveCome) {
  for (uint32_t workers : {1u, 2u, 3u, 8u, 33u}) {
    WorkerTeam team(workers);
    ASSERT_EQ(team.size(), workers);
    constexpr uint32_t kBarriers = 50;
    std::vector<uint32_t> values(workers);  // written and read across barriers without further protection
    std::atomic<uint32_t> wrong{0};
    const std::function<void(uint32_t)> work = [&](uint32_t worker) {
      for (uint32_t i = 0; i < kBarriers; ++i) {
        ++values[worker];
        team.barrier(worker);
        for (uint32_t value : values) wrong += value != values[worker];
        team.barrier(worker);
      }
    };
    for (uint32_t round = 1; round <= 3; ++round) {
      team.run(work);
      for (uint32_t value : values) EXPECT_EQ(value, round * kBarriers);
    }
    EXPECT_EQ(wrong, 0u) << workers;
  }
}

TEST(WorkerTeam, RunReturnsAfterEveryWorkerHas) {
  WorkerTeam team(4);
  std::vector<uint32_t> done(4);
  const std::function<void(uint32_t)> work = [&](uint32_t worker) { ++done[worker]; };
  for (uint32_t round = 1; round <= 2000; ++round) {
    team.run(work);
    for (uint32_t count : done) ASSERT_EQ(count, round);
  }
}

TEST(WorkerTeam, WakesWorkersThatSleep) {
  WorkerTeam team(3);
  std::atomic<uint32_t> done{0};
  const std::function<void(uint32_t)> work = [&](uint32_t) { ++done; };
  for (uint32_t round = 1; round <= 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    team.run(work);
    EXPECT_EQ(done, round * 3);
  }
}

TEST(WorkerTeam, IsRunByOneThreadAfterAnother) {
  WorkerTeam team(2);
  std::atomic<uint32_t> done{0};
  const std::function<void(uint32_t)> work = [&](uint32_t) { ++done; };
  for (uint32_t round = 1; round <= 5; ++round) {
    std::jthread([&] { team.run(work); }).join();
    EXPECT_EQ(done, round * 2);
  }
}

}  // namespace
}  // namespace lockstep::targets::host
