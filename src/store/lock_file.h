// Locks between processes, held by the kernel: they end with their process, however it ends.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>

namespace lockstep::store {

// An exclusive advisory lock (flock) on a file that exists only while it is held or waited for. OWNS it;
// movable. Two objects exclude each other also inside one process.
class LockFile {
 public:
  // Called about once a second while somebody else has the lock, first after one second; it gets the time
  // waited so far. Throwing gives up.
  using OnWait = std::function<void(std::chrono::milliseconds waited)>;

  // Waits for the lock. Throws a machine's error if the file cannot be made or locked.
  explicit LockFile(const std::filesystem::path& path, const OnWait& on_wait = {});
  // The lock, or nothing if somebody else has it.
  static std::optional<LockFile> try_lock(const std::filesystem::path& path);

  ~LockFile();
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&& other) noexcept;
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

 private:
  LockFile() = default;
  bool acquire();
  void release();

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace lockstep::store
