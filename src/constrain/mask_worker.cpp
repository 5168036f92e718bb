#include "constrain/mask_worker.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/stopwatch.h"

namespace lockstep::constrain {

namespace {

constexpr double kQuick_s = 0.001;

}  // namespace

SharedMasks::SharedMasks(std::shared_ptr<const TokenTable> tokens, AnswerGrammar answer)
    : tokens_(std::move(tokens)),
      answer_(std::move(answer)),
      masks_(answer_.grammar, tokens_->trie, tokens_->end_tokens) {}

void SharedMasks::mask(const grammar::Readings& readings, std::vector<uint64_t>& mask) {
  const std::lock_guard lock(mutex_);
  const Stopwatch watch;
  const std::span<const uint64_t> allowed = masks_.allowed(readings);
  mask.assign(allowed.begin(), allowed.end());
  const bool slow = watch.seconds() > kQuick_s;
  quick_masks_ = slow ? std::numeric_limits<int>::min() : std::min(quick_masks_ + 1, kQuickMasks);
}

bool SharedMasks::knows(const grammar::Readings& readings) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock() && masks_.knows(readings);
}

grammar::Readings advanced(const grammar::Grammar& grammar, grammar::Readings readings,
                           std::string_view bytes) {
  for (const char byte : bytes) readings = advance(grammar, readings, static_cast<uint8_t>(byte));
  return readings;
}

void MaskJob::run() {
  for (size_t i = 0; i < masks_.size() && !abandoned_; ++i) {
    if (i > 0) {
      const std::string& bytes = shared_->tokens().bytes[static_cast<size_t>(draft_[i - 1])];
      readings_ = advanced(shared_->grammar(), std::move(readings_), bytes);
      if (bytes.empty() || readings_.empty()) return;
    }
    shared_->mask(readings_, masks_[i]);
    {
      const std::lock_guard lock(mutex_);
      ++done_;
    }
    more_.notify_one();
  }
}

bool MaskJob::has(size_t index, std::chrono::microseconds patience) const {
  if (done_ > index || patience.count() == 0) return done_ > index;
  std::unique_lock lock(mutex_);
  return more_.wait_for(lock, patience, [&] { return done_ > index; });
}

std::span<const uint64_t> MaskJob::mask(size_t index) const {
  if (done_ <= index) {
    std::unique_lock lock(mutex_);
    more_.wait(lock, [&] { return done_ > index; });
  }
  return masks_[index];
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
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void MaskWorker::thread_main() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    const std::shared_ptr<MaskJob> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    if (job->take()) job->run();
    lock.lock();
  }
}

}  // namespace lockstep::constrain
