// For tests: a token's embedding row (40 tokens of 64) times a matrix of 48 rows, plus a bias, written by
// hand for both kinds of machine. Both programs hold the same integers. The host's scales and quantises the
// row; the LPU's multiplies the integers of the row as they are: y = f32(integer sum) * row scale + bias.
#pragma once

#include <list>
#include <vector>

#include "numerics/integer_matrix.h"
#include "program/program.h"

namespace lockstep::program {

inline constexpr uint32_t kTinyVocabulary = 40, kTinyWidth = 64, kTinyOut = 48;
inline constexpr uint32_t kTinyToken = 7;  // whose row the LPU program takes as it is

// A program and the bytes that its `contents` view. Moves keep the views.
struct TinyProgram {
  Program program;
  std::list<std::vector<std::byte>> storage;

  // Gives a File memory `bytes` zero bytes to fill.
  std::vector<std::byte>& file_memory(uint32_t memory, uint64_t bytes) {
    program.memories[memory].bytes = bytes;
    program.contents[memory] = storage.emplace_back(bytes);
    return storage.back();
  }
};

numerics::IntegerMatrix tiny_embedding();  // plain int16, [40][64]
numerics::IntegerMatrix tiny_weight();     // plain int8, [48][64]
std::vector<float> tiny_bias();            // [48]

TinyProgram tiny_host_program();
TinyProgram tiny_lpu_program();

}  // namespace lockstep::program
