#include "targets/lpu/links.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "targets/lpu/file_memory.h"

namespace lockstep::targets::lpu {

using program::isa::LpuOp;

Links::Links(const program::Program& program, const machine::Machine& machine, uint32_t chips)
    : machine_(machine), program_(program), links_(machine.geometry.links) {
  channels_.resize(size_t{chips} * links_);
  const Bytes wires = contents_of(program, find_memory(program, "links"));
  uint32_t ends[4];
  for (size_t i = 0; i + sizeof(ends) <= wires.size(); i += sizeof(ends)) {
    std::memcpy(ends, wires.data() + i, sizeof(ends));
    const Port a = {ends[0], ends[1]}, b = {ends[2], ends[3]};
    const auto is_free = [&](Port port) {
      return port.chip < chips && port.link < links_ && channels_[index(port)].peer == program::kNone;
    };
    if (!is_free(a) || !is_free(b) || index(a) == index(b)) {
      user_error(
          "{}: the wire from link {} of chip {} to link {} of chip {} has an end that is not there or "
          "has another wire",
          program.model_name, a.link, a.chip, b.link, b.chip);
    }
    channels_[index(a)].peer = index(b);
    channels_[index(b)].peer = index(a);
  }
}

void Links::clear() {
  for (Channel& channel : channels_) {
    channel.next_start = 0;
    channel.packets.clear();
  }
}

void Links::require_empty() const {
  for (size_t i = 0; i < channels_.size(); ++i) {
    if (channels_[i].packets.empty()) continue;
    user_error("{}: link {} of chip {} ends with {} vectors that nothing has received", program_.model_name,
               i % links_, i / links_, channels_[i].packets.size());
  }
}

void Links::execute(const UnitContext& context, const Issue& issue) {
  const program::isa::UnitName& unit = issue.queue.unit();
  Channel& channel = channels_[index({unit.chip, unit.place})];
  const Place place = {unit.chip, unit.place < links_ / 2 ? 0u : 1u, machine_.hops.c2c};
  switch (issue.instruction.op) {
    case LpuOp::Send:
      return send(context, issue, channel, place);
    case LpuOp::Receive:
      return receive(context, issue, channel, place);
    default:
      return;  // Deskew takes its cycle
  }
}

void Links::send(const UnitContext& context, const Issue& issue, Channel& channel, Place place) {
  if (channel.peer == program::kNone) stop(issue, "no wire leaves this link");
  if (issue.cycle < channel.next_start) {
    stop(issue, "the packet before needs the link for {} more cycles", channel.next_start - issue.cycle);
  }
  channel.next_start = issue.cycle + machine_.packet_cycles();
  const Vector* in = context.streams.take(issue, place, issue.instruction.fields[0], issue.cycle);
  Channel& peer = channels_[channel.peer];
  Packet& packet = peer.packets.emplace_back();
  packet.arrival = issue.cycle + machine_.latency.c2c_link;
  if (in != nullptr) packet.value = *in;
  ++context.events.c2c_vectors;
  if (overflown(peer, issue.cycle)) {
    stop(issue, "the other end keeps {} vectors that nothing has received, and one more came", kKept);
  }
}

// Whether more vectors than a link keeps had arrived before `cycle`. Asked with every vector that comes or
// goes, so that it is not missed.
bool Links::overflown(const Channel& channel, uint64_t cycle) {
  return channel.packets.size() > kKept && channel.packets[kKept].arrival < cycle;
}

void Links::receive(const UnitContext& context, const Issue& issue, Channel& channel, Place place) {
  if (channel.peer == program::kNone) stop(issue, "no wire comes to this link");
  if (channel.packets.empty() || channel.packets.front().arrival > issue.cycle) {
    stop(issue, "no vector has arrived");
  }
  if (overflown(channel, issue.cycle)) {
    stop(issue, "the link keeps {} vectors, and one more came before this", kKept);
  }
  Vector* out = context.streams.put(issue, place, issue.instruction.fields[0], issue.cycle);
  if (out != nullptr) *out = channel.packets.front().value;
  channel.packets.pop_front();
}

}  // namespace lockstep::targets::lpu
