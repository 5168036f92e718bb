// Token masks worked out while a step runs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "constrain/answer_grammar.h"
#include "grammar/token_masks.h"

namespace lockstep::constrain {

// A model's tokens as grammars see them. Immutable.
struct TokenTable {
  TokenTable(std::vector<std::string> bytes_by_id, std::vector<int32_t> end_ids)
      : bytes(std::move(bytes_by_id)), end_tokens(std::move(end_ids)), trie(bytes) {}

  const std::vector<std::string> bytes;  // empty: no text may hold the token
  const std::vector<int32_t> end_tokens;
  const grammar::TokenTrie trie;
};

// A grammar of answers and its masks, shared by all answers that follow it. THREAD: any.
class SharedMasks {
 public:
  SharedMasks(std::shared_ptr<const TokenTable> tokens, AnswerGrammar answer);

  const TokenTable& tokens() const { return *tokens_; }
  const grammar::Grammar& grammar() const { return answer_.grammar; }
  grammar::StateId free_states() const { return answer_.free_states; }

  // Which tokens may come next: see TokenMasks. May wait for another thread that works one out.
  void mask(const grammar::Readings& readings, std::vector<uint64_t>& mask);
  // The mask is there and nobody is in the way.
  bool knows(const grammar::Readings& readings);
  // Masks were worked out, and none took long: it does not matter which thread does the next.
  bool quick() const { return quick_masks_ >= kQuickMasks; }

 private:
  const std::shared_ptr<const TokenTable> tokens_;
  const AnswerGrammar answer_;
  std::mutex mutex_;
  grammar::TokenMasks masks_;
  static constexpr int kQuickMasks = 8;
  std::atomic<int> quick_masks_{0};  // INT_MIN and more: one took long
};

// After these bytes more; empty where no text goes on so.
grammar::Readings advanced(const grammar::Grammar& grammar, grammar::Readings readings,
                           std::string_view bytes);

// The masks of a text and of the text after each token of a draft.
class MaskJob {
 public:
  MaskJob(std::shared_ptr<SharedMasks> shared, grammar::Readings readings, std::span<const int32_t> draft)
      : shared_(std::move(shared)),
        readings_(std::move(readings)),
        draft_(draft.begin(), draft.end()),
        masks_(draft.size() + 1) {}

  // True for the one who may run it.
  bool take() { return !taken_.exchange(true); }
  // Works the masks out in order, up to a draft token that may not come.
  void run();
  // Nobody will ask for more.
  void abandon() { abandoned_ = true; }

  const std::vector<int32_t>& draft() const { return draft_; }
  // The mask before draft token `index`. Waits for it. REQUIRES: run() was or will be called, and the draft's
  // tokens before it may come.
  std::span<const uint64_t> mask(size_t index) const;
  // Whether it is there, now or within the time.
  bool has(size_t index, std::chrono::microseconds patience) const;

 private:
  const std::shared_ptr<SharedMasks> shared_;
  grammar::Readings readings_;
  const std::vector<int32_t> draft_;
  std::vector<std::vector<uint64_t>> masks_;
  mutable std::mutex mutex_;
  mutable std::condition_variable more_;
  std::atomic<uint32_t> done_{0};  // masks that are there; written with the mutex
  std::atomic<bool> taken_{false}, abandoned_{false};
};

// One thread that runs jobs in order. THREAD: any. The destructor lets what runs end.
class MaskWorker {
 public:
  MaskWorker();
  ~MaskWorker();
  MaskWorker(const MaskWorker&) = delete;
  MaskWorker& operator=(const MaskWorker&) = delete;

  void add(std::shared_ptr<MaskJob> job);

 private:
  void thread_main();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<MaskJob>> jobs_;
  bool stop_ = false;
  std::jthread thread_;
};

}  // namespace lockstep::constrain
