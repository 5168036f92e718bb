#include "compiler/lpu/slice_memory.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::compiler::lpu {

SliceMemory::SliceMemory(const machine::Machine& machine, const SchedulerOptions& options,
                         std::string subject, bool contents)
    : machine_(machine),
      options_(options),
      subject_(std::move(subject)),
      contents_(contents),
      no_row_(machine.geometry.lanes()) {
  for (uint32_t h = 0; h < 2; ++h) {
    taken_[h].resize(machine.geometry.slices);
    image_rows_[h].resize(machine.geometry.slices);
    images_[h].resize(machine.geometry.slices);
  }
}

uint16_t SliceMemory::take_rows(Hemisphere hemisphere, uint32_t slice, uint32_t count) {
  uint32_t& taken = taken_[hemisphere][slice];
  if (count > rows_free(hemisphere, slice)) {
    const bool scratch = options_.is_scratch(slice);
    user_error(
        "{}: {} {} rows of slice {}.{} on a chip of {}, which has {} for them; {}", subject_,
        scratch ? "tables and constants take" : "weights and the KV cache take", taken + count,
        hemisphere == kEast ? "e" : "w", slice, machine_.name, taken + rows_free(hemisphere, slice),
        scratch ? "a smaller --context takes fewer" : "more --chips or a smaller --context take fewer");
  }
  const uint32_t first = taken;
  taken += count;
  return static_cast<uint16_t>(first);
}

uint32_t SliceMemory::rows_free(Hemisphere hemisphere, uint32_t slice) const {
  const machine::Geometry& geometry = machine_.geometry;
  const uint32_t rows = options_.is_scratch(slice) ? rows_beside_scratch(geometry) : geometry.slice_rows;
  return rows - taken_[hemisphere][slice];
}

std::span<uint8_t> SliceMemory::image_row(Hemisphere hemisphere, uint32_t slice, uint32_t row) {
  image_rows_[hemisphere][slice] = std::max(image_rows_[hemisphere][slice], row + 1);
  if (!contents_) return no_row_;
  std::vector<uint8_t>& image = images_[hemisphere][slice];
  const size_t lanes = machine_.geometry.lanes();
  if (image.size() < (row + 1) * lanes) image.resize((row + 1) * lanes);
  return {image.data() + row * lanes, lanes};
}

const std::vector<uint8_t>& SliceMemory::image(Hemisphere hemisphere, uint32_t slice) const {
  return images_[hemisphere][slice];
}

}  // namespace lockstep::compiler::lpu
