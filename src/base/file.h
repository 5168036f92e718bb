// Files: read-only maps and whole reads. Writing goes through store/, which never leaves half a file.
#pragma once

#include <filesystem>
#include <string>

#include "base/bytes.h"

namespace lockstep {

// A whole file mapped read-only. OWNS the map; views into it die with it. Movable.
class MappedFile {
 public:
  MappedFile() = default;
  // Throws a user's error if the path cannot be opened or is no regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  Bytes bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  const std::filesystem::path& path() const { return path_; }
  // Gives back the memory that reading `range` of bytes() has filled; they are read from the file again when
  // needed.
  void release_memory(Bytes range) const;

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
  std::filesystem::path path_;
};

// The whole of a text file, or of standard input for "-". Throws a user's error.
std::string read_text_file(const std::filesystem::path& path);

// Turns the SIGBUS that a file truncated under its map raises into one sentence on standard error and
// exit code 3. Installed once by the command line.
void install_bus_error_handler();

}  // namespace lockstep
