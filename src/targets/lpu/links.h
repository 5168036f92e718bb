// The links between chips (C2C): packets of one vector each, in order, on one clock.
#pragma once

#include <deque>
#include <vector>

#include "program/program.h"
#include "targets/lpu/unit_context.h"

namespace lockstep::targets::lpu {

// A link of a chip.
struct Port {
  uint32_t chip = 0, link = 0;
};

class Links {
 public:
  // The wiring is the program's File memory "links". Throws a user's error for one that connects a link
  // twice, to itself, or that is not on a chip below `chips`.
  Links(const program::Program& program, const machine::Machine& machine, uint32_t chips);

  void clear();  // before a run
  // Send, Receive or Deskew of the queue's port. In a cycle Receive comes first: what it puts can be taken at
  // once.
  void execute(const UnitContext& context, const Issue& issue);
  // After a run: stops where a link still keeps vectors, for they would be the next run's.
  void require_empty() const;

 private:
  // What goes to a port from its peer.
  struct Packet {
    uint64_t arrival;
    Vector value;
  };
  struct Channel {
    uint32_t peer = program::kNone;  // the port's other end
    uint64_t next_start = 0;         // of a packet from this port
    std::deque<Packet> packets;      // that come to this port, not received
  };

  static constexpr size_t kKept = 64;

  uint32_t index(Port port) const { return port.chip * links_ + port.link; }
  void send(const UnitContext& context, const Issue& issue, Channel& channel, Place place);
  void receive(const UnitContext& context, const Issue& issue, Channel& channel, Place place);
  static bool overflown(const Channel& channel, uint64_t cycle);

  const machine::Machine& machine_;
  const program::Program& program_;
  const uint32_t links_;  // of a chip
  std::vector<Channel> channels_;
};

}  // namespace lockstep::targets::lpu
