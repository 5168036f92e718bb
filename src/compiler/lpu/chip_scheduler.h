// Places instructions of one chip in cycles, each as early as everything it needs allows, and never moves
// them again: whatever is asked for first gets the better place, what comes later fills the gaps. docs/lpu.md
// has the rules of the chip; the tables here are the compiler's own idea of them.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "compiler/lpu/reservations.h"
#include "compiler/lpu/scheduler_options.h"
#include "compiler/lpu/vector_builder.h"
#include "machine/machine.h"
#include "program/isa/lpu.h"

namespace lockstep::compiler::lpu {

using program::isa::LpuOp;

// An instruction with its cycle. `words` in the order of the instruction's fields.
struct Issue {
  Cycle cycle = 0;
  LpuOp op = LpuOp::Nop;
  std::array<uint32_t, 7> words{};
  int32_t source = -1;  // index of the graph node that it works for
};

// Where a vector of up to four bytes a lane stands: byte k in `slice` + k, all in one row.
struct Place {
  Hemisphere hemisphere = kEast;
  uint16_t slice = 0;
  uint16_t row = 0;
};

// Thrown where a result that is still wanted can neither stay in its ALU nor leave it; with
// SchedulerOptions::copies_for_safety it never is.
struct ResultLost {};

class ChipScheduler;
struct Value;
// A vector that instructions can take: the last result of an ALU, words in memory, sums in an accumulator, or
// one of these on its way through the switch unit. Alive as long as someone holds it: what it occupies is
// free after its last use.
using Term = std::shared_ptr<Value>;

using vector_math::immediate;
using vector_math::Immediate;

// What an operation of the VXM takes.
struct Operand {
  Operand() = default;
  Operand(Term value) : term(std::move(value)) {}
  Operand(Immediate value) : is_immediate(true), bits(value.bits) {}
  Term term;
  bool is_immediate = false;
  uint32_t bits = 0;
  // How bytes in memory are read: as they stand (Word), or a narrower number widened.
  program::isa::OperandKind form = program::isa::OperandKind::Word;
};

// A weight tile in memory: output lane 16 g + k stands in row bases[k] + g * step of slices[k].
struct Tile {
  Hemisphere hemisphere = kEast;
  std::array<uint16_t, 16> slices{}, bases{};
  uint32_t groups = 0;
  uint32_t step = 1;
};

class ChipScheduler {
 public:
  using Term = lpu::Term;
  using Operand = lpu::Operand;

  // `uniform` gives the place of a constant with the same word in every lane.
  ChipScheduler(const machine::Machine& machine, SchedulerOptions options,
                std::function<Place(uint32_t)> uniform);
  ~ChipScheduler();
  ChipScheduler(const ChipScheduler&) = delete;

  uint32_t rsqrt_bits() const { return machine_.rsqrt_bits; }

  // ---- VXM. The result stays in the ALU for a while: keep what is wanted later in memory.
  Term op(LpuOp op, Operand a, Operand b = {}, Operand c = {});
  // The same with no room for less than `free_alus` operations in its cycle, itself included: a hint for
  // operations that take what arrives together.
  Term op_among(uint32_t free_alus, LpuOp op, Operand a, Operand b = {}, Operand c = {});

  enum Copies : uint8_t { kInEast = 1, kInWest = 2, kInBoth = 3 };
  // A result in memory, `bytes` (1, 2, 4) a lane.
  Term store(const Term& value, Copies copies, uint32_t bytes = 4);
  // The same in a place of the caller's; `free_from` is the first cycle in which it may be written. The
  // memory that the Term means is not given back.
  Term store_at(const Term& value, Place place, uint32_t bytes, Cycle free_from = 0);
  // What stands in memory before the first step, or was put there by an earlier one.
  Term constant(Place place, uint32_t bytes = 4, Cycle ready = 0);

  // ---- MXM
  struct Plane {
    Hemisphere hemisphere;
    uint32_t index;
  };
  // The tile becomes the plane's weights. `group_ready` has the first cycle in which each group may be read,
  // or is empty. Returns the first cycle in which its rows may be written again.
  Cycle install(Plane plane, const Tile& tile, std::span<const Cycle> group_ready = {});
  // The accumulator that gets the products of the installed weights with byte `byte` of a vector in memory;
  // with `into`, adds to that.
  Term product(Plane plane, const Term& activation, uint32_t byte, Term into = nullptr);
  // The low byte of the sums straight to a memory row, without the VXM. Returns the first cycle in which the
  // row may be read.
  Cycle result_to_row(const Term& accumulator, Place place, Cycle free_from);

  // ---- SXM, on the way to the VXM
  Term permuted(const Term& source, uint32_t map);     // source: words in memory, or an accumulator
  Term distributed(const Term& source, uint32_t map);  // source: words in memory or permuted words
  // `count` rotations of the lanes of each superlane, from `first` on. source: words in memory or permuted.
  std::vector<Term> rotated(const Term& source, uint32_t first, uint32_t count);

  // ---- MEM with addresses from data
  // Bytes of the four (or `bytes`) slices from `place` on, in row place.row + map in each superlane.
  Term gathered(Place place, uint32_t bytes, const Term& map, Cycle ready = 0);
  // Byte `byte` of `value` to row place.row + map. Returns the first cycle in which a read sees it.
  Cycle scatter(const Term& value, uint32_t byte, Place place, const Term& map, Cycle free_from);

  // ---- C2C. The words of a vector in memory, byte by byte over some links at once; returns when each was
  // sent.
  using Sent = std::array<Cycle, 4>;
  Sent send(const Term& value, std::span<const uint32_t> links);
  // What the other end sent, into memory in the link's hemisphere, or into a place there of the caller's.
  Term receive(uint32_t link, const Sent& sent, const Place* fixed = nullptr);

  // Instructions that follow work for this graph node.
  void set_source(int32_t source) { source_ = source; }
  // No operation of the VXM that follows issues before this cycle; for what would otherwise sit in an ALU
  // long before it is wanted.
  void set_not_before(Cycle cycle) { not_before_ = cycle; }
  // No instruction that follows issues before this cycle.
  void set_earliest(Cycle cycle) { earliest_ = cycle; }
  // When a value is there.
  static Cycle ready(const Term& value);

  // One past the last effect of anything.
  Cycle length() const { return length_; }
  std::map<QueueKey, std::vector<Issue>> take_queues();

 private:
  friend struct Value;
  Term store_in(const Term& value, uint8_t copies, uint32_t bytes, const Place* fixed, Cycle free_from);
  class Attempt;
  struct PlaneState;
  struct RowPool;
  struct Queue {
    CycleSet taken;
    std::vector<Issue> issues;
    // Its idle cycles come this much after those at the VXM: the ways of an outward flow are blocked
    // together.
    Cycle phase = 0;
    bool fetching = false;  // keeps cycles idle
  };
  struct IssueRef {
    Queue* queue = nullptr;
    size_t index = 0;
  };

  // Whether the cycle is kept for fetching the queue's text.
  bool fetches(const Queue& queue, Cycle cycle) const {
    return queue.fetching && (cycle - queue.phase) % kFetchEvery == kFetchEvery - 1;
  }
  // All queues with their keys.
  void each_queue(const std::function<void(QueueKey, Queue&)>& visit);
  Queue& mem(Hemisphere hemisphere, uint32_t slice) { return mem_[hemisphere][slice]; }
  IssueRef commit(Queue& queue, Cycle cycle, LpuOp op, std::array<uint32_t, 7> words, Cycle effect);
  uint32_t stream(Hemisphere hemisphere, Direction direction, uint32_t index) const;
  Hemisphere link_side(uint32_t link) const { return link < machine_.geometry.links / 2 ? kEast : kWest; }

  bool fetch(Attempt& attempt, const Operand& operand, Cycle issue, uint32_t& word);
  // The value on streams at the VXM (`at` is the inward diagonal) or at position `hop` outward.
  bool bring_inward(Attempt& attempt, Value& value, uint32_t byte, uint32_t bytes, Cycle diagonal,
                    Hemisphere& hemisphere, uint32_t& first);
  bool bring_outward(Attempt& attempt, Value& value, uint32_t byte, uint32_t bytes, Hemisphere hemisphere,
                     uint32_t hop, Cycle cycle, uint32_t& first);
  bool bring_to_switch(Attempt& attempt, Value& value, Cycle cycle, Hemisphere hemisphere, uint32_t& first,
                       Direction& direction);
  Cycle earliest_arrival(const Value& value) const;
  std::optional<uint32_t> free_group(Hemisphere hemisphere, Direction direction, Cycle diagonal,
                                     uint32_t width, uint32_t count = 1) const;
  void extend(Value& value);
  void keep_alus_free(const std::array<Operand, 3>& operands);
  bool spill(Value& value);
  Term move_to_memory(Value& value);
  Term store_with(Value& value, Copies side);
  bool store_with(Value& value, Hemisphere hemisphere, uint32_t bytes, const Place* fixed, Cycle free_from,
                  Value& stored);
  int never_together(const std::array<Operand, 3>& operands);
  bool add_store(Attempt& attempt, Value& value, Hemisphere hemisphere, uint32_t bytes, const Place* fixed,
                 Cycle free_from, Value& stored);
  Term place_op(uint32_t free_alus, LpuOp op, const std::array<Operand, 3>& operands, Term stored_result,
                uint8_t copies, uint32_t bytes, const Place* fixed, Cycle free_from);
  uint32_t alu_latency(LpuOp op) const;
  void release(Value& value);

  const machine::Machine& machine_;
  SchedulerOptions options_;
  std::function<Place(uint32_t)> uniform_;
  StreamTable streams_;
  std::array<std::vector<Queue>, 2> mem_;
  std::vector<Queue> vxm_;
  std::array<std::vector<Queue>, 2> mxm_, sxm_;
  std::vector<Queue> links_;
  std::vector<Cycle> link_sent_, link_received_;  // the last of each link
  std::vector<KeptResults> results_;              // of each ALU
  std::map<Cycle, CycleSet> closed_;              // by latency: cycles without room for an operation
  std::vector<Value*> in_alus_;                   // the results that someone may still want, oldest first
  std::vector<PlaneState> planes_;
  std::array<std::vector<RowPool>, 2> word_rows_, byte_rows_;
  int32_t source_ = -1;
  Cycle earliest_ = 0, not_before_ = 0;
  uint32_t avoided_slices_ = 0;  // bit s: slice s takes no bytes now
  Cycle length_ = 0;
};

}  // namespace lockstep::compiler::lpu
