// The calendar against a sorted list.
#include "targets/lpu/calendar.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace lockstep::targets::lpu {
namespace {

// Distances that lie around the edges of the wheel and of its words.
uint64_t distance(std::mt19937_64& random) {
  static constexpr uint64_t kEdges[] = {0, 1, 63, 64, 65, 960, 1022, 1023, 1024, 1025, 2047, 2048, 70000};
  switch (random() % 3) {
    case 0:
      return kEdges[random() % std::size(kEdges)];
    case 1:
      return random() % 8;
    default:
      return random() % 3000;
  }
}

TEST(CalendarTest, GivesWhatIsDueInOrder) {
  std::mt19937_64 random(7);
  Calendar calendar;
  for (int round = 0; round < 200; ++round) {
    const auto items = static_cast<uint32_t>(1 + random() % 20);
    calendar.clear(items);
    std::map<uint64_t, std::set<uint32_t>> expected;
    for (uint32_t item = 0; item < items; ++item) {
      const uint64_t cycle = distance(random);
      calendar.add(item, cycle);
      expected[cycle].insert(item);
    }
    uint64_t cycle = 0;
    std::vector<uint32_t> due;
    for (int taken = 0; taken < 500; ++taken) {
      ASSERT_EQ(calendar.take(cycle, due), !expected.empty());
      if (expected.empty()) break;
      const auto [first, first_items] = *expected.begin();
      expected.erase(expected.begin());
      ASSERT_EQ(cycle, first);
      ASSERT_EQ(due, std::vector<uint32_t>(first_items.begin(), first_items.end()));
      for (uint32_t item : due) {
        if (random() % 8 == 0) continue;  // its last
        const uint64_t again = cycle + 1 + distance(random);
        calendar.add(item, again);
        expected[again].insert(item);
      }
    }
  }
}

}  // namespace
}  // namespace lockstep::targets::lpu
