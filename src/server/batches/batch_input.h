// A batch's input file, cut into lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace lockstep::server {

inline constexpr size_t kBatchLinesMax = 50'000;  // API.md section 11

// Lines with nothing but white space are none, and count only for the numbers of those after them. Keeps
// where the lines are; the file stays open. One thread.
class BatchInput {
 public:
  // Reads the whole file once; ends after one line more than kBatchLinesMax. Throws a machine's error if it
  // can not be read.
  explicit BatchInput(const std::filesystem::path& path);

  size_t size() const { return lines_.size(); }
  // Of line `index`: its place in the file, counted from 1, and how long it is.
  int64_t number(size_t index) const { return lines_.at(index).number; }
  size_t bytes(size_t index) const { return lines_.at(index).bytes; }
  // Without the line's end.
  std::string text(size_t index);
  // Gives size() where there is no line of this number.
  size_t index_of(int64_t number) const;

 private:
  struct Line {
    uint64_t offset;
    uint32_t bytes;
    uint32_t number;
  };

  const std::string name_;
  std::ifstream file_;
  std::vector<Line> lines_;
};

}  // namespace lockstep::server
