// How operands come to where they are wanted: on streams, through the switch unit, gathered.
#include "compiler/lpu/chip_scheduler_parts.h"

namespace lockstep::compiler::lpu {

Cycle ChipScheduler::ready(const Term& value) {
  if (value->kind != Value::Kind::Memory) return value->ready;
  Cycle ready = kForever;
  for (const Value::Copy& copy : value->copies)
    if (copy.there) ready = std::min(ready, copy.ready);
  return ready;
}

// The first cycle in which the value can be at the VXM (the inward diagonal).
Cycle ChipScheduler::earliest_arrival(const Value& value) const {
  const machine::Latency& latency = machine_.latency;
  const machine::Hops& hops = machine_.hops;
  const std::function<Cycle(const Value&)> at_switch = [&](const Value& v) -> Cycle {
    switch (v.kind) {
      case Value::Kind::Memory: {
        Cycle best = kForever;
        for (const Value::Copy& copy : v.copies) {
          if (copy.there)
            best = std::min(best,
                            copy.ready + latency.mem_read + distance(hops.sxm, machine_.mem_hop(copy.slice)));
        }
        return best;
      }
      case Value::Kind::Accumulator:
        return v.ready + latency.mxm_result + distance(hops.mxm, hops.sxm);
      case Value::Kind::Permuted:
        return at_switch(*v.source) + latency.sxm_permute;
      case Value::Kind::Distributed:
        return at_switch(*v.source) + latency.sxm_distribute;
      case Value::Kind::Rotation:
        return at_switch(*v.source) + latency.sxm_rotate;
      default:
        internal_error("a value that does not pass the switch unit");
    }
  };
  switch (value.kind) {
    case Value::Kind::Memory: {
      Cycle best = kForever;
      for (const Value::Copy& copy : value.copies)
        if (copy.there) best = std::min(best, copy.ready + latency.mem_read + machine_.mem_hop(copy.slice));
      return best;
    }
    case Value::Kind::Accumulator:
      return value.ready + latency.mxm_result + hops.mxm;
    case Value::Kind::Permuted:
    case Value::Kind::Distributed:
    case Value::Kind::Rotation:
      return at_switch(value) + hops.sxm;
    case Value::Kind::Rotated:
      return earliest_arrival(*value.source);
    case Value::Kind::Gathered: {
      const uint32_t hop = machine_.mem_hop(value.place.slice);
      Cycle map = kForever;
      const Value::Copy& copy = value.source->copies[value.place.hemisphere];
      if (copy.there) map = copy.ready + latency.mem_read + distance(hop, machine_.mem_hop(copy.slice));
      return std::max(value.ready, map) + latency.mem_gather + hop;
    }
    case Value::Kind::Alu:
      break;
  }
  internal_error("an ALU's result does not arrive on streams");
}

bool ChipScheduler::bring_outward(Attempt& attempt, Value& value, uint32_t byte, uint32_t bytes,
                                  Hemisphere hemisphere, uint32_t hop, Cycle cycle, uint32_t& first) {
  Value::Copy& copy = value.copies[hemisphere];
  if (!copy.there) return false;
  const uint32_t from = machine_.mem_hop(copy.slice);
  if (from > hop) return false;
  const Cycle read = cycle - distance(hop, from) - machine_.latency.mem_read;
  if (read < copy.ready) return false;
  for (uint32_t k = 0; k < bytes; ++k)
    if (!attempt.take_queue(mem(hemisphere, copy.slice + byte + k), read)) return false;
  if (!attempt.take_streams(hemisphere, kOutward, cycle - hop, bytes, 1, first)) return false;
  for (uint32_t k = 0; k < bytes; ++k) {
    attempt.issue(mem(hemisphere, copy.slice + byte + k), read, LpuOp::Read,
                  {copy.row, stream(hemisphere, kOutward, first + k), 0}, read + machine_.latency.mem_read);
  }
  attempt.read(copy, read);
  return true;
}

// Four streams at the switch unit's place in a cycle.
bool ChipScheduler::bring_to_switch(Attempt& attempt, Value& value, Cycle cycle, Hemisphere hemisphere,
                                    uint32_t& first, Direction& direction) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.hops.sxm;
  direction = kOutward;
  switch (value.kind) {
    case Value::Kind::Memory:
      return bring_outward(attempt, value, 0, 4, hemisphere, hop, cycle, first);
    case Value::Kind::Accumulator: {
      if (value.plane.hemisphere != hemisphere) return false;
      const Cycle at = cycle - distance(machine_.hops.mxm, hop) - latency.mxm_result;
      Queue& queue = mxm_[hemisphere][3 * value.plane.index + 2];
      if (at < value.ready || !attempt.take_queue(queue, at)) return false;
      if (!attempt.take_streams(hemisphere, kInward, cycle + hop, 4, 1, first)) return false;
      attempt.issue(queue, at, LpuOp::Accumulate, {value.entry, stream(hemisphere, kInward, first), 0},
                    at + latency.mxm_result);
      attempt.accumulator_read(value, at);
      direction = kInward;
      return true;
    }
    case Value::Kind::Permuted: {
      const Cycle at = cycle - latency.sxm_permute;
      Queue& queue = sxm_[hemisphere][static_cast<size_t>(SxmPlace::Permuter)];
      uint32_t in = 0;
      Direction in_direction = kOutward;
      if (!bring_to_switch(attempt, *value.source, at, hemisphere, in, in_direction)) return false;
      if (!attempt.take_queue(queue, at)) return false;
      if (!attempt.take_streams(hemisphere, kOutward, cycle - hop, 4, 1, first)) return false;
      attempt.issue(queue, at, LpuOp::Permute,
                    {stream(hemisphere, in_direction, in), stream(hemisphere, kOutward, first), value.map},
                    cycle);
      return true;
    }
    default:
      internal_error("a value that does not pass the switch unit");
  }
}

// `bytes` streams at the VXM on an inward diagonal.
bool ChipScheduler::bring_inward(Attempt& attempt, Value& value, uint32_t byte, uint32_t bytes,
                                 Cycle diagonal, Hemisphere& hemisphere, uint32_t& first) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t sxm = machine_.hops.sxm;
  switch (value.kind) {
    case Value::Kind::Memory: {
      Value::Copy& copy = value.copies[hemisphere];
      if (!copy.there) return false;
      const Cycle read = diagonal - machine_.mem_hop(copy.slice) - latency.mem_read;
      if (read < copy.ready) return false;
      for (uint32_t k = 0; k < bytes; ++k)
        if (!attempt.take_queue(mem(hemisphere, copy.slice + byte + k), read)) return false;
      if (!attempt.take_streams(hemisphere, kInward, diagonal, bytes, 1, first)) return false;
      for (uint32_t k = 0; k < bytes; ++k) {
        attempt.issue(mem(hemisphere, copy.slice + byte + k), read, LpuOp::Read,
                      {copy.row, stream(hemisphere, kInward, first + k), 0}, read + latency.mem_read);
      }
      attempt.read(copy, read);
      return true;
    }
    case Value::Kind::Accumulator: {
      if (value.plane.hemisphere != hemisphere) return false;
      const Cycle at = diagonal - machine_.hops.mxm - latency.mxm_result;
      Queue& queue = mxm_[hemisphere][3 * value.plane.index + 2];
      if (at < value.ready || !attempt.take_queue(queue, at)) return false;
      if (!attempt.take_streams(hemisphere, kInward, diagonal, 4, 1, first)) return false;
      attempt.issue(queue, at, LpuOp::Accumulate, {value.entry, stream(hemisphere, kInward, first), 0},
                    at + latency.mxm_result);
      attempt.accumulator_read(value, at);
      return true;
    }
    case Value::Kind::Permuted:
    case Value::Kind::Distributed:
    case Value::Kind::Rotation: {
      const bool permutes = value.kind == Value::Kind::Permuted,
                 rotates = value.kind == Value::Kind::Rotation;
      const Cycle takes = permutes  ? latency.sxm_permute
                          : rotates ? latency.sxm_rotate
                                    : latency.sxm_distribute;
      const Cycle out = diagonal - sxm, at = out - takes;
      uint32_t in = 0;
      Direction direction = kOutward;
      const SxmPlace place = permutes  ? SxmPlace::Permuter
                             : rotates ? SxmPlace::Rotator
                                       : SxmPlace::Distributor;
      const uint32_t places = permutes || rotates ? 1 : 4;
      Queue* queue = nullptr;
      for (uint32_t i = 0; i < places && queue == nullptr; ++i) {
        Queue& candidate = sxm_[hemisphere][static_cast<size_t>(place) + i];
        if (attempt.take_queue(candidate, at)) queue = &candidate;
      }
      if (queue == nullptr) return false;
      if (!attempt.take_streams(hemisphere, kInward, diagonal, 4, rotates ? value.count : 1, first))
        return false;
      if (!bring_to_switch(attempt, *value.source, at, hemisphere, in, direction)) return false;
      const uint32_t from = stream(hemisphere, direction, in), to = stream(hemisphere, kInward, first);
      if (rotates) {
        attempt.issue(*queue, at, LpuOp::Rotate, {from, to, value.first, value.count}, out);
      } else {
        attempt.issue(*queue, at, permutes ? LpuOp::Permute : LpuOp::Distribute, {from, to, value.map}, out);
      }
      return true;
    }
    case Value::Kind::Gathered: {
      if (value.place.hemisphere != hemisphere) return false;
      const uint32_t hop = machine_.mem_hop(value.place.slice);
      const Cycle at = diagonal - hop - latency.mem_gather;
      uint32_t map = 0;
      if (at < value.ready || !bring_outward(attempt, *value.source, 0, 2, hemisphere, hop, at, map))
        return false;
      for (uint32_t k = 0; k < bytes; ++k)
        if (!attempt.take_queue(mem(hemisphere, value.place.slice + k), at)) return false;
      if (!attempt.take_streams(hemisphere, kInward, diagonal, bytes, 1, first)) return false;
      for (uint32_t k = 0; k < bytes; ++k) {
        attempt.issue(
            mem(hemisphere, value.place.slice + k), at, LpuOp::Gather,
            {value.place.row, stream(hemisphere, kInward, first + k), stream(hemisphere, kOutward, map)},
            at + latency.mem_gather);
      }
      return true;
    }
    default:
      internal_error("a value that does not arrive on streams");
  }
}

bool ChipScheduler::fetch(Attempt& attempt, const Operand& operand, Cycle issue, uint32_t& word) {
  if (operand.is_immediate) {
    word = static_cast<uint32_t>(encode_operand({OperandKind::Immediate, 0}));
    return true;
  }
  if (operand.term == nullptr) {
    word = 0;
    return true;
  }
  Value* value = operand.term.get();
  if (value->kind == Value::Kind::Alu) {
    if (issue < value->ready || issue > value->limit) return false;
    word = static_cast<uint32_t>(encode_operand({OperandKind::Alu, static_cast<uint8_t>(value->alu)}));
    return true;
  }
  uint32_t offset = 0;
  if (value->kind == Value::Kind::Rotated) {
    offset = 4 * value->first;
    value = value->source.get();
  }
  const Cycle diagonal = issue - machine_.latency.vxm_entry;
  const uint32_t bytes = program::isa::operand_streams(operand.form);
  const auto found = [&](Hemisphere hemisphere, uint32_t first) {
    const uint32_t at = stream(hemisphere, kInward, first + offset);
    word = static_cast<uint32_t>(encode_operand({operand.form, static_cast<uint8_t>(at)}));
    return true;
  };
  if (const Value::Arrival* arrival = attempt.arrival(*value, diagonal, bytes))
    return found(arrival->hemisphere, arrival->first);
  value->prefers_west = !value->prefers_west;
  for (uint32_t i = 0; i < 2; ++i) {
    Hemisphere hemisphere = value->prefers_west == (i == 0) ? kWest : kEast;
    uint32_t first = 0;
    // An attempt of its own, so that a hemisphere that fails leaves nothing taken.
    {
      Attempt trial(*this);
      if (!bring_inward(trial, *value, 0, bytes, diagonal, hemisphere, first)) continue;
    }
    LOCKSTEP_CHECK(bring_inward(attempt, *value, 0, bytes, diagonal, hemisphere, first));
    attempt.arrived(*value, {diagonal, hemisphere, first, bytes});
    return found(hemisphere, first);
  }
  return false;
}

}  // namespace lockstep::compiler::lpu
