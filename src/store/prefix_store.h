// Keeps prefix blocks over restarts without making their owner wait for a disk: blocks are written by a
// thread of its own, and a folder that fails costs what it held and one warning.
#pragma once

#include <chrono>
#include <memory>
#include <thread>
#include <unordered_set>

#include "store/prefix_folder.h"

namespace lockstep::store {

struct PrefixStoreOptions {
  std::filesystem::path folder;
  uint64_t maximum_bytes = uint64_t{4} << 30;  // of all models in the folder; the longest unused go first
  uint64_t queue_bytes = uint64_t{64} << 20;   // of blocks waiting to be written
  // Told of damaged files (once each), and once why blocks are not kept or not read. Called by the thread of
  // load and by the writing thread, never by both at once, and not after the destructor.
  std::function<void(const std::string& message)> warn = {};
};

// THREAD: one thread at a time. Throws nothing of the disk's.
class PrefixStore {
 public:
  struct Counters {
    uint64_t written = 0;  // blocks handed to the disk, or found to be there
    uint64_t dropped = 0;  // blocks not kept because the queue was full
  };

  // Where the folder cannot be had, load finds nothing and save does nothing.
  PrefixStore(const PrefixIdentity& identity, const PrefixStoreOptions& options);
  // Writes what waits, for two seconds at most.
  ~PrefixStore();
  PrefixStore(const PrefixStore&) = delete;
  PrefixStore& operator=(const PrefixStore&) = delete;

  // PrefixFolder::load. Reads from the disk.
  std::optional<PrefixBlock> load(const Hash256& parent, std::span<const int32_t> tokens, uint32_t more_than);

  // Hands a block over to be written. `fill` writes its payload before save returns. Costs that, a hash of
  // the tokens and a short lock; never waits for the disk. Drops the block when the queue is full, and does
  // nothing where the block was saved or loaded before. REQUIRES: 1 to kPrefixTokensMax tokens.
  void save(const Hash256& parent, std::span<const int32_t> tokens,
            const std::function<void(std::span<std::byte> payload)>& fill);

  // Waits until all is written; false if that took longer.
  bool flush(std::chrono::milliseconds timeout);
  Counters counters() const;

 private:
  struct Job;
  struct Shared;
  static void write_jobs(const std::shared_ptr<Shared>& shared);

  PrefixIdentity identity_;
  std::shared_ptr<Shared> shared_;        // none without a folder; outlives this where the disk hangs
  std::unordered_set<uint64_t> on_disk_;  // beginnings of the keys of blocks that need not be saved
  bool read_failed_ = false;
  std::thread thread_;
};

}  // namespace lockstep::store
