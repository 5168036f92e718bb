// The user's cache: models that were fetched, programs that were compiled, and
// what was found to be fastest. Losing it costs time, never
// results, so a cache that cannot be used is reported and not an error.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "store/atomic_file.h"
#include "store/lock_file.h"

namespace lockstep::store {

struct CacheEntry {
  std::string key;
  uint64_t bytes = 0;
  std::chrono::system_clock::time_point last_used;
};

// One folder of entries, each a file named by its key: letters, digits, '.', '_' and '-', the first a letter
// or a digit, at most 200 in all (for programs: a hash in hexadecimal). Safe to share between threads and
// processes. All functions throw a machine's error if the system refuses.
class CacheFolder {
 public:
  static constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

  // `folder` exists. With a limit, the modification time of an entry says when it was last used.
  CacheFolder(std::filesystem::path folder, uint64_t maximum_bytes);

  const std::filesystem::path& folder() const { return folder_; }
  uint64_t maximum_bytes() const { return maximum_bytes_; }
  // Where the entry `key` is, or would be. An AtomicFile there, then trim(key), adds one.
  std::filesystem::path path(const std::string& key) const;

  // The entry's bytes, or nothing if there is none. The map stays good if the entry is removed meanwhile.
  std::optional<MappedFile> open(const std::string& key) const;
  // Adds or replaces an entry, then trims.
  void put(const std::string& key, Bytes bytes) const;
  // Held by the one process that makes the entry `key`; those that waited find it made.
  LockFile lock(const std::string& key, const LockFile::OnWait& on_wait = {}) const;

  // Most recently used first.
  std::vector<CacheEntry> list() const;
  // Removes the entries unused for the longest time until the rest fits the limit; never `kept`. Gives the
  // number of bytes removed.
  uint64_t trim(const std::string& kept = {}) const;
  // Removes all entries; gives the number of bytes removed.
  uint64_t clear() const;

 private:
  std::filesystem::path folder_;
  uint64_t maximum_bytes_;
};

struct CacheSettings {
  std::filesystem::path root;
  uint64_t maximum_program_bytes = 20'000'000'000;
};

// $LOCKSTEP_CACHE, else $XDG_CACHE_HOME/lockstep if that is an absolute path, else $HOME/.cache/lockstep; the
// root is empty if none is set. $LOCKSTEP_CACHE_MAX_BYTES limits the programs; throws a user's error if it is
// not a whole number.
CacheSettings cache_settings_from_environment();

class Cache {
 public:
  struct Opened;

  // Makes the folders where they are missing. If that fails, or they cannot be written to, there is no cache
  // but the reason, one sentence for the user.
  static Opened open(const CacheSettings& settings);

  // Fetched models, without a limit: removed only by clear.
  const CacheFolder& models() const { return models_; }
  const CacheFolder& programs() const { return programs_; }
  // What was found to be fastest on this machine; a few hundred bytes each.
  const CacheFolder& tunings() const { return tunings_; }

 private:
  Cache(CacheFolder models, CacheFolder programs, CacheFolder tunings);

  CacheFolder models_;
  CacheFolder programs_;
  CacheFolder tunings_;
};

struct Cache::Opened {
  std::optional<Cache> cache;
  std::string reason;  // why there is none
};

}  // namespace lockstep::store
