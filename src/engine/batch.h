// The sequences that share the target, and which of their rows the next step runs.
//
// A sequence is its tokens and how many of them are computed. With one token not yet computed it is a stream;
// with more it is a prompt (or an answer that had to make room) that goes through in chunks. A step takes
// every stream's row first and then chunks of prompts, few rows while there are streams, so that these keep
// their pace. A step of streams alone may also run drafts: further rows of a stream, whose tokens count as
// far as sampling gives the same ones. A request for an embedding is a prompt and nothing else: its last row
// gives the hidden state.
//
// Classes: sequences start by class and then in the order of their coming, and prompts get their rows by
// class. One that gets none for promote_s moves up a class and stays there, so that nobody waits for ever: in
// the highest class the oldest goes first. Idle sequences never move up. They start where nobody else runs or
// waits and get no rows as long as somebody does; their pages stay meanwhile. A step of theirs takes no more
// rows of prompts than one with streams, as whoever comes next waits for it.
//
// Where log-probabilities of a prompt are wanted, all its rows run and give logits, even where the pool has
// their state.
//
// Where an answer must follow rules and it is not known in time what they allow, its row runs again, in a
// step that it is known for: others do not wait for it. Where there are no others the batch waits, until
// somebody comes or the answer is cancelled.
//
// What goes wrong with one answer ends that answer alone.
//
// Memory: a sequence takes pages as it grows. When none are left the last by class and coming gives its own
// back and waits again; what it had is computed again later, to the same bits. The pool holds at least one
// whole context, so that the first sequence always goes on.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/stopwatch.h"
#include "engine/draft_policy.h"
#include "engine/generation.h"
#include "engine/kv_pool.h"
#include "engine/load.h"
#include "engine/model_drafter.h"
#include "targets/sole_sequence.h"

namespace lockstep::engine {

// Numbers that change speed and order alone, never bits.
struct BatchOptions {
  uint32_t prefill_rows = targets::kPrefillRows;  // of prompts in a step without streams
  uint32_t mixed_rows = 32;                       // of prompts in a step with streams, or of idle ones
  uint32_t streams_max = 256;
  uint32_t idle_max = 32;  // idle sequences that have started
  double promote_s = 5;    // without rows, after which a sequence moves up a class
  std::function<double()> clock_s = [clock = Stopwatch()] { return clock.seconds(); };
  uint32_t drafts_max = 31;               // rows of drafts of one stream; 0: no speculation
  uint32_t drafts_fixed = 0;              // rows of every draft, whatever they cost; 0: as many as pay
  PrefixKeeper* prefix_keeper = nullptr;  // keeps prefixes longer than the pool
  DraftModel* draft_model = nullptr;      // makes the drafts; without one they are copied from the sequence
  // What steps were measured to take whose rows all gave logits, for the first choices.
  std::vector<StepTime> step_times = {};
};

// One request in the batch.
struct Sequence {
  Sequence(const text::Tokenizer& tokenizer, Request request, uint32_t context)
      : generation(tokenizer, std::move(request), context) {}

  Generation generation;
  std::atomic<bool> cancelled{false};  // set by any thread
  Timing timing;
  uint32_t reused = 0;  // prompt tokens whose state was there before
  uint32_t drafts_tried = 0, drafts_taken = 0;
  uint32_t computed = 0;  // tokens whose state is in `held`

  // The batch's own:
  HeldPages held;
  std::unique_ptr<Drafter> drafter;  // none: no speculation
  std::optional<DraftPolicy> draft_policy;
  std::vector<int32_t> draft;
  ServiceClass rank = ServiceClass::OnDemand;  // its class, or the one to which it has moved up
  uint64_t number = 0;                         // in the order of coming
  double waits_since_s = 0;                    // by the batch's clock: without rows since then
  bool started = false;
  uint64_t last_turn = 0;       // the step in which it last had rows, or was admitted
  Stopwatch watch;              // since it was added, then since its first step, then since its last token
  std::vector<int32_t> tokens;  // the rows of the step that runs; none: it sits this step out
  std::vector<int32_t> wanted;
  uint32_t scored = 0;          // the first so many of `wanted` are for log-probabilities of the prompt
  bool rules_late = false;      // its row ran before it was known what may follow, and runs again
  uint32_t* counted = nullptr;  // where the load counts it; null: it does not

  uint32_t pending() const { return static_cast<uint32_t>(generation.tokens().size()) - computed; }
  bool is_stream() const { return pending() == 1 && !generation.request().embed; }
};

// THREAD: one thread at a time, but for Sequence::cancelled and load().
class Batch {
 public:
  // The target must outlive the batch. `news`: set by any thread that has something for the batch's own, so
  // that a step does not wait for rules any longer; null: nobody will.
  Batch(targets::Target& target, const BatchOptions& options, const std::atomic<bool>* news = nullptr);

  // Takes a sequence whose request check_request let pass, as the last of its class.
  void add(std::shared_ptr<Sequence> sequence);
  bool idle() const { return waiting_.empty() && running_.empty(); }

  // Runs one step. `changed` is called for every sequence that got on or ended; ended ones are let go.
  // Throws what the target throws.
  void step(const std::function<void(Sequence&)>& changed);

  // Ends every sequence that has not ended as `end` says, which cancels or fails it.
  void end_all(const std::function<void(Sequence&)>& end, const std::function<void(Sequence&)>& changed);

  // As it was when the last end of a sequence was told, or later.
  Load load() const;

 private:
  using Sequences = std::vector<std::shared_ptr<Sequence>>;

  void end_cancelled(const std::function<void(Sequence&)>& changed);
  void wait(std::shared_ptr<Sequence> sequence);
  void make_drafter(Sequence& sequence);
  void promote();
  void admit();
  size_t busy() const;
  std::span<const std::shared_ptr<Sequence>> in_turn() const;
  void give_way();
  void plan();
  bool make_room(size_t index, uint32_t positions);
  void plan_chunks(uint32_t rows);
  void plan_rows(Sequence& sequence, uint32_t rows);
  void plan_draft(Sequence& sequence, StepLoad& load);
  bool must_wait(Sequence& sequence);
  bool wait_for_rules(Sequence& sequence);
  void take_rows(Sequence& sequence, uint32_t index, uint32_t first_logits);
  void take_embedding(Sequence& sequence, uint32_t wanted);
  void let_go(Sequence& sequence);
  void publish_load();

  targets::Target& target_;
  const BatchOptions options_;
  const std::atomic<bool>* const news_;
  KvPool pool_;
  // Both by rank, then in the order of coming.
  std::deque<std::shared_ptr<Sequence>> waiting_;
  Sequences running_;
  std::vector<Sequence*> stepping_;
  std::vector<targets::StepSequence> inputs_;
  std::vector<Sequence*> prompts_;
  std::vector<int16_t> hidden_;
  StepCost step_cost_;
  // The waiting sequence for which there were too few pages, how many there were and beside how many others:
  // it is not looked at again before there are more or fewer.
  uint64_t turned_away_ = 0;  // its number; 0: none
  uint32_t available_then_ = 0;
  size_t beside_then_ = 0;
  uint64_t steps_ = 0;
  uint64_t added_ = 0;
  Load counted_;  // the totals so far, and the numbers of those that run and wait
  mutable std::mutex load_mutex_;
  Load load_;
};

}  // namespace lockstep::engine
