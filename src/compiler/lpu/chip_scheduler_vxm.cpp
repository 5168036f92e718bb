// Operations of the VXM: the ALU and the cycle, how long results stay, and their way to memory.
#include "compiler/lpu/chip_scheduler_parts.h"

namespace lockstep::compiler::lpu {

namespace {

constexpr Cycle kHoldWanted_cycles = 64;
constexpr uint32_t kNoStream = ~0u;

}  // namespace

// Moves a result to an ALU that can keep it longer.
void ChipScheduler::extend(Value& value) {
  const Cycle latency = machine_.latency.vxm_operation;
  uint32_t best = ~0u;
  Cycle best_cycle = 0, best_limit = value.limit;
  for (Cycle cycle = value.ready; cycle <= value.limit; ++cycle) {
    for (uint32_t a = 0; a < vxm_.size(); ++a) {
      if (a == value.alu || vxm_[a].taken.has(cycle) || fetches(vxm_[a], cycle)) continue;
      const Cycle gives = cycle + latency;
      const std::optional<Cycle> limit = results_[a].limit(gives);
      if (!limit || *limit <= best_limit) continue;
      best = a;
      best_cycle = cycle;
      best_limit = *limit;
    }
    if (best_limit == kForever) break;
  }
  // A little more time is not worth a move: the next consumer may be long after.
  if (best_limit - value.limit < options_.hold_min_cycles && spill(value)) return;
  if (best == ~0u) throw ResultLost();
  Attempt attempt(*this);
  LOCKSTEP_CHECK(attempt.take_queue(vxm_[best], best_cycle));
  attempt.issue(vxm_[best], best_cycle, LpuOp::Move,
                {static_cast<uint32_t>(encode_operand({OperandKind::Alu, static_cast<uint8_t>(value.alu)})),
                 0, 0, 0, kNoStream, kNoStream, 4},
                best_cycle + latency);
  value.last_use = std::max(value.last_use, best_cycle);
  release(value);
  value.issue = attempt.commit();
  value.alu = best;
  value.ready = best_cycle + latency;
  value.limit = best_limit;
  value.last_use = value.ready;
  results_[best].keep(value.ready, best_limit);
  in_alus_.push_back(&value);
}

// A move into memory while the ALU still keeps the result; nullptr where there is none.
Term ChipScheduler::move_to_memory(Value& value) {
  const Cycle latency = machine_.latency.vxm_operation;
  const auto from =
      static_cast<uint32_t>(encode_operand({OperandKind::Alu, static_cast<uint8_t>(value.alu)}));
  for (Cycle cycle = value.ready; cycle <= std::min(value.limit, value.ready + kSearchMax_cycles); ++cycle) {
    for (uint32_t a = 0; a < vxm_.size(); ++a) {
      if (vxm_[a].taken.has(cycle) || fetches(vxm_[a], cycle) || !results_[a].limit(cycle + latency))
        continue;
      for (const Hemisphere hemisphere : {kEast, kWest}) {
        auto stored = std::make_shared<Value>();
        stored->kind = Value::Kind::Memory;
        Value moved;
        moved.ready = cycle + latency;
        Attempt attempt(*this);
        if (!attempt.take_queue(vxm_[a], cycle) ||
            !add_store(attempt, moved, hemisphere, 4, nullptr, 0, *stored))
          continue;
        std::array<uint32_t, 7> words{from, 0, 0, 0, kNoStream, kNoStream, 4};
        words[hemisphere == kEast ? 4 : 5] = stored->map;
        attempt.issue(vxm_[a], cycle, LpuOp::Move, words, moved.ready);
        attempt.commit();
        results_[a].keep(moved.ready, moved.ready);
        value.last_use = std::max(value.last_use, cycle);
        stored->scheduler = this;
        return stored;
      }
    }
  }
  return nullptr;
}

// Puts a result that an ALU keeps into memory instead; false where its instruction's streams are not free.
bool ChipScheduler::spill(Value& value) {
  Term stored = value.source;  // where it has been stored before
  for (const Copies side : {kInEast, kInWest}) {
    if (stored == nullptr) stored = store_with(value, side);
  }
  if (stored == nullptr) stored = move_to_memory(value);
  if (stored == nullptr) return false;
  release(value);
  value.kind = Value::Kind::Memory;
  value.bytes = 4;
  value.copies = stored->copies;
  for (Value::Copy& copy : value.copies) copy.owned = false;
  value.source = std::move(stored);
  return true;
}

// Where many results are kept, those not used for longest go to memory.
void ChipScheduler::keep_alus_free(const std::array<Operand, 3>& operands) {
  constexpr size_t kKeptMax = 11;
  if (in_alus_.size() <= kKeptMax) return;
  std::vector<Value*> candidates = in_alus_;
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Value* a, const Value* b) { return a->last_use < b->last_use; });
  for (Value* value : candidates) {
    if (in_alus_.size() <= kKeptMax) return;
    if (std::ranges::any_of(operands, [&](const Operand& operand) { return operand.term.get() == value; }))
      continue;
    spill(*value);
  }
}

// Adds a store to an instruction whose result leaves the VXM in cycle value.ready. The instruction's stream
// words are for the caller to set: stored.map gets the stream.
bool ChipScheduler::add_store(Attempt& attempt, Value& value, Hemisphere hemisphere, uint32_t bytes,
                              const Place* fixed, Cycle free_from, Value& stored) {
  const Cycle leaves = value.ready;
  uint32_t first = 0;
  if (!attempt.take_streams(hemisphere, kOutward, leaves, bytes, 1, first)) return false;
  const auto write_at = [&](uint32_t slice, uint32_t row) {
    const Cycle write = leaves + machine_.mem_hop(slice);
    for (uint32_t k = 0; k < bytes; ++k)
      if (!attempt.take_queue(mem(hemisphere, slice + k), write)) return false;
    for (uint32_t k = 0; k < bytes; ++k) {
      attempt.issue(mem(hemisphere, slice + k), write, LpuOp::Write,
                    {row, stream(hemisphere, kOutward, first + k), 0}, write + machine_.latency.mem_write);
    }
    Value::Copy& copy = stored.copies[hemisphere];
    copy = {true,
            fixed == nullptr,
            static_cast<uint16_t>(slice),
            static_cast<uint16_t>(row),
            write + machine_.latency.mem_write,
            0};
    stored.map = stream(hemisphere, kOutward, first);
    return true;
  };
  if (fixed != nullptr) {
    if (leaves + machine_.mem_hop(fixed->slice) < free_from) return false;
    return write_at(fixed->slice, fixed->row);
  }
  const auto all_free = [&](uint32_t slice) {
    const Cycle write = leaves + machine_.mem_hop(slice);
    for (uint32_t k = 0; k < bytes; ++k) {
      const Queue& queue = mem(hemisphere, slice + k);
      if (queue.taken.has(write) || fetches(queue, write)) return false;
    }
    return true;
  };
  if (bytes == 1) {
    for (uint32_t slice = 4 * options_.scratch_quads; slice-- > 0;) {
      if ((avoided_slices_ >> slice & 1) != 0 || !all_free(slice)) continue;
      const auto row = byte_rows_[hemisphere][slice].take(leaves + machine_.mem_hop(slice));
      if (row) return write_at(slice, *row);
    }
    return false;
  }
  for (uint32_t quad = 0; quad < options_.scratch_quads; ++quad) {
    const uint32_t slice = 4 * quad;
    if (!all_free(slice)) continue;
    const auto row = word_rows_[hemisphere][quad].take(leaves + machine_.mem_hop(slice));
    if (row) return write_at(slice, *row);
  }
  return false;
}

// The operand that has to be brought before the others, because they need one slice or queue in one cycle
// whenever it may be: -1 where all can come together.
int ChipScheduler::never_together(const std::array<Operand, 3>& operands) {
  int first = -1, count = 0;
  for (int i = 0; i < 3; ++i) {
    const Operand& operand = operands[static_cast<size_t>(i)];
    if (operand.term == nullptr || operand.term->kind == Value::Kind::Alu) continue;
    if (first < 0) first = i;
    ++count;
  }
  if (count < 2) return -1;
  // Long after everything that is placed, where nothing is taken.
  Attempt attempt(*this);
  const Cycle quiet = length_ + (1 << 14);
  for (const Operand& operand : operands) {
    uint32_t word = 0;
    if (operand.term != nullptr && operand.term->kind == Value::Kind::Alu) continue;
    if (!fetch(attempt, operand, quiet, word)) return first;
  }
  return -1;
}

Term ChipScheduler::place_op(uint32_t free_alus, LpuOp op, const std::array<Operand, 3>& operands,
                             Term stored, uint8_t copies, uint32_t bytes, const Place* fixed,
                             Cycle free_from) {
  keep_alus_free(operands);
  const Cycle latency = alu_latency(op);
  Cycle from = std::max(earliest_, not_before_);
  uint32_t bits = 0;
  for (const Operand& operand : operands) {
    if (operand.is_immediate) bits = operand.bits;
    if (operand.term == nullptr) continue;
    const Value& value = *operand.term;
    from =
        std::max(from, value.kind == Value::Kind::Alu ? value.ready
                                                      : earliest_arrival(value) + machine_.latency.vxm_entry);
  }
  if (const int rival = never_together(operands); rival >= 0) {
    std::array<Operand, 3> others = operands;
    Operand& moved = others[static_cast<size_t>(rival)];
    // No sooner than what it waits for.
    const Cycle before = std::exchange(
        not_before_, std::max(not_before_, from - static_cast<Cycle>(machine_.latency.vxm_operation)));
    moved = this->op(LpuOp::Move, moved);
    not_before_ = before;
    return place_op(free_alus, op, others, std::move(stored), copies, bytes, fixed, free_from);
  }
  // The same, with nothing before a cycle.
  const auto place_from = [&](Cycle cycle) {
    const Cycle before = std::exchange(not_before_, std::max(not_before_, cycle));
    const Term result = place_op(free_alus, op, operands, std::move(stored), copies, bytes, fixed, free_from);
    not_before_ = before;
    return result;
  };
  CycleSet& closed = closed_[latency];
  for (Cycle cycle = closed.next_absent(from); cycle < from + kSearchMax_cycles;
       cycle = closed.next_absent(cycle + 1)) {
    for (const Operand& operand : operands) {
      if (operand.term == nullptr || operand.term->kind != Value::Kind::Alu) continue;
      while (operand.term->kind == Value::Kind::Alu && cycle > operand.term->limit) extend(*operand.term);
      // In memory now: its way to the VXM is another.
      if (operand.term->kind != Value::Kind::Alu) return place_from(cycle);
      cycle = std::max(cycle, operand.term->ready);
    }
    // The ALU that can keep the result longest.
    uint32_t best = ~0u, free = 0;
    Cycle best_limit = -1;
    const Cycle gives = cycle + latency;
    for (uint32_t a = 0; a < vxm_.size(); ++a) {
      if (vxm_[a].taken.has(cycle) || fetches(vxm_[a], cycle)) continue;
      const std::optional<Cycle> limit = results_[a].limit(gives);
      if (!limit || *limit - gives < options_.hold_min_cycles) continue;
      ++free;
      // The shortest time that is long enough, so that long times stay for others; else the longest.
      const bool enough = *limit - gives >= kHoldWanted_cycles;
      const bool best_enough = best != ~0u && best_limit - gives >= kHoldWanted_cycles;
      if (best == ~0u ||
          (enough ? !best_enough || *limit < best_limit : !best_enough && *limit > best_limit)) {
        best = a;
        best_limit = *limit;
      }
    }
    if (best == ~0u) closed.add(cycle);
    if (best == ~0u || free < free_alus) continue;
    Attempt attempt(*this);
    LOCKSTEP_CHECK(attempt.take_queue(vxm_[best], cycle));
    std::array<uint32_t, 7> words{0, 0, 0, bits, kNoStream, kNoStream, bytes};
    bool fits = true;
    for (uint32_t i = 0; i < 3 && fits; ++i) fits = fetch(attempt, operands[i], cycle, words[i]);
    if (!fits) continue;
    auto result = std::make_shared<Value>();
    result->ready = gives;
    if (stored != nullptr) {
      for (uint32_t h = 0; h < 2 && fits; ++h) {
        if ((copies >> h & 1) == 0) continue;
        fits = add_store(attempt, *result, static_cast<Hemisphere>(h), bytes, fixed, free_from, *stored);
        const uint32_t to = stored->map;
        words[to < 32 ? 4 : 5] = to;
      }
      if (!fits) continue;
    }
    // What cannot stay for ever has a copy in memory.
    Term copy;
    if (options_.copies_for_safety && stored == nullptr && best_limit != kForever) {
      copy = std::make_shared<Value>();
      copy->kind = Value::Kind::Memory;
      if (!add_store(attempt, *result, kEast, 4, nullptr, 0, *copy)) {
        copy->copies[kEast] = {};
        if (!add_store(attempt, *result, kWest, 4, nullptr, 0, *copy)) continue;
      }
      words[copy->copies[kEast].there ? 4 : 5] = copy->map;
      copy->scheduler = this;
    }
    attempt.issue(vxm_[best], cycle, op, words, gives);
    result->issue = attempt.commit();
    result->source = std::move(copy);
    for (const Operand& operand : operands) {
      if (operand.term != nullptr && operand.term->kind == Value::Kind::Alu)
        operand.term->last_use = std::max(operand.term->last_use, cycle);
    }
    result->scheduler = this;
    result->kind = Value::Kind::Alu;
    result->alu = best;
    result->limit = best_limit;
    result->last_use = gives;
    results_[best].keep(gives, best_limit);
    in_alus_.push_back(result.get());
    return result;
  }
  internal_error("no place for an operation {:#x} in {} cycles from {} on", static_cast<int>(op),
                 kSearchMax_cycles, from);
}

Term ChipScheduler::op(LpuOp op, Operand a, Operand b, Operand c) {
  // A number that is wanted as a vector, and a second immediate, come from memory.
  if (op == LpuOp::Move && a.is_immediate) return constant(uniform_(a.bits));
  const Operand* only = nullptr;
  for (Operand* operand : {&a, &b, &c}) {
    if (!operand->is_immediate) continue;
    if (only == nullptr) only = operand;
    if (operand->bits != only->bits) *operand = constant(uniform_(operand->bits));
  }
  return op_among(1, op, std::move(a), std::move(b), std::move(c));
}

Term ChipScheduler::op_among(uint32_t free_alus, LpuOp op, Operand a, Operand b, Operand c) {
  return place_op(free_alus, op, {std::move(a), std::move(b), std::move(c)}, nullptr, 0, 4, nullptr, 0);
}

Term ChipScheduler::store(const Term& value, Copies copies, uint32_t bytes) {
  if (value->kind == Value::Kind::Memory && value->bytes == bytes) {
    const uint32_t there =
        value->copies[kEast].there * uint32_t{kInEast} + value->copies[kWest].there * uint32_t{kInWest};
    if ((there & copies) == copies) return value;
  }
  return store_in(value, copies, bytes, nullptr, 0);
}

Term ChipScheduler::store_at(const Term& value, Place place, uint32_t bytes, Cycle free_from) {
  return store_in(value, static_cast<uint8_t>(1u << place.hemisphere), bytes, &place, free_from);
}

// A store on the very instruction that gave the result; nullptr where its streams are not free.
Term ChipScheduler::store_with(Value& value, Copies side) {
  auto stored = std::make_shared<Value>();
  stored->kind = Value::Kind::Memory;
  if (!store_with(value, side == kInEast ? kEast : kWest, 4, nullptr, 0, *stored)) return nullptr;
  stored->scheduler = this;
  return stored;
}

bool ChipScheduler::store_with(Value& value, Hemisphere hemisphere, uint32_t bytes, const Place* fixed,
                               Cycle free_from, Value& stored) {
  const std::array<uint32_t, 7> words = value.issue.queue->issues[value.issue.index].words;
  const bool unused = words[4] == kNoStream && words[5] == kNoStream;
  const uint32_t field = hemisphere == kEast ? 4 : 5;
  if (words[field] != kNoStream || !(unused || words[6] == bytes)) return false;
  Attempt attempt(*this);
  if (!add_store(attempt, value, hemisphere, bytes, fixed, free_from, stored)) {
    stored.copies[hemisphere] = {};
    return false;
  }
  attempt.commit();
  std::array<uint32_t, 7>& placed = value.issue.queue->issues[value.issue.index].words;
  placed[field] = stored.map;
  placed[6] = bytes;
  return true;
}

Term ChipScheduler::store_in(const Term& value, uint8_t copies, uint32_t bytes, const Place* fixed,
                             Cycle free_from) {
  LOCKSTEP_CHECK(bytes == 1 || bytes == 4);
  std::array<bool, 2> left = {(copies & kInEast) != 0, (copies & kInWest) != 0};
  const bool words = value->kind == Value::Kind::Alu && bytes == 4 && fixed == nullptr;
  Term stored = words ? value->source : nullptr;  // where it has been stored before
  if (stored != nullptr) {
    for (const Hemisphere h : {kEast, kWest}) left[h] = left[h] && !stored->copies[h].there;
  } else {
    stored = std::make_shared<Value>();
    stored->kind = Value::Kind::Memory;
    stored->bytes = bytes;
  }
  const bool in_alu = value->kind == Value::Kind::Alu && value->ready >= not_before_;
  for (const Hemisphere h : {kEast, kWest}) {
    if (in_alu && left[h]) left[h] = !store_with(*value, h, bytes, fixed, free_from, *stored);
  }
  // What is left through a move of its own.
  for (const Hemisphere h : {kEast, kWest}) {
    if (left[h])
      place_op(1, LpuOp::Move, {value, {}, {}}, stored, static_cast<uint8_t>(1u << h), bytes, fixed,
               free_from);
  }
  stored->scheduler = this;
  if (words && value->kind == Value::Kind::Alu) value->source = stored;
  return stored;
}

Term ChipScheduler::constant(Place place, uint32_t bytes, Cycle ready) {
  auto value = std::make_shared<Value>();
  value->kind = Value::Kind::Memory;
  value->bytes = bytes;
  value->copies[place.hemisphere] = {true, false, place.slice, place.row, ready, 0};
  return value;
}

}  // namespace lockstep::compiler::lpu
