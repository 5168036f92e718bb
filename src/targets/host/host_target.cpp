#include "targets/host/host_target.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "numerics/float32.h"
#include "numerics/q16.h"
#include "program/isa/host.h"
#include "targets/host/kernels/kernels.h"
#include "targets/host/worker_team.h"

namespace lockstep::targets::host {

using program::MemoryKind;
using program::Region;
using program::RowCount;
using program::isa::HostOp;
using program::isa::KvLayout;

namespace {

// A region with its addresses: `own` is this worker's copy, `common` the one that all share. They differ in
// Private memories only.
struct Operand {
  std::byte* own = nullptr;
  std::byte* common = nullptr;
  uint64_t row_bytes = 0;
  uint32_t width = 0;
  RowCount rows = RowCount::One;

  float* f32_row(uint64_t row) const { return reinterpret_cast<float*>(common + row * row_bytes); }
};

// One instruction for one worker, ready to run.
struct Work {
  HostOp op;
  uint32_t instruction = 0;
  bool always = true;  // Sync
  Operand out, a, b, c;
  const program::Matrix* matrix = nullptr;
  MatMulArguments matmul;
  uint32_t layer = 0, heads = 0;
  float number = 0;
  bool halves = false;
};

// The first Q16 that left its range: the lowest row, then the lowest instruction.
struct RangeError {
  uint32_t row = ~0u;
  uint32_t instruction = ~0u;
  void note(uint32_t at_row, uint32_t at_instruction) {
    if (at_row < row || (at_row == row && at_instruction < instruction)) *this = {at_row, at_instruction};
  }
};

// What belongs to one worker alone.
struct alignas(64) Worker {
  std::vector<Work> work;
  AlignedBuffer memory;   // its copies of the Private memory
  AlignedBuffer scratch;  // floats: widest vector, attention weights, cos and sin
  float* wide = nullptr;
  float* attention_weights = nullptr;
  float* cos = nullptr;
  float* sin = nullptr;
  RangeError error;
};

struct Share {
  uint64_t begin, end;
};
Share share(uint64_t total, uint32_t worker, uint32_t workers) {
  return {total * worker / workers, total * (worker + 1) / workers};
}

class HostTargetImpl final : public HostTarget {
 public:
  HostTargetImpl(const program::Program& program, const HostOptions& options)
      : program_(program),
        kernels_(select_kernels(options.isa)),
        kv_(program.state),
        rows_max_(static_cast<uint32_t>(program.parameter("rows").max)),
        context_(options.context == 0 ? program.context_max : options.context),
        team_(options.workers == 0 ? default_workers() : options.workers),
        workers_(team_.size()) {
    LOCKSTEP_CHECK(context_ <= program.context_max);
    allocate();
    for (uint32_t w = 0; w < workers_.size(); ++w) list_work(w);
    run_worker_ = [this](uint32_t worker) { run_list(worker); };
  }

  void step(const StepInputs& inputs) override;

  std::span<const float> logits(uint32_t i) const override {
    return {reinterpret_cast<const float*>(region_row(logits_region_, i).data()), program_.vocabulary};
  }
  uint32_t rows_max() const override { return rows_max_; }
  uint32_t context() const override { return context_; }
  StepCounters counters() const override { return {steps_.load(), step_rows_.load()}; }
  uint64_t allocated_bytes() const override { return allocated_bytes_; }
  const KernelTable& kernels() const override { return kernels_; }
  uint32_t workers() const override { return team_.size(); }

  Bytes region_row(uint32_t index, uint32_t row) const override {
    const Region& region = program_.regions[index];
    return {base(region.memory, 0) + region.offset + row * region.row_bytes, region.row_bytes};
  }

 private:
  void allocate();
  std::byte* base(uint32_t memory, uint32_t worker) const;
  Operand operand(uint64_t region, uint32_t worker) const;
  void list_work(uint32_t worker);
  void run_list(uint32_t worker);
  void run(const Work& work, Worker& self, uint32_t worker);
  void embed(const Work& work, Worker& self, uint32_t worker) const;
  void rope_store(const Work& work, Worker& self, uint32_t worker) const;
  void store_head(const Work& work, Worker& self, uint32_t row, uint32_t kv_head) const;
  void attend(const Work& work, Worker& self, uint32_t worker) const;

  uint32_t count(RowCount rows) const { return rows == RowCount::Wanted ? wanted_ : rows_; }

  // Calls quantise_row(row, out) for the rows of a Split::Copies result that are this worker's.
  template <class QuantiseRow>
  void fill_copies(const Work& work, Worker& self, uint32_t worker, QuantiseRow quantise_row) const {
    const uint32_t rows = count(work.out.rows);
    const bool few = rows <= program::isa::kCopiesRowsMax;
    const Share mine = few ? Share{0, rows} : share(rows, worker, team_.size());
    std::byte* out = few ? work.out.own : work.out.common;
    for (uint64_t row = mine.begin; row < mine.end; ++row) {
      if (!quantise_row(row, out + row * work.out.row_bytes)) note(self, work, static_cast<uint32_t>(row));
    }
  }

  // A row of a Wanted region stands for another row of the step.
  void note(Worker& self, const Work& work, uint32_t row) const {
    if (work.out.rows == RowCount::Wanted) row = static_cast<uint32_t>(wanted_rows_[row]);
    self.error.note(row, work.instruction);
  }

  const program::Program& program_;
  const KernelTable& kernels_;
  const KvLayout kv_;
  const uint32_t rows_max_;
  const uint32_t context_;
  WorkerTeam team_;
  std::vector<Worker> workers_;
  std::vector<AlignedBuffer> memories_;  // by memory index; empty for File and Private
  std::vector<std::byte*> pages_;
  std::function<void(uint32_t)> run_worker_;
  uint32_t logits_region_ = 0;
  uint64_t allocated_bytes_ = 0;

  // Of the step that runs.
  uint32_t rows_ = 0, wanted_ = 0, position_ = 0;
  const int32_t* wanted_rows_ = nullptr;
  const int32_t* tokens_ = nullptr;
  std::atomic<uint64_t> steps_{0}, step_rows_{0};
};

void HostTargetImpl::allocate() {
  const uint64_t pages = (context_ + program::isa::kPagePositions - 1) / program::isa::kPagePositions;
  uint64_t widest = 0;
  for (const Region& region : program_.regions) widest = std::max<uint64_t>(widest, region.width);
  const uint64_t wide_floats = program::isa::padded_columns(widest) + 64;
  const uint64_t weights_floats = pages * program::isa::kPagePositions + 64;
  const uint64_t angles = kv_.head_width / 2 + 64;
  for (uint32_t i = 0; i < program_.memories.size(); ++i) {
    const program::Memory& memory = program_.memories[i];
    uint64_t bytes = memory.bytes;
    if (memory.kind == MemoryKind::File || memory.kind == MemoryKind::Private) bytes = 0;
    if (memory.kind == MemoryKind::State) bytes *= pages;
    memories_.emplace_back(bytes, memory.kind == MemoryKind::State ? PageSize::Huge : PageSize::Normal);
    allocated_bytes_ += bytes;
    if (memory.kind != MemoryKind::Private) continue;
    for (Worker& worker : workers_) {
      worker.memory = AlignedBuffer(memory.bytes);
      worker.scratch = AlignedBuffer((wide_floats + weights_floats + 2 * angles) * sizeof(float));
      worker.wide = reinterpret_cast<float*>(worker.scratch.data());
      worker.attention_weights = worker.wide + wide_floats / 16 * 16;
      worker.cos = worker.attention_weights + weights_floats;
      worker.sin = worker.cos + angles;
      allocated_bytes_ += worker.memory.size() + worker.scratch.size();
    }
  }
  for (uint64_t page = 0; page < pages && program_.state.memory != program::kNone; ++page) {
    pages_.push_back(memories_[program_.state.memory].data() + page * kv_.page_bytes());
  }
  for (uint32_t i = 0; i < program_.regions.size(); ++i) {
    if (program_.memories[program_.regions[i].memory].kind == MemoryKind::Output) logits_region_ = i;
  }
}

std::byte* HostTargetImpl::base(uint32_t memory, uint32_t worker) const {
  switch (program_.memories[memory].kind) {
    case MemoryKind::File:
      return const_cast<std::byte*>(program_.contents.at(memory).data());
    case MemoryKind::Private:
      return workers_[worker].memory.data();
    default:
      return memories_[memory].data();
  }
}

Operand HostTargetImpl::operand(uint64_t index, uint32_t worker) const {
  if (index == program::kNone) return {};
  const Region& region = program_.regions[index];
  return {base(region.memory, worker) + region.offset, base(region.memory, 0) + region.offset,
          region.row_bytes, region.width, region.rows};
}

void HostTargetImpl::list_work(uint32_t worker) {
  const std::vector<program::Instruction>& queue =
      program_.queues[program_.entry("step").queues[0]].instructions;
  for (uint32_t i = 0; i < queue.size(); ++i) {
    const std::vector<uint64_t>& words = queue[i].words;
    Work work;
    work.op = static_cast<HostOp>(queue[i].opcode);
    work.instruction = i;
    auto number = [&](size_t f) { return std::bit_cast<float>(static_cast<uint32_t>(words[f])); };
    switch (work.op) {
      case HostOp::Sync:
        if (team_.size() == 1) continue;
        work.always = words[0] == static_cast<uint64_t>(program::isa::SyncWhen::Always);
        break;
      case HostOp::Embed:
        work.out = operand(words[0], worker);
        work.matrix = &program_.matrices[words[2]];
        work.number = number(3);
        break;
      case HostOp::NormQuantise:
        work.out = operand(words[0], worker);
        work.a = operand(words[1], worker);
        work.b = operand(words[2], worker);
        work.number = number(3);
        break;
      case HostOp::Quantise:
        work.out = operand(words[0], worker);
        work.a = operand(words[1], worker);
        break;
      case HostOp::GateQuantise:
      case HostOp::Select:
        work.out = operand(words[0], worker);
        work.a = operand(words[1], worker);
        work.b = operand(words[2], worker);
        break;
      case HostOp::MatMul:
      case HostOp::MatMulAdd: {
        work.out = operand(words[0], worker);
        work.a = operand(words[1], worker);
        work.matrix = &program_.matrices[words[2]];
        MatMulArguments& arguments = work.matmul;
        arguments.layout = program::isa::panel_layout(*work.matrix);
        const Share mine = share(arguments.layout.panels(), worker, team_.size());
        arguments.x_row_bytes = work.a.row_bytes;
        arguments.y = work.out.f32_row(0);
        arguments.y_row_floats = work.out.row_bytes / sizeof(float);
        arguments.panels = base(work.matrix->memory, 0) + work.matrix->offset;
        arguments.scales =
            reinterpret_cast<const float*>(base(work.matrix->memory, 0) + work.matrix->scales_offset);
        arguments.bias = words[3] == program::kNone ? nullptr : operand(words[3], worker).f32_row(0);
        arguments.add = work.op == HostOp::MatMulAdd;
        arguments.panel_begin = mine.begin;
        arguments.panel_end = mine.end;
        break;
      }
      case HostOp::RopeStore:
        work.out = operand(words[0], worker);
        work.a = operand(words[1], worker);
        work.b = operand(words[2], worker);
        work.layer = static_cast<uint32_t>(words[3]);
        work.c = operand(words[4], worker);
        work.halves = words[5] != 0;
        work.heads = static_cast<uint32_t>(words[6]);
        break;
      case HostOp::Attention:
        work.out = operand(words[0], worker);
        work.a = operand(words[1], worker);
        work.layer = static_cast<uint32_t>(words[2]);
        work.heads = static_cast<uint32_t>(words[3]);
        work.number = number(4);
        break;
    }
    workers_[worker].work.push_back(work);
  }
}

void HostTargetImpl::step(const StepInputs& inputs) {
  LOCKSTEP_CHECK(!inputs.tokens.empty() && inputs.tokens.size() <= rows_max_);
  LOCKSTEP_CHECK(inputs.position + inputs.tokens.size() <= context_ &&
                 inputs.wanted.size() <= inputs.tokens.size());
  for (int32_t token : inputs.tokens)
    LOCKSTEP_CHECK(token >= 0 && static_cast<uint32_t>(token) < program_.vocabulary);
  rows_ = static_cast<uint32_t>(inputs.tokens.size());
  wanted_ = static_cast<uint32_t>(inputs.wanted.size());
  position_ = inputs.position;
  wanted_rows_ = inputs.wanted.data();
  tokens_ = inputs.tokens.data();
  for (Worker& worker : workers_) worker.error = {};
  team_.run(run_worker_);
  steps_.fetch_add(1, std::memory_order_relaxed);
  step_rows_.fetch_add(rows_, std::memory_order_relaxed);
  RangeError first;
  for (const Worker& worker : workers_) first.note(worker.error.row, worker.error.instruction);
  if (first.row == ~0u) return;
  for (const program::SourceLine& line : program_.source_map) {
    if (line.instruction != first.instruction) continue;
    user_error(
        "{}: {} (layer {}) leaves the range of the numerics at position {}: a magnitude of 2^32 or more",
        program_.model_name, line.node, line.layer, position_ + first.row);
  }
}

void HostTargetImpl::run_list(uint32_t worker) {
  Worker& self = workers_[worker];
  for (const Work& work : self.work) {
    run(work, self, worker);
    if (probe) probe(work.instruction);
  }
}

void HostTargetImpl::run(const Work& work, Worker& self, uint32_t worker) {
  switch (work.op) {
    case HostOp::Sync:
      if (work.always || rows_ > program::isa::kCopiesRowsMax) team_.barrier(worker);
      return;
    case HostOp::Embed:
      return embed(work, self, worker);
    case HostOp::NormQuantise:
      return fill_copies(work, self, worker, [&](uint64_t row, std::byte* out) {
        return kernels_.norm_quantise(work.a.f32_row(row), work.b.f32_row(0), work.number, work.out.width,
                                      self.wide, out);
      });
    case HostOp::Quantise:
      return fill_copies(work, self, worker, [&](uint64_t row, std::byte* out) {
        return kernels_.quantise(work.a.f32_row(row), work.out.width, out);
      });
    case HostOp::GateQuantise:
      return fill_copies(work, self, worker, [&](uint64_t row, std::byte* out) {
        return kernels_.gate_quantise(work.a.f32_row(row), work.b.f32_row(row), work.out.width, self.wide,
                                      out);
      });
    case HostOp::MatMul:
    case HostOp::MatMulAdd: {
      MatMulArguments arguments = work.matmul;
      arguments.rows = count(work.out.rows);
      arguments.x = arguments.rows <= program::isa::kCopiesRowsMax ? work.a.own : work.a.common;
      if (arguments.rows != 0) kernels_.matmul(arguments);
      return;
    }
    case HostOp::RopeStore:
      return rope_store(work, self, worker);
    case HostOp::Attention:
      return attend(work, self, worker);
    case HostOp::Select: {
      const Share mine = share(wanted_, worker, team_.size());
      for (uint64_t i = mine.begin; i < mine.end; ++i) {
        std::memcpy(work.out.f32_row(i), work.a.f32_row(static_cast<uint64_t>(wanted_rows_[i])),
                    work.out.width * sizeof(float));
      }
      return;
    }
  }
}

void HostTargetImpl::embed(const Work& work, Worker& self, uint32_t worker) const {
  const program::isa::PanelLayout layout = program::isa::panel_layout(*work.matrix);
  const std::byte* memory = program_.contents.at(work.matrix->memory).data();
  const auto* scales = reinterpret_cast<const float*>(memory + work.matrix->scales_offset);
  auto* w = reinterpret_cast<int16_t*>(self.wide);
  const Share mine = share(rows_, worker, team_.size());
  for (uint64_t row = mine.begin; row < mine.end; ++row) {
    const uint64_t token = static_cast<uint64_t>(tokens_[row]);
    program::isa::unpack_row(layout, {memory + work.matrix->offset, layout.bytes()}, token,
                             {w, layout.columns});
    float* out = work.out.f32_row(row);
    for (uint64_t k = 0; k < layout.columns; ++k) {
      const float value = static_cast<float>(w[k]) * scales[token];
      out[k] = work.number == 1.0f ? value : value * work.number;
    }
  }
}

void HostTargetImpl::store_head(const Work& work, Worker& self, uint32_t row, uint32_t kv_head) const {
  const uint32_t position = position_ + row;
  const uint32_t slot = position % program::isa::kPagePositions;
  std::byte* page = pages_[position / program::isa::kPagePositions];
  const int32_t levels = kv_.kv_bits == 16 ? numerics::kQ16Levels : numerics::kQ8Levels;
  const auto* turns = reinterpret_cast<const uint64_t*>(work.c.common);
  const uint32_t pairs = work.c.width / sizeof(uint64_t);
  int16_t a[1024];
  float scale = 0;
  auto put = [&](uint64_t array, uint64_t index, int16_t value) {
    if (kv_.kv_bits == 16) {
      reinterpret_cast<int16_t*>(page + array)[index] = value;
    } else {
      reinterpret_cast<int8_t*>(page + array)[index] = static_cast<int8_t>(value);
    }
  };

  kernels_.rope_angles(turns, pairs, position, self.cos, self.sin);
  std::copy_n(work.a.f32_row(row) + uint64_t{kv_head} * kv_.head_width, kv_.head_width, self.wide);
  kernels_.rope(self.wide, self.cos, self.sin, pairs, work.halves);
  if (!kernels_.quantise_head(self.wide, kv_.head_width, levels, a, &scale)) note(self, work, row);
  const uint64_t keys = kv_.keys(work.layer, kv_head);
  for (uint32_t d = 0; d < kv_.head_width; ++d) put(keys, KvLayout::key_index(d, slot), a[d]);
  reinterpret_cast<float*>(page + kv_.key_scales(work.layer, kv_head))[slot] = scale;

  const float* v = work.b.f32_row(row) + uint64_t{kv_head} * kv_.value_width;
  if (!kernels_.quantise_head(v, kv_.value_width, levels, a, &scale)) note(self, work, row);
  const uint64_t values = kv_.values(work.layer, kv_head);
  for (uint32_t d = 0; d < kv_.value_width; ++d) put(values, kv_.value_index(d, slot), a[d]);
  reinterpret_cast<float*>(page + kv_.value_scales(work.layer, kv_head))[slot] = scale;
}

void HostTargetImpl::rope_store(const Work& work, Worker& self, uint32_t worker) const {
  const auto* turns = reinterpret_cast<const uint64_t*>(work.c.common);
  const uint32_t pairs = work.c.width / sizeof(uint64_t);
  const Share queries = share(uint64_t{rows_} * work.heads, worker, team_.size());
  uint32_t angles_of = ~0u;
  for (uint64_t unit = queries.begin; unit < queries.end; ++unit) {
    const uint32_t row = static_cast<uint32_t>(unit / work.heads);
    if (row != angles_of) kernels_.rope_angles(turns, pairs, position_ + row, self.cos, self.sin);
    angles_of = row;
    kernels_.rope(work.out.f32_row(row) + unit % work.heads * kv_.head_width, self.cos, self.sin, pairs,
                  work.halves);
  }
  const Share heads = share(uint64_t{rows_} * kv_.kv_heads, worker, team_.size());
  for (uint64_t unit = heads.begin; unit < heads.end; ++unit) {
    store_head(work, self, static_cast<uint32_t>(unit / kv_.kv_heads),
               static_cast<uint32_t>(unit % kv_.kv_heads));
  }
}

void HostTargetImpl::attend(const Work& work, Worker& self, uint32_t worker) const {
  const Share mine = share(uint64_t{rows_} * work.heads, worker, team_.size());
  for (uint64_t unit = mine.begin; unit < mine.end; ++unit) {
    const uint32_t row = static_cast<uint32_t>(unit / work.heads);
    const uint32_t head = static_cast<uint32_t>(unit % work.heads);
    AttentionArguments arguments;
    arguments.q = work.a.f32_row(row) + uint64_t{head} * kv_.head_width;
    arguments.out = work.out.f32_row(row) + uint64_t{head} * kv_.value_width;
    arguments.pages = pages_.data();
    arguments.kv = &kv_;
    arguments.layer = work.layer;
    arguments.kv_head = static_cast<uint32_t>(uint64_t{head} * kv_.kv_heads / work.heads);
    arguments.positions = position_ + row + 1;
    arguments.scale_log2 = work.number * numerics::kLog2E;
    arguments.weights = self.attention_weights;
    if (!kernels_.attention(arguments)) note(self, work, row);
  }
}

}  // namespace

std::unique_ptr<HostTarget> load(const program::Program& program, const HostOptions& options) {
  return std::make_unique<HostTargetImpl>(program, options);
}

}  // namespace lockstep::targets::host
