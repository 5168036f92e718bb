// Token masks worked out while a step runs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
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

// Which tokens may come next: see TokenMasks. Null: not known.
using Mask = std::shared_ptr<const std::vector<uint64_t>>;

// A grammar of answers and its masks, shared by all answers that follow it. THREAD: any.
class SharedMasks {
 public:
  SharedMasks(std::shared_ptr<const TokenTable> tokens, AnswerGrammar answer);

  const TokenTable& tokens() const { return *tokens_; }
  const grammar::Grammar& grammar() const { return answer_.grammar; }
  grammar::StateId free_states() const { return answer_.free_states; }

  // The mask if it is known; waits for nobody.
  Mask known(const grammar::Readings& readings);
  // The same, or worked out where that is quick; null where it is not, or another thread works one out.
  Mask quick_mask(const grammar::Readings& readings);
  // Works the mask out; null where `stop` ended that. Waits for another thread that does so.
  Mask mask(const grammar::Readings& readings, const grammar::TokenMasks::Stop& stop);
  // Some masks were worked out and none took long: the next is probably quick as well.
  bool quick() const { return quick_masks_ >= kQuickMasks; }

 private:
  Mask work_out(const grammar::Readings& readings, const grammar::TokenMasks::Stop& stop);

  const std::shared_ptr<const TokenTable> tokens_;
  const AnswerGrammar answer_;
  std::mutex work_mutex_;  // held for as long as one is worked out, at most until it is stopped
  grammar::TokenMasks masks_;
  std::mutex known_mutex_;  // held for a look
  std::unordered_map<grammar::Readings, Mask, grammar::HashReadings> known_;
  static constexpr int kQuickMasks = 8;
  std::atomic<int> quick_masks_{0};  // INT_MIN: one took long
};

// After these bytes more; empty where no text goes on so.
grammar::Readings advanced(const grammar::Grammar& grammar, grammar::Readings readings,
                           std::string_view bytes);

// The masks of a text and of the text after each token of a draft. THREAD: run() by one thread at a time.
class MaskJob {
 public:
  // `first`: the text's own mask where it is known already.
  MaskJob(std::shared_ptr<SharedMasks> shared, grammar::Readings readings, std::span<const int32_t> draft,
          Mask first = nullptr);

  // For the one who runs it, before each run: false if it was withdrawn.
  bool begin();
  // True if no run had begun, and then none will.
  bool withdraw();
  // Works masks out in order, up to a draft token that may not come. False: `stop` ended that, and the next
  // run goes on there. What goes wrong is thrown to those who ask for a mask.
  bool run(const grammar::TokenMasks::Stop& stop);
  // Nobody will ask for more; ends a run soon.
  void abandon() { abandoned_ = true; }

  const SharedMasks& shared() const { return *shared_; }
  const std::vector<int32_t>& draft() const { return draft_; }
  // Whether mask() has an answer for draft token `index`, now or within the time.
  bool has(size_t index, std::chrono::microseconds patience) const;
  // The mask before draft token `index`. Throws what went wrong when it was worked out. REQUIRES: has() it.
  Mask mask(size_t index) const;

 private:
  void work_out(const grammar::TokenMasks::Stop& stop);

  const std::shared_ptr<SharedMasks> shared_;
  const std::vector<int32_t> draft_;
  grammar::Readings readings_;  // before draft token `at_`
  size_t at_ = 0;
  std::vector<Mask> masks_;
  mutable std::mutex mutex_;
  mutable std::condition_variable more_;
  std::atomic<uint32_t> done_{0};  // masks that are there; written with the mutex, as are the next two
  std::exception_ptr error_;
  std::atomic<bool> failed_{false};
  enum class State : uint8_t { Waits, Begun, Withdrawn };
  std::atomic<State> state_{State::Waits};
  std::atomic<bool> abandoned_{false};
};

// One thread that runs jobs: those of one grammar in order, and those of several in turns of some
// milliseconds. THREAD: any. The destructor lets what runs go unfinished.
class MaskWorker {
 public:
  MaskWorker();
  ~MaskWorker();
  MaskWorker(const MaskWorker&) = delete;
  MaskWorker& operator=(const MaskWorker&) = delete;

  void add(std::shared_ptr<MaskJob> job);

 private:
  // A grammar's jobs, at least one.
  using Jobs = std::deque<std::shared_ptr<MaskJob>>;
  void thread_main();
  bool take_turn(MaskJob& job);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Jobs> turns_;  // the first is whose turn it is
  std::atomic<bool> stop_{false};
  std::jthread thread_;
};

}  // namespace lockstep::constrain
