#include "store/prefix_store.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>

namespace lockstep::store {
namespace {

constexpr std::chrono::seconds kLastWait{2};
constexpr size_t kOnDiskMax = 65536;

uint64_t short_key(const Hash256& key) {
  uint64_t value;
  std::memcpy(&value, key.data(), sizeof(value));
  return value;
}

}  // namespace

// A block on its way to the disk.
struct PrefixStore::Job {
  Hash256 parent{};
  std::array<int32_t, kPrefixTokensMax> tokens{};
  uint32_t count = 0;
  std::unique_ptr<std::byte[]> storage;  // large enough for a full block
  std::span<std::byte> file;
};

// What both threads use.
struct PrefixStore::Shared {
  explicit Shared(PrefixFolder opened) : folder(std::move(opened)) {}

  void tell(const std::string& message) {
    std::lock_guard lock(warn_mutex);
    if (warn) warn(message);
  }

  PrefixFolder folder;
  std::mutex warn_mutex;
  std::function<void(const std::string&)> warn;
  std::atomic<bool> writing_failed{false};
  std::atomic<bool> trimmed{false};  // blocks thought to be on disk may be gone
  std::atomic<uint64_t> written{0}, dropped{0};

  std::mutex mutex;
  std::condition_variable work, idle;
  std::deque<std::unique_ptr<Job>> queue;
  std::vector<std::unique_ptr<Job>> spare;
  bool busy = false;  // a job is being written
  bool stop = false;
};

PrefixStore::PrefixStore(const PrefixIdentity& identity, const PrefixStoreOptions& options)
    : identity_(identity) {
  try {
    shared_ = std::make_shared<Shared>(PrefixFolder(options.folder, identity, options.maximum_bytes));
  } catch (const Error& error) {
    if (options.warn) options.warn(fmt::format("{}; prefixes are not kept", error.what()));
    return;
  }
  shared_->warn = options.warn;
  const uint64_t file_bytes_max = prefix_file_bytes(identity, kPrefixTokensMax);
  const uint64_t jobs = std::max<uint64_t>(1, options.queue_bytes / file_bytes_max);
  for (uint64_t i = 0; i < jobs; ++i) shared_->spare.push_back(std::make_unique<Job>());
  thread_ = std::thread([shared = shared_] { write_jobs(shared); });
}

PrefixStore::~PrefixStore() {
  if (!shared_) return;
  const bool finished = flush(kLastWait);
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
    shared_->queue.clear();
  }
  shared_->work.notify_one();
  if (finished) {
    thread_.join();
    return;
  }
  // A disk that hangs keeps its thread, not ours.
  std::lock_guard lock(shared_->warn_mutex);
  shared_->warn = {};
  thread_.detach();
}

std::optional<PrefixBlock> PrefixStore::load(const Hash256& parent, std::span<const int32_t> tokens,
                                             uint32_t more_than) {
  if (!shared_) return std::nullopt;
  try {
    auto block = shared_->folder.load(parent, tokens, more_than, [this](const std::string& message) {
      on_disk_.clear();  // what was damaged is to be saved again
      shared_->tell(message);
    });
    if (block) on_disk_.insert(short_key(prefix_key(parent, block->tokens())));
    return block;
  } catch (const Error& error) {
    if (!std::exchange(read_failed_, true)) {
      shared_->tell(fmt::format("{}; kept prefixes may be computed again", error.what()));
    }
    return std::nullopt;
  }
}

void PrefixStore::save(const Hash256& parent, std::span<const int32_t> tokens,
                       const std::function<void(std::span<std::byte> payload)>& fill) {
  LOCKSTEP_CHECK(!tokens.empty() && tokens.size() <= kPrefixTokensMax);
  if (!shared_ || shared_->writing_failed) return;
  if (shared_->trimmed.exchange(false) || on_disk_.size() >= kOnDiskMax) on_disk_.clear();
  const uint64_t key = short_key(prefix_key(parent, tokens));
  if (on_disk_.contains(key)) return;
  std::unique_ptr<Job> job;
  {
    std::lock_guard lock(shared_->mutex);
    if (!shared_->spare.empty()) {
      job = std::move(shared_->spare.back());
      shared_->spare.pop_back();
    }
  }
  if (!job) {
    ++shared_->dropped;
    return;
  }
  job->parent = parent;
  job->count = static_cast<uint32_t>(tokens.size());
  std::copy(tokens.begin(), tokens.end(), job->tokens.begin());
  if (!job->storage) {
    job->storage =
        std::make_unique_for_overwrite<std::byte[]>(prefix_file_bytes(identity_, kPrefixTokensMax));
  }
  job->file = {job->storage.get(), prefix_file_bytes(identity_, job->count)};
  write_prefix_head(identity_, parent, tokens, job->file);
  fill(job->file.subspan(prefix_payload_offset(job->count), job->count * identity_.token_bytes));
  {
    std::lock_guard lock(shared_->mutex);
    shared_->queue.push_back(std::move(job));
  }
  shared_->work.notify_one();
  on_disk_.insert(key);
}

bool PrefixStore::flush(std::chrono::milliseconds timeout) {
  if (!shared_) return true;
  std::unique_lock lock(shared_->mutex);
  return shared_->idle.wait_for(lock, timeout, [&] { return shared_->queue.empty() && !shared_->busy; });
}

PrefixStore::Counters PrefixStore::counters() const {
  return shared_ ? Counters{shared_->written, shared_->dropped} : Counters{};
}

// The writing thread. It comes after whoever computes.
void PrefixStore::write_jobs(const std::shared_ptr<Shared>& shared) {
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 19);
  std::unique_lock lock(shared->mutex);
  while (true) {
    shared->work.wait(lock, [&] { return shared->stop || !shared->queue.empty(); });
    if (shared->stop) return;
    std::unique_ptr<Job> job = std::move(shared->queue.front());
    shared->queue.pop_front();
    shared->busy = true;
    lock.unlock();
    try {
      if (!shared->writing_failed) {
        seal_prefix(job->file);
        if (shared->folder.write(job->parent, std::span(job->tokens).first(job->count), job->file)) {
          shared->trimmed = true;
        }
        ++shared->written;
      }
    } catch (const std::exception& error) {
      if (!shared->writing_failed.exchange(true)) {
        shared->tell(fmt::format("{}; prefixes are not kept from now on", error.what()));
      }
    }
    lock.lock();
    shared->busy = false;
    shared->spare.push_back(std::move(job));
    shared->idle.notify_all();
  }
}

}  // namespace lockstep::store
