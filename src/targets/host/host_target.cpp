#include "targets/host/host_target.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "program/isa/host.h"
#include "program/isa/host_q16.h"
#include "targets/host/kv_work.h"
#include "targets/host/step_rows.h"
#include "targets/host/work.h"
#include "targets/host/worker_team.h"
#include "targets/refusal.h"

namespace lockstep::targets::host {

using program::MemoryKind;
using program::Region;
using program::RowCount;
using program::isa::HostOp;
using program::isa::kPagePositions;
using program::isa::KvLayout;

namespace {

class HostTargetImpl final : public HostTarget {
 public:
  HostTargetImpl(const program::Program& program, const HostOptions& options)
      : program_(program),
        kernels_(select_kernels(options.isa)),
        kv_(program.state),
        rows_max_(static_cast<uint32_t>(program.parameter("rows").max)),
        context_(options.context == 0 ? program.context_max : options.context),
        pages_(pages_for(std::max<uint64_t>(context_, options.kv_positions))),
        rows_(rows_max_, pages_),
        team_(options.workers == 0 ? default_workers() : options.workers),
        workers_(team_.size()) {
    LOCKSTEP_CHECK(context_ <= program.context_max);
    allocate();
    for (uint32_t w = 0; w < workers_.size(); ++w) {
      workers_[w].number = w;
      list_work(w);
    }
    run_worker_ = [this](uint32_t worker) { run_list(workers_[worker]); };
  }

  void step(std::span<const StepSequence> sequences) override;
  uint32_t refused_row(uint32_t sequence) const override;
  Error refusal(uint32_t sequence) const override;

  std::span<const float> logits(uint32_t i) const override {
    return {reinterpret_cast<const float*>(region_row(logits_region_, i).data()), program_.vocabulary};
  }
  uint32_t hidden_width() const override {
    return hidden_region_ == program::kNone ? 0 : program_.regions[hidden_region_].width;
  }
  // Nothing comes after the head, so that what it took is still there.
  void hidden(uint32_t i, std::span<int16_t> a) const override {
    LOCKSTEP_CHECK(i < rows_.wanted_count() && a.size() == hidden_width());
    program::isa::unpack_q16(region_row(hidden_region_, i), a);
  }
  uint32_t rows_max() const override { return rows_max_; }
  uint32_t context() const override { return context_; }
  uint32_t page_positions() const override { return kPagePositions; }
  uint32_t pages() const override { return pages_; }
  std::span<std::byte> page(uint32_t index) override {
    return {memories_[program_.state.memory].data() + index * kv_.page_bytes(), kv_.page_bytes()};
  }
  StepCounters counters() const override { return {steps_.load(), step_rows_.load()}; }
  uint64_t allocated_bytes() const override { return allocated_bytes_; }
  const KernelTable& kernels() const override { return kernels_; }
  uint32_t workers() const override { return team_.size(); }
  void run_on_workers(const std::function<void(uint32_t)>& work) override { team_.run(work); }

  Bytes region_row(uint32_t index, uint32_t row) const override {
    const Region& region = program_.regions[index];
    return {base(region.memory, 0) + region.offset + row * region.row_bytes, region.row_bytes};
  }

 private:
  void allocate();
  std::byte* base(uint32_t memory, uint32_t worker) const;
  Operand operand(uint64_t region, uint32_t worker) const;
  void list_work(uint32_t worker);
  void run_list(Worker& self);
  void run(const Work& work, Worker& self);
  void embed(const Work& work, Worker& self) const;

  static uint32_t pages_for(uint64_t positions) {
    return static_cast<uint32_t>((positions + kPagePositions - 1) / kPagePositions);
  }
  const std::vector<program::Instruction>& queue() const {
    return program_.queues[program_.entry("step").queues[0]].instructions;
  }
  uint32_t count(RowCount rows) const {
    return rows == RowCount::Wanted ? rows_.wanted_count() : rows_.count();
  }
  KvContext kv_context() { return {kernels_, kv_, rows_, team_, workers_}; }

  // Calls quantise_row(row, out) for the rows of a Split::Copies result that are this worker's.
  template <class QuantiseRow>
  void fill_copies(const Work& work, const Worker& self, QuantiseRow quantise_row) {
    const uint32_t rows = count(work.out.rows);
    const bool few = rows <= program::isa::kCopiesRowsMax;
    const Share mine = few ? Share{0, rows} : share(rows, self.number, team_.size());
    std::byte* out = few ? work.out.own : work.out.common;
    for (uint64_t row = mine.begin; row < mine.end; ++row) {
      if (quantise_row(row, out + row * work.out.row_bytes)) continue;
      // A row of a Wanted region stands for another row of the step.
      rows_.refuse(work.out.rows == RowCount::Wanted ? rows_.wanted_row(row) : static_cast<uint32_t>(row),
                   work.instruction);
    }
  }

  const program::Program& program_;
  const KernelTable& kernels_;
  const KvLayout kv_;
  const uint32_t rows_max_;
  const uint32_t context_;
  const uint32_t pages_;
  StepRows rows_;
  WorkerTeam team_;
  std::vector<Worker> workers_;
  std::vector<AlignedBuffer> memories_;  // by memory index; empty for File and Private
  std::function<void(uint32_t)> run_worker_;
  uint32_t logits_region_ = 0;
  uint32_t hidden_region_ = program::kNone;  // what the head takes, where it is the last instruction
  uint64_t allocated_bytes_ = 0;

  std::atomic<uint64_t> steps_{0}, step_rows_{0};
};

void HostTargetImpl::allocate() {
  uint64_t widest = 0;
  for (const Region& region : program_.regions) widest = std::max<uint64_t>(widest, region.width);
  const uint64_t wide_floats = program::isa::padded_columns(widest) + 64;
  const uint64_t angles = kv_.head_width / 2 + 64;
  uint64_t heads = kv_.kv_heads;
  for (const program::Instruction& instruction : queue()) {
    if (instruction.opcode == static_cast<uint16_t>(HostOp::Attention))
      heads = std::max(heads, instruction.words[3]);
  }
  const AttentionMemory attention(kv_, context_, static_cast<uint32_t>(heads / std::max(kv_.kv_heads, 1u)));
  for (uint32_t i = 0; i < program_.memories.size(); ++i) {
    const program::Memory& memory = program_.memories[i];
    uint64_t bytes = memory.bytes;
    if (memory.kind == MemoryKind::File || memory.kind == MemoryKind::Private) bytes = 0;
    if (memory.kind == MemoryKind::State) bytes *= pages_;
    memories_.emplace_back(bytes, memory.kind == MemoryKind::State ? PageSize::Huge : PageSize::Normal);
    allocated_bytes_ += bytes;
    if (memory.kind != MemoryKind::Private) continue;
    for (Worker& worker : workers_) {
      worker.memory = AlignedBuffer(memory.bytes);
      worker.scratch = AlignedBuffer(attention.bytes + (wide_floats + 2 * angles) * sizeof(float));
      attention.lay_out(worker.scratch.data(), worker.attention);
      worker.wide = reinterpret_cast<float*>(worker.scratch.data() + attention.bytes);
      worker.cos = worker.wide + wide_floats;
      worker.sin = worker.cos + angles;
      allocated_bytes_ += worker.memory.size() + worker.scratch.size();
    }
  }
  for (uint32_t i = 0; i < program_.regions.size(); ++i) {
    if (program_.memories[program_.regions[i].memory].kind == MemoryKind::Output) logits_region_ = i;
  }
  if (queue().empty()) return;
  const program::Instruction& last = queue().back();
  if (last.opcode == static_cast<uint16_t>(HostOp::MatMul) && last.words[0] == logits_region_)
    hidden_region_ = static_cast<uint32_t>(last.words[1]);
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
  for (uint32_t i = 0; i < queue().size(); ++i) {
    const std::vector<uint64_t>& words = queue()[i].words;
    Work work;
    work.op = static_cast<HostOp>(queue()[i].opcode);
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
        work.head = words[0] == logits_region_;
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

void HostTargetImpl::step(std::span<const StepSequence> sequences) {
  uint64_t rows = 0;
  for (const StepSequence& sequence : sequences) {
    rows += sequence.tokens.size();
    const uint64_t end = sequence.position + sequence.tokens.size();
    LOCKSTEP_CHECK(!sequence.tokens.empty() && end <= context_ &&
                   sequence.pages.size() * kPagePositions >= end);
    LOCKSTEP_CHECK(sequence.wanted.size() <= sequence.tokens.size());
    for (uint32_t page : sequence.pages) LOCKSTEP_CHECK(page < pages_);
    for (int32_t token : sequence.tokens)
      LOCKSTEP_CHECK(token >= 0 && static_cast<uint32_t>(token) < program_.vocabulary);
  }
  LOCKSTEP_CHECK(rows >= 1 && rows <= rows_max_);
  rows_.set(sequences, [this](uint32_t index) { return page(index).data(); });
  team_.run(run_worker_);
  steps_.fetch_add(1, std::memory_order_relaxed);
  step_rows_.fetch_add(rows, std::memory_order_relaxed);
}

uint32_t HostTargetImpl::refused_row(uint32_t index) const {
  const StepRows::Sequence& sequence = rows_.sequences()[index];
  for (uint32_t row = 0; row < sequence.rows; ++row) {
    if (rows_.refused_by(sequence.first_row + row) != program::kNone) return row;
  }
  return program::kNone;
}

Error HostTargetImpl::refusal(uint32_t index) const {
  const StepRows::Sequence& sequence = rows_.sequences()[index];
  const uint32_t row = refused_row(index);
  LOCKSTEP_CHECK(row != program::kNone);
  const uint32_t instruction = rows_.refused_by(sequence.first_row + row);
  const auto line = std::find_if(program_.source_map.begin(), program_.source_map.end(),
                                 [&](const program::SourceLine& l) { return l.instruction == instruction; });
  LOCKSTEP_CHECK(line != program_.source_map.end());
  return range_error(program_, line->node, line->layer, uint64_t{sequence.position} + row);
}

void HostTargetImpl::run_list(Worker& self) {
  InstructionTimer timer(profile, self.number);
  for (const Work& work : self.work) {
    run(work, self);
    timer.lap(work.instruction);
    if (probe) probe(work.instruction);
  }
}

void HostTargetImpl::run(const Work& work, Worker& self) {
  switch (work.op) {
    case HostOp::Sync:
      if (work.always || rows_.count() > program::isa::kCopiesRowsMax) team_.barrier(self.number);
      return;
    case HostOp::Embed:
      return embed(work, self);
    case HostOp::NormQuantise:
      return fill_copies(work, self, [&](uint64_t row, std::byte* out) {
        return kernels_.norm_quantise(work.a.f32_row(row), work.b.f32_row(0), work.number, work.out.width,
                                      self.wide, out);
      });
    case HostOp::Quantise:
      return fill_copies(work, self, [&](uint64_t row, std::byte* out) {
        return kernels_.quantise(work.a.f32_row(row), work.out.width, out);
      });
    case HostOp::GateQuantise:
      return fill_copies(work, self, [&](uint64_t row, std::byte* out) {
        return kernels_.gate_quantise(work.a.f32_row(row), work.b.f32_row(row), work.out.width, self.wide,
                                      out);
      });
    case HostOp::MatMul:
    case HostOp::MatMulAdd: {
      MatMulArguments arguments = work.matmul;
      const uint32_t rows = count(work.out.rows);
      arguments.rows = work.head ? rows_.logits_count() : rows;
      arguments.x = rows <= program::isa::kCopiesRowsMax ? work.a.own : work.a.common;
      if (arguments.rows != 0) kernels_.matmul(arguments);
      return;
    }
    case HostOp::RopeStore:
      return rope_store(kv_context(), work, self);
    case HostOp::Attention:
      return attend(kv_context(), work, self);
    case HostOp::Select: {
      const Share mine = share(rows_.wanted_count(), self.number, team_.size());
      for (uint64_t i = mine.begin; i < mine.end; ++i) {
        std::memcpy(work.out.f32_row(i), work.a.f32_row(rows_.wanted_row(i)), work.out.width * sizeof(float));
      }
      return;
    }
  }
}

void HostTargetImpl::embed(const Work& work, Worker& self) const {
  const program::isa::PanelLayout layout = program::isa::panel_layout(*work.matrix);
  const std::byte* memory = program_.contents.at(work.matrix->memory).data();
  const auto* scales = reinterpret_cast<const float*>(memory + work.matrix->scales_offset);
  auto* w = reinterpret_cast<int16_t*>(self.wide);
  const Share mine = share(rows_.count(), self.number, team_.size());
  for (uint64_t row = mine.begin; row < mine.end; ++row) {
    const auto token = static_cast<uint64_t>(rows_.token(row));
    program::isa::unpack_row(layout, {memory + work.matrix->offset, layout.bytes()}, token,
                             {w, layout.columns});
    float* out = work.out.f32_row(row);
    for (uint64_t k = 0; k < layout.columns; ++k) {
      const float value = static_cast<float>(w[k]) * scales[token];
      out[k] = work.number == 1.0f ? value : value * work.number;
    }
  }
}

}  // namespace

std::unique_ptr<HostTarget> load(const program::Program& program, const HostOptions& options) {
  return std::make_unique<HostTargetImpl>(program, options);
}

}  // namespace lockstep::targets::host
