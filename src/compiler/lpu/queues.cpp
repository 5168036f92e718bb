#include "compiler/lpu/queues.h"

#include <deque>

#include "base/error.h"
#include "program/instruction_code.h"

namespace lockstep::compiler::lpu {

using program::Instruction;

namespace {

constexpr uint64_t kCountMax = 65535;  // of Nop and Repeat
constexpr size_t kRepeatsMin = 3;      // fewer equal steps are cheaper written out

// The field that a Repeat moves on by the step in another field, and that one: or none.
struct Stepping {
  int field = -1, step = -1;  // step -1: always by one
};
Stepping stepping(LpuOp op) {
  switch (op) {
    case LpuOp::Read:
    case LpuOp::Write:
      return {0, 2};
    case LpuOp::LoadWeights:
      return {1, -1};
    case LpuOp::ActivationControl:
      return {1, 3};
    case LpuOp::Accumulate:
      return {0, 2};
    default:
      return {};
  }
}

bool may_repeat(LpuOp op) {
  return op != LpuOp::InstallWeights &&
         program::isa::lpu_unit(static_cast<uint16_t>(op)) != program::isa::LpuUnit::Icu;
}

// How many issues from `first` on are one instruction and its repeats; `step` and `every` get their
// distances.
size_t run_length(std::span<const Issue> issues, size_t first, uint32_t& step, Cycle& every) {
  const Issue& head = issues[first];
  if (first + 1 >= issues.size() || !may_repeat(head.op)) return 1;
  const Stepping moves = stepping(head.op);
  every = issues[first + 1].cycle - head.cycle;
  if (every > static_cast<Cycle>(kCountMax)) return 1;
  step = moves.field < 0 ? 0 : issues[first + 1].words[moves.field] - head.words[moves.field];
  if (step > 4095 || (moves.field >= 0 && moves.step < 0 && step != 1)) return 1;
  size_t count = 1;
  while (first + count < issues.size() && count <= kCountMax) {
    const Issue& next = issues[first + count];
    if (next.op != head.op || next.cycle != head.cycle + static_cast<Cycle>(count) * every) break;
    std::array<uint32_t, 7> expected = head.words;
    if (moves.field >= 0) expected[static_cast<size_t>(moves.field)] += static_cast<uint32_t>(count) * step;
    if (next.words != expected) break;
    ++count;
  }
  return count;
}

// Writes instructions one after another and keeps the account of the queue's text buffer (docs/lpu.md).
class QueueWriter {
 public:
  // `text_bytes` is about what the whole queue takes; the part beyond the buffer is fetched in idle cycles.
  QueueWriter(const machine::Machine& machine, uint64_t text_bytes)
      : machine_(machine), buffered_(machine.geometry.queue_bytes) {
    if (text_bytes > buffered_) unrequested_ = text_bytes - buffered_;
  }

  void add(LpuOp op, std::vector<uint64_t> words, int32_t source) {
    Instruction instruction{static_cast<uint16_t>(op), std::move(words)};
    const uint64_t bytes = program::instruction_bytes(instruction);
    while (!arrivals_.empty() && arrivals_.front().cycle <= now_) {
      buffered_ += arrivals_.front().bytes;
      in_flight_ -= arrivals_.front().bytes;
      arrivals_.pop_front();
    }
    if (buffered_ < bytes) throw TextLate();
    buffered_ -= bytes;
    text_bytes_ += bytes;
    instructions_.push_back(std::move(instruction));
    sources_.push_back(source);
  }
  void wait_until(Cycle cycle, int32_t source) {
    const uint64_t fetch_bytes = machine_.geometry.instruction_bytes;
    while (now_ < cycle && unrequested_ > 0 &&
           buffered_ + in_flight_ + fetch_bytes <= machine_.geometry.queue_bytes) {
      add(LpuOp::Ifetch, {}, source);
      arrivals_.push_back({now_ + static_cast<Cycle>(machine_.latency.instruction_fetch), fetch_bytes});
      in_flight_ += fetch_bytes;
      unrequested_ -= std::min(unrequested_, fetch_bytes);
      ++now_;
    }
    while (now_ < cycle) {
      const uint64_t cycles = std::min<uint64_t>(static_cast<uint64_t>(cycle - now_), kCountMax);
      add(LpuOp::Nop, {cycles}, source);
      now_ += static_cast<Cycle>(cycles);
    }
  }
  // An issue and count - 1 repeats of it.
  void issue(const Issue& issue, size_t count, uint32_t step, Cycle every) {
    wait_until(issue.cycle, issue.source);
    const size_t fields = program::isa::lpu().find(static_cast<uint16_t>(issue.op))->fields.size();
    std::vector<uint64_t> words(fields);
    for (size_t f = 0; f < fields; ++f) {
      // A stream that an operation does not have.
      words[f] = issue.words[f] == ~0u ? uint64_t{program::kNone} : issue.words[f];
    }
    const bool computes =
        program::isa::lpu_unit(static_cast<uint16_t>(issue.op)) == program::isa::LpuUnit::Vxm;
    if (computes && words[4] == program::kNone && words[5] == program::kNone) words[6] = 0;
    const Stepping moves = stepping(issue.op);
    if (count > 1 && moves.step >= 0) words[static_cast<size_t>(moves.step)] = step;
    add(issue.op, std::move(words), issue.source);
    ++now_;
    if (count == 1) return;
    add(LpuOp::Repeat, {count - 1, static_cast<uint64_t>(every)}, issue.source);
    now_ = issue.cycle + static_cast<Cycle>(count - 1) * every + 1;
  }

  uint64_t text_bytes() const { return text_bytes_; }
  std::vector<Instruction> instructions_;
  std::vector<int32_t> sources_;

 private:
  struct Arrival {
    Cycle cycle;
    uint64_t bytes;
  };
  const machine::Machine& machine_;
  uint64_t buffered_, in_flight_ = 0, unrequested_ = 0, text_bytes_ = 0;
  std::deque<Arrival> arrivals_;
  Cycle now_ = 0;
};

void write_queue(std::span<const Issue> issues, bool notifies, QueueWriter& writer) {
  writer.add(notifies ? LpuOp::Notify : LpuOp::Sync, {}, -1);
  for (size_t i = 0; i < issues.size();) {
    uint32_t step = 0;
    Cycle every = 1;
    size_t count = run_length(issues, i, step, every);
    if (count < kRepeatsMin) count = 1;
    writer.issue(issues[i], count, step, every);
    i += count;
  }
}

}  // namespace

std::vector<Instruction> queue_instructions(std::span<const Issue> issues, bool notifies,
                                            const machine::Machine& machine, std::vector<int32_t>& sources) {
  // Once to know how much text there is, without a buffer's limit, then with fetches and a little more.
  machine::Machine unlimited = machine;
  unlimited.geometry.queue_bytes = ~0u;
  QueueWriter draft(unlimited, 0);
  write_queue(issues, notifies, draft);
  const bool fits = draft.text_bytes() <= machine.geometry.queue_bytes;
  QueueWriter writer(fits ? unlimited : machine, draft.text_bytes() + draft.text_bytes() / 32 + 64);
  write_queue(issues, notifies, writer);
  sources = std::move(writer.sources_);
  return std::move(writer.instructions_);
}

}  // namespace lockstep::compiler::lpu
