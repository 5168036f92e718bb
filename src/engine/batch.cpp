#include "engine/batch.h"

#include <algorithm>
#include <utility>

namespace lockstep::engine {

Batch::Batch(targets::Target& target, const BatchOptions& options)
    : target_(target), options_(options), pool_(target) {
  LOCKSTEP_CHECK(options_.streams_max >= 1 && options_.streams_max < target.rows_max());
  stepping_.reserve(options_.streams_max);
  inputs_.reserve(options_.streams_max);
  running_.reserve(options_.streams_max);
}

void Batch::add(std::shared_ptr<Sequence> sequence) {
  sequence->held.pages.reserve(pool_.pages_for(target_.context()));
  sequence->held.blocks.reserve(pool_.pages_for(target_.context()));
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
  target_.step(inputs_);
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
    const std::span<const int32_t> tokens = next.generation.tokens();
    // What the pool has of it is taken at once, so that nobody else makes room with it.
    next.computed = pool_.reuse(next.held, tokens, 0);
    const auto wanted = pool_.pages_for(tokens.size()) - static_cast<uint32_t>(next.held.pages.size());
    if (!running_.empty() && wanted + running_.size() > pool_.available()) {
      pool_.release(next.held, tokens, next.computed);
      next.computed = 0;
      return;
    }
    if (!next.started) {
      next.started = true;
      next.reused = next.computed;
      next.timing.queue_s = next.watch.seconds();
      next.watch = Stopwatch();
    }
    next.last_turn = steps_;
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
    if (sequence->is_stream()) plan_rows(*sequence, 1);
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
  sequence.last_turn = steps_;
  stepping_.push_back(&sequence);
}

// Takes what the step gave to the sequence that was `index` in it; `logits` counts the wanted rows before.
void Batch::take_rows(Sequence& sequence, uint32_t index, uint32_t& logits) {
  const auto rows = static_cast<uint32_t>(sequence.tokens.size());
  const uint32_t refused = target_.refused_row(index);
  const uint32_t first_logits = logits;
  logits += static_cast<uint32_t>(sequence.wanted.size());
  if (refused != program::kNone) return sequence.generation.fail(target_.refusal(index));
  sequence.computed += rows;
  if (sequence.wanted.empty()) return;
  const bool first = sequence.generation.answer().empty();
  sequence.generation.sample(target_.logits(first_logits));
  const double seconds = sequence.watch.seconds();
  sequence.watch = Stopwatch();
  if (first) {
    sequence.timing.prefill_s += seconds;
  } else {
    sequence.timing.decode_s += seconds;
    sequence.timing.token_s.push_back(seconds);
  }
}

// Gives a sequence's pages back; what is computed stays there for others, unless a value was refused.
void Batch::let_go(Sequence& sequence) {
  pool_.release(sequence.held, sequence.generation.tokens(), sequence.computed);
  sequence.computed = 0;
}

}  // namespace lockstep::engine
