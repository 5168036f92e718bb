#include "targets/host/topology.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>

namespace lockstep::targets::host {
namespace {

namespace fs = std::filesystem;

class Quota : public testing::Test {
 protected:
  Quota() : root_(fs::temp_directory_path() / ("lockstep-quota-" + std::to_string(::getpid()))) {
    fs::create_directories(root_);
  }
  ~Quota() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << '\n';
  }
  const fs::path root_;
};

TEST_F(Quota, IsTheLeastOfTheGroupAndThoseAboveIt) {
  write("cpu.max", "max 100000");
  write("a/cpu.max", "250000 100000");
  write("a/b/cpu.max", "800000 100000");
  EXPECT_EQ(cpu_quota("0::/a/b\n", root_), 2.5);
  EXPECT_EQ(cpu_quota("0::/a\n", root_), 2.5);
  EXPECT_EQ(cpu_quota("0::/\n", root_), std::nullopt);
  write("cpu.max", "50000 100000");
  EXPECT_EQ(cpu_quota("0::/a/b\n", root_), 0.5);
}

TEST_F(Quota, ReadsVersionOne) {
  write("cpu,cpuacct/cpu.cfs_quota_us", "-1");
  write("cpu,cpuacct/cpu.cfs_period_us", "100000");
  write("cpu,cpuacct/box/cpu.cfs_quota_us", "200000");
  write("cpu,cpuacct/box/cpu.cfs_period_us", "100000");
  const std::string groups = "7:memory:/box\n4:cpu,cpuacct:/box\n3:cpuset:/\n0::/\n";
  EXPECT_EQ(cpu_quota(groups, root_), 2.0);
  EXPECT_EQ(cpu_quota("4:cpu,cpuacct:/\n", root_), std::nullopt);
}

TEST_F(Quota, TakesWhatIsMissingOrNoNumberForNoLimit) {
  for (const char* text : {"", "x", "100000", "0 100000", "100000 0", "-5 100000", "nan nan"}) {
    write("cpu.max", text);
    EXPECT_EQ(cpu_quota("0::/\n", root_), std::nullopt) << text;
  }
  EXPECT_EQ(cpu_quota("", root_), std::nullopt);
  EXPECT_EQ(cpu_quota("nonsense\n:\n::\n0::/../../nowhere\n", root_), std::nullopt);
}

TEST(Topology, StaysWithinTheProcesssMask) {
  cpu_set_t mask;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(mask), &mask), 0);
  EXPECT_EQ(usable_cpus(), static_cast<uint32_t>(CPU_COUNT(&mask)));
  EXPECT_GE(usable_cores(), 1u);
  EXPECT_LE(usable_cores(), usable_cpus());
}

TEST(Topology, SettlingLeavesTheMaskAsItWas) {
  cpu_set_t before, after;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  for (uint32_t workers : {1u, 2u, 1000u}) {
    for (uint32_t worker : {0u, workers - 1, workers}) settle_on_core(worker, workers);
  }
  ASSERT_EQ(::sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

}  // namespace
}  // namespace lockstep::targets::host
