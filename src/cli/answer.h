// One answer through the C interface, and what is told of it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/stopwatch.h"
#include "lockstep/lockstep.h"

namespace lockstep::cli {

struct Answer {
  std::string text;
  std::vector<int32_t> tokens;
  std::string finish_reason;
  std::string digest;
  bool context_full = false;
  int signal = 0;  // SIGINT or SIGTERM, when one ended it
  double prefill_s = 0, decode_s = 0;
  std::vector<double> token_s;
  uint32_t prompt_tokens_reused = 0, drafts_tried = 0, drafts_taken = 0;
};

// Runs a request to its end and gives new text to `show` as it comes. SIGINT and SIGTERM end the answer, not
// the process. Throws the error that the request fails with.
Answer generate(lockstep_model* model, std::span<const int32_t> prompt,
                const lockstep_request_options& options, const std::function<void(std::string_view)>& show);

std::string apply_template(lockstep_model* model, const std::vector<lockstep_message>& messages);
std::vector<int32_t> tokenize(lockstep_model* model, const std::string& text, bool special);

// load_s, prefill_s, decode_s, prefill_tok_s, decode_tok_s, token_s_p50, token_s_p99, prompt_tokens_reused,
// drafts_tried, drafts_taken.
nlohmann::ordered_json timing_json(const Answer& answer, size_t prompt_tokens, double load_s);

}  // namespace lockstep::cli
