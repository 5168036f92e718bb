// The queues of a chip sorted by what they do, and what people call them.
#pragma once

#include <cstdint>
#include <string>

#include "machine/machine.h"
#include "program/isa/lpu.h"

namespace lockstep::targets::lpu {

// Queues of one kind can do each other's work.
enum class UnitKind : uint8_t {
  Mem,
  Vxm,
  MxmWeights,
  MxmActivations,
  MxmResults,
  SxmPermuter,
  SxmTransposer,
  SxmDistributor,
  SxmShifter,
  SxmRotator,
  C2c,
  Count
};

// REQUIRES the name of a queue.
UnitKind unit_kind(const program::isa::UnitName& unit);

const char* kind_name(UnitKind kind);  // "MXM weights"

// How many queues of a kind a chip has.
uint32_t kind_queues(UnitKind kind, const machine::Geometry& geometry);

// "slice 7", "ALU 3", "plane 1 weights", "permuter", "distributor 2", "link 5".
std::string unit_title(const program::isa::UnitName& unit);

// The block of the floor plan, "MEM west": its index from west to east, then the links.
enum class Block : uint8_t { MxmWest, SxmWest, MemWest, Vxm, MemEast, SxmEast, MxmEast, C2c, Count };
Block unit_block(const program::isa::UnitName& unit);
const char* block_name(Block block);

}  // namespace lockstep::targets::lpu
