// Prefix blocks in a folder that several processes share: ROOT/v1-FINGERPRINT/NAME, a file a block. The names
// are those of store/prefix_block.h; docs/prefix-cache.md says how they are found, replaced and removed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "store/prefix_block.h"

namespace lockstep::store {

// THREAD: load by one thread, write by one, which may be another.
class PrefixFolder {
 public:
  using OnDamage = std::function<void(const std::string& message)>;

  // Makes the folders where they are missing, for their owner alone. All functions throw a machine's error
  // if the system refuses. `maximum_bytes` is for all models' blocks under `root`; it is passed by at most a
  // sixteenth for each further process that writes at the same time.
  PrefixFolder(const std::filesystem::path& root, const PrefixIdentity& identity, uint64_t maximum_bytes);

  const std::filesystem::path& folder() const { return folder_; }

  // A block under `parent` whose tokens have more than `more_than` in common with the beginning of `tokens`,
  // as long a beginning as there is but for rare ties of names; at most four files are read. Its payload is
  // valid until the next load. A damaged file is removed, told of once, and as good as not there.
  std::optional<PrefixBlock> load(const Hash256& parent, std::span<const int32_t> tokens, uint32_t more_than,
                                  const OnDamage& on_damage);

  // Writes a sealed block, and removes those that are only its beginning; nothing if a block on disk begins
  // with it. At first and once for each sixteenth of the limit written the folder is trimmed to its limit.
  // Returns whether that removed blocks.
  bool write(const Hash256& parent, std::span<const int32_t> tokens, Bytes file);

 private:
  // Calls visit(name, token digits) for every block under `parent`.
  template <class Visit>
  void for_each_child(const Hash256& parent, const Visit& visit) const;
  std::optional<PrefixBlock> open(const std::string& name, const Hash256& parent, const OnDamage& on_damage);
  uint32_t common_tokens(const std::filesystem::path& path, std::span<const int32_t> tokens) const;
  bool trim() const;

  std::filesystem::path root_, folder_;
  PrefixIdentity identity_;
  uint64_t maximum_bytes_;
  uint64_t written_bytes_;             // since the folder was last trimmed
  std::vector<std::byte> buffer_;      // the file that load read last
  std::set<std::string> irremovable_;  // damaged files that cannot be removed
};

}  // namespace lockstep::store
