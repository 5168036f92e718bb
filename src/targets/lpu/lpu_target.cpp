#include "targets/lpu/lpu_target.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "base/floating_point.h"
#include "targets/lpu/file_memory.h"
#include "targets/refusal.h"

namespace lockstep::targets::lpu {

using program::kNone;
using program::Program;
using program::Region;

namespace {

constexpr std::string_view kStep = "step.", kRows = "rows", kFault = "fault.";
constexpr uint32_t kRangeEnd = 0x4f800000;  // 2^32, the first magnitude outside the contract's range

// Whether a name is `base`, or `base` with something behind a point: parts of one thing, on several chips or
// in several places.
bool is_part_of(std::string_view name, std::string_view base) {
  return name.starts_with(base) && (name.size() == base.size() || name[base.size()] == '.');
}

class LpuTargetImpl final : public LpuTarget {
 public:
  LpuTargetImpl(const Program& program, const machine::Machine& machine, const LpuOptions& options)
      : program_(program), machine_(machine), simulator_(program, machine_, options.simulator) {
    find_entries();
    find_regions();
    context_ = std::min(program.context_max, buckets_.back().end);
    if (options.context != 0) context_ = std::min(context_, options.context);
  }

  void step(std::span<const StepSequence> sequences) override;
  std::span<const float> logits(uint32_t i) const override { return logits_.at(i); }
  uint32_t refused_row(uint32_t sequence) const override {
    LOCKSTEP_CHECK(sequence == 0);
    return refused_row_;
  }
  Error refusal(uint32_t sequence) const override;

  uint32_t rows_max() const override { return kStepRowsMax; }
  uint32_t context() const override { return context_; }
  uint32_t page_positions() const override { return context_; }
  uint32_t pages() const override { return 1; }
  std::span<std::byte> page(uint32_t index) override {
    LOCKSTEP_CHECK(index == 0);
    return {};
  }
  StepCounters counters() const override {
    return {steps_.load(std::memory_order_relaxed), rows_.load(std::memory_order_relaxed)};
  }
  uint64_t allocated_bytes() const override { return simulator_.chips() * machine_.chip_bytes(); }

  const machine::Machine& machine() const override { return machine_; }
  uint32_t chips() const override { return simulator_.chips(); }
  uint64_t cycles() const override { return cycles_.load(std::memory_order_relaxed); }
  const Run& last_run() const override { return last_run_; }
  Simulator& simulator() override { return simulator_; }

 private:
  // An entry for so many rows at successive positions below `end`; of several, in the last block before it.
  struct Bucket {
    uint32_t rows = 1, end = 0;
    std::string entry;
    uint64_t predicted_cycles = 0;  // 0: the program predicts none
  };
  // Words of the logits and the tokens that those of a row are for, -1 for none.
  struct LogitPart {
    const Region* region;
    std::vector<int32_t> ids;
  };

  void find_entries();
  void add_entry(const program::Entry& entry, uint32_t rows, std::string_view end);
  void find_regions();
  void find_logit_ids();
  // Vectors of a region that are each row's.
  uint32_t row_vectors(const Region& region) const { return simulator_.vectors(region) / rows_max_; }
  const Bucket& bucket_for(uint32_t position, uint32_t left) const;
  void fill_words(const std::vector<const Region*>& regions, uint32_t row, uint32_t value);
  void run(const Bucket& bucket, std::span<const int32_t> tokens, uint32_t position);
  const Region* fault(uint32_t row);
  void read_logits(uint32_t row, std::vector<float>& logits);

  const Program& program_;
  const machine::Machine machine_;
  Simulator simulator_;
  std::vector<Bucket> buckets_;  // of one row, by end, rising
  std::vector<Bucket> several_;  // of more
  uint32_t rows_max_ = 1;        // of an entry
  std::vector<const Region*> token_, position_, faults_;
  std::vector<LogitPart> logit_parts_;
  uint32_t context_ = 0;

  std::vector<uint32_t> words_ = std::vector<uint32_t>(machine_.geometry.lanes());
  std::vector<std::vector<float>> logits_;
  uint32_t position_of_step_ = 0, refused_row_ = kNone;
  const Region* refused_by_ = nullptr;
  Run last_run_;
  std::atomic<uint64_t> steps_{0}, rows_{0}, cycles_{0};
};

// "step.<end>" and "rows<count>.<end>".
void LpuTargetImpl::find_entries() {
  for (const program::Entry& entry : program_.entries) {
    const std::string_view name = entry.name;
    if (name.starts_with(kStep)) {
      add_entry(entry, 1, name.substr(kStep.size()));
    } else if (name.starts_with(kRows)) {
      uint32_t rows = 0;
      const char* const end = name.data() + name.size();
      const auto parsed = std::from_chars(name.data() + kRows.size(), end, rows);
      if (parsed.ec != std::errc() || parsed.ptr == end || *parsed.ptr != '.' || rows < 2 ||
          rows > kStepRowsMax) {
        user_error("{}: the entry {} says no number of rows from 2 to {}; rows8.320 would",
                   program_.model_name, name, kStepRowsMax);
      }
      add_entry(entry, rows, {parsed.ptr + 1, end});
      rows_max_ = std::max(rows_max_, rows);
    }
  }
  if (buckets_.empty()) {
    user_error("{}: the program has no entry step.<positions>, so that it takes no tokens",
               program_.model_name);
  }
  std::sort(buckets_.begin(), buckets_.end(), [](const Bucket& a, const Bucket& b) { return a.end < b.end; });
}

void LpuTargetImpl::add_entry(const program::Entry& entry, uint32_t rows, std::string_view end) {
  Bucket bucket = {rows, 0, entry.name, 0};
  const auto parsed = std::from_chars(end.data(), end.data() + end.size(), bucket.end);
  if (parsed.ec != std::errc() || parsed.ptr != end.data() + end.size() || bucket.end == 0) {
    user_error("{}: the entry {} says no number of positions; step.256 would", program_.model_name,
               entry.name);
  }
  for (uint32_t index : entry.parameters) {
    const program::Parameter& parameter = program_.parameters[index];
    if (parameter.name == entry.name + ".cycles") bucket.predicted_cycles = parameter.max;
  }
  (rows == 1 ? buckets_ : several_).push_back(std::move(bucket));
}

void LpuTargetImpl::find_regions() {
  for (const Region& region : program_.regions) {
    if (is_part_of(region.name, "token")) {
      token_.push_back(&region);
    } else if (is_part_of(region.name, "position")) {
      position_.push_back(&region);
    } else if (region.name.starts_with(kFault)) {
      faults_.push_back(&region);
    } else if (is_part_of(region.name, "logits")) {
      logit_parts_.push_back({&region, {}});
    } else {
      continue;
    }
    // Refuses one that is not there.
    if (const uint32_t vectors = simulator_.vectors(region); vectors % rows_max_ != 0) {
      user_error("{}: the region {} has {} vectors, not as many for each of {} rows", program_.model_name,
                 region.name, vectors, rows_max_);
    }
  }
  if (token_.empty() || position_.empty() || logit_parts_.empty()) {
    user_error("{}: the program has no region {}, so that it takes no tokens or gives no logits",
               program_.model_name,
               token_.empty()      ? "token"
               : position_.empty() ? "position"
                                   : "logits");
  }
  find_logit_ids();
}

void LpuTargetImpl::find_logit_ids() {
  std::vector<bool> given(program_.vocabulary);
  for (LogitPart& part : logit_parts_) {
    const std::string memory = "logit_ids" + part.region->name.substr(std::strlen("logits"));
    const Bytes bytes = contents_of(program_, find_memory(program_, memory));
    const size_t lanes = size_t{row_vectors(*part.region)} * machine_.geometry.lanes();
    if (bytes.size() != lanes * sizeof(int32_t)) {
      user_error("{}: the memory {} has {} bytes; the region {} needs a token for each of {} lanes, {} bytes",
                 program_.model_name, memory, bytes.size(), part.region->name, lanes,
                 lanes * sizeof(int32_t));
    }
    part.ids.resize(lanes);
    std::memcpy(part.ids.data(), bytes.data(), bytes.size());
    for (int32_t id : part.ids) {
      if (id == -1) continue;
      if (id < 0 || static_cast<uint32_t>(id) >= program_.vocabulary || given[static_cast<size_t>(id)]) {
        user_error("{}: the memory {} names token {}, which is none of the vocabulary's {} or is there twice",
                   program_.model_name, memory, id, program_.vocabulary);
      }
      given[static_cast<size_t>(id)] = true;
    }
  }
  const auto missing = std::find(given.begin(), given.end(), false);
  if (missing != given.end()) {
    user_error("{}: the program gives no logit for token {}", program_.model_name, missing - given.begin());
  }
}

void LpuTargetImpl::step(std::span<const StepSequence> sequences) {
  LOCKSTEP_CHECK(sequences.size() == 1);  // the pool has one page
  const StepSequence& sequence = sequences[0];
  LOCKSTEP_CHECK(!sequence.tokens.empty() && sequence.tokens.size() <= kStepRowsMax);
  LOCKSTEP_CHECK(sequence.position + sequence.tokens.size() <= context_);
  LOCKSTEP_CHECK(sequence.pages.size() == 1 && sequence.pages[0] == 0);
  set_floating_point_control();
  position_of_step_ = sequence.position;
  refused_row_ = kNone;
  logits_.assign(sequence.wanted.size(), std::vector<float>(program_.vocabulary));
  size_t wanted = 0;
  const auto rows = static_cast<uint32_t>(sequence.tokens.size());
  for (uint32_t done = 0; done < rows && refused_row_ == kNone;) {
    const Bucket& bucket = bucket_for(sequence.position + done, rows - done);
    const uint32_t count = std::min(bucket.rows, rows - done);
    run(bucket, sequence.tokens.subspan(done, count), sequence.position + done);
    for (uint32_t row = done; row < done + count && refused_row_ == kNone; ++row) {
      refused_by_ = fault(row - done);
      if (refused_by_ != nullptr) {
        refused_row_ = row;
      } else if (wanted < sequence.wanted.size() && static_cast<uint32_t>(sequence.wanted[wanted]) == row) {
        read_logits(row - done, logits_[wanted++]);
      }
    }
    done += count;
  }
  steps_.fetch_add(1, std::memory_order_relaxed);
}

// The entry that takes the fewest cycles for each of up to `left` rows. One of several rows may run with
// fewer: those behind them get positions that later steps write again.
const LpuTargetImpl::Bucket& LpuTargetImpl::bucket_for(uint32_t position, uint32_t left) const {
  const Bucket* best = &*std::find_if(buckets_.begin(), buckets_.end(),
                                      [&](const Bucket& candidate) { return position < candidate.end; });
  const auto cycles = [&](const Bucket& bucket) {
    return bucket.predicted_cycles *
           (bucket.rows == 1 ? uint64_t{left} : (left + bucket.rows - 1) / bucket.rows);
  };
  const uint32_t lanes = machine_.geometry.lanes();
  for (const Bucket& candidate : several_) {
    const bool fits = position + lanes >= candidate.end && position + candidate.rows <= candidate.end;
    if (left > 1 && fits && cycles(candidate) < cycles(*best)) best = &candidate;
  }
  return *best;
}

void LpuTargetImpl::run(const Bucket& bucket, std::span<const int32_t> tokens, uint32_t position) {
  for (uint32_t row = 0; row < bucket.rows; ++row) {
    const int32_t token = row < tokens.size() ? tokens[row] : tokens.back();
    LOCKSTEP_CHECK(token >= 0 && static_cast<uint32_t>(token) < program_.vocabulary);
    fill_words(token_, row, static_cast<uint32_t>(token));
    fill_words(position_, row, position + row);
  }
  last_run_ = simulator_.run(bucket.entry);
  if (bucket.predicted_cycles != 0 && bucket.predicted_cycles != last_run_.cycles) {
    user_error("{}: the entry {} took {} cycles and the program predicts {}: it is not as it was compiled",
               program_.model_name, bucket.entry, last_run_.cycles, bucket.predicted_cycles);
  }
  rows_.fetch_add(tokens.size(), std::memory_order_relaxed);
  cycles_.fetch_add(last_run_.cycles, std::memory_order_relaxed);
}

void LpuTargetImpl::fill_words(const std::vector<const Region*>& regions, uint32_t row, uint32_t value) {
  std::fill(words_.begin(), words_.end(), value);
  for (const Region* region : regions) {
    const uint32_t count = row_vectors(*region);
    for (uint32_t i = 0; i < count; ++i) simulator_.write_words(*region, row * count + i, words_);
  }
}

// The first fault region that holds a magnitude of the row outside the range; nullptr.
const Region* LpuTargetImpl::fault(uint32_t row) {
  for (const Region* region : faults_) {
    const uint32_t count = row_vectors(*region), lanes = machine_.geometry.lanes();
    for (uint32_t i = row * count; i < (row + 1) * count; ++i) {
      simulator_.read_words(*region, i, words_);
      const uint32_t used = std::min(region->width - i * lanes, lanes);
      if (std::any_of(words_.begin(), words_.begin() + used,
                      [](uint32_t word) { return (word & 0x7fffffff) >= kRangeEnd; })) {
        return region;
      }
    }
  }
  return nullptr;
}

void LpuTargetImpl::read_logits(uint32_t row, std::vector<float>& logits) {
  for (const LogitPart& part : logit_parts_) {
    const uint32_t count = row_vectors(*part.region);
    for (uint32_t i = 0; i < count; ++i) {
      simulator_.read_words(*part.region, row * count + i, words_);
      const int32_t* ids = &part.ids[i * words_.size()];
      for (size_t lane = 0; lane < words_.size(); ++lane) {
        if (ids[lane] >= 0) logits[static_cast<size_t>(ids[lane])] = std::bit_cast<float>(words_[lane]);
      }
    }
  }
}

Error LpuTargetImpl::refusal(uint32_t sequence) const {
  LOCKSTEP_CHECK(refused_row(sequence) != kNone);
  // What follows a # says which of the node's vectors.
  const std::string name = refused_by_->name.substr(kFault.size());
  const std::string node = name.substr(0, name.find('#'));
  const auto line =
      std::find_if(program_.source_map.begin(), program_.source_map.end(),
                   [&](const program::SourceLine& candidate) { return candidate.node == node; });
  return range_error(program_, node, line == program_.source_map.end() ? -1 : line->layer,
                     uint64_t{position_of_step_} + refused_row_);
}

}  // namespace

std::unique_ptr<LpuTarget> load(const Program& program, const machine::Machine& machine,
                                const LpuOptions& options) {
  if (program.machine != machine.name) {
    user_error("{}: was compiled for the machine {}, not for {}", program.model_name, program.machine,
               machine.name);
  }
  return std::make_unique<LpuTargetImpl>(program, machine, options);
}

}  // namespace lockstep::targets::lpu
