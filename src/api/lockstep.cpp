// The C interface over LoadedProgram, the targets and Engine.
#include "lockstep/lockstep.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "api/kept_prefixes.h"
#include "api/tuning.h"
#include "engine/engine.h"
#include "program/isa/isa.h"
#include "text/utf8.h"

using lockstep::Error;
using lockstep::ErrorKind;

struct lockstep_model {
  lockstep::api::LoadedProgram loaded;
  std::unique_ptr<lockstep::text::Tokenizer> tokenizer;
  std::optional<lockstep::text::ChatTemplate> chat_template;
  std::unique_ptr<lockstep::targets::Target> target;
  const lockstep::targets::lpu::LpuTarget* chips = nullptr;  // the target, where it is one of chips
  uint32_t threads = 1;
  std::unique_ptr<lockstep::api::KeptPrefixes> kept_prefixes;
  lockstep::api::LoadedProgram draft_loaded;
  std::unique_ptr<lockstep::targets::host::HostTarget> draft_target;
  std::unique_ptr<lockstep::engine::DraftModel> draft_model;
  std::string fingerprint, program_hash, machine, isa;
  std::unique_ptr<lockstep::engine::Engine> engine;  // last: it stops first
};

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

lockstep::api::LoadOptions load_options(const lockstep_load_options& options) {
  lockstep::api::LoadOptions result;
  if (options.weights != nullptr) result.weights = lockstep::api::parse_weight_variant(options.weights);
  if (options.kv_bits != 0) result.kv_bits = options.kv_bits;
  result.use_cache = options.no_cache == 0;
  if (options.machine != nullptr) result.machine = options.machine;
  result.chips = options.chips;
  result.chip_context = result.machine == "host" ? 0 : options.context;
  void* context = options.callback_context;
  if (options.progress != nullptr) {
    result.progress = [progress = options.progress, context](const std::string& what, uint64_t done,
                                                             uint64_t total) {
      progress(context, what.c_str(), done, total);
    };
  }
  if (options.warning != nullptr) {
    result.warn = [warning = options.warning, context](const std::string& message) {
      warning(context, message.c_str());
    };
  }
  return result;
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

// Loads the draft model beside a model.
void load_draft_model(lockstep_model& model, const lockstep_load_options& options,
                      const lockstep::targets::host::HostOptions& host) {
  namespace api = lockstep::api;
  api::LoadOptions load;  // its own weights and cache, whatever the model's are
  load.use_cache = options.no_cache == 0;
  model.draft_loaded = api::load_program(options.draft_model, load);
  const lockstep::program::Program& program = model.draft_loaded.program;
  lockstep::engine::check_draft_vocabulary(*model.tokenizer, model.loaded.program.model_name,
                                           api::load_tokenizer(program), program.model_name);
  lockstep::targets::host::HostOptions draft_host = host;
  draft_host.context = std::min(model.target->context(), program.context_max);
  model.draft_target = api::load_target(program, draft_host);
  model.draft_model = std::make_unique<lockstep::engine::DraftModel>(*model.draft_target);
}

// The host as the target, with what makes it fast.
lockstep::engine::BatchOptions load_host(lockstep_model& model, const lockstep_load_options& options,
                                         lockstep::targets::host::HostOptions host) {
  namespace api = lockstep::api;
  const api::Tuning tuning = api::find_tuning(model.loaded, host, load_options(options));
  host.workers = tuning.workers;
  std::unique_ptr<lockstep::targets::host::HostTarget> target = api::load_target(model.loaded.program, host);
  model.isa = api::kernels_name(*target);
  model.threads = target->workers();
  model.target = std::move(target);
  if (options.cache_dir != nullptr) {
    model.kept_prefixes = std::make_unique<api::KeptPrefixes>(
        model.loaded.program,
        lockstep::store::PrefixStoreOptions{.folder = options.cache_dir, .warn = load_options(options).warn});
  }
  if (options.draft_model != nullptr) load_draft_model(model, options, host);
  lockstep::engine::BatchOptions batch = api::batch_options(tuning);
  if (options.drafts_max != 0) batch.drafts_max = options.drafts_max;
  if (options.no_speculation != 0) batch.drafts_max = 0;
  batch.prefix_keeper = model.kept_prefixes.get();
  batch.draft_model = model.draft_model.get();
  return batch;
}

// Simulated chips as the target. They run a row at a time, so that a guess would cost what it might save.
lockstep::engine::BatchOptions load_chips(lockstep_model& model, const lockstep_load_options& options) {
  if (options.cache_dir != nullptr || options.draft_model != nullptr) {
    lockstep::user_error("{}: a chip keeps its state and makes no guesses; leave out {}", options.machine,
                         options.cache_dir != nullptr ? "--cache-dir" : "--draft-model");
  }
  std::unique_ptr<lockstep::targets::lpu::LpuTarget> target =
      lockstep::api::load_chips(model.loaded.program, options.context);
  model.chips = target.get();
  model.machine = target->machine().name;
  model.isa = lockstep::program::isa::lpu().name;
  model.target = std::move(target);
  lockstep::engine::BatchOptions batch;
  batch.drafts_max = 0;
  return batch;
}

}  // namespace

lockstep_status lockstep_load(const char* path, const lockstep_load_options* options,
                              lockstep_model** model) {
  return guarded([&] {
    const lockstep_load_options defaults{};
    const lockstep_load_options& chosen = options != nullptr ? *options : defaults;
    lockstep::targets::host::HostOptions host = {chosen.isa != nullptr ? chosen.isa : "", chosen.threads,
                                                 chosen.context, chosen.kv_positions};
    lockstep::targets::host::select_kernels(host.isa);  // refuses a wrong name before long work
    auto result = std::make_unique<lockstep_model>();
    result->machine = load_options(chosen).machine;
    result->loaded = lockstep::api::load_program(path, load_options(chosen));
    result->tokenizer =
        std::make_unique<lockstep::text::Tokenizer>(lockstep::api::load_tokenizer(result->loaded.program));
    result->chat_template = lockstep::api::load_chat_template(result->loaded.program);
    const bool on_host = result->loaded.program.isa == lockstep::program::isa::host().name;
    const lockstep::engine::BatchOptions batch =
        on_host ? load_host(*result, chosen, host) : load_chips(*result, chosen);
    result->fingerprint = lockstep::hex(result->loaded.program.fingerprint);
    result->program_hash = lockstep::hex(result->loaded.program_hash);
    result->engine = std::make_unique<lockstep::engine::Engine>(*result->target, *result->tokenizer,
                                                                result->loaded.program.vocabulary, batch);
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
    const std::string rendered = lockstep::api::render_chat(*model->chat_template, *model->tokenizer, list);
    *text = new char[rendered.size() + 1];
    std::memcpy(*text, rendered.c_str(), rendered.size() + 1);
  });
}

lockstep_status lockstep_tokenize(const lockstep_model* model, const char* text, size_t bytes, int special,
                                  int32_t** tokens, size_t* count) {
  return guarded([&] {
    const std::vector<int32_t> ids =
        lockstep::api::tokenize_prompt(*model->tokenizer, std::string_view(text, bytes), special != 0);
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
