// Files that are written whole or not at all: the bytes go to a temporary in the same folder, reach the
// disk, and take the file's name in one step. A reader sees the old file or the new one, never a part.
#pragma once

#include <cstdint>
#include <filesystem>

#include "base/bytes.h"

namespace lockstep::store {

enum class Durability : uint8_t {
  Durable,  // on the disk when commit returns
  Lazy,     // written out when the system likes; after a crash of the machine the file may be damaged
};

// What a writer does first with the temporaries that killed processes have left in its folder.
enum class Leftovers : uint8_t {
  Remove,
  Leave,  // somebody else calls remove_stale_temporaries(), which reads the whole folder
};

// A file that is being written. OWNS its temporary, which goes when the object does without a commit. A
// temporary is locked for as long as its writer lives, so what a killed process left behind is told from
// what a living one still writes. One thread.
class AtomicFile {
 public:
  // Starts to write the file that will be called `path`; a symbolic link is followed. Throws a user's error
  // if the folder does not exist or `path` is anything but a regular file, and a machine's error, as do
  // append and commit, that names the path and the reason if the system refuses (no permission, disk full).
  explicit AtomicFile(const std::filesystem::path& path, Leftovers leftovers = Leftovers::Remove);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void append(Bytes bytes);
  // Gives the file its name, in place of an older one. Called once, as the last call.
  void commit(Durability durability = Durability::Durable);

  const std::filesystem::path& path() const { return path_; }

 private:
  void create_temporary();
  [[noreturn]] void fail(const char* action, int code) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty once committed
  int descriptor_ = -1;
};

// AtomicFile with all bytes at hand.
void write_file(const std::filesystem::path& path, Bytes bytes, Leftovers leftovers = Leftovers::Remove);

// Removes the temporaries in `folder` whose writers are gone; gives their number. Throws nothing: what
// cannot be read or removed stays.
uint64_t remove_stale_temporaries(const std::filesystem::path& folder) noexcept;

}  // namespace lockstep::store
