// What a chip is: geometry, distances, latencies, bandwidths and energies, read from machines/*.toml. The
// compiler and the simulator know a chip by this alone. docs/lpu.md says what each number means in a cycle.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::machine {

// Counts. A hemisphere is everything on one side of the VXM.
struct Geometry {
  uint32_t superlanes = 0;
  uint32_t superlane_lanes = 0;
  uint32_t streams = 0;       // in each direction of a hemisphere, a byte a lane
  uint32_t slices = 0;        // memory slices of a hemisphere
  uint32_t group_slices = 0;  // memory slices that share a stream register position
  uint32_t slice_rows = 0;    // vectors of a slice, all banks
  uint32_t slice_banks = 0;
  uint32_t planes = 0;             // MXM planes of a hemisphere
  uint32_t load_streams = 0;       // streams that one LoadWeights takes
  uint32_t accumulators = 0;       // vectors of sums that a plane holds
  uint32_t alus = 0;               // VXM ALUs of a lane
  uint32_t links = 0;              // chip-to-chip links
  uint32_t instruction_bytes = 0;  // of one instruction fetch
  uint32_t queue_bytes = 0;        // instruction text that a queue buffers
  uint32_t node_chips = 0;         // chips that are all connected to each other

  uint32_t lanes() const { return superlanes * superlane_lanes; }
  uint32_t groups() const { return slices / group_slices; }
};

// Stream register positions, counted in hops from the VXM, the same in both hemispheres.
struct Hops {
  uint32_t mem_first = 0;  // of the group of slices nearest the VXM; each further group is one hop on
  uint32_t sxm = 0;
  uint32_t mxm = 0;
  uint32_t c2c = 0;
};

// Cycles.
struct Latency {
  uint32_t mem_read = 0;    // from Read to the value on the stream, at the slice
  uint32_t mem_gather = 0;  // the same of Gather
  uint32_t mem_write = 0;   // from Write or Scatter to the first Read that sees it
  uint32_t vxm_entry = 0;   // from the stream at the VXM to the operation that takes it
  uint32_t vxm_operation = 0;
  uint32_t vxm_fma = 0;
  uint32_t vxm_rsqrt = 0;
  uint32_t mxm_load = 0;     // from LoadWeights to the first InstallWeights that takes the rows
  uint32_t mxm_install = 0;  // from InstallWeights to the first ActivationControl that uses the weights
  uint32_t mxm_product = 0;  // from ActivationControl to the sum in the accumulator
  uint32_t mxm_result = 0;   // from Accumulate to the sum on the stream, at the plane
  uint32_t sxm_permute = 0;  // these five: from the value on the stream to the result there
  uint32_t sxm_shift = 0;
  uint32_t sxm_distribute = 0;
  uint32_t sxm_rotate = 0;
  uint32_t sxm_transpose = 0;
  uint32_t c2c_link = 0;  // from Send to the first Receive that gets the vector
  uint32_t instruction_fetch = 0;
  uint32_t barrier = 0;  // from Notify to the first instruction after Sync
};

// Picojoules an event of one whole vector (or one instruction), with the range that the assumptions leave.
struct Range {
  double low = 0, value = 0, high = 0;
};
struct Energy {
  Range mem_read_pj, mem_write_pj;
  Range stream_hop_pj;     // one vector of bytes, one hop
  Range vxm_operation_pj;  // all lanes
  Range mxm_load_pj;       // one row of weights into the buffer
  Range mxm_product_pj;    // one vector of activations times a whole plane
  Range sxm_operation_pj;
  Range c2c_vector_pj;
  Range instruction_pj;
  Range idle_watt;  // the whole chip, per second rather than per event
};

// One number of the file as it stands there, for tables and for the study of sensitivity. An energy is three:
// "energy.mem_read", "energy.mem_read.low" and "energy.mem_read.high".
struct Datum {
  std::string key;  // "latency.vxm_entry"
  double value = 0;
  std::string unit, standing, source;  // standing: published, derived or assumed
  std::string note;                    // why a published figure differs from what the machine gives
};

struct Machine {
  std::string name;
  std::string title;
  double clock_hz = 0;
  double link_bytes_per_second = 0;  // of one link, one direction, payload and framing
  uint32_t packet_bytes = 0;         // that carry one vector
  uint32_t rsqrt_bits = 0;           // significant bits of the VXM's reciprocal square root
  Geometry geometry;
  Hops hops;
  Latency latency;
  Energy energy;
  std::vector<Datum> data;
  std::string text;  // of the file; without the values that with_value has put in

  uint64_t slice_bytes() const { return uint64_t{geometry.slice_rows} * geometry.lanes(); }
  uint64_t chip_bytes() const { return 2 * slice_bytes() * geometry.slices; }
  uint32_t mem_hop(uint32_t slice) const { return hops.mem_first + slice / geometry.group_slices; }
  // The number that the file has under a key, or nullptr.
  const Datum* find(const std::string& key) const;
  // Cycles that a link needs for one packet, rounded up.
  uint32_t packet_cycles() const;
};

// Reads a machine file: machines/lpu-v1.toml shows the form. Throws a user's error that names the key:
// missing, unknown, of the wrong type or unit, absurd or in contradiction with another.
Machine read_machine(const std::filesystem::path& path);
// The same from the file's text; errors begin with `what`.
Machine parse_machine(std::string_view text, const std::string& what);

// The machine of a name that comes with Lockstep ("lpu-v1", "lp30", "lpu-mini") or of a path that ends in
// .toml. Throws a user's error that lists the names.
Machine find_machine(const std::string& name_or_path);
std::vector<std::string> machine_names();

// The same machine with one number of the file replaced; checked again.
Machine with_value(const Machine& machine, const std::string& key, double value);

}  // namespace lockstep::machine
