// The fields that every request for text has: how it is chosen, where it ends, how it is sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/prices.h"
#include "engine/request.h"
#include "server/json_fields.h"

namespace lockstep::server {

// What the engine goes through for every token of an answer is bounded.
inline constexpr size_t kStopsMax = 16;  // OpenAI's clients send up to 4
inline constexpr size_t kStopBytesMax = 1024;
inline constexpr size_t kBiasesMax = 1024;
inline constexpr uint32_t kChoicesMax = 128;  // of one prompt

// The field "stop": a string or an array of strings.
std::vector<std::string> read_stop(JsonFields& fields);
// An integer of 64 bits as a seed, negative ones as two's complement; none where there is none.
std::optional<uint64_t> read_seed(JsonFields& fields);
// stop, temperature, top_p, penalties, seed (a new one where none is given), logit_bias, and what local
// servers have beside these: top_k, min_p, repetition_penalty, ignore_eos. Ids of logit_bias are not checked
// against a vocabulary: Inference does that.
void read_sampling_fields(JsonFields& fields, engine::Request& generation);
// max_completion_tokens and max_tokens: two names of one limit, of which the newer one wins, as with OpenAI.
std::optional<uint32_t> read_tokens_max(JsonFields& fields, uint32_t least);
// All of these.
void read_generation_fields(JsonFields& fields, engine::Request& generation);

// safety_identifier, prompt_cache_key, prompt_cache_retention: of whom and for how long. Checked, and without
// effect: nothing is kept of them, and prefixes are kept as long as there is room.
void read_asides(JsonFields& fields);
// keep_alive, likewise: the model stays.
void read_keep_alive(JsonFields& fields);

// service_tier, which tier_named takes; empty where there is none.
std::string read_service_tier(JsonFields& fields);

struct StreamFields {
  bool stream = false;
  bool usage_at_end = false;  // stream_options.include_usage: a chunk of its own with the usage
  bool usage_always = false;  // stream_options.continuous_usage_stats: the usage so far in every chunk
};

StreamFields read_stream_fields(JsonFields& fields);

// The tier that the field service_tier names: empty, "auto", "default" and "on_demand" are one. Throws an
// ApiError for any other than these, "performance" and "flex".
accounts::Tier tier_named(std::string_view name);

}  // namespace lockstep::server
