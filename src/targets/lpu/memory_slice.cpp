#include "targets/lpu/memory_slice.h"

#include <cstring>

namespace lockstep::targets::lpu {

using program::isa::LpuOp;

// A map's value from here on means no access.
static constexpr uint32_t kNoAccess = 32768;
static constexpr uint32_t kSuperlanesMax = 32;

MemorySlice::MemorySlice(const UnitContext& context, Place place)
    : context_(context),
      place_(place),
      lanes_(context.machine.geometry.lanes()),
      all_superlanes_(static_cast<uint32_t>((uint64_t{1} << context.machine.geometry.superlanes) - 1)),
      bytes_(context.arithmetic ? context.machine.slice_bytes() : 0) {}

void MemorySlice::load(Bytes first_rows) {
  const auto rows = static_cast<uint32_t>(first_rows.size() / lanes_);
  if (context_.arithmetic && rows != 0) std::memcpy(bytes_.data(), first_rows.data(), size_t{rows} * lanes_);
  set_known_rows(rows);
}

void MemorySlice::set_known_rows(uint32_t rows) {
  known_rows_ = rows;
  written_.clear();
}

std::span<std::byte> MemorySlice::writable_row(uint32_t row) {
  mark_written(row, all_superlanes_);
  return {row_data(row), lanes_};
}

void MemorySlice::mark_written(uint32_t row, uint32_t superlanes) {
  if (row < known_rows_) return;
  const uint32_t i = row - known_rows_;
  if (i >= written_.size()) written_.resize(i + 1);
  written_[i] |= superlanes;
}

void MemorySlice::execute(const Issue& issue) {
  apply_until(issue.cycle);
  switch (issue.instruction.op) {
    case LpuOp::Read:
      return read(issue);
    case LpuOp::Write:
      return write(issue);
    case LpuOp::Gather:
      return gather(issue);
    default:
      return scatter(issue);
  }
}

void MemorySlice::settle() {
  apply_until(kNever);
}

void MemorySlice::apply_until(uint64_t cycle) {
  for (; !pending_.empty() && pending_.front().visible <= cycle; pending_.pop_front()) {
    apply(pending_.front());
  }
}

void MemorySlice::apply(const Pending& pending) {
  mark_written(pending.row, pending.superlanes);
  if (!context_.arithmetic) return;
  const uint32_t width = context_.machine.geometry.superlane_lanes;
  for (uint32_t j = 0; j < context_.machine.geometry.superlanes; ++j) {
    if ((pending.superlanes >> j & 1) == 0) continue;
    std::memcpy(row_data(pending.row) + j * width, pending.value.lanes + j * width, width);
  }
}

void MemorySlice::require_row(const Issue& issue, uint64_t row) const {
  if (row < context_.machine.geometry.slice_rows) return;
  stop(issue, "row {} is past the end of the slice, which has {}", row, context_.machine.geometry.slice_rows);
}

void MemorySlice::require_written(const Issue& issue, uint32_t row, uint32_t superlanes) const {
  if ((superlanes_written(row) & superlanes) == superlanes) return;
  stop(issue, "row {} is read, and nothing has written it", row);
}

// Tells who watches.
void MemorySlice::accessed(uint32_t row, bool writes) const {
  if (TraceSink* trace = context_.streams.trace()) trace->accessed(row, writes);
}

void MemorySlice::read(const Issue& issue) {
  const uint32_t row = issue.moved(0, issue.instruction.fields[2]);
  require_row(issue, row);
  require_written(issue, row, all_superlanes_);
  accessed(row, false);
  ++context_.events.mem_reads;
  Vector* out = context_.streams.put(issue, place_, issue.instruction.fields[1],
                                     issue.cycle + context_.machine.latency.mem_read);
  if (out == nullptr) return;
  std::memcpy(out->lanes, row_data(row), lanes_);
  context_.power(issue, *out);
}

void MemorySlice::write(const Issue& issue) {
  const uint32_t row = issue.moved(0, issue.instruction.fields[2]);
  require_row(issue, row);
  accessed(row, true);
  const Vector* in = context_.streams.take(issue, place_, issue.instruction.fields[1], issue.cycle);
  ++context_.events.mem_writes;
  Pending& pending = pending_.emplace_back();
  pending.visible = issue.cycle + context_.machine.latency.mem_write;
  pending.row = row;
  pending.superlanes = all_superlanes_;
  context_.events.effect(pending.visible);
  if (in == nullptr) return;
  pending.value = *in;
  context_.power(issue, pending.value);
}

void MemorySlice::map_rows(const Issue& issue, const Vector* low, const Vector* high,
                           std::span<uint32_t> rows) const {
  for (uint32_t j = 0; j < rows.size(); ++j) {
    const uint32_t lane = j * context_.machine.geometry.superlane_lanes;
    const uint32_t value = static_cast<uint32_t>(low->lanes[lane]) | static_cast<uint32_t>(high->lanes[lane])
                                                                         << 8;
    rows[j] = kNoRow;
    if (value >= kNoAccess || !issue.queue.powered(j)) continue;
    rows[j] = issue.instruction.fields[0] + value;
    require_row(issue, rows[j]);
  }
}

void MemorySlice::gather(const Issue& issue) {
  const Vector* low = context_.streams.take(issue, place_, issue.instruction.fields[2], issue.cycle);
  const Vector* high = context_.streams.take(issue, place_, issue.instruction.fields[2] + 1, issue.cycle);
  ++context_.events.mem_reads;
  Vector* out = context_.streams.put(issue, place_, issue.instruction.fields[1],
                                     issue.cycle + context_.machine.latency.mem_gather);
  if (out == nullptr) return;
  const uint32_t width = context_.machine.geometry.superlane_lanes;
  uint32_t rows[kSuperlanesMax];
  const uint32_t superlanes = context_.machine.geometry.superlanes;
  map_rows(issue, low, high, std::span(rows, superlanes));
  for (uint32_t j = 0; j < superlanes; ++j) {
    if (rows[j] == kNoRow) {
      std::memset(out->lanes + j * width, 0, width);
      continue;
    }
    require_written(issue, rows[j], 1u << j);
    if (j == 0 || rows[j] != rows[j - 1]) accessed(rows[j], false);
    std::memcpy(out->lanes + j * width, row_data(rows[j]) + j * width, width);
  }
}

void MemorySlice::scatter(const Issue& issue) {
  const Vector* in = context_.streams.take(issue, place_, issue.instruction.fields[1], issue.cycle);
  const Vector* low = context_.streams.take(issue, place_, issue.instruction.fields[2], issue.cycle);
  const Vector* high = context_.streams.take(issue, place_, issue.instruction.fields[2] + 1, issue.cycle);
  ++context_.events.mem_writes;
  const uint64_t visible = issue.cycle + context_.machine.latency.mem_write;
  context_.events.effect(visible);
  if (in == nullptr) {
    // Where it writes is not known: it may be anywhere from the base on.
    set_known_rows(context_.machine.geometry.slice_rows);
    return;
  }
  uint32_t rows[kSuperlanesMax];
  const uint32_t superlanes = context_.machine.geometry.superlanes;
  map_rows(issue, low, high, std::span(rows, superlanes));
  for (uint32_t j = 0; j < superlanes; ++j) {
    if (rows[j] == kNoRow) continue;
    // Superlanes that write the same row share one entry.
    Pending* pending = nullptr;
    for (auto earlier = pending_.rbegin(); earlier != pending_.rend() && earlier->visible == visible;
         ++earlier) {
      if (earlier->row == rows[j]) pending = &*earlier;
    }
    if (pending == nullptr) {
      accessed(rows[j], true);
      pending = &pending_.emplace_back();
      pending->visible = visible;
      pending->row = rows[j];
      pending->superlanes = 0;
      pending->value = *in;
    }
    pending->superlanes |= 1u << j;
  }
}

}  // namespace lockstep::targets::lpu
