// A chip's memory as the compiler hands it out.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "compiler/lpu/scheduler_options.h"
#include "machine/machine.h"

namespace lockstep::compiler::lpu {

// The chip's memory as the compiler hands it out. Words and activations lie in the slices
// nearest the VXM, weights in the others.
class SliceMemory {
 public:
  // `subject` is whose data it holds, for messages. Without contents only the sizes of images are kept.
  SliceMemory(const machine::Machine& machine, const SchedulerOptions& options, std::string subject,
              bool contents);
  // `count` rows side by side, never given back. The image of a slice is what stands in it before the first
  // step. Throws a user's error when the slice has no room for them.
  uint16_t take_rows(Hemisphere hemisphere, uint32_t slice, uint32_t count);
  uint32_t rows_taken(Hemisphere hemisphere, uint32_t slice) const { return taken_[hemisphere][slice]; }
  uint32_t rows_free(Hemisphere hemisphere, uint32_t slice) const;
  bool has_contents() const { return contents_; }
  std::span<uint8_t> image_row(Hemisphere hemisphere, uint32_t slice, uint32_t row);
  // Empty without contents.
  const std::vector<uint8_t>& image(Hemisphere hemisphere, uint32_t slice) const;
  uint32_t image_rows(Hemisphere hemisphere, uint32_t slice) const { return image_rows_[hemisphere][slice]; }

 private:
  const machine::Machine& machine_;
  SchedulerOptions options_;
  std::string subject_;
  bool contents_;
  std::vector<uint8_t> no_row_;  // what is written to where there are no contents
  std::array<std::vector<uint32_t>, 2> taken_, image_rows_;
  std::array<std::vector<std::vector<uint8_t>>, 2> images_;
};

}  // namespace lockstep::compiler::lpu
