#include "targets/lpu/look/unit_kinds.h"

#include "base/error.h"

namespace lockstep::targets::lpu {

using program::isa::LpuUnit;
using program::isa::SxmPlace;
using program::isa::UnitName;

namespace {

struct SwitchKind {
  SxmPlace first, end;
  UnitKind kind;
  const char* name;
};
constexpr SwitchKind kSwitchKinds[] = {
    {SxmPlace::Permuter, SxmPlace::Transposer, UnitKind::SxmPermuter, "permuter"},
    {SxmPlace::Transposer, SxmPlace::Distributor, UnitKind::SxmTransposer, "transposer"},
    {SxmPlace::Distributor, SxmPlace::Shifter, UnitKind::SxmDistributor, "distributor"},
    {SxmPlace::Shifter, SxmPlace::Rotator, UnitKind::SxmShifter, "shifter"},
    {SxmPlace::Rotator, SxmPlace::Count, UnitKind::SxmRotator, "rotator"}};

uint32_t places(const SwitchKind& kind) {
  return static_cast<uint32_t>(kind.end) - static_cast<uint32_t>(kind.first);
}

const SwitchKind& switch_kind(uint32_t place) {
  for (const SwitchKind& kind : kSwitchKinds) {
    if (place < static_cast<uint32_t>(kind.end)) return kind;
  }
  internal_error("the switch unit has no place {}", place);
}

constexpr const char* kPlaneQueues[] = {"weights", "activations", "results"};

}  // namespace

UnitKind unit_kind(const UnitName& unit) {
  switch (unit.unit) {
    case LpuUnit::Mem:
      return UnitKind::Mem;
    case LpuUnit::Vxm:
      return UnitKind::Vxm;
    case LpuUnit::Mxm:
      return static_cast<UnitKind>(static_cast<uint32_t>(UnitKind::MxmWeights) + unit.place % 3);
    case LpuUnit::Sxm:
      return switch_kind(unit.place).kind;
    default:
      return UnitKind::C2c;
  }
}

const char* kind_name(UnitKind kind) {
  static constexpr const char* kNames[] = {"MEM",
                                           "VXM",
                                           "MXM weights",
                                           "MXM activations",
                                           "MXM results",
                                           "SXM permuters",
                                           "SXM transposers",
                                           "SXM distributors",
                                           "SXM shifters",
                                           "SXM rotators",
                                           "C2C"};
  return kNames[static_cast<size_t>(kind)];
}

uint32_t kind_queues(UnitKind kind, const machine::Geometry& geometry) {
  switch (kind) {
    case UnitKind::Mem:
      return 2 * geometry.slices;
    case UnitKind::Vxm:
      return geometry.alus;
    case UnitKind::MxmWeights:
    case UnitKind::MxmActivations:
    case UnitKind::MxmResults:
      return 2 * geometry.planes;
    case UnitKind::C2c:
      return geometry.links;
    default:
      break;
  }
  for (const SwitchKind& one : kSwitchKinds) {
    if (one.kind == kind) return 2 * places(one);
  }
  return 0;
}

std::string unit_title(const UnitName& unit) {
  switch (unit.unit) {
    case LpuUnit::Mem:
      return fmt::format("slice {}", unit.place);
    case LpuUnit::Vxm:
      return fmt::format("ALU {}", unit.place);
    case LpuUnit::Mxm:
      return fmt::format("plane {} {}", unit.place / 3, kPlaneQueues[unit.place % 3]);
    case LpuUnit::Sxm: {
      const SwitchKind& kind = switch_kind(unit.place);
      if (places(kind) == 1) return kind.name;
      return fmt::format("{} {}", kind.name, unit.place - static_cast<uint32_t>(kind.first));
    }
    default:
      return fmt::format("link {}", unit.place);
  }
}

Block unit_block(const UnitName& unit) {
  const bool east = unit.hemisphere == 0;
  switch (unit.unit) {
    case LpuUnit::Mem:
      return east ? Block::MemEast : Block::MemWest;
    case LpuUnit::Mxm:
      return east ? Block::MxmEast : Block::MxmWest;
    case LpuUnit::Sxm:
      return east ? Block::SxmEast : Block::SxmWest;
    case LpuUnit::Vxm:
      return Block::Vxm;
    default:
      return Block::C2c;
  }
}

const char* block_name(Block block) {
  static constexpr const char* kNames[] = {"MXM west", "SXM west", "MEM west", "VXM",
                                           "MEM east", "SXM east", "MXM east", "C2C"};
  return kNames[static_cast<size_t>(block)];
}

}  // namespace lockstep::targets::lpu
