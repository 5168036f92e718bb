// Instructions of the other units: MXM, SXM, memory with addresses from data, links.
#include "compiler/lpu/chip_scheduler_parts.h"

namespace lockstep::compiler::lpu {

// -------------------------------------------------------------------------------------------- MXM

Cycle ChipScheduler::install(Plane plane, const Tile& tile, std::span<const Cycle> group_ready) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.hops.mxm, width = machine_.geometry.load_streams;
  PlaneState& state = planes_[plane.hemisphere * machine_.geometry.planes + plane.index];
  LOCKSTEP_CHECK(tile.hemisphere == plane.hemisphere);
  Queue& queue = mxm_[plane.hemisphere][3 * plane.index];
  const uint32_t first = plane.index * width % machine_.geometry.streams;
  Cycle from = std::max(state.buffer_free, earliest_);
  // Groups in the order in which they may be read.
  std::vector<uint16_t> order(tile.groups);
  for (size_t g = 0; g < order.size(); ++g) order[g] = static_cast<uint16_t>(g);
  if (!group_ready.empty()) {
    std::stable_sort(order.begin(), order.end(),
                     [&](uint16_t a, uint16_t b) { return group_ready[a] < group_ready[b]; });
  }
  uint32_t nearest = hop;
  for (uint16_t slice : tile.slices) nearest = std::min(nearest, machine_.mem_hop(slice));
  for (const uint16_t group : order) {
    const Cycle ready = group_ready.empty() ? 0 : group_ready[group];
    from = std::max(from, std::max(ready, earliest_) + latency.mem_read + distance(hop, nearest));
    for (bool placed = false; !placed; ++from) {
      Attempt attempt(*this);
      if (!attempt.take_queue(queue, from)) continue;
      if (!attempt.take_these(plane.hemisphere, kOutward, from - hop, first, width)) continue;
      bool fits = true;
      for (uint32_t k = 0; k < width && fits; ++k) {
        const Cycle read = from - distance(hop, machine_.mem_hop(tile.slices[k])) - latency.mem_read;
        fits = read >= ready && attempt.take_queue(mem(plane.hemisphere, tile.slices[k]), read);
        if (!fits) break;
        attempt.issue(mem(plane.hemisphere, tile.slices[k]), read, LpuOp::Read,
                      {tile.bases[k] + group * tile.step, stream(plane.hemisphere, kOutward, first + k), 0},
                      read + latency.mem_read);
      }
      if (!fits) continue;
      attempt.issue(queue, from, LpuOp::LoadWeights, {stream(plane.hemisphere, kOutward, first), group},
                    from + latency.mxm_load);
      attempt.commit();
      state.loaded = std::max(state.loaded, from);
      placed = true;
    }
  }
  Cycle at = std::max(state.loaded + latency.mxm_load, state.installed + latency.mxm_install);
  at = std::max(at, state.last_activation + 1 - static_cast<Cycle>(latency.mxm_install));
  while (true) {
    Attempt attempt(*this);
    if (attempt.take_queue(queue, at)) {
      attempt.issue(queue, at, LpuOp::InstallWeights, {}, at + latency.mxm_install);
      attempt.commit();
      break;
    }
    ++at;
  }
  state.installed = at;
  state.array_ready = at + latency.mxm_install;
  state.buffer_free = at + 1;
  return state.loaded;
}

Term ChipScheduler::product(Plane plane, const Term& activation, uint32_t byte, Term into) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.hops.mxm;
  PlaneState& state = planes_[plane.hemisphere * machine_.geometry.planes + plane.index];
  LOCKSTEP_CHECK(activation->kind == Value::Kind::Memory && activation->copies[plane.hemisphere].there);
  const Value::Copy& copy = activation->copies[plane.hemisphere];
  Queue& queue = mxm_[plane.hemisphere][3 * plane.index + 1];
  uint32_t entry = 0;
  if (into != nullptr) {
    entry = into->entry;
  } else {
    // The free one whose old sums are done with first.
    entry = machine_.geometry.accumulators;
    for (uint32_t e = 0; e < machine_.geometry.accumulators; ++e) {
      if (state.entry_taken[e]) continue;
      if (entry == machine_.geometry.accumulators || state.entry_free[e] < state.entry_free[entry]) entry = e;
    }
    LOCKSTEP_CHECK(entry < machine_.geometry.accumulators);
  }
  Cycle from = std::max({state.array_ready, earliest_,
                         copy.ready + latency.mem_read + distance(hop, machine_.mem_hop(copy.slice))});
  // A new sum sets out after the old one is read for the last time, an added one arrives after the one that
  // it adds to.
  from = std::max(from, into != nullptr ? into->ready + 1 - static_cast<Cycle>(latency.mxm_product)
                                        : state.entry_free[entry] + 1);
  for (Cycle at = from; at < from + kSearchMax_cycles; ++at) {
    Attempt attempt(*this);
    uint32_t first = 0;
    if (!attempt.take_queue(queue, at)) continue;
    if (!bring_outward(attempt, *activation, byte, 1, plane.hemisphere, hop, at, first)) continue;
    attempt.issue(queue, at, LpuOp::ActivationControl,
                  {stream(plane.hemisphere, kOutward, first), entry, into != nullptr ? 1u : 0u, 0},
                  at + latency.mxm_product);
    attempt.commit();
    state.last_activation = std::max(state.last_activation, at);
    if (into != nullptr) {
      into->ready = std::max<Cycle>(into->ready, at + latency.mxm_product);
      return into;
    }
    state.entry_taken[entry] = true;
    auto sums = std::make_shared<Value>();
    sums->scheduler = this;
    sums->kind = Value::Kind::Accumulator;
    sums->plane = plane;
    sums->entry = entry;
    sums->ready = at + latency.mxm_product;
    return sums;
  }
  internal_error("no place for a product");
}

Cycle ChipScheduler::result_to_row(const Term& accumulator, Place place, Cycle free_from) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.mem_hop(place.slice);
  const Hemisphere hemisphere = accumulator->plane.hemisphere;
  LOCKSTEP_CHECK(hemisphere == place.hemisphere);
  const Cycle from =
      std::max({accumulator->ready, earliest_,
                free_from - static_cast<Cycle>(latency.mxm_result) - distance(machine_.hops.mxm, hop)});
  for (Cycle at = from; at < from + kSearchMax_cycles; ++at) {
    const Cycle write = at + latency.mxm_result + distance(machine_.hops.mxm, hop);
    Attempt attempt(*this);
    Queue& queue = mxm_[hemisphere][3 * accumulator->plane.index + 2];
    uint32_t first = 0;
    if (!attempt.take_queue(queue, at) || !attempt.take_queue(mem(hemisphere, place.slice), write)) continue;
    if (!attempt.take_streams(hemisphere, kInward, at + latency.mxm_result + machine_.hops.mxm, 4, 1, first))
      continue;
    attempt.issue(queue, at, LpuOp::Accumulate, {accumulator->entry, stream(hemisphere, kInward, first), 0},
                  at + latency.mxm_result);
    attempt.issue(mem(hemisphere, place.slice), write, LpuOp::Write,
                  {place.row, stream(hemisphere, kInward, first), 0}, write + latency.mem_write);
    attempt.accumulator_read(*accumulator, at);
    attempt.commit();
    return write + latency.mem_write;
  }
  internal_error("no place for sums on their way to memory");
}

// ------------------------------------------------------------------------------- SXM, gather, scatter

namespace {

Term through_switch(Value::Kind kind, const Term& source, uint32_t map) {
  auto value = std::make_shared<Value>();
  value->kind = kind;
  value->source = source;
  value->map = map;
  return value;
}

}  // namespace

Term ChipScheduler::permuted(const Term& source, uint32_t map) {
  return through_switch(Value::Kind::Permuted, source, map);
}

Term ChipScheduler::distributed(const Term& source, uint32_t map) {
  return through_switch(Value::Kind::Distributed, source, map);
}

std::vector<Term> ChipScheduler::rotated(const Term& source, uint32_t first, uint32_t count) {
  const Term rotation = through_switch(Value::Kind::Rotation, source, 0);
  rotation->first = first;
  rotation->count = count;
  std::vector<Term> all;
  for (uint32_t i = 0; i < count; ++i) {
    all.push_back(through_switch(Value::Kind::Rotated, rotation, 0));
    all.back()->first = i;
  }
  return all;
}

Term ChipScheduler::gathered(Place place, uint32_t bytes, const Term& map, Cycle ready) {
  auto value = std::make_shared<Value>();
  value->kind = Value::Kind::Gathered;
  value->place = place;
  value->bytes = bytes;
  value->source = map;
  value->ready = ready;
  return value;
}

Cycle ChipScheduler::scatter(const Term& value, uint32_t byte, Place place, const Term& map,
                             Cycle free_from) {
  const machine::Latency& latency = machine_.latency;
  const uint32_t hop = machine_.mem_hop(place.slice);
  const Value::Copy &data = value->copies[place.hemisphere], &rows = map->copies[place.hemisphere];
  LOCKSTEP_CHECK(data.there && rows.there);
  const uint32_t from_slice = data.slice + byte;
  if (from_slice == rows.slice || from_slice == rows.slice + 1u) {
    // One slice cannot read both at once: the value takes another.
    LOCKSTEP_CHECK(value->bytes == 1);
    Operand bytes(value);
    bytes.form = OperandKind::Uint8;
    avoided_slices_ = 3u << rows.slice;
    const Term moved = store(op(LpuOp::Move, bytes), place.hemisphere == kEast ? kInEast : kInWest, 1);
    avoided_slices_ = 0;
    return scatter(moved, 0, place, map, free_from);
  }
  const Cycle from = std::max({free_from, data.ready, rows.ready, earliest_});
  for (Cycle at = from; at < from + kSearchMax_cycles; ++at) {
    Attempt attempt(*this);
    uint32_t in = 0, map_first = 0;
    if (!attempt.take_queue(mem(place.hemisphere, place.slice), at)) continue;
    if (!bring_outward(attempt, *value, byte, 1, place.hemisphere, hop, at, in)) continue;
    if (!bring_outward(attempt, *map, 0, 2, place.hemisphere, hop, at, map_first)) continue;
    attempt.issue(
        mem(place.hemisphere, place.slice), at, LpuOp::Scatter,
        {place.row, stream(place.hemisphere, kOutward, in), stream(place.hemisphere, kOutward, map_first)},
        at + latency.mem_write);
    attempt.commit();
    return at + latency.mem_write;
  }
  internal_error("no place for a scatter");
}

// -------------------------------------------------------------------------------------------- C2C

ChipScheduler::Sent ChipScheduler::send(const Term& value, std::span<const uint32_t> links) {
  const uint32_t hop = machine_.hops.c2c;
  LOCKSTEP_CHECK(value->kind == Value::Kind::Memory && value->bytes == 4 && !links.empty());
  Cycle from = earliest_;
  std::array<bool, 2> sides{};
  for (const uint32_t link : links) {
    const Value::Copy& copy = value->copies[link_side(link)];
    LOCKSTEP_CHECK(copy.there);
    sides[link_side(link)] = true;
    from =
        std::max(from, copy.ready + machine_.latency.mem_read + distance(hop, machine_.mem_hop(copy.slice)));
  }
  Sent sent{};
  for (uint32_t byte = 0; byte < 4; ++byte) {
    for (const uint32_t link : links)
      from = std::max(from, link_sent_[link] + static_cast<Cycle>(machine_.packet_cycles()));
    const Cycle end = from + kSearchMax_cycles;
    for (; from < end; ++from) {
      Attempt attempt(*this);
      bool fits = true;
      for (const uint32_t link : links) fits = fits && attempt.take_queue(links_[link], from);
      std::array<uint32_t, 2> first{};
      for (const Hemisphere h : {kEast, kWest})
        fits = fits && (!sides[h] || bring_outward(attempt, *value, byte, 1, h, hop, from, first[h]));
      if (!fits) continue;
      for (const uint32_t link : links) {
        const Hemisphere h = link_side(link);
        attempt.issue(links_[link], from, LpuOp::Send, {stream(h, kOutward, first[h])}, from);
        link_sent_[link] = from;
      }
      attempt.commit();
      break;
    }
    if (from == end) internal_error("no place for a send");
    sent[byte] = from;
  }
  return sent;
}

Term ChipScheduler::receive(uint32_t link, const Sent& sent, const Place* fixed) {
  const Hemisphere hemisphere = link_side(link);
  const uint32_t hop = machine_.hops.c2c;
  auto stored = std::make_shared<Value>();
  stored->kind = Value::Kind::Memory;
  Place place{hemisphere, 0, 0};
  if (fixed != nullptr) {
    place = *fixed;
  } else {
    const auto row = word_rows_[hemisphere][0].take(sent[0]);
    LOCKSTEP_CHECK(row.has_value());
    place.row = *row;
  }
  LOCKSTEP_CHECK(place.hemisphere == hemisphere);
  Value::Copy& copy = stored->copies[hemisphere];
  copy = {true, fixed == nullptr, place.slice, place.row, 0, 0};
  for (uint32_t byte = 0; byte < 4; ++byte) {
    const uint32_t slice = place.slice + byte;
    for (Cycle at =
             std::max(sent[byte] + static_cast<Cycle>(machine_.latency.c2c_link), link_received_[link] + 1);
         ; ++at) {
      const Cycle write = at + distance(hop, machine_.mem_hop(slice));
      Attempt attempt(*this);
      uint32_t first = 0;
      if (!attempt.take_queue(links_[link], at) || !attempt.take_queue(mem(hemisphere, slice), write))
        continue;
      if (!attempt.take_streams(hemisphere, kInward, at + hop, 1, 1, first)) continue;
      const uint32_t on = stream(hemisphere, kInward, first);
      attempt.issue(links_[link], at, LpuOp::Receive, {on}, at);
      attempt.issue(mem(hemisphere, slice), write, LpuOp::Write, {place.row, on, 0},
                    write + machine_.latency.mem_write);
      attempt.commit();
      link_received_[link] = at;
      copy.ready = std::max<Cycle>(copy.ready, write + machine_.latency.mem_write);
      break;
    }
  }
  stored->scheduler = this;
  return stored;
}

}  // namespace lockstep::compiler::lpu
