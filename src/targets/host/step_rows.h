// The rows of the step that runs: which sequence each belongs to, where its cache is, what went wrong.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "targets/target.h"

namespace lockstep::targets::host {

// THREAD: set is called between steps; in a step all workers read, and refuse.
class StepRows {
 public:
  struct Sequence {
    uint32_t first_row = 0;
    uint32_t rows = 0;
    uint32_t position = 0;                    // of first_row
    const std::byte* const* pages = nullptr;  // addresses, in order of positions
  };

  StepRows(uint32_t rows_max, uint32_t pages_max);

  // Lays out a step; `page_address` gives the memory of a page. REQUIRES: what Target::step requires.
  template <class PageAddress>
  void set(std::span<const StepSequence> sequences, PageAddress page_address);

  uint32_t count() const { return static_cast<uint32_t>(tokens_.size()); }
  uint32_t wanted_count() const { return static_cast<uint32_t>(wanted_.size()); }
  // Of the wanted rows the first so many; the others' logits are not wanted.
  uint32_t logits_count() const { return logits_count_; }
  uint32_t wanted_row(uint64_t i) const { return wanted_[i]; }
  int32_t token(uint64_t row) const { return tokens_[row]; }
  const std::vector<Sequence>& sequences() const { return sequences_; }
  const Sequence& sequence_of(uint64_t row) const { return sequences_[sequence_of_[row]]; }
  uint32_t position(uint64_t row) const {
    const Sequence& sequence = sequence_of(row);
    return sequence.position + static_cast<uint32_t>(row) - sequence.first_row;
  }

  // Notes that an instruction refused a value of a row; the lowest instruction stays.
  void refuse(uint32_t row, uint32_t instruction);
  // The lowest instruction that refused a row; kNone.
  uint32_t refused_by(uint32_t row) const { return refused_[row].load(std::memory_order_relaxed); }

 private:
  std::vector<int32_t> tokens_;
  std::vector<uint32_t> wanted_;
  uint32_t logits_count_ = 0;
  std::vector<Sequence> sequences_;
  std::vector<uint32_t> sequence_of_;
  std::vector<const std::byte*> page_addresses_;
  std::unique_ptr<std::atomic<uint32_t>[]> refused_;
};

inline StepRows::StepRows(uint32_t rows_max, uint32_t pages_max)
    : refused_(std::make_unique<std::atomic<uint32_t>[]>(rows_max)) {
  tokens_.reserve(rows_max);
  wanted_.reserve(rows_max);
  sequences_.reserve(rows_max);
  sequence_of_.reserve(rows_max);
  page_addresses_.reserve(pages_max);  // more where sequences share pages
}

template <class PageAddress>
void StepRows::set(std::span<const StepSequence> sequences, PageAddress page_address) {
  tokens_.clear();
  wanted_.clear();
  logits_count_ = 0;
  sequences_.clear();
  sequence_of_.clear();
  page_addresses_.clear();
  for (const StepSequence& sequence : sequences) {
    for (int32_t row : sequence.wanted) wanted_.push_back(count() + static_cast<uint32_t>(row));
    if (!sequence.hidden_only) logits_count_ = wanted_count();
    sequence_of_.insert(sequence_of_.end(), sequence.tokens.size(), static_cast<uint32_t>(sequences_.size()));
    sequences_.push_back(
        {count(), static_cast<uint32_t>(sequence.tokens.size()), sequence.position, nullptr});
    tokens_.insert(tokens_.end(), sequence.tokens.begin(), sequence.tokens.end());
    for (uint32_t page : sequence.pages) page_addresses_.push_back(page_address(page));
  }
  const std::byte* const* pages = page_addresses_.data();
  for (size_t i = 0; i < sequences.size(); ++i) {
    sequences_[i].pages = pages;
    pages += sequences[i].pages.size();
  }
  for (uint32_t row = 0; row < count(); ++row) refused_[row].store(program::kNone, std::memory_order_relaxed);
}

inline void StepRows::refuse(uint32_t row, uint32_t instruction) {
  uint32_t before = refused_[row].load(std::memory_order_relaxed);
  while (instruction < before && !refused_[row].compare_exchange_weak(before, instruction)) {
  }
}

}  // namespace lockstep::targets::host
