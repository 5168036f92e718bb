#include "program/isa/lpu_text.h"

namespace lockstep::program::isa {

std::string stream_text(uint64_t stream) {
  return (stream < kLpuStreams / 2 ? "e" : "w") + std::to_string(stream % (kLpuStreams / 2));
}

std::string operand_text(Operand operand) {
  switch (operand.kind) {
    case OperandKind::None:
      return "-";
    case OperandKind::Immediate:
      return "imm";
    case OperandKind::Alu:
      return "alu" + std::to_string(operand.index);
    case OperandKind::Word:
      return stream_text(operand.index);
    case OperandKind::Int8:
      return stream_text(operand.index) + ".i8";
    case OperandKind::Int16:
      return stream_text(operand.index) + ".i16";
    case OperandKind::Uint8:
      return stream_text(operand.index) + ".u8";
  }
  return "?";
}

}  // namespace lockstep::program::isa
