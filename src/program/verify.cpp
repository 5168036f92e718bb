#include "program/verify.h"

#include <map>

#include "numerics/integer_matrix.h"
#include "numerics/q16.h"
#include "program/hazards.h"
#include "program/isa/host.h"
#include "program/isa/host_kv.h"
#include "program/isa/host_panels.h"
#include "program/isa/host_q16.h"
#include "program/isa/lpu.h"
#include "program/verify_lpu.h"

namespace lockstep::program {

using isa::Access;
using isa::Field;
using isa::FieldKind;
using isa::InstructionSet;
using isa::Opcode;

namespace {

constexpr uint64_t kExtentMax = uint64_t{1} << 48;
constexpr size_t kNamedMax = 64;  // parameters, entries

// Checks with one message form: "<what>: the program <place> <rule>".
class StructureVerifier {
 public:
  StructureVerifier(const Program& program, const std::string& what) : program_(program), what_(what) {}

  void verify() {
    set_ = isa::find_instruction_set(program_.isa);
    if (set_ == nullptr)
      user_error("{}: made for the instruction set {}, which this Lockstep does not know", what_,
                 program_.isa);
    if (set_->version != program_.isa_version) {
      user_error(
          "{}: made for version {} of the instruction set {}; this Lockstep runs version {}: compile the "
          "model again",
          what_, program_.isa_version, program_.isa, set_->version);
    }
    for (const Memory& memory : program_.memories) {
      require(memory.kind <= MemoryKind::Output && memory.bytes <= kExtentMax, "memory", memory.name);
    }
    require(program_.parameters.size() <= kNamedMax, "number of", "parameters");
    require(program_.entries.size() <= kNamedMax, "number of", "entries");
    for (const Parameter& parameter : program_.parameters) {
      require(parameter.min <= parameter.max && parameter.max <= kExtentMax, "parameter", parameter.name);
    }
    for (uint32_t i = 0; i < program_.memories.size(); ++i) {
      require((program_.memories[i].kind == MemoryKind::File) == program_.contents.contains(i), "memory",
              program_.memories[i].name);
    }
    for (const Region& region : program_.regions) verify_region(region);
    for (const Matrix& matrix : program_.matrices) verify_matrix(matrix);
    verify_state();
    for (const Queue& queue : program_.queues) verify_queue(queue);
    for (const Entry& entry : program_.entries) verify_entry(entry);
    if (set_ == &isa::lpu()) verify_lpu_structure(program_, what_);
    for (const SourceLine& line : program_.source_map) {
      require(line.queue < program_.queues.size() &&
                  line.instruction < program_.queues[line.queue].instructions.size() &&
                  (line.region == kNone || line.region < program_.regions.size()),
              "source map at", line.node);
    }
  }

 private:
  void require(bool holds, const char* kind, const std::string& name) const {
    if (!holds) user_error("{}: the program's {} {} is not well formed", what_, kind, name);
  }

  // [offset, offset + bytes) inside a memory.
  bool inside(uint32_t memory, uint64_t offset, uint64_t bytes) const {
    return memory < program_.memories.size() && offset <= program_.memories[memory].bytes &&
           bytes <= program_.memories[memory].bytes - offset;
  }

  void verify_region(const Region& region) const {
    require(region.element <= Element::Bytes && region.rows <= RowCount::Wanted &&
                region.row_bytes <= kExtentMax / 4096,
            "region", region.name);
    const uint64_t element_bytes = region.element == Element::Q16 || region.element == Element::Bytes ? 1 : 4;
    require(uint64_t{region.width} * element_bytes <= region.row_bytes && region.offset % 4 == 0, "region",
            region.name);
    if (region.rows != RowCount::One) require(rows_max() >= 1 && rows_max() <= 65536, "region", region.name);
    const uint64_t rows = region.rows == RowCount::One ? 1 : rows_max();
    if (set_ == &isa::lpu()) {
      // The image is a slice's first rows, and four slices side by side hold the words of a row.
      require(region.memory < program_.memories.size() && region.offset <= isa::kLpuSliceBytesMax &&
                  rows * region.row_bytes <= 4 * (isa::kLpuSliceBytesMax - region.offset),
              "region", region.name);
      return;
    }
    require(inside(region.memory, region.offset, rows * region.row_bytes), "region", region.name);
  }

  uint64_t rows_max() const {
    for (const Parameter& parameter : program_.parameters) {
      if (parameter.name == "rows") return parameter.max;
    }
    return 0;
  }

  void verify_matrix(const Matrix& matrix) const {
    require(matrix.layout <= static_cast<uint8_t>(isa::PanelKind::Plain16) && matrix.rows > 0 &&
                matrix.columns > 0 && matrix.rows <= (1u << 28) && matrix.columns <= (1u << 22) &&
                matrix.has_offsets <= 1,
            "matrix", matrix.name);
    const bool grouped = matrix.layout <= static_cast<uint8_t>(isa::PanelKind::Byte);
    require(matrix.group_columns == 32 || (grouped && matrix.group_columns == 16), "matrix", matrix.name);
    require(!grouped || matrix.columns % matrix.group_columns == 0, "matrix", matrix.name);
    const isa::PanelLayout layout = isa::panel_layout(matrix);
    require(
        matrix.offset % 64 == 0 && matrix.scales_offset % 4 == 0 &&
            inside(matrix.memory, matrix.offset, layout.bytes()) &&
            inside(matrix.memory, matrix.scales_offset, layout.panels() * isa::kPanelRows * sizeof(float)) &&
            program_.memories[matrix.memory].kind == MemoryKind::File,
        "matrix", matrix.name);
  }

  void verify_state() const {
    const StateLayout& state = program_.state;
    if (state.memory == kNone) return;
    require(state.memory < program_.memories.size() &&
                program_.memories[state.memory].kind == MemoryKind::State &&
                state.page_positions == isa::kPagePositions && state.layers <= 65536 &&
                state.kv_heads <= 65536 && state.head_width <= 1024 && state.head_width % 2 == 0 &&
                state.value_width <= 1024 && (state.kv_bits == 16 || state.kv_bits == 8),
            "state", "layout");
    require(isa::KvLayout(state).page_bytes() == program_.memories[state.memory].bytes, "state", "layout");
  }

  void verify_entry(const Entry& entry) const {
    auto rising_below = [](const std::vector<uint32_t>& indices, size_t end) {
      for (size_t i = 0; i < indices.size(); ++i) {
        if (indices[i] >= end || (i > 0 && indices[i] <= indices[i - 1])) return false;
      }
      return true;
    };
    require(rising_below(entry.queues, program_.queues.size()), "entry", entry.name);
    require(rising_below(entry.parameters, program_.parameters.size()), "entry", entry.name);
    // The hazards of host queues are proved one queue at a time.
    require(set_ != &isa::host() || entry.queues.size() == 1, "entry", entry.name);
  }

  void verify_queue(const Queue& queue) const {
    require(queue.memory == kNone || queue.memory < program_.memories.size(), "queue", queue.unit);
    for (size_t i = 0; i < queue.instructions.size(); ++i) {
      const Instruction& instruction = queue.instructions[i];
      const auto place = [&] { return fmt::format("{} at instruction {}", queue.unit, i); };
      const Opcode* opcode = set_->find(instruction.opcode);
      if (opcode == nullptr)
        user_error("{}: {} has the unknown opcode {}", what_, place(), instruction.opcode);
      if (instruction.words.size() != opcode->fields.size()) require(false, "queue", place());
      for (size_t f = 0; f < opcode->fields.size(); ++f) {
        const Field& field = opcode->fields[f];
        if (field_holds(field, instruction.words[f], queue)) continue;
        user_error("{}: {} has {} out of range in its field {}", what_, place(), instruction.words[f],
                   field.name);
      }
      if (set_ == &isa::host()) verify_host(*opcode, instruction, place());
    }
  }

  bool field_holds(const Field& field, uint64_t word, const Queue& queue) const {
    switch (field.kind) {
      case FieldKind::Region:
        return word < program_.regions.size() || (field.optional && word == kNone);
      case FieldKind::Matrix:
        return word < program_.matrices.size();
      case FieldKind::State:
        return program_.state.memory != kNone && word < program_.state.layers;
      case FieldKind::Row:
        return queue.memory != kNone && word <= field.max;
      case FieldKind::Stream:
        return (word <= field.max && word % field.multiple == 0) || (field.optional && word == kNone);
      case FieldKind::Operand:
        return isa::is_operand(word);
      case FieldKind::Integer:
        return word <= field.max;
      case FieldKind::Float:
        return word <= ~uint32_t{0};
    }
    return false;
  }

  // That the operands of a host instruction fit one another: the kernels trust widths and extents.
  void verify_host(const Opcode& opcode, const Instruction& instruction, const std::string& place) const {
    for (size_t f = 0; f < opcode.fields.size(); ++f) {
      const Field& field = opcode.fields[f];
      if (field.kind != FieldKind::Region || instruction.words[f] == kNone) continue;
      // A worker's own copy is its own, and only that.
      const bool own = field.split == isa::Split::Copies || field.split == isa::Split::AnyCopy;
      const MemoryKind kind = program_.memories[program_.regions[instruction.words[f]].memory].kind;
      require(own == (kind == MemoryKind::Private) && kind != MemoryKind::State, "queue", place);
    }
    auto region = [&](const char* name) -> const Region* {
      for (size_t f = 0; f < opcode.fields.size(); ++f) {
        if (std::string_view(opcode.fields[f].name) == name) {
          return instruction.words[f] == kNone ? nullptr : &program_.regions[instruction.words[f]];
        }
      }
      return nullptr;
    };
    auto integer = [&](const char* name) {
      for (size_t f = 0; f < opcode.fields.size(); ++f) {
        if (std::string_view(opcode.fields[f].name) == name) return instruction.words[f];
      }
      return uint64_t{0};
    };
    auto is = [&](const Region* r, Element element, uint64_t width, bool many_rows) {
      require(r != nullptr && r->element == element && r->width == width &&
                  (r->rows != RowCount::One) == many_rows,
              "queue", place);
      if (element == Element::F32 || element == Element::I32) {
        require(r->row_bytes % 4 == 0 && r->row_bytes >= width * 4, "queue", place);
      }
      if (element == Element::Q16) {
        require(r->row_bytes % 64 == 0 && r->offset % 64 == 0 &&
                    r->row_bytes >= isa::Q16Layout(width).row_bytes(),
                "queue", place);
      }
    };
    const StateLayout& state = program_.state;
    switch (static_cast<isa::HostOp>(opcode.number)) {
      case isa::HostOp::Sync:
        break;
      case isa::HostOp::Embed: {
        const Matrix& matrix = program_.matrices[integer("weight")];
        is(region("out"), Element::F32, matrix.columns, true);
        is(region("tokens"), Element::I32, 1, true);
        require(matrix.rows == program_.vocabulary, "queue", place);
        break;
      }
      case isa::HostOp::NormQuantise:
        is(region("x"), Element::F32, region("out")->width, true);
        is(region("gain"), Element::F32, region("out")->width, false);
        is(region("out"), Element::Q16, region("out")->width, true);
        break;
      case isa::HostOp::Quantise:
        is(region("x"), Element::F32, region("out")->width, true);
        is(region("out"), Element::Q16, region("out")->width, true);
        break;
      case isa::HostOp::GateQuantise:
        is(region("gate"), Element::F32, region("out")->width, true);
        is(region("up"), Element::F32, region("out")->width, true);
        is(region("out"), Element::Q16, region("out")->width, true);
        break;
      case isa::HostOp::MatMul:
      case isa::HostOp::MatMulAdd: {
        const Matrix& matrix = program_.matrices[integer("weight")];
        is(region("x"), Element::Q16, matrix.columns, true);
        is(region("y"), Element::F32, matrix.rows, true);
        require(region("x")->rows == region("y")->rows, "queue", place);
        if (region("bias") != nullptr) is(region("bias"), Element::F32, matrix.rows, false);
        break;
      }
      case isa::HostOp::RopeStore: {
        const uint64_t heads = integer("heads");
        require(state.kv_heads > 0 && heads > 0 && heads % state.kv_heads == 0 && heads <= 65536, "queue",
                place);
        is(region("q"), Element::F32, heads * state.head_width, true);
        is(region("k"), Element::F32, uint64_t{state.kv_heads} * state.head_width, true);
        is(region("v"), Element::F32, uint64_t{state.kv_heads} * state.value_width, true);
        const Region* turns = region("turns");
        require(turns != nullptr && turns->element == Element::Bytes && turns->width % 8 == 0 &&
                    turns->offset % 8 == 0 && turns->width / 8 * 2 <= state.head_width &&
                    turns->rows == RowCount::One,
                "queue", place);
        break;
      }
      case isa::HostOp::Attention: {
        const uint64_t heads = integer("heads");
        require(state.kv_heads > 0 && heads > 0 && heads % state.kv_heads == 0 && heads <= 65536, "queue",
                place);
        is(region("q"), Element::F32, heads * state.head_width, true);
        is(region("out"), Element::F32, heads * state.value_width, true);
        break;
      }
      case isa::HostOp::Select:
        is(region("x"), Element::F32, region("out")->width, true);
        is(region("out"), Element::F32, region("out")->width, true);
        is(region("wanted"), Element::I32, 1, true);
        require(region("out")->rows == RowCount::Wanted && region("x")->rows == RowCount::Rows, "queue",
                place);
        break;
    }
  }

  const Program& program_;
  const std::string& what_;
  const InstructionSet* set_ = nullptr;
};

// Which region the bytes of a memory were last written as.
class Ownership {
 public:
  void write(uint64_t begin, uint64_t end, uint32_t region) {
    if (begin == end) return;
    split(begin);
    split(end);
    owners_.erase(owners_.lower_bound(begin), owners_.lower_bound(end));
    owners_[begin] = {end, region};
  }
  bool holds(uint64_t begin, uint64_t end, uint32_t region) const {
    while (begin < end) {
      auto it = owners_.upper_bound(begin);
      if (it == owners_.begin()) return false;
      --it;
      if (it->second.end <= begin || it->second.region != region) return false;
      begin = it->second.end;
    }
    return true;
  }

 private:
  struct Owner {
    uint64_t end;
    uint32_t region;
  };
  void split(uint64_t at) {
    auto it = owners_.lower_bound(at);
    if (it == owners_.begin()) return;
    --it;
    if (it->second.end > at) {
      owners_[at] = it->second;
      it->second.end = at;
    }
  }
  std::map<uint64_t, Owner> owners_;
};

void verify_queue_flow(const Program& program, const Queue& queue, const InstructionSet& set,
                       const std::string& what) {
  std::map<uint32_t, Ownership> memories;
  auto settled = [&](uint32_t memory) {
    const MemoryKind kind = program.memories[memory].kind;
    return kind == MemoryKind::File || kind == MemoryKind::Input;
  };
  HazardTracker few(program, set, RowsMode::Few), many(program, set, RowsMode::Many);
  for (size_t i = 0; i < queue.instructions.size(); ++i) {
    const Instruction& instruction = queue.instructions[i];
    const Opcode& opcode = *set.find(instruction.opcode);
    for (Access phase : {Access::Read, Access::Write}) {
      for (size_t f = 0; f < opcode.fields.size(); ++f) {
        const Field& field = opcode.fields[f];
        if (field.kind != FieldKind::Region || field.access == Access::None || instruction.words[f] == kNone)
          continue;
        const uint32_t index = static_cast<uint32_t>(instruction.words[f]);
        const Region& region = program.regions[index];
        const uint64_t end = region.offset + region_bytes(program, region);
        const bool matches = field.access == phase || field.access == Access::Update;
        if (!matches) continue;
        if (phase == Access::Read) {
          if (!settled(region.memory) && !memories[region.memory].holds(region.offset, end, index)) {
            user_error("{}: {} instruction {} ({}) reads {}, which is not written or was overwritten", what,
                       queue.unit, i, opcode.name, region.name);
          }
        } else {
          if (settled(region.memory)) {
            user_error("{}: {} instruction {} ({}) writes {}, which may only be read", what, queue.unit, i,
                       opcode.name, region.name);
          }
          memories[region.memory].write(region.offset, end, index);
        }
      }
    }
    if (instruction.opcode == static_cast<uint16_t>(isa::HostOp::Sync)) {
      many.clear();
      if (instruction.words[0] == static_cast<uint64_t>(isa::SyncWhen::Always)) few.clear();
      continue;
    }
    if (few.conflicts(instruction) || many.conflicts(instruction)) {
      user_error("{}: {} instruction {} ({}) touches what another worker may still use; a sync is missing",
                 what, queue.unit, i, opcode.name);
    }
    few.add(instruction);
    many.add(instruction);
  }
}

}  // namespace

void verify_structure(const Program& program, const std::string& what) {
  StructureVerifier(program, what).verify();
}

void verify_flow(const Program& program, const std::string& what) {
  const InstructionSet& set = *isa::find_instruction_set(program.isa);
  if (&set == &isa::lpu()) return;  // what is where in which cycle only the simulator knows
  for (const Queue& queue : program.queues) verify_queue_flow(program, queue, set, what);
}

void verify_weights(const Program& program, const std::string& what) {
  std::vector<int16_t> w;
  for (const Matrix& matrix : program.matrices) {
    const isa::PanelLayout layout = isa::panel_layout(matrix);
    const Bytes memory = program.contents.at(matrix.memory);
    w.resize(matrix.columns);
    for (uint64_t r = 0; r < matrix.rows; ++r) {
      const bool codes_fit = isa::codes_in_bounds(layout, memory.subspan(matrix.offset), r);
      isa::unpack_row(layout, memory.subspan(matrix.offset), r, w);
      int64_t norm = 0;
      int32_t largest = 0;
      for (int32_t value : w) {
        largest = std::max(largest, value < 0 ? -value : value);
        norm += value < 0 ? -value : value;
      }
      float sw;
      std::memcpy(&sw, memory.data() + matrix.scales_offset + r * sizeof(float), sizeof(sw));
      const bool zero = sw == 0.0f && norm == 0;
      if (!codes_fit || largest > numerics::kQ16Levels || norm > numerics::kRowNormMax ||
          !(zero || (sw >= 0x1p-44f && sw < 0x1p32f))) {
        user_error("{}: matrix {} breaks the bounds of the numerics contract in row {}", what, matrix.name,
                   r);
      }
    }
  }
}

}  // namespace lockstep::program
