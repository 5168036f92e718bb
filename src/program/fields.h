// The fields of every structure of a program in one place: encoding and decoding visit the same list. An
// instruction has a form of its own, instruction_code.h.
#pragma once

#include "program/program.h"

namespace lockstep::program {

template <class Archive>
void fields(Archive& archive, Memory& value) {
  archive(value.name, value.kind, value.bytes);
}
template <class Archive>
void fields(Archive& archive, Region& value) {
  archive(value.name, value.memory, value.offset, value.element, value.width, value.row_bytes, value.rows);
}
template <class Archive>
void fields(Archive& archive, Matrix& value) {
  archive(value.name, value.rows, value.columns, value.layout, value.group_columns, value.has_offsets,
          value.memory, value.offset, value.scales_offset, value.error_relative, value.error_worst,
          value.error_row, value.error_column);
}
template <class Archive>
void fields(Archive& archive, Queue& value) {
  archive(value.unit, value.memory, value.instructions);
}
template <class Archive>
void fields(Archive& archive, Parameter& value) {
  archive(value.name, value.min, value.max);
}
template <class Archive>
void fields(Archive& archive, Entry& value) {
  archive(value.name, value.queues, value.parameters);
}
template <class Archive>
void fields(Archive& archive, SourceLine& value) {
  archive(value.queue, value.instruction, value.node, value.layer, value.region);
}
template <class Archive>
void fields(Archive& archive, StateLayout& value) {
  archive(value.memory, value.page_positions, value.layers, value.kv_heads, value.head_width,
          value.value_width, value.kv_bits);
}
// Everything but assets and contents, which have sections of their own.
template <class Archive>
void fields(Archive& archive, Program& value) {
  archive(value.model_name, value.isa, value.isa_version, value.contract_version, value.compiler_version,
          value.machine, value.fingerprint, value.weight_variant, value.vocabulary, value.context_max,
          value.memories, value.regions, value.matrices, value.parameters, value.queues, value.entries,
          value.source_map, value.state);
}

}  // namespace lockstep::program
