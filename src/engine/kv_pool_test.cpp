// The page pool against a plain model of what it promises: pages are never held by two writers, what is
// reused are pages of the same tokens, and no page is lost.
#include "engine/kv_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace lockstep::engine {
namespace {

constexpr uint32_t kPositions = 4;  // of a page

// A target whose pages hold the tokens themselves.
class TokenPages : public targets::Target {
 public:
  explicit TokenPages(uint32_t pages) : bytes_(pages * sizeof(Page)), pages_(pages) {}
  using Page = std::array<int32_t, kPositions>;

  void step(std::span<const targets::StepSequence>) override {}
  std::span<const float> logits(uint32_t) const override { return {}; }
  uint32_t refused_row(uint32_t) const override { return program::kNone; }
  Error refusal(uint32_t) const override { return Error(ErrorKind::User, ""); }
  uint32_t rows_max() const override { return 8; }
  uint32_t context() const override { return pages_ * kPositions; }
  uint32_t page_positions() const override { return kPositions; }
  uint32_t pages() const override { return pages_; }
  std::span<std::byte> page(uint32_t index) override {
    return std::span(bytes_).subspan(index * sizeof(Page), sizeof(Page));
  }
  targets::StepCounters counters() const override { return {}; }
  uint64_t allocated_bytes() const override { return bytes_.size(); }

  int32_t& slot(uint32_t page_index, uint32_t at) {
    return reinterpret_cast<int32_t*>(page(page_index).data())[at];
  }

 private:
  std::vector<std::byte> bytes_;
  const uint32_t pages_;
};

// Writes the tokens of [begin, end) as a step would.
void compute(TokenPages& target, const HeldPages& held, std::span<const int32_t> tokens, uint32_t begin,
             uint32_t end) {
  for (uint32_t t = begin; t < end; ++t) target.slot(held.pages[t / kPositions], t % kPositions) = tokens[t];
}

void expect_holds(TokenPages& target, const HeldPages& held, std::span<const int32_t> tokens,
                  uint32_t computed) {
  for (uint32_t t = 0; t < computed; ++t) {
    ASSERT_EQ(target.slot(held.pages[t / kPositions], t % kPositions), tokens[t]) << t;
  }
}

TEST(KvPool, ReusesWholeBlocksAndTheBlockWhereItDiffers) {
  TokenPages target(8);
  KvPool pool(target);
  const std::vector<int32_t> first = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  HeldPages held;
  ASSERT_EQ(pool.reuse(held, first, 0), 0u);
  ASSERT_TRUE(pool.extend(held, 10));
  compute(target, held, first, 0, 10);
  pool.release(held, first, 10);
  EXPECT_EQ(pool.available(), 8u);

  const std::vector<int32_t> second = {1, 2, 3, 4, 5, 6, 99, 8, 9};
  EXPECT_EQ(pool.reuse(held, second, 0), 6u);
  expect_holds(target, held, second, 6);
  ASSERT_TRUE(pool.extend(held, 9));
  compute(target, held, second, 6, 9);
  pool.release(held, second, 9);

  // The last token always runs; a block begun is found again.
  EXPECT_EQ(pool.reuse(held, first, 0), 9u);
  expect_holds(target, held, first, 9);
  pool.release(held, first, 9);
  EXPECT_EQ(pool.reuse(held, std::vector<int32_t>{2, 1}, 0), 0u);
}

TEST(KvPool, TakesABlockOverWhereThereIsNoOtherPage) {
  TokenPages target(1);
  KvPool pool(target);
  const std::vector<int32_t> first = {1, 2, 3}, second = {1, 2, 9, 10}, third = {7, 8};
  HeldPages held, other;
  ASSERT_TRUE(pool.extend(held, 3));
  compute(target, held, first, 0, 3);
  EXPECT_EQ(pool.reuse(other, second, 0), 0u);  // somebody holds it
  EXPECT_TRUE(other.pages.empty());
  pool.release(held, first, 3);
  EXPECT_EQ(pool.available(), 1u);

  EXPECT_EQ(pool.reuse(held, second, 0), 2u);
  ASSERT_EQ(held.pages.size(), 1u);
  expect_holds(target, held, second, 2);
  EXPECT_EQ(pool.available(), 0u);
  compute(target, held, second, 2, 4);
  pool.release(held, second, 4);

  EXPECT_EQ(pool.reuse(held, third, 0), 0u);
  ASSERT_TRUE(pool.extend(held, 2));
  pool.release(held, third, 0);
  EXPECT_EQ(pool.available(), 1u);
}

TEST(KvPool, RunsOutAndRecovers) {
  TokenPages target(4);
  KvPool pool(target);
  const std::vector<int32_t> tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
  HeldPages a, b;
  ASSERT_TRUE(pool.extend(a, 12));
  EXPECT_FALSE(pool.extend(b, 8));
  EXPECT_EQ(b.pages.size(), 1u);
  pool.release(b, tokens, 0);
  compute(target, a, tokens, 0, 12);
  pool.release(a, tokens, 12);
  // Published pages make room, the unused first.
  const std::vector<int32_t> other(16, 7);
  ASSERT_TRUE(pool.extend(b, 16));
  EXPECT_EQ(pool.available(), 0u);
  EXPECT_EQ(pool.reuse(a, tokens, 0), 0u);
  pool.release(b, other, 0);
  EXPECT_EQ(pool.available(), 4u);
}

TEST(KvPool, RandomSequencesNeverMeetInAPage) {
  std::mt19937 random(5);
  for (uint32_t round = 0; round < 60; ++round) {
    const uint32_t pages = 6 + random() % 12;
    TokenPages target(pages);
    KvPool pool(target);
    struct Running {
      std::vector<int32_t> tokens;
      HeldPages held;
      uint32_t computed = 0;
    };
    std::vector<Running> running;
    for (uint32_t action = 0; action < 400; ++action) {
      const uint32_t choice = random() % 10;
      if (choice < 3 || running.empty()) {
        Running fresh;
        const uint32_t size = 1 + random() % (3 * kPositions);
        for (uint32_t i = 0; i < size; ++i) fresh.tokens.push_back(static_cast<int32_t>(random() % 2));
        fresh.computed = pool.reuse(fresh.held, fresh.tokens, 0);
        ASSERT_LT(fresh.computed, size);
        expect_holds(target, fresh.held, fresh.tokens, fresh.computed);
        running.push_back(std::move(fresh));
      } else if (choice < 8) {
        Running& one = running[random() % running.size()];
        if (one.computed == one.tokens.size()) one.tokens.push_back(static_cast<int32_t>(random() % 2));
        if (one.computed % kPositions == 0) one.computed = pool.reuse(one.held, one.tokens, one.computed);
        const auto rest = static_cast<uint32_t>(one.tokens.size()) - one.computed;
        const uint32_t end = one.computed + 1 + random() % rest;
        if (!pool.extend(one.held, end)) continue;
        compute(target, one.held, one.tokens, one.computed, end);
        one.computed = end;
        if (random() % 2) pool.publish(one.held, one.tokens, one.computed);
      } else {
        const size_t which = random() % running.size();
        pool.release(running[which].held, running[which].tokens, running[which].computed);
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(which));
      }
      // What everybody computed is still there, and pages that somebody may yet write have one holder.
      std::map<uint32_t, uint32_t> holders;
      uint32_t held_pages = 0;
      for (const Running& one : running) {
        expect_holds(target, one.held, one.tokens, one.computed);
        for (uint32_t page : one.held.pages) ++holders[page];
      }
      for (const Running& one : running) {
        for (size_t i = one.held.blocks.size(); i < one.held.pages.size(); ++i) {
          ASSERT_EQ(holders[one.held.pages[i]], 1u);
        }
      }
      held_pages = static_cast<uint32_t>(holders.size());
      ASSERT_EQ(pool.available() + held_pages, pages);
    }
  }
}

}  // namespace
}  // namespace lockstep::engine
