#include "program/print.h"

#include "program/isa/lpu_text.h"

namespace lockstep::program {

using isa::FieldKind;

namespace {

const char* kind_name(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::File:
      return "file";
    case MemoryKind::Scratch:
      return "scratch";
    case MemoryKind::Private:
      return "private";
    case MemoryKind::State:
      return "state";
    case MemoryKind::Input:
      return "input";
    case MemoryKind::Output:
      return "output";
  }
  return "?";
}

const char* rows_name(RowCount rows) {
  return rows == RowCount::One ? "1" : rows == RowCount::Rows ? "rows" : "wanted";
}

const char* element_name(Element element) {
  switch (element) {
    case Element::F32:
      return "f32";
    case Element::I32:
      return "i32";
    case Element::Q16:
      return "q16";
    case Element::Bytes:
      return "bytes";
  }
  return "?";
}

std::string print_field(const Program& program, const isa::Field& field, uint64_t word) {
  switch (field.kind) {
    case FieldKind::Region:
      return word == kNone ? "none" : "%" + program.regions[word].name;
    case FieldKind::Matrix:
      return "@" + program.matrices[word].name;
    case FieldKind::Row:
      return fmt::format("[{}]", word);
    case FieldKind::Stream:
      return word == kNone ? "none" : isa::stream_text(word);
    case FieldKind::Operand:
      return isa::operand_text(isa::decode_operand(word));
    case FieldKind::Float:
      return fmt::format("{:08x}", word);
    case FieldKind::State:
    case FieldKind::Integer:
      return fmt::format("{}", word);
  }
  return "?";
}

}  // namespace

std::string print_instruction(const Program& program, const Instruction& instruction) {
  const isa::Opcode& opcode = *isa::find_instruction_set(program.isa)->find(instruction.opcode);
  std::string line = opcode.name;
  for (size_t f = 0; f < opcode.fields.size(); ++f) {
    line += fmt::format(" {}={}", opcode.fields[f].name,
                        print_field(program, opcode.fields[f], instruction.words[f]));
  }
  return line;
}

std::string print(const Program& program) {
  std::string text =
      fmt::format("program {} isa={}/{} contract={} machine={} weights={}\n", program.model_name, program.isa,
                  program.isa_version, program.contract_version, program.machine, program.weight_variant);
  text += fmt::format("fingerprint {}\n", hex(program.fingerprint));
  for (const Memory& memory : program.memories) {
    text += fmt::format("memory {} {} {} bytes\n", memory.name, kind_name(memory.kind), memory.bytes);
  }
  for (const Parameter& parameter : program.parameters) {
    text += fmt::format("parameter {} {}..{}\n", parameter.name, parameter.min, parameter.max);
  }
  for (const Region& region : program.regions) {
    text += fmt::format("region %{} {}+{} {}[{}][{}] stride {}\n", region.name,
                        program.memories[region.memory].name, region.offset, element_name(region.element),
                        rows_name(region.rows), region.width, region.row_bytes);
  }
  for (const Matrix& matrix : program.matrices) {
    text += fmt::format("matrix @{} {}+{} [{}][{}] layout {} group {}\n", matrix.name,
                        program.memories[matrix.memory].name, matrix.offset, matrix.rows, matrix.columns,
                        matrix.layout, matrix.group_columns);
  }
  for (const Entry& entry : program.entries) {
    text += fmt::format("entry {}(", entry.name);
    for (uint32_t index : entry.parameters) text += ' ' + program.parameters[index].name;
    text += " ):";
    for (uint32_t index : entry.queues) text += ' ' + program.queues[index].unit;
    text += '\n';
  }
  for (const Queue& queue : program.queues) {
    text += fmt::format("queue {}", queue.unit);
    if (queue.memory != kNone) text += " of " + program.memories[queue.memory].name;
    text += '\n';
    for (size_t i = 0; i < queue.instructions.size(); ++i) {
      text += fmt::format("  {:4} {}\n", i, print_instruction(program, queue.instructions[i]));
    }
  }
  return text;
}

}  // namespace lockstep::program
