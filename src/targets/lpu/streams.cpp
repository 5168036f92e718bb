#include "targets/lpu/streams.h"

#include <bit>

#include "program/isa/lpu_text.h"

namespace lockstep::targets::lpu {

using program::isa::stream_text;

uint32_t longest_put_cycles(const machine::Latency& latency) {
  return std::max({latency.mem_read, latency.mem_gather, latency.vxm_operation, latency.vxm_fma,
                   latency.vxm_rsqrt, latency.mxm_result, latency.sxm_permute, latency.sxm_shift,
                   latency.sxm_distribute, latency.sxm_rotate, latency.sxm_transpose});
}

uint32_t last_position(const machine::Machine& machine) {
  const machine::Hops& hops = machine.hops;
  return std::max({hops.mem_first + machine.geometry.groups() - 1, hops.sxm, hops.mxm, hops.c2c});
}

// A diagonal may be asked for from the cycle in which its value is put, up to the longest latency ahead,
// until the value has left and the VXM has looked back at it.
Streams::Streams(const machine::Machine& machine, bool values, Events& events)
    : end_(last_position(machine)),
      ring_(std::bit_ceil(uint64_t{end_} + longest_put_cycles(machine.latency) + machine.latency.vxm_entry +
                          2)),
      values_(kStreams * ring_),
      bytes_(values ? values_.size() * sizeof(Vector) : 0),
      vectors_(values ? reinterpret_cast<Vector*>(bytes_.data()) : nullptr),
      events_(events) {}

void Streams::clear() {
  std::fill(values_.begin(), values_.end(), Value{});
}

Vector* Streams::put(const Issue& issue, Place place, uint32_t stream, uint64_t cycle) {
  const bool is_outward = outward(place.hemisphere, stream);
  const uint64_t number = diagonal(is_outward, place.position, cycle);
  const size_t i = index(place, stream, number);
  Value& value = values_[i];
  if (value.diagonal == number) {
    const uint64_t first_cycle = is_outward ? number + value.position - end_ : number - value.position;
    stop_in(
        issue, cycle,
        fmt::format("a collision on stream {} at position {}: {} put a value at position {} in cycle {} "
                    "that passes here now",
                    stream_text(stream), place.position, value.writer->name(), value.position,
                    static_cast<int64_t>(first_cycle) - static_cast<int64_t>(issue.queue.schedule_start())));
  }
  value = {number, place.position, &issue.queue};
  events_.effect(cycle);
  events_.stream_hops += is_outward ? end_ - place.position : place.position;
  if (trace_ != nullptr) trace_->put(place, stream, cycle);
  return vectors_ == nullptr ? nullptr : vectors_ + i;
}

const Vector* Streams::take(const Issue& issue, Place place, uint32_t stream, uint64_t cycle) {
  const bool is_outward = outward(place.hemisphere, stream);
  const uint64_t number = diagonal(is_outward, place.position, cycle);
  const size_t i = index(place, stream, number);
  const Value& value = values_[i];
  const bool upstream = is_outward ? value.position <= place.position : value.position >= place.position;
  if (value.diagonal != number || !upstream) {
    stop_in(issue, cycle,
            fmt::format("stream {} of the {} hemisphere carries no value at position {}", stream_text(stream),
                        place.hemisphere == 0 ? "eastern" : "western", place.position));
  }
  if (trace_ != nullptr) trace_->took(place, stream, cycle);
  return vectors_ == nullptr ? nullptr : vectors_ + i;
}

}  // namespace lockstep::targets::lpu
