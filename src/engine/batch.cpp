#include "engine/batch.h"

#include <algorithm>
#include <utility>

#include "engine/suffix_drafter.h"

namespace lockstep::engine {

// What is forced is as likely as what continues so long a match.
constexpr uint32_t kForcedMatch = 64;

// How long a step's sampling waits for what an answer's rules allow.
constexpr std::chrono::microseconds kPatience(1000);

// Tokens of an answer without a limit for which memory is prepared.
constexpr uint64_t kAnswerExpected = 512;

// No more streams than leave rows for a prompt beside them.
BatchOptions limited(BatchOptions options, uint32_t rows_max) {
  options.streams_max = std::clamp(options.streams_max, 1u, std::max(1u, rows_max / 2));
  return options;
}

Batch::Batch(targets::Target& target, const BatchOptions& options)
    : target_(target),
      options_(limited(options, target.rows_max())),
      pool_(target, options.prefix_keeper),
      step_cost_(target.rows_max()) {
  stepping_.reserve(options_.streams_max);
  inputs_.reserve(options_.streams_max);
  running_.reserve(options_.streams_max);
  for (const StepTime& step : options_.step_times) {
    if (step.rows <= target.rows_max()) step_cost_.observe(step.rows, step.seconds);
  }
}

void Batch::add(std::shared_ptr<Sequence> sequence) {
  sequence->held.pages.reserve(pool_.pages_for(target_.context()));
  sequence->held.blocks.reserve(pool_.pages_for(target_.context()));
  if (options_.drafts_max != 0) {
    const Generation& generation = sequence->generation;
    if (options_.draft_model != nullptr) {
      const Request& request = generation.request();
      sequence->drafter = std::make_unique<ModelDrafter>(*options_.draft_model, request.sampling,
                                                         request.choice, generation.prompt_size());
      sequence->draft_policy.emplace(step_cost_, Acceptance::kModel);
    } else {
      sequence->drafter = std::make_unique<SuffixDrafter>(target_.context() + 1);
      sequence->draft_policy.emplace(step_cost_, Acceptance::kCopy);
    }
    sequence->draft.reserve(options_.drafts_max);
  }
  waiting_.push_back(std::move(sequence));
}

void Batch::step(const std::function<void(Sequence&)>& changed) {
  end_cancelled(changed);
  admit();
  plan();
  if (stepping_.empty()) return;
  inputs_.clear();
  for (const Sequence* sequence : stepping_) {
    inputs_.push_back({sequence->tokens, sequence->computed, sequence->held.pages, sequence->wanted});
  }
  for (Sequence* sequence : stepping_) {
    if (!sequence->wanted.empty()) sequence->generation.prepare(sequence->draft);
  }
  const Stopwatch watch;
  target_.step(inputs_);
  uint32_t rows = 0;
  for (const Sequence* sequence : stepping_) rows += static_cast<uint32_t>(sequence->tokens.size());
  if (prompts_.empty()) step_cost_.observe(rows, watch.seconds());
  uint32_t logits = 0;
  for (uint32_t i = 0; i < stepping_.size(); ++i) {
    take_rows(*stepping_[i], i, logits);
    if (stepping_[i]->generation.finished()) let_go(*stepping_[i]);
    changed(*stepping_[i]);
  }
  std::erase_if(running_, [](const auto& sequence) { return sequence->generation.finished(); });
}

void Batch::end_cancelled(const std::function<void(Sequence&)>& changed) {
  auto end = [&](const std::shared_ptr<Sequence>& sequence) {
    if (!sequence->cancelled) return false;
    sequence->generation.cancel();
    let_go(*sequence);
    changed(*sequence);
    return true;
  };
  std::erase_if(waiting_, end);
  std::erase_if(running_, end);
}

void Batch::end_all(const std::function<void(Sequence&)>& end,
                    const std::function<void(Sequence&)>& changed) {
  running_.insert(running_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  for (const auto& sequence : std::exchange(running_, {})) {
    end(*sequence);
    let_go(*sequence);
    changed(*sequence);
  }
}

// Starts waiting sequences in order while there are pages for what they have, and one for each that runs.
void Batch::admit() {
  while (!waiting_.empty() && running_.size() < options_.streams_max) {
    Sequence& next = *waiting_.front();
    if (!running_.empty() && &next == turned_away_ && pool_.available() <= available_then_ &&
        running_.size() >= running_then_) {
      return;
    }
    const std::span<const int32_t> tokens = next.generation.tokens();
    // What the pool has of it is taken at once, so that nobody else makes room with it.
    next.computed = pool_.reuse(next.held, tokens, 0);
    const auto wanted = pool_.pages_for(tokens.size()) - static_cast<uint32_t>(next.held.pages.size());
    if (!running_.empty() && wanted + running_.size() > pool_.available()) {
      pool_.release(next.held, tokens, next.computed);
      next.computed = 0;
      turned_away_ = &next;
      available_then_ = pool_.available();
      running_then_ = running_.size();
      return;
    }
    turned_away_ = nullptr;
    if (!next.started) {
      next.started = true;
      next.reused = next.computed;
      next.timing.queue_s = next.watch.seconds();
      next.watch = Stopwatch();
    }
    next.last_turn = steps_;
    const uint64_t answer = next.generation.request().tokens_max;
    pool_.prepare(next.held, tokens.size() + (answer == 0 ? kAnswerExpected : answer));
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

// Makes pages for the positions of sequence `index`, of the newest sequences when there are no others. False
// when it was itself the newest and had to give way.
bool Batch::make_room(size_t index, uint32_t positions) {
  while (!pool_.extend(running_[index]->held, positions)) {
    std::shared_ptr<Sequence> newest = std::move(running_.back());
    running_.pop_back();
    pool_.release(newest->held, newest->generation.tokens(), newest->computed);
    newest->computed = 0;
    waiting_.push_front(std::move(newest));
    if (running_.size() == index) return false;
  }
  return true;
}

// Chooses the rows of the next step.
void Batch::plan() {
  ++steps_;
  stepping_.clear();
  uint32_t streams = 0;
  for (const auto& sequence : running_) {
    if (!sequence->is_stream() && sequence->computed % target_.page_positions() == 0) {
      // One that began alike may have got here first.
      sequence->computed = pool_.reuse(sequence->held, sequence->generation.tokens(), sequence->computed);
    }
    if (sequence->is_stream()) ++streams;
  }
  const uint32_t chunk_rows =
      std::min(streams == 0 ? options_.prefill_rows : options_.mixed_rows, target_.rows_max() - streams);
  for (size_t i = 0; i < running_.size(); ++i) {
    if (!make_room(i, running_[i]->computed + std::min(running_[i]->pending(), chunk_rows))) break;
  }
  for (const auto& sequence : running_) {
    // The oldest always goes on.
    const bool goes = sequence == running_.front() || sequence->generation.ready({});
    if (sequence->is_stream() && goes) plan_rows(*sequence, 1);
  }
  if (streams == running_.size()) {
    const auto rows = static_cast<uint32_t>(stepping_.size());
    StepLoad load = {rows, static_cast<double>(rows)};
    for (Sequence* sequence : stepping_) plan_draft(*sequence, load);
  }
  plan_chunks(chunk_rows);
}

// Gives `rows` rows to the prompts, those first that have waited longest for their turn.
void Batch::plan_chunks(uint32_t rows) {
  prompts_.clear();
  for (const auto& sequence : running_) {
    if (!sequence->is_stream()) prompts_.push_back(sequence.get());
  }
  std::stable_sort(prompts_.begin(), prompts_.end(),
                   [](const Sequence* a, const Sequence* b) { return a->last_turn < b->last_turn; });
  for (Sequence* sequence : prompts_) {
    const uint32_t chunk = sequence->generation.request().chunk;
    const uint32_t count = std::min({sequence->pending(), rows, chunk == 0 ? rows : chunk});
    if (count == 0) return;
    plan_rows(*sequence, count);
    rows -= count;
  }
}

void Batch::plan_rows(Sequence& sequence, uint32_t rows) {
  const std::span<const int32_t> tokens = sequence.generation.tokens().subspan(sequence.computed, rows);
  sequence.tokens.assign(tokens.begin(), tokens.end());
  sequence.wanted.clear();
  if (rows == sequence.pending()) sequence.wanted.push_back(static_cast<int32_t>(rows) - 1);
  sequence.draft.clear();
  sequence.last_turn = steps_;
  stepping_.push_back(&sequence);
}

// Adds the rows of a draft to a stream's row, as many as pay; `load` is what the step has so far.
void Batch::plan_draft(Sequence& sequence, StepLoad& load) {
  if (sequence.drafter == nullptr) return;
  Generation& generation = sequence.generation;
  const std::span<const int32_t> tokens = generation.tokens();
  const auto size = static_cast<uint32_t>(tokens.size());
  uint32_t count_max =
      std::min({options_.drafts_max, target_.context() - size, target_.rows_max() - load.rows});
  if (const uint32_t tokens_max = generation.request().tokens_max; tokens_max != 0) {
    count_max = std::min(count_max, tokens_max - static_cast<uint32_t>(generation.answer().size()) - 1);
  }
  uint32_t match = sequence.drafter->match(tokens);
  const std::span<const int32_t> forced = generation.forced();
  if (!forced.empty()) {
    match = kForcedMatch;
    count_max = std::min(count_max, static_cast<uint32_t>(forced.size()));
  }
  DraftChoice choice = sequence.draft_policy->choose(match, count_max, load, sequence.drafter->token_s());
  if (options_.drafts_fixed != 0) choice.count = match == 0 ? 0 : std::min(options_.drafts_fixed, count_max);
  if (choice.count == 0) return;
  if (!forced.empty()) {
    sequence.draft.assign(forced.begin(), forced.begin() + choice.count);
  } else {
    sequence.drafter->propose(tokens, choice.count, sequence.draft);
  }
  if (!pool_.extend(sequence.held, size + static_cast<uint32_t>(sequence.draft.size()))) {
    return sequence.draft.clear();  // nobody makes room for a guess
  }
  for (int32_t token : sequence.draft) {
    sequence.wanted.push_back(static_cast<int32_t>(sequence.tokens.size()));
    sequence.tokens.push_back(token);
  }
  load.rows += static_cast<uint32_t>(sequence.draft.size());
  load.tokens += choice.accepted;
}

// Takes what the step gave to the sequence that was `index` in it; `logits` counts the wanted rows before.
void Batch::take_rows(Sequence& sequence, uint32_t index, uint32_t& logits) {
  const uint32_t refused = target_.refused_row(index);
  const uint32_t first_logits = logits;
  logits += static_cast<uint32_t>(sequence.wanted.size());
  // A refused draft matters only where sampling gets to it.
  const auto rows = static_cast<uint32_t>(sequence.tokens.size() - sequence.draft.size());
  if (refused < rows) return sequence.generation.fail(target_.refusal(index));
  sequence.computed += rows;
  if (sequence.wanted.empty()) return;
  const bool first = sequence.generation.answer().empty();
  const size_t before = sequence.generation.tokens().size();
  const auto patience = running_.size() == 1 ? std::chrono::microseconds::max() : kPatience;
  size_t drafted = sequence.draft.size();
  size_t accepted = 0;
  for (size_t i = 0; i < sequence.wanted.size(); ++i) {
    if (static_cast<uint32_t>(sequence.wanted[i]) >= refused) {
      sequence.generation.fail(target_.refusal(index));
      break;
    }
    if (!sequence.generation.ready(patience)) {
      --sequence.computed;
      drafted = i;
      break;
    }
    sequence.generation.sample(target_.logits(first_logits + static_cast<uint32_t>(i)));
    if (sequence.generation.finished() || i == sequence.draft.size()) break;
    if (sequence.generation.tokens().back() != sequence.draft[i]) break;
    ++accepted;
    ++sequence.computed;
  }
  sequence.drafts_tried += static_cast<uint32_t>(drafted);
  sequence.drafts_taken += static_cast<uint32_t>(accepted);
  if (sequence.draft_policy && prompts_.empty()) {
    sequence.draft_policy->observe(static_cast<uint32_t>(drafted), static_cast<uint32_t>(accepted));
  }
  const size_t count = sequence.generation.tokens().size() - before;
  if (count == 0) return;
  const double seconds = sequence.watch.seconds();
  sequence.watch = Stopwatch();
  (first ? sequence.timing.prefill_s : sequence.timing.decode_s) += seconds;
  // Tokens that came with the first took no time of their own.
  for (size_t i = first ? 1 : 0; i < count; ++i) {
    sequence.timing.token_s.push_back(first ? 0.0 : seconds / static_cast<double>(count));
  }
}

// Gives a sequence's pages back; what is computed stays there for others, unless a value was refused.
void Batch::let_go(Sequence& sequence) {
  pool_.release(sequence.held, sequence.generation.tokens(), sequence.computed);
  sequence.computed = 0;
  sequence.drafter.reset();  // here and not with the owner's last hold, who is on another thread
}

}  // namespace lockstep::engine
