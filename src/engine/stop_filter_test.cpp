#include "engine/stop_filter.h"

#include <gtest/gtest.h>

namespace lockstep::engine {
namespace {

// Pushes text in pieces of n bytes and joins what comes out.
std::string filtered(const std::string& text, std::vector<std::string> stops, size_t n,
                     bool* stopped = nullptr) {
  StopFilter filter(std::move(stops));
  std::string out;
  for (size_t i = 0; i < text.size(); i += n) out += filter.push(std::string_view(text).substr(i, n));
  out += filter.flush();
  if (stopped != nullptr) *stopped = filter.stopped();
  return out;
}

TEST(StopFilter, CutsBeforeTheFirstStopHoweverTheTextArrives) {
  for (size_t n = 1; n < 12; ++n) {
    bool stopped = false;
    EXPECT_EQ(filtered("one ENd two END three", {"END", "three"}, n, &stopped), "one ENd two ");
    EXPECT_TRUE(stopped);
    EXPECT_EQ(filtered("ababac", {"abac"}, n, &stopped), "ab");
    EXPECT_TRUE(stopped);
  }
}

TEST(StopFilter, GivesBackWhatOnlyBeganAStop) {
  for (size_t n = 1; n < 8; ++n) {
    bool stopped = true;
    EXPECT_EQ(filtered("text EN", {"END", ""}, n, &stopped), "text EN");
    EXPECT_FALSE(stopped);
  }
}

}  // namespace
}  // namespace lockstep::engine
