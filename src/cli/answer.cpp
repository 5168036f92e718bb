#include "cli/answer.h"

#include <memory>

#include "cli/console.h"
#include "cli/options.h"
#include "cli/statistics.h"

namespace lockstep::cli {

namespace {

struct RequestDeleter {
  void operator()(lockstep_request* request) const { lockstep_free_request(request); }
};

}  // namespace

Answer generate(lockstep_model* model, std::span<const int32_t> prompt,
                const lockstep_request_options& options, const std::function<void(std::string_view)>& show) {
  DeferredInterrupt interrupt;
  lockstep_request* raw = nullptr;
  require_ok(lockstep_submit(model, prompt.data(), prompt.size(), &options, &raw));
  const std::unique_ptr<lockstep_request, RequestDeleter> request(raw);
  Answer answer;
  lockstep_event event{};
  const Stopwatch watch;
  while (event.finished == 0) {
    if (interrupt.signal() != 0 && answer.signal == 0) {
      answer.signal = interrupt.signal();
      lockstep_cancel(request.get());
    }
    const lockstep_status status = lockstep_poll(request.get(), 20, &event);
    if (status == LOCKSTEP_PENDING) continue;
    if (status != LOCKSTEP_OK) end_progress();
    require_ok(status);
    const bool reading = event.prompt_tokens_done < prompt.size();
    if (reading && watch.seconds() > 1.0)
      show_progress("read the prompt", event.prompt_tokens_done, prompt.size());
    if (!reading) end_progress();
    answer.text.append(event.text, event.text_bytes);
    if (event.text_bytes != 0) show({event.text, event.text_bytes});
  }
  // One that came during the last step has nothing to end, but is not lost.
  if (answer.signal == 0) answer.signal = interrupt.signal();
  answer.tokens.assign(event.tokens, event.tokens + event.token_count);
  answer.finish_reason = event.finish_reason;
  answer.digest = event.digest;
  answer.context_full = event.context_full != 0;
  answer.prefill_s = event.prefill_s;
  answer.decode_s = event.decode_s;
  answer.token_s.assign(event.token_s, event.token_s + event.token_s_count);
  answer.prompt_tokens_reused = event.prompt_tokens_reused;
  answer.drafts_tried = event.drafts_tried;
  answer.drafts_taken = event.drafts_taken;
  return answer;
}

std::string apply_template(lockstep_model* model, const std::vector<lockstep_message>& messages) {
  char* text = nullptr;
  require_ok(lockstep_apply_template(model, messages.data(), messages.size(), &text));
  std::string result = text;
  lockstep_free_text(text);
  return result;
}

std::vector<int32_t> tokenize(lockstep_model* model, const std::string& text, bool special) {
  int32_t* tokens = nullptr;
  size_t count = 0;
  require_ok(lockstep_tokenize(model, text.data(), text.size(), special ? 1 : 0, &tokens, &count));
  std::vector<int32_t> result(tokens, tokens + count);
  lockstep_free_tokens(tokens);
  return result;
}

nlohmann::ordered_json timing_json(const Answer& answer, size_t prompt_tokens, double load_s) {
  auto rate = [](double count, double seconds) { return seconds > 0 ? count / seconds : 0; };
  nlohmann::ordered_json timing;
  timing["load_s"] = load_s;
  timing["prefill_s"] = answer.prefill_s;
  timing["decode_s"] = answer.decode_s;
  timing["prefill_tok_s"] = rate(static_cast<double>(prompt_tokens), answer.prefill_s);
  timing["decode_tok_s"] = rate(static_cast<double>(answer.token_s.size()), answer.decode_s);
  auto of_tokens = [&](double share) {
    return answer.token_s.empty() ? 0 : percentile(answer.token_s, share);
  };
  timing["token_s_p50"] = of_tokens(0.5);
  timing["token_s_p99"] = of_tokens(0.99);
  timing["prompt_tokens_reused"] = answer.prompt_tokens_reused;
  timing["drafts_tried"] = answer.drafts_tried;
  timing["drafts_taken"] = answer.drafts_taken;
  return timing;
}

}  // namespace lockstep::cli
