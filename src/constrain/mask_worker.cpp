#include "constrain/mask_worker.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/stopwatch.h"

namespace lockstep::constrain {

namespace {

constexpr double kQuick_s = 0.001;
constexpr double kTurn_s = 0.005;
constexpr size_t kKnownMax = 512;  // masks, an eighth of a byte for each token of the vocabulary

}  // namespace

SharedMasks::SharedMasks(std::shared_ptr<const TokenTable> tokens, AnswerGrammar answer)
    : tokens_(std::move(tokens)),
      answer_(std::move(answer)),
      masks_(answer_.grammar, tokens_->trie, tokens_->end_tokens) {}

Mask SharedMasks::known(const grammar::Readings& readings) {
  const std::lock_guard lock(known_mutex_);
  const auto found = known_.find(readings);
  return found == known_.end() ? nullptr : found->second;
}

Mask SharedMasks::quick_mask(const grammar::Readings& readings) {
  if (Mask mask = known(readings); mask || !quick()) return mask;
  const std::unique_lock lock(work_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return nullptr;
  const Stopwatch watch;
  return work_out(readings, [&] { return watch.seconds() > kQuick_s; });
}

Mask SharedMasks::mask(const grammar::Readings& readings, const grammar::TokenMasks::Stop& stop) {
  if (Mask mask = known(readings)) return mask;
  const std::lock_guard lock(work_mutex_);
  return work_out(readings, stop);
}

// REQUIRES: work_mutex_ is held.
Mask SharedMasks::work_out(const grammar::Readings& readings, const grammar::TokenMasks::Stop& stop) {
  const Stopwatch watch;
  std::optional<std::vector<uint64_t>> allowed = masks_.allowed(readings, stop);
  if (watch.seconds() > kQuick_s) quick_masks_ = std::numeric_limits<int>::min();
  if (!allowed) return nullptr;
  if (quick_masks_ >= 0) quick_masks_ = std::min(quick_masks_ + 1, kQuickMasks);
  auto mask = std::make_shared<const std::vector<uint64_t>>(std::move(*allowed));
  const std::lock_guard lock(known_mutex_);
  if (known_.size() >= kKnownMax) known_.clear();
  known_.emplace(readings, mask);
  return mask;
}

grammar::Readings advanced(const grammar::Grammar& grammar, grammar::Readings readings,
                           std::string_view bytes) {
  for (const char byte : bytes) readings = advance(grammar, readings, static_cast<uint8_t>(byte));
  return readings;
}

MaskJob::MaskJob(std::shared_ptr<SharedMasks> shared, grammar::Readings readings,
                 std::span<const int32_t> draft, Mask first)
    : shared_(std::move(shared)),
      draft_(draft.begin(), draft.end()),
      readings_(std::move(readings)),
      masks_(draft.size() + 1) {
  if (!first) return;
  masks_[0] = std::move(first);
  done_ = 1;
}

bool MaskJob::begin() {
  State state = State::Waits;
  state_.compare_exchange_strong(state, State::Begun);
  return state != State::Withdrawn;
}

bool MaskJob::withdraw() {
  State state = State::Waits;
  return state_.compare_exchange_strong(state, State::Withdrawn);
}

bool MaskJob::run(const grammar::TokenMasks::Stop& stop) {
  try {
    work_out([&] { return abandoned_ || stop(); });
    return abandoned_ || at_ > draft_.size();
  } catch (const std::exception&) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
    failed_ = true;
  }
  more_.notify_one();
  return true;
}

// Leaves at_ beyond the draft where no further mask will be asked for.
void MaskJob::work_out(const grammar::TokenMasks::Stop& stop) {
  for (; at_ <= draft_.size() && !abandoned_; ++at_) {
    if (done_ <= at_) {
      Mask mask = shared_->mask(readings_, stop);
      if (!mask) return;
      masks_[at_] = std::move(mask);
      {
        const std::lock_guard lock(mutex_);
        ++done_;
      }
      more_.notify_one();
    }
    if (at_ == draft_.size()) continue;
    const std::string& bytes = shared_->tokens().bytes[static_cast<size_t>(draft_[at_])];
    readings_ = advanced(shared_->grammar(), std::move(readings_), bytes);
    if (bytes.empty() || readings_.empty()) at_ = draft_.size();
  }
}

bool MaskJob::has(size_t index, std::chrono::microseconds patience) const {
  auto there = [&] { return done_ > index || failed_; };
  if (there() || patience.count() == 0) return there();
  std::unique_lock lock(mutex_);
  return more_.wait_for(lock, patience, there);
}

Mask MaskJob::mask(size_t index) const {
  if (done_ > index) return masks_[index];
  const std::lock_guard lock(mutex_);
  LOCKSTEP_CHECK(error_ != nullptr);
  std::rethrow_exception(error_);
}

MaskWorker::MaskWorker() : thread_([this] { thread_main(); }) {}

MaskWorker::~MaskWorker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
}

void MaskWorker::add(std::shared_ptr<MaskJob> job) {
  {
    const std::lock_guard lock(mutex_);
    const auto turn = std::find_if(turns_.begin(), turns_.end(), [&](const Jobs& jobs) {
      return &jobs.front()->shared() == &job->shared();
    });
    Jobs& jobs = turn != turns_.end() ? *turn : turns_.emplace_back();
    jobs.push_back(std::move(job));
  }
  wake_.notify_one();
}

void MaskWorker::thread_main() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !turns_.empty(); });
    if (stop_) return;
    const std::shared_ptr<MaskJob> job = turns_.front().front();
    lock.unlock();
    const bool done = take_turn(*job);
    lock.lock();
    if (done) turns_.front().pop_front();
    if (turns_.front().empty()) {
      turns_.pop_front();
    } else {
      std::rotate(turns_.begin(), turns_.begin() + 1, turns_.end());
    }
  }
}

// False: the job wants another turn.
bool MaskWorker::take_turn(MaskJob& job) {
  if (!job.begin()) return true;
  std::optional<Stopwatch> watch;  // since the turn's first piece of work, which is always done
  return job.run([&] {
    if (stop_) return true;
    if (watch) return watch->seconds() > kTurn_s;
    watch.emplace();
    return false;
  });
}

}  // namespace lockstep::constrain
