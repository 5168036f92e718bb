#include "engine/batch.h"

#include <algorithm>
#include <tuple>
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
  options.idle_max = std::clamp(options.idle_max, 1u, options.streams_max);
  return options;
}

uint64_t answer_expected(const Request& request) {
  if (request.embed || request.prompt_only) return 0;
  return request.tokens_max == 0 ? kAnswerExpected : request.tokens_max;
}

bool goes_before(const std::shared_ptr<Sequence>& a, const std::shared_ptr<Sequence>& b) {
  return std::tie(a->rank, a->number) < std::tie(b->rank, b->number);
}

// Puts a sequence in its place among those that are in order.
template <class Sequences>
void insert(Sequences& sequences, std::shared_ptr<Sequence> sequence) {
  const auto place = std::upper_bound(sequences.begin(), sequences.end(), sequence, goes_before);
  sequences.insert(place, std::move(sequence));
}

// Does what concerns one answer: what it throws ends that answer, with false.
template <class Do>
bool guarded(Sequence& sequence, Do act) {
  try {
    act();
    return true;
  } catch (const Error& error) {
    sequence.generation.fail(error);
  } catch (const std::exception& error) {
    sequence.generation.fail(Error(ErrorKind::Internal, error.what()));
  }
  return false;
}

// Counts a sequence there and no longer where it was.
void count_in(Sequence& sequence, uint32_t* counter) {
  if (sequence.counted != nullptr) --*sequence.counted;
  sequence.counted = counter;
  if (counter != nullptr) ++*counter;
}

Batch::Batch(targets::Target& target, const BatchOptions& options, const std::atomic<bool>* news)
    : target_(target),
      options_(limited(options, target.rows_max())),
      news_(news),
      pool_(target, options.prefix_keeper),
      step_cost_(target.rows_max()) {
  stepping_.reserve(options_.streams_max);
  inputs_.reserve(options_.streams_max);
  running_.reserve(size_t{options_.streams_max} + options_.idle_max);
  counted_.streams_max = options_.streams_max;
  counted_.idle_max = options_.idle_max;
  counted_.pages_total = target.pages();
  counted_.page_positions = target.page_positions();
  load_ = counted_;
  for (const StepTime& step : options_.step_times) {
    if (step.rows <= target.rows_max()) step_cost_.observe(step.rows, step.seconds);
  }
}

void Batch::add(std::shared_ptr<Sequence> sequence) {
  sequence->held.pages.reserve(pool_.pages_for(target_.context()));
  sequence->held.blocks.reserve(pool_.pages_for(target_.context()));
  sequence->rank = sequence->generation.request().service;
  sequence->number = ++added_;
  wait(std::move(sequence));
  publish_load();
}

void Batch::wait(std::shared_ptr<Sequence> sequence) {
  sequence->waits_since_s = options_.clock_s();
  insert(waiting_, sequence);
  count_in(*sequence, &counted_.waiting[static_cast<size_t>(sequence->generation.request().service)]);
}

void Batch::make_drafter(Sequence& sequence) {
  const Generation& generation = sequence.generation;
  if (options_.drafts_max == 0 || answer_expected(generation.request()) == 0 || sequence.drafter) return;
  if (options_.draft_model != nullptr) {
    const Request& request = generation.request();
    sequence.drafter = std::make_unique<ModelDrafter>(*options_.draft_model, request.sampling, request.choice,
                                                      generation.prompt_size());
  } else {
    sequence.drafter = std::make_unique<SuffixDrafter>(target_.context() + 1);
  }
  if (sequence.draft_policy) return;
  sequence.draft_policy.emplace(step_cost_, options_.draft_model ? Acceptance::kModel : Acceptance::kCopy);
  sequence.draft.reserve(options_.drafts_max);
}

void Batch::step(const std::function<void(Sequence&)>& changed) {
  end_cancelled(changed);
  promote();
  admit();
  plan();
  publish_load();
  if (stepping_.empty()) {
    if (in_turn().empty()) return;
    Sequence& first = *in_turn().front();
    guarded(first, [&] { wait_for_rules(first); });
    return;
  }
  inputs_.clear();
  uint32_t rows = 0;
  for (const Sequence* sequence : stepping_) {
    inputs_.push_back({sequence->tokens, sequence->computed, sequence->held.pages, sequence->wanted,
                       sequence->generation.request().embed});
    rows += static_cast<uint32_t>(sequence->tokens.size());
  }
  for (Sequence* sequence : stepping_) {
    if (sequence->wanted.size() == sequence->scored || sequence->generation.finished()) continue;
    guarded(*sequence, [&] { sequence->generation.prepare(sequence->draft); });
  }
  const Stopwatch watch;
  target_.step(inputs_);
  const double seconds = watch.seconds();
  if (prompts_.empty()) step_cost_.observe(rows, seconds);
  ++counted_.steps;
  counted_.rows += rows;
  counted_.steps_s += seconds;
  counted_.last_step = {rows, seconds};
  uint32_t logits = 0;
  for (uint32_t i = 0; i < stepping_.size(); ++i) {
    Sequence& sequence = *stepping_[i];
    const uint32_t first_logits = logits;
    logits += static_cast<uint32_t>(sequence.wanted.size());
    if (!sequence.generation.finished()) guarded(sequence, [&] { take_rows(sequence, i, first_logits); });
    if (sequence.generation.finished()) {
      let_go(sequence);
      publish_load();
    }
    changed(sequence);
  }
  publish_load();
  std::erase_if(running_, [](const auto& sequence) { return sequence->generation.finished(); });
}

void Batch::end_cancelled(const std::function<void(Sequence&)>& changed) {
  Sequences ended;
  auto end = [&](const std::shared_ptr<Sequence>& sequence) {
    if (!sequence->cancelled) return false;
    sequence->generation.cancel();
    let_go(*sequence);
    ended.push_back(sequence);
    return true;
  };
  std::erase_if(waiting_, end);
  std::erase_if(running_, end);
  if (ended.empty()) return;
  publish_load();
  for (const auto& sequence : ended) changed(*sequence);
}

void Batch::end_all(const std::function<void(Sequence&)>& end,
                    const std::function<void(Sequence&)>& changed) {
  Sequences ended = std::exchange(running_, {});
  ended.insert(ended.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  for (const auto& sequence : ended) {
    if (!sequence->generation.finished()) end(*sequence);
    let_go(*sequence);
  }
  publish_load();
  for (const auto& sequence : ended) changed(*sequence);
}

Load Batch::load() const {
  std::lock_guard lock(load_mutex_);
  return load_;
}

void Batch::publish_load() {
  counted_.pages_used = counted_.pages_total - pool_.available();
  counted_.short_of_memory = turned_away_ != 0 && !waiting_.empty();
  std::lock_guard lock(load_mutex_);
  load_ = counted_;
}

// Moves up a class what has had no rows for long.
void Batch::promote() {
  const double now_s = options_.clock_s();
  auto promote = [&](auto& sequences) {
    bool changed = false;
    for (const auto& sequence : sequences) {
      if (sequence->last_turn == steps_) sequence->waits_since_s = now_s;
      if (sequence->rank == ServiceClass::Performance || sequence->rank == ServiceClass::Idle ||
          now_s - sequence->waits_since_s < options_.promote_s)
        continue;
      sequence->rank = static_cast<ServiceClass>(static_cast<uint8_t>(sequence->rank) - 1);
      sequence->waits_since_s = now_s;
      changed = true;
    }
    if (changed) std::sort(sequences.begin(), sequences.end(), goes_before);
  };
  promote(waiting_);
  promote(running_);
}

// How many run that are not idle; they are the first of those that run.
size_t Batch::busy() const {
  const auto idle = std::partition_point(running_.begin(), running_.end(), [](const auto& sequence) {
    return sequence->rank != ServiceClass::Idle;
  });
  return static_cast<size_t>(idle - running_.begin());
}

// Those that may have rows in the next step.
std::span<const std::shared_ptr<Sequence>> Batch::in_turn() const {
  const size_t others = busy();
  return std::span(running_).first(others == 0 ? running_.size() : others);
}

// Starts waiting sequences in order while there are pages for what they have, and one for each that runs
// beside them.
void Batch::admit() {
  while (!waiting_.empty()) {
    Sequence& next = *waiting_.front();
    const bool idle = next.rank == ServiceClass::Idle;
    const size_t others = busy();
    if (idle ? others != 0 || running_.size() >= options_.idle_max : others >= options_.streams_max) return;
    const size_t beside = idle ? running_.size() : others;
    if (beside != 0 && next.number == turned_away_ && pool_.available() <= available_then_ &&
        beside >= beside_then_) {
      return;
    }
    const std::span<const int32_t> tokens = next.generation.tokens();
    // What the pool has of it is taken at once, so that nobody else makes room with it.
    next.computed = pool_.reuse(next.held, next.generation.reusable(), 0);
    const auto wanted = pool_.pages_for(tokens.size()) - static_cast<uint32_t>(next.held.pages.size());
    auto fits = [&] { return beside == 0 || wanted + beside <= pool_.available(); };
    while (!fits() && running_.size() > beside) give_way();  // idle ones
    if (!fits()) {
      pool_.release(next.held, tokens, next.computed);
      next.computed = 0;
      turned_away_ = next.number;
      available_then_ = pool_.available();
      beside_then_ = beside;
      return;
    }
    turned_away_ = 0;
    if (!next.started) {
      next.started = true;
      next.reused = next.computed;
      counted_.prompt_tokens_reused += next.reused;
      next.timing.queue_s = next.watch.seconds();
      next.watch = Stopwatch();
    }
    make_drafter(next);
    next.last_turn = steps_;
    count_in(next, &counted_.running[static_cast<size_t>(next.generation.request().service)]);
    pool_.prepare(next.held, tokens.size() + answer_expected(next.generation.request()));
    std::shared_ptr<Sequence> started = std::move(waiting_.front());
    waiting_.pop_front();
    insert(running_, std::move(started));
  }
}

// The last of those that run gives its pages back and waits.
void Batch::give_way() {
  std::shared_ptr<Sequence> last = std::move(running_.back());
  running_.pop_back();
  pool_.release(last->held, last->generation.tokens(), last->computed);
  last->computed = 0;
  last->drafter.reset();
  ++counted_.gave_way;
  wait(std::move(last));
}

// Makes pages for the positions of sequence `index`, of those after it when there are no others. False when
// it was itself the last and had to give way.
bool Batch::make_room(size_t index, uint32_t positions) {
  while (!pool_.extend(running_[index]->held, positions)) {
    give_way();
    if (running_.size() == index) return false;
  }
  return true;
}

// Chooses the rows of the next step.
void Batch::plan() {
  ++steps_;
  stepping_.clear();
  uint32_t streams = 0;
  for (const auto& sequence : in_turn()) {
    if (!sequence->is_stream() && sequence->computed % target_.page_positions() == 0) {
      // One that began alike may have got here first.
      sequence->computed = pool_.reuse(sequence->held, sequence->generation.reusable(), sequence->computed);
    }
    if (sequence->is_stream()) ++streams;
  }
  const uint32_t chunk_rows =
      std::min(streams == 0 && busy() != 0 ? options_.prefill_rows : options_.mixed_rows,
               target_.rows_max() - streams);
  for (size_t i = 0; i < in_turn().size(); ++i) {
    if (!make_room(i, running_[i]->computed + std::min(running_[i]->pending(), chunk_rows))) break;
  }
  prompts_.clear();
  for (const auto& sequence : in_turn()) {
    if (!sequence->is_stream()) {
      prompts_.push_back(sequence.get());
    } else if (must_wait(*sequence)) {
      sequence->last_turn = steps_;  // which it can not use
    } else {
      plan_rows(*sequence, 1);
    }
  }
  const auto rows = static_cast<uint32_t>(stepping_.size());
  if (prompts_.empty()) {
    StepLoad load = {rows, static_cast<double>(rows)};
    for (Sequence* sequence : stepping_) {
      guarded(*sequence, [&] { plan_draft(*sequence, load); });
    }
  } else {
    plan_chunks(std::min(chunk_rows, target_.rows_max() - rows));
  }
  std::stable_partition(stepping_.begin(), stepping_.end(),
                        [](const Sequence* sequence) { return !sequence->generation.request().embed; });
}

// It is still not known what may follow the row that a stream has had.
bool Batch::must_wait(Sequence& sequence) {
  bool known = true;  // an answer that fails goes on to its end
  if (sequence.rules_late) guarded(sequence, [&] { known = sequence.generation.ready({}); });
  return !known;
}

// Waits a moment for what may follow; where nobody else has a turn, until the batch has something to do.
bool Batch::wait_for_rules(Sequence& sequence) {
  while (!sequence.generation.ready(kPatience)) {
    if (in_turn().size() != 1 || news_ == nullptr || *news_ || sequence.cancelled) return false;
  }
  return true;
}

// Gives `rows` rows to the prompts by class, those first that have waited longest for their turn.
void Batch::plan_chunks(uint32_t rows) {
  std::stable_sort(prompts_.begin(), prompts_.end(), [](const Sequence* a, const Sequence* b) {
    return std::tie(a->rank, a->last_turn) < std::tie(b->rank, b->last_turn);
  });
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
  for (uint32_t row = 0; row < rows; ++row) {
    if (!sequence.generation.scores(sequence.computed + row)) continue;
    sequence.wanted.push_back(static_cast<int32_t>(row));
  }
  sequence.scored = static_cast<uint32_t>(sequence.wanted.size());
  if (rows == sequence.pending()) sequence.wanted.push_back(static_cast<int32_t>(rows) - 1);
  sequence.draft.clear();
  sequence.rules_late = false;
  sequence.last_turn = steps_;
  stepping_.push_back(&sequence);
}

// Adds the rows of a draft to a stream's row, as many as pay; `load` is what the step has so far.
void Batch::plan_draft(Sequence& sequence, StepLoad& load) {
  if (sequence.drafter == nullptr || sequence.generation.finished()) return;
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
    sequence.tokens.push_back(token);
    sequence.wanted.push_back(static_cast<int32_t>(sequence.tokens.size()) - 1);
  }
  load.rows += static_cast<uint32_t>(sequence.draft.size());
  load.tokens += choice.accepted;
}

// Takes what the step gave to the sequence that was `index` in it, whose first wanted row is `first_logits`.
void Batch::take_rows(Sequence& sequence, uint32_t index, uint32_t first_logits) {
  const uint32_t refused = target_.refused_row(index);
  // A refused draft matters only where sampling gets to it.
  const auto rows = static_cast<uint32_t>(sequence.tokens.size() - sequence.draft.size());
  if (refused < rows) return sequence.generation.fail(target_.refusal(index));
  const uint32_t prompt_size = sequence.generation.prompt_size();
  const uint32_t prompt_before = std::min(sequence.computed, prompt_size);
  sequence.computed += rows;
  counted_.prompt_tokens += std::min(sequence.computed, prompt_size) - prompt_before;
  for (uint32_t i = 0; i < sequence.scored; ++i) sequence.generation.score(target_.logits(first_logits++));
  const std::span<const int32_t> wanted = std::span(sequence.wanted).subspan(sequence.scored);
  if (wanted.empty()) return;
  if (sequence.generation.request().embed) return take_embedding(sequence, first_logits);
  const bool first = sequence.generation.answer().empty();
  const size_t before = sequence.generation.tokens().size();
  size_t drafted = sequence.draft.size();
  size_t accepted = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (static_cast<uint32_t>(wanted[i]) >= refused) {
      sequence.generation.fail(target_.refusal(index));
      break;
    }
    if (!wait_for_rules(sequence)) {
      sequence.rules_late = true;
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
  counted_.drafts_tried += drafted;
  counted_.drafts_taken += accepted;
  if (sequence.draft_policy && prompts_.empty()) {
    sequence.draft_policy->observe(static_cast<uint32_t>(drafted), static_cast<uint32_t>(accepted));
  }
  const size_t count = sequence.generation.tokens().size() - before;
  if (count == 0 && !sequence.generation.request().prompt_only) return;
  const double seconds = sequence.watch.seconds();
  sequence.watch = Stopwatch();
  (first ? sequence.timing.prefill_s : sequence.timing.decode_s) += seconds;
  // Tokens that came with the first took no time of their own.
  counted_.answer_tokens += count;
  for (size_t i = first ? 1 : 0; i < count; ++i) {
    sequence.timing.token_s.push_back(first ? 0.0 : seconds / static_cast<double>(count));
  }
}

// Ends a request for an embedding with the hidden state of that wanted row.
void Batch::take_embedding(Sequence& sequence, uint32_t wanted) {
  hidden_.resize(target_.hidden_width());
  target_.hidden(wanted, hidden_);
  sequence.generation.embed(hidden_);
  sequence.timing.prefill_s += sequence.watch.seconds();
}

// Gives a sequence's pages back; what is computed stays there for others, unless a value was refused.
void Batch::let_go(Sequence& sequence) {
  pool_.release(sequence.held, sequence.generation.tokens(), sequence.computed);
  sequence.computed = 0;
  count_in(sequence, nullptr);
  sequence.drafter.reset();  // here and not with the owner's last hold, who is on another thread
}

}  // namespace lockstep::engine
