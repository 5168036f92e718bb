#include "cli/history_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

namespace lockstep::cli {

HistoryFile::HistoryFile(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!path.empty() && std::filesystem::is_directory(path.parent_path(), ignored)) path_ = path;
}

std::vector<std::string> HistoryFile::lines() const {
  std::vector<std::string> all;
  std::error_code ignored;
  if (path_.empty() || !std::filesystem::is_regular_file(path_, ignored)) return all;
  try {
    const MappedFile file(path_);
    std::string_view text = as_text(file.bytes());
    while (!text.empty()) {
      const size_t end = text.find('\n');
      if (end != 0) all.emplace_back(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
  } catch (const Error&) {
    return {};
  }
  if (all.size() <= kMostLines) return all;
  const bool shorten = all.size() >= 2 * kMostLines;
  all.erase(all.begin(), all.end() - static_cast<ptrdiff_t>(kMostLines));
  if (shorten) {
    std::string text;
    for (const std::string& line : all) text += line + "\n";
    write(text, O_TRUNC);
  }
  return all;
}

void HistoryFile::append(std::string_view line) const {
  if (!path_.empty()) write(std::string(line) + "\n", O_APPEND);
}

void HistoryFile::write(std::string_view text, int flags) const {
  const int descriptor =
      ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
  if (descriptor < 0) return;
  if (::fchmod(descriptor, 0600) == 0) {
    [[maybe_unused]] const ssize_t ignored = ::write(descriptor, text.data(), text.size());
  }
  ::close(descriptor);
}

}  // namespace lockstep::cli
