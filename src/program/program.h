// The waist: a compiled program. Above it nobody knows how a target works, below it nobody knows what a
// model is. One container for every kind of machine; what differs is the instruction set (isa/).
// The byte form is in docs/program-format.md; encode.h writes and reads it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/memory.h"

namespace lockstep::program {

inline constexpr uint32_t kNone = ~uint32_t{0};

enum class MemoryKind : uint8_t {
  File,     // bytes that travel in the program: weights, constants
  Scratch,  // undefined before a step
  Private,  // scratch of each worker's own
  State,    // kept from step to step; counted in pages
  Input,    // written by the caller before a step
  Output,   // read by the caller after it
};

struct Memory {
  std::string name;
  MemoryKind kind = MemoryKind::Scratch;
  uint64_t bytes = 0;  // State: of one page; Private: for each worker
};

enum class Element : uint8_t { F32, I32, Q16, Bytes };

// How many rows a region holds in a step.
enum class RowCount : uint8_t { One, Rows, Wanted };

// A named buffer in a memory: rows of `width` elements, `row_bytes` apart.
struct Region {
  std::string name;
  uint32_t memory = 0;
  uint64_t offset = 0;
  Element element = Element::F32;
  uint32_t width = 0;
  uint64_t row_bytes = 0;
  RowCount rows = RowCount::One;
};

// A weight matrix packed for the instruction set: see isa/host_panels.h.
struct Matrix {
  std::string name;
  uint64_t rows = 0;
  uint64_t columns = 0;
  uint8_t layout = 0;  // isa::PanelKind
  uint32_t group_columns = 0;
  uint8_t has_offsets = 0;
  uint32_t memory = 0;
  uint64_t offset = 0;         // of the panels
  uint64_t scales_offset = 0;  // of sw, binary32, rows rounded up to a panel
  float error_relative = 0;    // of the integers against the file's values
  float error_worst = 0;
  uint64_t error_row = 0, error_column = 0;  // where the worst is
};

// One word a field, as isa/isa.h says: an index of a region or matrix, a row, a stream, a number's bits.
struct Instruction {
  uint16_t opcode = 0;
  std::vector<uint64_t> words;
};

struct Queue {
  std::string unit;         // who executes it: "workers", "mem.w.0", "vxm.3"
  uint32_t memory = kNone;  // the unit's own memory, which row addresses mean
  std::vector<Instruction> instructions;
};

// A launch parameter and the values that it may take.
struct Parameter {
  std::string name;
  uint64_t min = 0;
  uint64_t max = 0;
};

// A way into the program: its queues run together.
struct Entry {
  std::string name;
  std::vector<uint32_t> queues;
  std::vector<uint32_t> parameters;
};

// Where the value of a graph node stands after an instruction.
struct SourceLine {
  uint32_t queue = 0;
  uint32_t instruction = 0;
  std::string node;
  int32_t layer = -1;
  uint32_t region = kNone;
};

// The state of a sequence: the KV cache in pages of a fixed number of positions.
struct StateLayout {
  uint32_t memory = kNone;
  uint32_t page_positions = 0;
  uint32_t layers = 0, kv_heads = 0, head_width = 0, value_width = 0, kv_bits = 0;
};

struct Asset {
  std::string name;  // "tokenizer", "chat_template", "license", "card"
  std::vector<std::byte> bytes;
};

struct Program {
  std::string model_name;
  std::string isa;
  uint32_t isa_version = 0;
  uint32_t contract_version = 1;
  std::string compiler_version;
  std::string machine;  // the machine description compiled for
  Hash256 fingerprint{};
  std::string weight_variant;
  uint32_t vocabulary = 0;
  uint32_t context_max = 0;
  std::vector<Memory> memories;
  std::vector<Region> regions;
  std::vector<Matrix> matrices;
  std::vector<Parameter> parameters;
  std::vector<Queue> queues;
  std::vector<Entry> entries;
  std::vector<SourceLine> source_map;
  StateLayout state;
  std::vector<Asset> assets;

  // The bytes of the File memories, by memory index; views of `storage` or of a mapped file that the holder
  // of the program keeps.
  std::map<uint32_t, Bytes> contents;

  const Asset* find_asset(std::string_view name) const;
  const Entry& entry(std::string_view name) const;  // throws a user's error when it is not there
  const Matrix* find_matrix(std::string_view name) const;
  const Parameter& parameter(std::string_view name) const;
};

// The bytes that a region takes at its largest.
uint64_t region_bytes(const Program& program, const Region& region);

}  // namespace lockstep::program
