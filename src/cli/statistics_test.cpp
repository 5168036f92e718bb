#include "cli/statistics.h"

#include <gtest/gtest.h>

namespace lockstep::cli {
namespace {

TEST(Percentile, TakesTheNearestRank) {
  const std::vector<double> values = {5, 1, 4, 2, 3};
  EXPECT_EQ(percentile(values, 0.2), 1);
  EXPECT_EQ(percentile(values, 0.21), 2);
  EXPECT_EQ(percentile(values, 0.5), 3);
  EXPECT_EQ(percentile(values, 0.99), 5);
  EXPECT_EQ(percentile(values, 1), 5);
  EXPECT_EQ(percentile({7}, 0.001), 7);
  std::vector<double> thousand(1000);
  for (size_t i = 0; i < thousand.size(); ++i) thousand[i] = static_cast<double>(i + 1);
  EXPECT_EQ(percentile(thousand, 0.5), 500);
  EXPECT_EQ(percentile(thousand, 0.999), 999);
}

TEST(Median, IsTheMiddleOrTheMeanOfTwo) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
}

TEST(LogHistogram, CountsByOctaves) {
  LogHistogram histogram(1);
  for (double value : {1e-6, 0.25, 0.4, 0.5, 0.99, 1.0}) histogram.add(value);
  const nlohmann::ordered_json rows = histogram.json();
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[1], (nlohmann::ordered_json{{"from_s", 0.25}, {"to_s", 0.5}, {"count", 2}}));
  EXPECT_EQ(rows[2], (nlohmann::ordered_json{{"from_s", 0.5}, {"to_s", 1.0}, {"count", 2}}));
  EXPECT_EQ(rows[3], (nlohmann::ordered_json{{"from_s", 1.0}, {"to_s", 2.0}, {"count", 1}}));
  EXPECT_LE(rows[0]["from_s"], 1e-6);
  EXPECT_GT(rows[0]["to_s"], 1e-6);
  EXPECT_EQ(histogram.count(), 6u);
}

TEST(LogHistogram, BoundsBelongToTheBucketThatBeginsThere) {
  LogHistogram all(16);
  for (double value = 1e-7; value < 1; value *= 1.01) all.add(value);
  const nlohmann::ordered_json rows = all.json();
  EXPECT_GT(rows.size(), 300u);
  for (const auto& row : rows) {
    LogHistogram one(16);
    one.add(row["from_s"].get<double>());
    EXPECT_EQ(one.json()[0]["from_s"], row["from_s"]);
  }
}

TEST(LogHistogram, TextHasBarsAndGaps) {
  LogHistogram histogram(1), more(1);
  histogram.add(1e-6 * 0.99);
  more.add(4e-6);
  more.add(4e-6);
  histogram.add(more);
  const std::string text = histogram.text();
  EXPECT_NE(text.find("1  " + std::string(25, '#') + "\n"), std::string::npos) << text;
  EXPECT_NE(text.find("2  " + std::string(50, '#') + "\n"), std::string::npos) << text;
  EXPECT_NE(text.find("..."), std::string::npos) << text;
  EXPECT_EQ(LogHistogram(1).text(), "");
}

}  // namespace
}  // namespace lockstep::cli
