// NumPy's .npy files, version 1.0: numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <span>
#include <string>
#include <vector>

#include "store/atomic_file.h"

namespace lockstep::cli {

// A binary32 array written row by row; whole or not at all.
class NpyWriter {
 public:
  NpyWriter(const std::string& path, const std::vector<uint64_t>& shape);
  void append(std::span<const float> values);
  // REQUIRES: all values were appended.
  void commit();

 private:
  store::AtomicFile file_;
};

}  // namespace lockstep::cli
