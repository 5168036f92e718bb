// A target for tests whose cache holds the tokens themselves, and a model that is never right by chance.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "targets/target.h"

namespace lockstep::engine {

inline constexpr uint32_t kTokenVocabulary = 50;

// Logits that depend on every token before.
inline std::vector<float> logits_after(std::span<const int32_t> tokens) {
  uint32_t seed = 1;
  for (int32_t token : tokens)
    seed = seed * 1664525u + static_cast<uint32_t>(token) * 2654435761u + 1013904223u;
  std::mt19937 random(seed);
  std::vector<float> logits(kTokenVocabulary);
  for (float& logit : logits) logit = static_cast<float>(random() % 4096) * 0x1p-10f;
  return logits;
}

// A page that no step wrote holds nonsense.
class TokenTarget : public targets::Target {
 public:
  static constexpr uint32_t kPagePositions = 8;

  TokenTarget(uint32_t context, uint32_t pages) : context_(context), pages_(pages, Page{}) {
    for (Page& page : pages_) page.fill(-7);
  }

  void step(std::span<const targets::StepSequence> sequences) override {
    logits_.clear();
    last_step.clear();
    uint64_t rows = 0;
    for (const targets::StepSequence& sequence : sequences) {
      run(sequence);
      rows += sequence.tokens.size();
    }
    ASSERT_LE(rows, rows_max());
    rows_ += rows;
    ++steps_;
    refused_ = refuse ? 0 : program::kNone;
  }
  std::span<const float> logits(uint32_t i) const override { return logits_[i]; }
  uint32_t refused_row(uint32_t) const override { return refused_; }
  Error refusal(uint32_t) const override { return Error(ErrorKind::User, "refused"); }
  uint32_t rows_max() const override { return 16; }
  uint32_t context() const override { return context_; }
  uint32_t page_positions() const override { return kPagePositions; }
  uint32_t pages() const override { return static_cast<uint32_t>(pages_.size()); }
  std::span<std::byte> page(uint32_t index) override {
    return std::as_writable_bytes(std::span(pages_[index]));
  }
  targets::StepCounters counters() const override { return {steps_, rows_}; }
  uint64_t allocated_bytes() const override { return 0; }

  bool refuse = false;
  // Of each sequence of the last step: its first token, and its rows.
  struct SequenceRows {
    int32_t name;
    uint32_t rows;
    bool operator==(const SequenceRows&) const = default;
  };
  std::vector<SequenceRows> last_step;

 private:
  using Page = std::array<int32_t, kPagePositions>;

  void run(const targets::StepSequence& sequence) {
    ASSERT_FALSE(sequence.tokens.empty());
    ASSERT_LE(sequence.position + sequence.tokens.size(), context_);
    ASSERT_LE(sequence.position + sequence.tokens.size(), sequence.pages.size() * kPagePositions);
    auto slot = [&](size_t position) -> int32_t& {
      return pages_[sequence.pages[position / kPagePositions]][position % kPagePositions];
    };
    for (size_t i = 0; i < sequence.tokens.size(); ++i) slot(sequence.position + i) = sequence.tokens[i];
    last_step.push_back({slot(0), static_cast<uint32_t>(sequence.tokens.size())});
    for (int32_t row : sequence.wanted) {
      std::vector<int32_t> state;
      for (size_t p = 0; p <= sequence.position + static_cast<size_t>(row); ++p) state.push_back(slot(p));
      logits_.push_back(logits_after(state));
    }
  }

  const uint32_t context_;
  std::vector<Page> pages_;
  std::vector<std::vector<float>> logits_;
  uint64_t steps_ = 0, rows_ = 0;
  uint32_t refused_ = program::kNone;
};

}  // namespace lockstep::engine
