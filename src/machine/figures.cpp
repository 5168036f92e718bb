#include "machine/figures.h"

#include <algorithm>
#include <bit>

namespace lockstep::machine {

namespace {

// The papers' TiB/s are bytes a cycle over 1024, at 1 GHz.
constexpr double kBytesOfTebibyte = 1024;

double at_clock(const Machine& machine, double per_cycle) {
  return per_cycle * machine.clock_hz;
}
double nanoseconds(const Machine& machine, uint32_t cycles) {
  return cycles / machine.clock_hz * 1e9;
}

double stream_bytes(const Machine& machine) {  // a cycle, past any position: both directions
  return 2.0 * machine.geometry.streams * machine.geometry.lanes();
}
double sram_bytes(const Machine& machine) {
  return 2.0 * machine.geometry.slices * machine.geometry.slice_banks * machine.geometry.lanes();
}
double weight_bytes(const Machine& machine) {
  const Geometry& g = machine.geometry;
  const uint32_t streams = std::min(g.planes, g.streams / g.load_streams) * g.load_streams;
  return 2.0 * streams * g.lanes();
}
// Queues of a chip: three a plane, one a slice and ALU, ten an SXM, one a link.
double queues(const Machine& machine) {
  const Geometry& g = machine.geometry;
  return 2.0 * (3 * g.planes + g.slices + 10) + g.alus + g.links;
}
double operations(const Machine& machine) {  // a cycle; a multiplication and an addition are two
  return 2.0 * machine.geometry.planes * 2 * machine.geometry.lanes() * machine.geometry.lanes();
}

constexpr Figure kFigures[] = {
    {"sram", "SRAM of a chip", "MB",
     [](const Machine& m) { return static_cast<double>(m.chip_bytes()) / 1e6; }},
    {"queues", "instruction queues", "queues", queues},
    {"stream_bandwidth", "stream registers, at 1 GHz", "TiB/s",
     [](const Machine& m) { return stream_bytes(m) / kBytesOfTebibyte; }},
    {"stream_rate", "stream registers, at the clock", "TB/s",
     [](const Machine& m) { return at_clock(m, stream_bytes(m)) / 1e12; }},
    {"sram_bandwidth", "SRAM, at 1 GHz", "TiB/s",
     [](const Machine& m) { return sram_bytes(m) / kBytesOfTebibyte; }},
    {"sram_rate", "SRAM, at the clock", "TB/s",
     [](const Machine& m) { return at_clock(m, sram_bytes(m)) / 1e12; }},
    {"fetch_bandwidth", "16 bytes of instructions a queue, at 1 GHz", "TiB/s",
     [](const Machine& m) { return queues(m) * 16 / kBytesOfTebibyte; }},
    {"weight_bandwidth", "weights into the planes, at 1 GHz", "TiB/s",
     [](const Machine& m) { return weight_bytes(m) / kBytesOfTebibyte; }},
    {"weights", "weights into all planes", "cycles",
     [](const Machine& m) { return double(weights_cycles(m)); }},
    {"peak", "matrix products", "TOPS", [](const Machine& m) { return at_clock(m, operations(m)) / 1e12; }},
    {"chain", "SXM, VXM three times, SXM", "cycles",
     [](const Machine& m) { return double(chain_cycles(m)); }},
    {"barrier", "barrier of the chip", "cycles", [](const Machine& m) { return double(m.latency.barrier); }},
    {"link_bandwidth", "all links, both directions", "GB/s",
     [](const Machine& m) { return 2 * m.geometry.links * m.link_bytes_per_second / 1e9; }},
    {"packet", "a vector on a link", "ns",
     [](const Machine& m) { return m.packet_bytes / m.link_bytes_per_second * 1e9; }},
    {"link", "send to receive", "cycles", [](const Machine& m) { return double(m.latency.c2c_link); }},
    {"hop", "SRAM to SRAM of a neighbour", "ns",
     [](const Machine& m) { return nanoseconds(m, hop_cycles(m)); }},
    {"hop_pipelined", "the same, as the multiprocessor's paper has it", "ns",
     [](const Machine& m) { return nanoseconds(m, hop_cycles(m)); }},
    {"all_reduce_node", "all-reduce of a vector in a node", "ns",
     [](const Machine& m) { return nanoseconds(m, all_reduce_cycles(m, m.geometry.node_chips)); }},
    {"all_reduce_256", "all-reduce of a vector over 256 chips", "ns",
     [](const Machine& m) { return nanoseconds(m, all_reduce_cycles(m, 256)); }},
};

}  // namespace

std::span<const Figure> figures() {
  return kFigures;
}

uint32_t weights_cycles(const Machine& machine) {
  const Geometry& g = machine.geometry;
  const uint32_t planes_at_once = std::max(1u, std::min(g.planes, g.streams / g.load_streams));
  const uint32_t rounds = (g.planes + planes_at_once - 1) / planes_at_once;
  const uint32_t loads = rounds * g.lanes() / g.load_streams;
  const uint32_t slices = std::min(g.slices, planes_at_once * g.load_streams);
  const uint32_t transit = machine.hops.mxm - machine.mem_hop(g.slices - slices);
  // The last LoadWeights issues loads - 1 cycles after the first, which meets the row that was read first.
  return machine.latency.mem_read + transit + loads - 1 + machine.latency.mxm_load +
         machine.latency.mxm_install;
}

uint32_t chain_cycles(const Machine& machine) {
  const Latency& latency = machine.latency;
  return latency.sxm_transpose + 2 * machine.hops.sxm + latency.vxm_entry + 3 * latency.vxm_operation +
         latency.sxm_distribute;
}

uint32_t hop_cycles(const Machine& machine) {
  const uint32_t middle = machine.mem_hop(machine.geometry.slices / 2);
  return machine.latency.mem_read + 2 * (machine.hops.c2c - middle) + machine.latency.c2c_link +
         machine.latency.mem_write;
}

uint32_t all_reduce_cycles(const Machine& machine, uint32_t chips) {
  const Latency& latency = machine.latency;
  const uint32_t levels = chips <= machine.geometry.node_chips ? 1 : 3;
  const uint32_t inputs = std::min(chips, machine.geometry.node_chips);
  const uint32_t additions = static_cast<uint32_t>(std::bit_width(inputs - 1));
  const uint32_t middle = machine.mem_hop(machine.geometry.slices / 2);
  const uint32_t first = latency.mem_read + machine.hops.c2c - middle;
  const uint32_t level =
      latency.c2c_link + machine.hops.c2c + latency.vxm_entry + additions * latency.vxm_operation;
  return first + levels * level + (levels - 1) * machine.hops.c2c + middle + latency.mem_write;
}

}  // namespace lockstep::machine
