// What was typed at the prompt, kept for the next time: a text file, one line an entry, the newest last.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::cli {

// A history that cannot be read or written is no error: it is then not kept. Only its owner may read the
// file.
class HistoryFile {
 public:
  static constexpr size_t kMostLines = 1000;

  // With an empty path, or one whose folder does not exist, nothing is kept.
  explicit HistoryFile(const std::filesystem::path& path);

  // The newest kMostLines lines, the oldest first. Shortens a file that has grown to twice as many.
  std::vector<std::string> lines() const;
  void append(std::string_view line) const;

 private:
  void write(std::string_view text, int flags) const;

  std::filesystem::path path_;
};

}  // namespace lockstep::cli
