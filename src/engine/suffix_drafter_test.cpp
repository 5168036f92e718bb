#include "engine/suffix_drafter.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>
#include <random>

namespace lockstep::engine {
namespace {

size_t allocations = 0;

struct Match {
  size_t length = 0;
  size_t end = 0;  // of the copy
};

// The longest suffix of `tokens` that also ends at an earlier place, the latest such place. O(n^2).
Match naive_match(std::span<const int32_t> tokens, size_t match_min) {
  Match best;
  for (size_t end = 1; end < tokens.size(); ++end) {
    size_t length = 0;
    while (length < end && tokens[end - 1 - length] == tokens[tokens.size() - 1 - length]) ++length;
    if (length >= match_min && length >= best.length) best = {length, end};
  }
  return best;
}

std::vector<int32_t> naive_draft(std::vector<int32_t> tokens, Match match, size_t count) {
  if (match.length == 0) return {};
  const size_t size = tokens.size();
  for (size_t i = 0; i < count; ++i) tokens.push_back(tokens[match.end + i]);
  return {tokens.begin() + static_cast<ptrdiff_t>(size), tokens.end()};
}

// Random symbols with copies of what came before and with changes in them, as edited text has.
std::vector<int32_t> random_sequence(std::mt19937& random, size_t size) {
  auto below = [&](size_t n) { return random() % n; };
  const size_t alphabet = 1 + below(6);
  std::vector<int32_t> tokens;
  while (tokens.size() < size) {
    if (tokens.empty() || below(3) == 0) {
      tokens.push_back(static_cast<int32_t>(below(alphabet)));
      continue;
    }
    size_t source = below(tokens.size());
    for (size_t i = 1 + below(20); i > 0 && tokens.size() < size; --i) tokens.push_back(tokens[source++]);
  }
  return tokens;
}

TEST(SuffixDrafter, FindsWhatANaiveSearchFinds) {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    const std::vector<int32_t> tokens = random_sequence(random, 2 + random() % 100);
    const SuffixDrafterLimits limits{
        .match_min = 1 + static_cast<uint32_t>(random() % 4), .candidates_max = 200, .compare_max = 200};
    SuffixDrafter drafter(static_cast<uint32_t>(tokens.size()), {}, limits);
    std::vector<int32_t> draft;
    size_t known = 0;
    while (known < tokens.size()) {
      known = std::min(tokens.size(), known + 1 + random() % 5);
      const std::span<const int32_t> sequence = std::span(tokens).first(known);
      const Match expected = naive_match(sequence, limits.match_min);
      ASSERT_EQ(drafter.match(sequence), expected.length) << "round " << round << " at " << known;
      draft.clear();
      drafter.propose(sequence, 12, draft);
      ASSERT_EQ(draft, naive_draft({sequence.begin(), sequence.end()}, expected, 12)) << "round " << round;
    }
    // All at once gives the same as piece by piece.
    SuffixDrafter rebuilt(static_cast<uint32_t>(tokens.size()), {}, limits);
    std::vector<int32_t> again;
    EXPECT_EQ(rebuilt.match(tokens), drafter.match(tokens));
    rebuilt.propose(tokens, 12, again);
    EXPECT_EQ(again, draft);
  }
}

TEST(SuffixDrafter, ComparesNoFurtherThanItsLimit) {
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    const std::vector<int32_t> tokens = random_sequence(random, 150);
    SuffixDrafter drafter(150, {}, {.match_min = 2, .candidates_max = 200, .compare_max = 6});
    for (size_t known = 1; known <= tokens.size(); ++known) {
      const std::span<const int32_t> sequence = std::span(tokens).first(known);
      const size_t length = drafter.match(sequence);
      const Match longest = naive_match(sequence, 2);
      ASSERT_LE(length, longest.length);
      ASSERT_GE(length, std::min<size_t>(longest.length, 6));
    }
  }
}

TEST(SuffixDrafter, LooksAtNoMoreCandidatesThanItsLimit) {
  // The longest match is the oldest of five.
  const std::vector<int32_t> tokens{7, 8, 1, 2, 3, 1, 2, 4, 1, 2, 5, 1, 2, 6, 1, 2, 9, 7, 8, 1, 2};
  EXPECT_EQ(SuffixDrafter(4096, {}, {.candidates_max = 5}).match(tokens), 4u);
  EXPECT_EQ(SuffixDrafter(4096, {}, {.candidates_max = 4}).match(tokens), 2u);
}

TEST(SuffixDrafter, RepeatsAPeriod) {
  SuffixDrafter drafter(16);
  const std::vector<int32_t> tokens{9, 1, 2, 3, 1, 2, 3};
  EXPECT_EQ(drafter.match(tokens), 3u);
  std::vector<int32_t> draft{42};
  drafter.propose(tokens, 8, draft);
  EXPECT_EQ(draft, (std::vector<int32_t>{42, 1, 2, 3, 1, 2, 3, 1, 2}));
}

TEST(SuffixDrafter, HasNoDraftWithoutAMatch) {
  SuffixDrafter drafter(16, {}, {.match_min = 2});
  const std::vector<int32_t> tokens{1, 2, 3, 1};
  EXPECT_EQ(drafter.match(tokens), 0u);
  std::vector<int32_t> draft;
  drafter.propose(tokens, 8, draft);
  EXPECT_TRUE(draft.empty());
}

TEST(SuffixDrafter, CopiesFromEarlierTextsUpToTheirEnds) {
  SuffixDrafter drafter(16, std::vector<int32_t>{1, 2, 3, 4, -1, 3, 4, 5, 6});
  std::vector<int32_t> tokens{2, 3};
  EXPECT_EQ(drafter.match(tokens), 2u);
  std::vector<int32_t> draft;
  drafter.propose(tokens, 8, draft);
  EXPECT_EQ(draft, (std::vector<int32_t>{4}));
  // The first text ends after 4, so the second is followed though less of it matches.
  tokens.push_back(4);
  EXPECT_EQ(drafter.match(tokens), 2u);
  draft.clear();
  drafter.propose(tokens, 8, draft);
  EXPECT_EQ(draft, (std::vector<int32_t>{5, 6}));
  tokens.insert(tokens.end(), {5, 6});
  EXPECT_EQ(drafter.match(tokens), 0u);
}

TEST(SuffixDrafter, AllocatesNothingAfterItsConstruction) {
  std::mt19937 random(3);
  const std::vector<int32_t> tokens = random_sequence(random, 500);
  SuffixDrafter drafter(500);
  std::vector<int32_t> draft;
  draft.reserve(16);
  const size_t before = allocations;
  for (size_t known = 1; known <= tokens.size(); ++known) {
    drafter.match(std::span(tokens).first(known));
    draft.clear();
    drafter.propose(std::span(tokens).first(known), 16, draft);
  }
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace lockstep::engine

// Counted, so that a test sees an allocation.
void* operator new(size_t size) {
  ++lockstep::engine::allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
