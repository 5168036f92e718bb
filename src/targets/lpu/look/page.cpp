#include "targets/lpu/look/page.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "targets/lpu/look/page_template.h"
#include "targets/lpu/streams.h"

namespace lockstep::targets::lpu {

namespace {

using Json = nlohmann::ordered_json;

constexpr uint32_t kShareMax = 127;

double rounded(double value) {
  return std::round(value * 100) / 100;
}

Json range_json(const machine::Range& range) {
  return {range.low, range.value, range.high};
}

Json machine_json(const machine::Machine& machine) {
  const machine::Geometry& geometry = machine.geometry;
  return {{"name", machine.name},
          {"title", machine.title},
          {"hertz", machine.clock_hz},
          {"lanes", geometry.lanes()},
          {"slices", geometry.slices},
          {"groupSlices", geometry.group_slices},
          {"planes", geometry.planes},
          {"loadStreams", geometry.load_streams},
          {"alus", geometry.alus},
          {"links", geometry.links},
          {"streams", geometry.streams},
          {"positions", last_position(machine) + 1},
          {"memFirst", machine.hops.mem_first},
          {"sxm", machine.hops.sxm},
          {"mxm", machine.hops.mxm}};
}

Json units_json(const PageSubject& subject) {
  const Activity& activity = subject.activity;
  Json units = Json::array();
  std::string shares;
  for (const QueueUse& use : activity.queues) {
    const std::string& name = subject.program.queues[use.queue].unit;
    const program::isa::UnitName unit = program::isa::parse_unit_name(name);
    units.push_back({unit.chip, static_cast<uint32_t>(unit_block(unit)),
                     static_cast<uint32_t>(unit_kind(unit)), unit.place, name, unit_title(unit), use.issues});
    pack_shares(use.bins, activity.bin_cycles, shares);
  }
  return {{"list", units}, {"shares", base64(shares)}};
}

Json streams_json(const PageSubject& subject) {
  const Activity& activity = subject.activity;
  const double cycles = activity.bin_cycles;
  std::string positions, streams;
  for (const ChipStreams& chip : activity.streams) {
    for (const Bins& bins : chip.positions) {
      pack_shares(bins, cycles * subject.machine.geometry.streams, positions);
    }
    for (const Bins& bins : chip.streams) {
      pack_shares(bins, cycles * (last_position(subject.machine) + 1), streams);
    }
  }
  return {{"positions", base64(positions)}, {"streams", base64(streams)}};
}

// Of each node its name, layer, kind, time and the least time of each kind of queue and the streams.
Json nodes_json(const PageSubject& subject) {
  const uint32_t chips = static_cast<uint32_t>(subject.activity.streams.size());
  Json nodes = Json::array();
  for (size_t i = 0; i < subject.activity.nodes.size(); ++i) {
    const NodeMap::Node& node = subject.map.nodes()[i];
    const NodeUse& use = subject.activity.nodes[i];
    Json bounds = Json::array(), issues = Json::array();
    for (size_t kind = 0; kind < use.issues.size(); ++kind) {
      bounds.push_back(rounded(least_cycles(use, static_cast<UnitKind>(kind), subject.machine, chips)));
      issues.push_back(use.issues[kind]);
    }
    bounds.push_back(rounded(least_stream_cycles(use, subject.machine, chips)));
    issues.push_back(use.stream_values);
    nodes.push_back(
        {node.name, node.layer, node.kind(), use.from, use.end, use.chain_cycles, bounds, issues});
  }
  return nodes;
}

// Length, what passes, and the node: 0 for none.
std::string chain_bytes(const std::vector<Stretch>& chain) {
  std::string bytes;
  for (const Stretch& stretch : chain) {
    pack_number(stretch.cycles, bytes);
    pack_number(static_cast<uint64_t>(stretch.passing), bytes);
    pack_number(stretch.node == program::kNone ? 0 : uint64_t{stretch.node} + 1, bytes);
  }
  return bytes;
}

Json energy_json(const EnergyUse& energy) {
  Json parts = Json::array();
  for (const EnergyPart& part : energy.parts) {
    parts.push_back({part.unit, part.event, part.count, range_json(part.joules)});
  }
  return {{"parts", parts},
          {"joules", range_json(energy.joules)},
          {"watts", range_json(energy.watts())},
          {"seconds", energy.seconds}};
}

template <class Enum>
Json names(const char* (*name)(Enum)) {
  Json list = Json::array();
  for (size_t i = 0; i < static_cast<size_t>(Enum::Count); ++i) list.push_back(name(static_cast<Enum>(i)));
  return list;
}

Json page_json(const PageSubject& subject) {
  const Activity& activity = subject.activity;
  Json json;
  json["model"] = subject.program.model_name;
  json["weights"] = subject.program.weight_variant;
  json["entry"] = subject.entry.name;
  json["machine"] = machine_json(subject.machine);
  json["chips"] = activity.streams.size();
  json["cycles"] = activity.run_cycles;
  json["from"] = activity.window.from;
  json["to"] = activity.window.to;
  json["bin"] = activity.bin_cycles;
  json["bins"] = activity.bins;
  json["blocks"] = names(block_name);
  json["kinds"] = names(kind_name);
  json["kindQueues"] = Json::array();
  for (size_t kind = 0; kind < static_cast<size_t>(UnitKind::Count); ++kind) {
    json["kindQueues"].push_back(kind_queues(static_cast<UnitKind>(kind), subject.machine.geometry));
  }
  json["switches"] = Json::array();
  for (uint32_t place = 0; place < static_cast<uint32_t>(program::isa::SxmPlace::Count); ++place) {
    json["switches"].push_back(unit_title({0, program::isa::LpuUnit::Sxm, 0, place}));
  }
  json["passing"] = names(passing_name);
  json["units"] = units_json(subject);
  json["streams"] = streams_json(subject);
  json["nodes"] = nodes_json(subject);
  json["chain"] = base64(chain_bytes(activity.chain));
  json["least"] = activity.least_cycles;
  json["together"] = activity.together;
  json["energy"] = energy_json(subject.energy);
  return json;
}

}  // namespace

void pack_shares(const Bins& bins, double full, std::string& out) {
  uint32_t zeros = 0;
  const auto flush = [&] {
    for (; zeros > 0; zeros -= std::min(zeros, kShareMax + 1)) {
      out += static_cast<char>(kShareMax + std::min(zeros, kShareMax + 1));
    }
  };
  for (uint32_t value : bins) {
    if (value == 0) {
      ++zeros;
      continue;
    }
    flush();
    const double share = std::round(value * double{kShareMax} / full);
    out += static_cast<char>(std::clamp(share, 1.0, double{kShareMax}));
  }
  flush();
}

void pack_number(uint64_t number, std::string& out) {
  for (; number >= 128; number >>= 7) out += static_cast<char>(number | 128);
  out += static_cast<char>(number);
}

std::string base64(const std::string& bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) {
      word = word << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += i + k > bytes.size() ? '=' : kDigits[word >> (18 - 6 * k) & 63];
    }
  }
  return text;
}

uint32_t page_bins(uint32_t chips) {
  constexpr uint32_t kBinsMin = 256, kBinsMax = 4096;
  return std::max(kBinsMin, kBinsMax / std::max(chips, 1u));
}

std::string page(const PageSubject& subject) {
  constexpr std::string_view kPlace = "{\"data\": \"goes here\"}";
  const std::string_view frame = page_template();
  const size_t place = frame.find(kPlace);
  LOCKSTEP_CHECK(place != std::string_view::npos);
  std::string data = page_json(subject).dump(-1, ' ', false, Json::error_handler_t::replace);
  // Inside a script element "</" could end it.
  for (size_t at = 0; (at = data.find("</", at)) != std::string::npos; at += 3) data.insert(at + 1, 1, '\\');
  std::string text(frame.substr(0, place));
  text += data;
  text += frame.substr(place + kPlace.size());
  return text;
}

}  // namespace lockstep::targets::lpu
