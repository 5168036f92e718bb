#include "server/batches/batch_input.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::server {

namespace {

constexpr size_t kBlockBytes = 1 << 20;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

}  // namespace

BatchInput::BatchInput(const std::filesystem::path& path)
    : name_(path.string()), file_(path, std::ios::binary) {
  if (!file_) machine_error("{}: cannot be opened", name_);
  std::string block(kBlockBytes, '\0');
  uint64_t offset = 0, begin = 0;
  uint32_t number = 1;
  bool blank = true;
  const auto end_line = [&](uint64_t end) {
    if (!blank) lines_.push_back({begin, static_cast<uint32_t>(end - begin), number});
    begin = end + 1;
    ++number;
    blank = true;
  };
  while (lines_.size() <= kBatchLinesMax) {
    file_.read(block.data(), static_cast<std::streamsize>(block.size()));
    const auto count = static_cast<size_t>(file_.gcount());
    if (file_.bad()) machine_error("{}: cannot be read", name_);
    for (size_t i = 0; i < count && lines_.size() <= kBatchLinesMax; ++i) {
      if (block[i] == '\n') {
        end_line(offset + i);
      } else {
        blank = blank && is_space(block[i]);
      }
    }
    offset += count;
    if (count < block.size()) break;
  }
  if (lines_.size() <= kBatchLinesMax) end_line(offset);
  file_.clear();
}

std::string BatchInput::text(size_t index) {
  const Line& line = lines_.at(index);
  std::string text(line.bytes, '\0');
  file_.seekg(static_cast<std::streamoff>(line.offset));
  if (!file_.read(text.data(), static_cast<std::streamsize>(text.size()))) {
    file_.clear();
    machine_error("{}: line {} cannot be read", name_, line.number);
  }
  return text;
}

size_t BatchInput::index_of(int64_t number) const {
  const auto found = std::lower_bound(lines_.begin(), lines_.end(), number,
                                      [](const Line& line, int64_t wanted) { return line.number < wanted; });
  const bool there = found != lines_.end() && found->number == number;
  return there ? static_cast<size_t>(found - lines_.begin()) : size();
}

}  // namespace lockstep::server
