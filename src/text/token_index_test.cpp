#include "text/token_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace lockstep::text {
namespace {

TEST(TokenIndex, FindsWhatWasInsertedAndNothingElse) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 5000; ++i) tokens.push_back("token" + std::to_string(i * 7));
  TokenIndex index(tokens);
  for (int32_t id = 0; id < 5000; id += 2) index.insert(id);
  for (int32_t id = 0; id < 5000; ++id) EXPECT_EQ(index.find(tokens[id]), id % 2 == 0 ? id : kNoToken);
  EXPECT_EQ(index.find(""), kNoToken);
}

TEST(TokenIndex, TheFirstOfEqualTextsStays) {
  const std::vector<std::string> tokens = {"a", "", "a"};
  TokenIndex index(tokens);
  index.insert(2);
  index.insert(0);
  index.insert(1);
  EXPECT_EQ(index.find("a"), 2);
  EXPECT_EQ(index.find(""), 1);
}

TEST(TokenIndex, EmptyVocabularyHasNothing) {
  const std::vector<std::string> tokens;
  EXPECT_EQ(TokenIndex(tokens).find("a"), kNoToken);
}

TEST(MergeTable, AgreesWithAMap) {
  std::mt19937 random(1);
  MergeTable table(4000);
  std::map<std::pair<int32_t, int32_t>, Merge> expected;
  for (uint32_t rank = 0; rank < 4000; ++rank) {
    const auto left = static_cast<int32_t>(random() % 100);
    const auto right = static_cast<int32_t>(random() % 100);
    const Merge merge{rank, static_cast<int32_t>(random() % 1000)};
    table.insert(left, right, merge);
    expected.emplace(std::pair(left, right), merge);
  }
  for (int32_t left = 0; left < 100; ++left) {
    for (int32_t right = 0; right < 100; ++right) {
      const auto found = expected.find({left, right});
      const Merge merge = table.find(left, right);
      EXPECT_EQ(merge.id, found == expected.end() ? kNoToken : found->second.id);
      if (found != expected.end()) {
        EXPECT_EQ(merge.rank, found->second.rank);
      }
    }
  }
}

TEST(MergeTable, EmptyTableHasNothing) {
  EXPECT_EQ(MergeTable(0).find(0, 0).id, kNoToken);
}

}  // namespace
}  // namespace lockstep::text
