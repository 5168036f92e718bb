// What the engine is doing, in numbers: for metrics, and for a server that decides what to take on.
#pragma once

#include <array>
#include <cstdint>

#include "engine/request.h"

namespace lockstep::engine {

// What a step took, with the rows that it ran.
struct StepTime {
  uint32_t rows = 0;
  double seconds = 0;
};

// One moment's numbers. Totals are since the engine's start; a state that was given up and is computed again
// counts again.
struct Load {
  std::array<uint32_t, kServiceClasses> running{};  // by the request's ServiceClass; idle ones may be held
  std::array<uint32_t, kServiceClasses> waiting{};
  uint32_t streams_max = 0;  // of all classes but Idle
  uint32_t idle_max = 0;
  uint32_t pages_used = 0;  // of the KV pool, by sequences that run
  uint32_t pages_total = 0;
  bool short_of_memory = false;  // the first that waits found too few pages
  uint32_t page_positions = 0;
  uint64_t steps = 0;
  uint64_t rows = 0;  // of steps, drafts among them
  double steps_s = 0;
  StepTime last_step;
  uint64_t prompt_tokens = 0;         // computed
  uint64_t prompt_tokens_reused = 0;  // whose state was there before
  uint64_t answer_tokens = 0;
  uint64_t drafts_tried = 0, drafts_taken = 0;
  uint64_t gave_way = 0;  // times that a sequence gave its pages back for another
};

}  // namespace lockstep::engine
