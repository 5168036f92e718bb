// What is fastest for one program on this machine: measured once, kept in the cache, and never a change of
// bits.
#pragma once

#include <optional>
#include <vector>

#include "api/loaded_model.h"
#include "engine/batch.h"

namespace lockstep::api {

struct Tuning {
  uint32_t workers = 0;                 // threads with which a step of one row is fastest
  std::vector<engine::StepTime> steps;  // with them, by rows

  // The rows of a prompt's step that cost least each; of those that cost nearly as little the fewest.
  // kPrefillRows where that many were not measured.
  uint32_t prefill_rows() const;
  // The most rows of prompts with which a step takes at most kPace times as long as a stream's alone.
  uint32_t mixed_rows() const;
  static constexpr double kPace = 6;
};

// What is kept for the program, these options and this machine, or measured now, which takes about a second,
// and kept, unless other work had the cores meanwhile. Without the cache (LoadOptions::use_cache) it is
// measured each time.
Tuning find_tuning(const LoadedProgram& loaded, const targets::host::HostOptions& host,
                   const LoadOptions& options);

// The byte form in which it is kept. Nothing for bytes that are no tuning.
std::vector<std::byte> encode_tuning(const Tuning& tuning);
std::optional<Tuning> decode_tuning(Bytes bytes);

engine::BatchOptions batch_options(const Tuning& tuning);

}  // namespace lockstep::api
