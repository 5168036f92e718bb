#include "machine/machine.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <variant>

#include "base/file.h"
#include "base/printable.h"
#include "machine/figures.h"
#include "machine/machine_texts.h"

// Version 3.3 of the parser asserts what malformed text can make false ("[$") and then says so itself.
#undef NDEBUG
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>

namespace lockstep::machine {

namespace {

constexpr uint64_t kFileBytesMax = uint64_t{1} << 20;
constexpr double kCyclesMax = 10000, kHopsMax = 1000, kPicojouleMax = 1e9;

// Where a number goes.
using Place = std::variant<uint32_t Geometry::*, uint32_t Hops::*, uint32_t Latency::*, uint32_t Machine::*,
                           double Machine::*, Range Energy::*>;

// A key that every machine file has. Limits that are not the instruction set's are far beyond any chip.
struct Key {
  const char* name;
  const char* unit;
  double min, max;
  Place place;
  double factor = 1;  // from the file's unit to the structure's; of a place that is no integer
};

constexpr Key kKeys[] = {
    {"clock.rate", "MHz", 1, 10000, &Machine::clock_hz, 1e6},
    {"geometry.superlanes", "superlanes", 1, 20, &Geometry::superlanes},
    {"geometry.superlane_lanes", "lanes", 16, 16, &Geometry::superlane_lanes},
    {"geometry.streams", "streams", 16, 32, &Geometry::streams},
    {"geometry.slices", "slices", 1, 1024, &Geometry::slices},
    {"geometry.group_slices", "slices", 1, 1024, &Geometry::group_slices},
    {"geometry.slice_rows", "rows", 1, 8192, &Geometry::slice_rows},
    {"geometry.slice_banks", "banks", 1, 16, &Geometry::slice_banks},
    {"geometry.planes", "planes", 1, 16, &Geometry::planes},
    {"geometry.load_streams", "streams", 16, 16, &Geometry::load_streams},
    {"geometry.accumulators", "vectors", 1, 256, &Geometry::accumulators},
    {"geometry.alus", "ALUs", 1, 16, &Geometry::alus},
    {"geometry.links", "links", 0, 128, &Geometry::links},
    {"geometry.instruction_bytes", "bytes", 1, 65536, &Geometry::instruction_bytes},
    {"geometry.queue_bytes", "bytes", 1, 1 << 24, &Geometry::queue_bytes},
    {"geometry.node_chips", "chips", 1, 129, &Geometry::node_chips},
    {"hops.mem_first", "hops", 1, kHopsMax, &Hops::mem_first},
    {"hops.sxm", "hops", 1, kHopsMax, &Hops::sxm},
    {"hops.mxm", "hops", 1, kHopsMax, &Hops::mxm},
    {"hops.c2c", "hops", 1, kHopsMax, &Hops::c2c},
    {"latency.mem_read", "cycles", 1, kCyclesMax, &Latency::mem_read},
    {"latency.mem_gather", "cycles", 1, kCyclesMax, &Latency::mem_gather},
    {"latency.mem_write", "cycles", 1, kCyclesMax, &Latency::mem_write},
    {"latency.vxm_entry", "cycles", 0, kCyclesMax, &Latency::vxm_entry},
    {"latency.vxm_operation", "cycles", 1, kCyclesMax, &Latency::vxm_operation},
    {"latency.vxm_fma", "cycles", 1, kCyclesMax, &Latency::vxm_fma},
    {"latency.vxm_rsqrt", "cycles", 1, kCyclesMax, &Latency::vxm_rsqrt},
    {"latency.mxm_load", "cycles", 1, kCyclesMax, &Latency::mxm_load},
    {"latency.mxm_install", "cycles", 1, kCyclesMax, &Latency::mxm_install},
    {"latency.mxm_product", "cycles", 1, kCyclesMax, &Latency::mxm_product},
    {"latency.mxm_result", "cycles", 1, kCyclesMax, &Latency::mxm_result},
    {"latency.sxm_permute", "cycles", 1, kCyclesMax, &Latency::sxm_permute},
    {"latency.sxm_shift", "cycles", 1, kCyclesMax, &Latency::sxm_shift},
    {"latency.sxm_distribute", "cycles", 1, kCyclesMax, &Latency::sxm_distribute},
    {"latency.sxm_rotate", "cycles", 1, kCyclesMax, &Latency::sxm_rotate},
    {"latency.sxm_transpose", "cycles", 1, kCyclesMax, &Latency::sxm_transpose},
    {"latency.c2c_link", "cycles", 1, kCyclesMax, &Latency::c2c_link},
    {"latency.instruction_fetch", "cycles", 1, kCyclesMax, &Latency::instruction_fetch},
    {"latency.barrier", "cycles", 1, kCyclesMax, &Latency::barrier},
    {"arithmetic.rsqrt_bits", "bits", 1, 24, &Machine::rsqrt_bits},
    {"link.rate", "Gb/s", 0.001, 100000, &Machine::link_bytes_per_second, 1e9 / 8},
    {"link.packet", "bytes", 1, 65536, &Machine::packet_bytes},
    {"energy.mem_read", "pJ", 0, kPicojouleMax, &Energy::mem_read_pj},
    {"energy.mem_write", "pJ", 0, kPicojouleMax, &Energy::mem_write_pj},
    {"energy.stream_hop", "pJ", 0, kPicojouleMax, &Energy::stream_hop_pj},
    {"energy.vxm_operation", "pJ", 0, kPicojouleMax, &Energy::vxm_operation_pj},
    {"energy.mxm_load", "pJ", 0, kPicojouleMax, &Energy::mxm_load_pj},
    {"energy.mxm_product", "pJ", 0, kPicojouleMax, &Energy::mxm_product_pj},
    {"energy.sxm_operation", "pJ", 0, kPicojouleMax, &Energy::sxm_operation_pj},
    {"energy.c2c_vector", "pJ", 0, kPicojouleMax, &Energy::c2c_vector_pj},
    {"energy.instruction", "pJ", 0, kPicojouleMax, &Energy::instruction_pj},
    {"energy.idle", "W", 0, 100000, &Energy::idle_watt},
};

bool is_range(const Key& key) {
  return std::holds_alternative<Range Energy::*>(key.place);
}
bool is_whole(const Key& key) {
  return !is_range(key) && !std::holds_alternative<double Machine::*>(key.place);
}

// Reads the tables of a file into data; what a machine made of them is, `build` says.
class Reader {
 public:
  Reader(std::string_view text, const std::string& what) : what_(what) {
    check_characters(text);
    try {
      root_ = toml::parse(text);
    } catch (const toml::parse_error& error) {
      user_error("{}: line {} is no TOML: {}", what_, error.source().begin.line,
                 printable(error.description()));
    }
  }

  void read(Machine& machine) {
    machine.name = text(root_, "", "name");
    machine.title = text(root_, "", "title");
    known_ = {"name", "title"};
    for (const Key& key : kKeys) {
      read_number(key.name, key.unit, is_range(key), machine.data);
      known_.insert(key.name);
    }
    for (const Figure& figure : figures()) {
      const std::string name = std::string("published.") + figure.name;
      if (find(name) != nullptr) read_number(name, figure.unit, false, machine.data);
      known_.insert(name);
    }
    refuse_unknown();
  }

 private:
  // ASCII alone: the parser's tables for other characters have holes.
  void check_characters(std::string_view text) const {
    uint64_t line = 1;
    for (const char c : text) {
      if (c == '\n') ++line;
      if ((c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t') continue;
      user_error("{}: line {} has a character that is not plain ASCII", what_, line);
    }
  }

  const toml::node* find(const std::string& name) const {
    const size_t dot = name.find('.');
    const toml::node* section = root_.get(name.substr(0, dot));
    if (section == nullptr || section->as_table() == nullptr) return nullptr;
    return section->as_table()->get(name.substr(dot + 1));
  }

  std::string text(const toml::table& table, const std::string& path, const char* key) const {
    const std::string name = path.empty() ? key : path + "." + key;
    const toml::node* node = table.get(key);
    if (node == nullptr) user_error("{}: {} is missing; a text is wanted", what_, name);
    const auto value = node->value_exact<std::string>();
    if (!value || value->empty()) user_error("{}: {} is no text or an empty one", what_, name);
    return *value;
  }

  double number(const toml::table& table, const std::string& path, const char* key) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) user_error("{}: {}.{} is missing; a number is wanted", what_, path, key);
    if (const auto whole = node->value_exact<int64_t>()) return static_cast<double>(*whole);
    if (const auto real = node->value_exact<double>()) return *real;
    user_error("{}: {}.{} is no number", what_, path, key);
  }

  void read_number(const std::string& name, std::string_view unit, bool range,
                   std::vector<Datum>& data) const {
    const toml::node* node = find(name);
    if (node == nullptr) {
      user_error(
          "{}: {} is missing; {{ value = ..., unit = \"{}\", standing = ..., source = ... }} is wanted",
          what_, name, unit);
    }
    const toml::table* table = node->as_table();
    if (table == nullptr) {
      user_error(
          "{}: {} is no table; {{ value = ..., unit = \"{}\", standing = ..., source = ... }} is wanted",
          what_, name, unit);
    }
    for (const auto& [key, unused] : *table) {
      const bool known = key == "value" || key == "unit" || key == "standing" || key == "source" ||
                         key == "note" || (range && (key == "low" || key == "high"));
      if (!known) user_error("{}: {} has an unknown part {}", what_, name, printable(key.str()));
    }
    Datum datum;
    datum.key = name;
    datum.value = number(*table, name, "value");
    datum.unit = text(*table, name, "unit");
    datum.standing = text(*table, name, "standing");
    datum.source = text(*table, name, "source");
    if (table->contains("note")) datum.note = text(*table, name, "note");
    if (datum.unit != unit) {
      user_error("{}: {} is given in {}; {} is wanted", what_, name, printable(datum.unit), unit);
    }
    if (datum.standing != "published" && datum.standing != "derived" && datum.standing != "assumed") {
      user_error("{}: {}.standing is {}; published, derived or assumed is wanted", what_, name,
                 printable(datum.standing));
    }
    data.push_back(datum);
    if (!range) return;
    for (const char* end : {"low", "high"}) {
      datum.key = name + "." + end;
      datum.value = number(*table, name, end);
      data.push_back(datum);
    }
  }

  void refuse_unknown() const {
    for (const auto& [key, node] : root_) {
      const std::string section(key.str());
      if (known_.contains(section)) continue;
      const toml::table* table = node.as_table();
      if (table == nullptr) user_error("{}: {} is an unknown key", what_, printable(section));
      if (table->empty()) user_error("{}: {} is an empty section", what_, printable(section));
      for (const auto& [inner, unused] : *table) {
        const std::string name = section + "." + std::string(inner.str());
        if (!known_.contains(name)) user_error("{}: {} is an unknown key", what_, printable(name));
      }
    }
  }

  const std::string& what_;
  toml::table root_;
  std::set<std::string> known_;
};

double value_of(const Machine& machine, const std::string& key) {
  const Datum* datum = machine.find(key);
  LOCKSTEP_CHECK(datum != nullptr);
  return datum->value;
}

// One number, inside its key's limits.
double checked(const Machine& machine, const Key& key, const std::string& name, const std::string& what) {
  const double value = value_of(machine, name);
  if (!(value >= key.min && value <= key.max) || (is_whole(key) && value != std::floor(value))) {
    if (key.min == key.max) user_error("{}: {} is {}; only {} is possible", what, name, value, key.min);
    user_error("{}: {} is {}; a {} from {} to {} is wanted", what, name, value,
               is_whole(key) ? "whole number" : "number", key.min, key.max);
  }
  return value;
}

void place_number(Machine& machine, const Key& key, const std::string& what) {
  const std::string name = key.name;
  const double value = checked(machine, key, name, what);
  const auto whole = [&](auto& structure, auto member) { structure.*member = static_cast<uint32_t>(value); };
  if (const auto* geometry = std::get_if<uint32_t Geometry::*>(&key.place)) {
    whole(machine.geometry, *geometry);
  } else if (const auto* hops = std::get_if<uint32_t Hops::*>(&key.place)) {
    whole(machine.hops, *hops);
  } else if (const auto* latency = std::get_if<uint32_t Latency::*>(&key.place)) {
    whole(machine.latency, *latency);
  } else if (const auto* count = std::get_if<uint32_t Machine::*>(&key.place)) {
    whole(machine, *count);
  } else if (const auto* real = std::get_if<double Machine::*>(&key.place)) {
    machine.** real = value * key.factor;
  } else {
    const Range range = {checked(machine, key, name + ".low", what), value,
                         checked(machine, key, name + ".high", what)};
    if (range.low > value || value > range.high) {
      user_error("{}: {} is {}, which does not lie between its low {} and its high {}", what, name, value,
                 range.low, range.high);
    }
    machine.energy.*std::get<Range Energy::*>(key.place) = range;
  }
}

// What no single number shows.
void check_together(const Machine& machine, const std::string& what) {
  const Geometry& g = machine.geometry;
  const Hops& hops = machine.hops;
  const auto multiple = [&](const char* name, uint32_t value, const char* of, uint32_t divisor) {
    if (value % divisor != 0) {
      user_error("{}: geometry.{} is {}, which is no multiple of geometry.{}, {}", what, name, value, of,
                 divisor);
    }
  };
  const auto at_least = [&](const char* name, uint32_t value, const std::string& of, uint64_t least) {
    if (value < least)
      user_error("{}: {} is {}; {} or more is wanted, because of {}", what, name, value, least, of);
  };
  multiple("slices", g.slices, "group_slices", g.group_slices);
  multiple("slice_rows", g.slice_rows, "slice_banks", g.slice_banks);
  if (g.streams % 16 != 0) user_error("{}: geometry.streams is {}; 16 or 32 is wanted", what, g.streams);
  at_least("geometry.queue_bytes", g.queue_bytes, "geometry.instruction_bytes", g.instruction_bytes);
  at_least("geometry.links", g.links, "geometry.node_chips", g.node_chips - 1);
  at_least("link.packet", machine.packet_bytes, "the lanes of geometry", g.lanes());
  const uint32_t memory_end = hops.mem_first + g.groups();
  at_least("hops.sxm", hops.sxm, "the memory's groups before it", memory_end);
  at_least("hops.mxm", hops.mxm, "hops.sxm, which sums pass on their way in", hops.sxm);
  at_least("hops.c2c", hops.c2c, "the memory's groups before it", memory_end);
}

bool is_name(std::string_view name) {
  return name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

// Fills everything else from the name and the data.
void build(Machine& machine, const std::string& what) {
  if (!is_name(machine.name)) {
    user_error("{}: name is {}; at most 32 small letters, digits and - are wanted", what,
               printable(machine.name));
  }
  for (const Key& key : kKeys) place_number(machine, key, what);
  for (const Datum& datum : machine.data) {
    if (datum.key.starts_with("published.") && !(datum.value > 0 && datum.value <= 1e12)) {
      user_error("{}: {} is {}; a number from 0 to 1e12 is wanted", what, datum.key, datum.value);
    }
  }
  check_together(machine, what);
}

}  // namespace

const Datum* Machine::find(const std::string& key) const {
  const auto found =
      std::find_if(data.begin(), data.end(), [&](const Datum& datum) { return datum.key == key; });
  return found == data.end() ? nullptr : &*found;
}

uint32_t Machine::packet_cycles() const {
  const double cycles = packet_bytes / link_bytes_per_second * clock_hz;
  return static_cast<uint32_t>(std::min(std::ceil(cycles), double(UINT32_MAX)));
}

Machine parse_machine(std::string_view text, const std::string& what) {
  if (text.size() > kFileBytesMax) {
    user_error("{}: has {} bytes, and a machine file has at most {}", what, text.size(), kFileBytesMax);
  }
  Machine machine;
  Reader(text, what).read(machine);
  build(machine, what);
  machine.text = text;
  return machine;
}

Machine read_machine(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_machine(as_text(file.bytes()), path.string());
}

Machine find_machine(const std::string& name_or_path) {
  if (name_or_path.ends_with(".toml")) return read_machine(name_or_path);
  for (const MachineText& machine : machine_texts()) {
    if (machine.name == name_or_path) return parse_machine(machine.text, name_or_path);
  }
  user_error("no machine is named {}; {} are, and the path of a file that ends in .toml is possible",
             printable(name_or_path), fmt::join(machine_names(), ", "));
}

std::vector<std::string> machine_names() {
  std::vector<std::string> names;
  for (const MachineText& machine : machine_texts()) names.emplace_back(machine.name);
  return names;
}

Machine with_value(const Machine& machine, const std::string& key, double value) {
  Machine changed = machine;
  const auto found = std::find_if(changed.data.begin(), changed.data.end(),
                                  [&](const Datum& datum) { return datum.key == key; });
  if (found == changed.data.end()) {
    user_error("the machine {} has no number {}; latency.vxm_entry is one", machine.name, printable(key));
  }
  found->value = value;
  build(changed, machine.name);
  return changed;
}

}  // namespace lockstep::machine
