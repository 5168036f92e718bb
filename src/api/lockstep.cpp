// The C interface over LoadedProgram, the targets and Engine.
#include "lockstep/lockstep.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "api/running_model.h"
#include "text/chat_prompt.h"

using lockstep::Error;
using lockstep::ErrorKind;

// A lockstep_model is a RunningModel under its name in C.
struct lockstep_model : lockstep::api::RunningModel {};

struct lockstep_request {
  std::shared_ptr<lockstep::engine::Ticket> ticket;
  lockstep::engine::Event event;
  bool finished = false;
};

namespace {

thread_local std::string last_error;

lockstep_status status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::User:
      return LOCKSTEP_USER_ERROR;
    case ErrorKind::Machine:
      return LOCKSTEP_MACHINE_ERROR;
    case ErrorKind::Internal:
      return LOCKSTEP_INTERNAL_ERROR;
  }
  return LOCKSTEP_INTERNAL_ERROR;
}

lockstep_status report(const Error& error) {
  last_error = error.what();
  return status_of(error.kind());
}

// Runs f and turns exceptions into a status.
template <class F>
lockstep_status guarded(F f) {
  try {
    f();
    return LOCKSTEP_OK;
  } catch (const Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    return report(Error(ErrorKind::Machine, "out of memory"));
  } catch (const std::exception& error) {
    return report(Error(ErrorKind::Internal, error.what()));
  }
}

lockstep::engine::Request make_request(const int32_t* prompt, size_t count,
                                       const lockstep_request_options& options) {
  lockstep::engine::Request request;
  request.prompt.assign(prompt, prompt + count);
  request.tokens_max = options.tokens_max;
  request.chunk = options.chunk;
  request.sampling.temperature = options.temperature;
  request.sampling.top_k = options.top_k;
  request.sampling.top_p = options.top_p;
  request.sampling.min_p = options.min_p;
  request.sampling.repetition_penalty = options.repetition_penalty;
  request.sampling.frequency_penalty = options.frequency_penalty;
  request.sampling.presence_penalty = options.presence_penalty;
  request.sampling.seed = options.seed;
  for (size_t i = 0; i < options.logit_bias_count; ++i) {
    request.sampling.logit_bias.emplace_back(options.logit_bias[i].token, options.logit_bias[i].bias);
  }
  request.ignore_end = options.ignore_end != 0;
  request.stop.assign(options.stop, options.stop + options.stop_count);
  return request;
}

}  // namespace

lockstep::api::RunningModel& lockstep::api::running_model(lockstep_model& model) {
  return model;
}

lockstep_status lockstep_load(const char* path, const lockstep_load_options* options,
                              lockstep_model** model) {
  return guarded([&] {
    const lockstep_load_options defaults{};
    auto result = std::make_unique<lockstep_model>();
    lockstep::api::load_running_model(path, options != nullptr ? *options : defaults, *result);
    *model = result.release();
  });
}

void lockstep_free_model(lockstep_model* model) {
  delete model;
}

void lockstep_describe(const lockstep_model* model, lockstep_model_info* info) {
  info->name = model->loaded.program.model_name.c_str();
  info->fingerprint = model->fingerprint.c_str();
  info->program = model->program_hash.c_str();
  info->machine = model->machine.c_str();
  info->isa = model->isa.c_str();
  info->threads = model->threads;
  info->context = model->target->context();
  info->vocabulary = model->loaded.program.vocabulary;
  info->has_chat_template = model->chat_template.has_value() ? 1 : 0;
  info->program_bytes = model->loaded.program_bytes;
  info->allocated_bytes = model->target->allocated_bytes();
  info->chips = model->chips == nullptr ? 0 : model->chips->chips();
  info->chip_rows = model->chips == nullptr ? 0 : model->chips->counters().rows;
  info->chip_cycles = model->chips == nullptr ? 0 : model->chips->cycles();
  info->chip_hz = model->chips == nullptr ? 0 : model->chips->machine().clock_hz;
}

lockstep_status lockstep_apply_template(const lockstep_model* model, const lockstep_message* messages,
                                        size_t count, char** text) {
  return guarded([&] {
    if (!model->chat_template) {
      lockstep::user_error("{}: the model has no chat template; use --raw to give it plain text",
                           model->loaded.program.model_name);
    }
    std::vector<lockstep::text::ChatMessage> list;
    for (size_t i = 0; i < count; ++i) list.push_back({messages[i].role, messages[i].content});
    const std::string rendered = lockstep::text::render_chat(*model->chat_template, *model->tokenizer, list);
    *text = new char[rendered.size() + 1];
    std::memcpy(*text, rendered.c_str(), rendered.size() + 1);
  });
}

lockstep_status lockstep_tokenize(const lockstep_model* model, const char* text, size_t bytes, int special,
                                  int32_t** tokens, size_t* count) {
  return guarded([&] {
    const std::vector<int32_t> ids =
        lockstep::text::tokenize_prompt(*model->tokenizer, std::string_view(text, bytes), special != 0);
    *tokens = new int32_t[std::max<size_t>(ids.size(), 1)];
    std::copy(ids.begin(), ids.end(), *tokens);
    *count = ids.size();
  });
}

void lockstep_free_text(char* text) {
  delete[] text;
}
void lockstep_free_tokens(int32_t* tokens) {
  delete[] tokens;
}

void lockstep_default_request(lockstep_request_options* options) {
  *options = {};
  options->top_p = 1;
  options->repetition_penalty = 1;
}

lockstep_status lockstep_submit(lockstep_model* model, const int32_t* prompt, size_t count,
                                const lockstep_request_options* options, lockstep_request** request) {
  return guarded([&] {
    lockstep_request_options defaults;
    lockstep_default_request(&defaults);
    auto result = std::make_unique<lockstep_request>();
    result->ticket =
        model->engine->submit(make_request(prompt, count, options != nullptr ? *options : defaults));
    *request = result.release();
  });
}

lockstep_status lockstep_poll(lockstep_request* request, uint32_t timeout_ms, lockstep_event* event) {
  *event = {};
  if (request->finished) return report(Error(ErrorKind::User, "the request has finished; free it"));
  std::optional<lockstep::engine::Event> next = request->ticket->poll(std::chrono::milliseconds(timeout_ms));
  if (!next) return LOCKSTEP_PENDING;
  request->event = std::move(*next);
  const lockstep::engine::Event& now = request->event;
  request->finished = now.finished;
  if (now.error) return report(*now.error);
  event->text = now.text.c_str();
  event->text_bytes = now.text.size();
  event->prompt_tokens_done = now.prompt_tokens_done;
  if (!now.finished) return LOCKSTEP_OK;
  event->finished = 1;
  event->finish_reason = lockstep::engine::finish_reason_name(now.reason);
  event->context_full = now.reason == lockstep::engine::FinishReason::ContextFull ? 1 : 0;
  event->tokens = now.tokens.data();
  event->token_count = now.tokens.size();
  event->digest = now.digest.c_str();
  event->prefill_s = now.timing.prefill_s;
  event->decode_s = now.timing.decode_s;
  event->token_s = now.timing.token_s.data();
  event->token_s_count = now.timing.token_s.size();
  event->queue_s = now.timing.queue_s;
  event->prompt_tokens_reused = now.prompt_tokens_reused;
  event->drafts_tried = now.drafts_tried;
  event->drafts_taken = now.drafts_taken;
  return LOCKSTEP_OK;
}

void lockstep_cancel(lockstep_request* request) {
  request->ticket->cancel();
}

void lockstep_free_request(lockstep_request* request) {
  if (request != nullptr) request->ticket->cancel();
  delete request;
}

const char* lockstep_error(void) {
  return last_error.c_str();
}

const char* lockstep_version(void) {
  return "0.1.0";
}
