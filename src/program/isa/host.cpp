#include "program/isa/host.h"

#include <array>

namespace lockstep::program::isa {

namespace {

constexpr Field read(const char* name, Split split) {
  return {name, FieldKind::Region, Access::Read, split};
}
constexpr Field write(const char* name, Split split) {
  return {name, FieldKind::Region, Access::Write, split};
}
constexpr Field update(const char* name, Split split) {
  return {name, FieldKind::Region, Access::Update, split};
}
constexpr Field matrix(const char* name) {
  return {name, FieldKind::Matrix, Access::Read, Split::Whole};
}
constexpr Field bias() {
  return {"bias", FieldKind::Region, Access::Read, Split::Whole, true};
}
constexpr Field integer(const char* name, uint64_t max) {
  return {name, FieldKind::Integer, Access::None, Split::Whole, false, max};
}
constexpr Field number(const char* name) {
  return {name, FieldKind::Float};
}

constexpr uint64_t kWidthMax = 1u << 24;

constexpr Field kSync[] = {integer("when", 1)};
constexpr Field kEmbed[] = {write("out", Split::Rows), read("tokens", Split::Whole), matrix("weight"),
                            number("factor")};
constexpr Field kNormQuantise[] = {write("out", Split::Copies), read("x", Split::Whole),
                                   read("gain", Split::Whole), number("eps")};
constexpr Field kQuantise[] = {write("out", Split::Copies), read("x", Split::Whole)};
constexpr Field kGateQuantise[] = {write("out", Split::Copies), read("gate", Split::Whole),
                                   read("up", Split::Whole)};
constexpr Field kMatMul[] = {write("y", Split::Panels), read("x", Split::AnyCopy), matrix("weight"), bias()};
constexpr Field kMatMulAdd[] = {update("y", Split::Panels), read("x", Split::AnyCopy), matrix("weight"),
                                bias()};
constexpr Field kRopeStore[] = {
    update("q", Split::Heads),   read("k", Split::Whole),
    read("v", Split::Whole),     {"layer", FieldKind::State, Access::Write, Split::Heads, false, kWidthMax},
    read("turns", Split::Whole), integer("pairs", 1),
    integer("heads", kWidthMax)};
constexpr Field kAttention[] = {write("out", Split::Whole),
                                read("q", Split::Whole),
                                {"layer", FieldKind::State, Access::Read, Split::Whole, false, kWidthMax},
                                integer("heads", kWidthMax),
                                number("scale")};
constexpr Field kSelect[] = {write("out", Split::Rows), read("x", Split::Whole),
                             read("wanted", Split::Whole)};

template <size_t N>
constexpr Opcode opcode(HostOp op, const char* name, const Field (&fields)[N]) {
  return {static_cast<uint16_t>(op), name, fields};
}

constexpr std::array kOpcodes = {
    opcode(HostOp::Sync, "sync", kSync),
    opcode(HostOp::Embed, "embed", kEmbed),
    opcode(HostOp::NormQuantise, "norm_quantise", kNormQuantise),
    opcode(HostOp::Quantise, "quantise", kQuantise),
    opcode(HostOp::GateQuantise, "gate_quantise", kGateQuantise),
    opcode(HostOp::MatMul, "matmul", kMatMul),
    opcode(HostOp::MatMulAdd, "matmul_add", kMatMulAdd),
    opcode(HostOp::RopeStore, "rope_store", kRopeStore),
    opcode(HostOp::Attention, "attention", kAttention),
    opcode(HostOp::Select, "select", kSelect),
};

constexpr InstructionSet kHost = {"host", 1, 0, kOpcodes};

}  // namespace

const InstructionSet& host() {
  return kHost;
}

}  // namespace lockstep::program::isa
