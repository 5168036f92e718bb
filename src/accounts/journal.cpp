#include "accounts/journal.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace lockstep::accounts {
namespace {

using Clock = std::chrono::steady_clock;

// Between two tries of a commit that failed.
constexpr std::chrono::milliseconds kPause(100);

struct Entry {
  UsageRecord record;
  Journal::Done done;
  Journal::Also also;
};

void finish(const Entry& entry, const Error* error) {
  if (entry.done) entry.done(error);
}

}  // namespace

struct Journal::State {
  Accounts& accounts;
  const JournalOptions options;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<Entry> queue;
  // Entries ever added, and ever written or given up.
  uint64_t added = 0;
  uint64_t finished = 0;
  bool stop = false;
  std::optional<Clock::time_point> failing_since;  // the writer's own
  std::thread writer;

  State(Accounts& the_accounts, const JournalOptions& the_options)
      : accounts(the_accounts), options(the_options) {}

  void write_all() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return stop || !queue.empty(); });
      if (queue.empty()) return;
      const size_t count = std::min(queue.size(), std::max<size_t>(options.largest_commit, 1));
      std::vector<Entry> entries(std::make_move_iterator(queue.begin()),
                                 std::make_move_iterator(queue.begin() + static_cast<std::ptrdiff_t>(count)));
      queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(count));
      lock.unlock();
      write(entries);
      lock.lock();
      finished += count;
      changed.notify_all();
    }
  }

  // Commits the entries together; if that is refused, one by one, so that one bad record takes no other
  // along.
  void write(std::span<const Entry> entries) {
    const std::optional<Error> error = try_long(entries);
    if (error && error->kind() != ErrorKind::Machine && entries.size() > 1) {
      for (size_t i = 0; i < entries.size(); ++i) write(entries.subspan(i, 1));
      return;
    }
    for (const Entry& entry : entries) finish(entry, error ? &*error : nullptr);
  }

  // Tries again while the machine is in trouble. Once it has been for too long, entries have one try each.
  std::optional<Error> try_long(std::span<const Entry> entries) {
    while (true) {
      const std::optional<Error> error = try_once(entries);
      if (!error) {
        failing_since.reset();
        return std::nullopt;
      }
      if (error->kind() != ErrorKind::Machine) return error;
      if (!failing_since) failing_since = Clock::now();
      if (Clock::now() - *failing_since >= options.give_up_after) return error;
      std::this_thread::sleep_for(kPause);
    }
  }

  std::optional<Error> try_once(std::span<const Entry> entries) {
    try {
      std::vector<const UsageRecord*> records;
      for (const Entry& entry : entries) records.push_back(&entry.record);
      accounts.spending().note(accounts.database().write([&](database::Transaction& transaction) {
        const std::vector<MonthSpend> sums = usage_tables::insert(transaction, records);
        for (const Entry& entry : entries) {
          if (entry.also) entry.also(transaction);
        }
        return sums;
      }));
      return std::nullopt;
    } catch (const Error& error) {
      return error;
    } catch (const std::exception& error) {
      return Error(ErrorKind::Internal, error.what());
    }
  }
};

Journal::Journal(Accounts& accounts, JournalOptions options)
    : state_(std::make_unique<State>(accounts, options)) {
  state_->writer = std::thread([state = state_.get()] { state->write_all(); });
}

Journal::~Journal() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->changed.notify_all();
  state_->writer.join();
}

void Journal::add(UsageRecord record, Done done, Also also) {
  Entry entry{std::move(record), std::move(done), std::move(also)};
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->queue.size() < state_->options.capacity) {
      state_->queue.push_back(std::move(entry));
      ++state_->added;
      state_->changed.notify_all();
      return;
    }
  }
  const Error full(ErrorKind::Machine,
                   fmt::format("the request log has {} records waiting for the database and takes no more",
                               state_->options.capacity));
  finish(entry, &full);
}

void Journal::flush() {
  std::unique_lock lock(state_->mutex);
  const uint64_t last = state_->added;
  state_->changed.wait(lock, [&] { return state_->finished >= last; });
}

size_t Journal::waiting() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<size_t>(state_->added - state_->finished);
}

}  // namespace lockstep::accounts
