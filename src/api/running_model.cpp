#include "api/running_model.h"

#include <algorithm>

#include "api/tuning.h"
#include "program/isa/isa.h"

namespace lockstep::api {

namespace {

LoadOptions load_options(const lockstep_load_options& options) {
  LoadOptions result;
  if (options.weights != nullptr) result.weights = parse_weight_variant(options.weights);
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

// Loads the draft model beside a model.
void load_draft_model(RunningModel& model, const lockstep_load_options& options,
                      const targets::host::HostOptions& host) {
  LoadOptions load;  // its own weights and cache, whatever the model's are
  load.use_cache = options.no_cache == 0;
  model.draft_loaded = load_program(options.draft_model, load);
  const program::Program& program = model.draft_loaded.program;
  engine::check_draft_vocabulary(*model.tokenizer, model.loaded.program.model_name, load_tokenizer(program),
                                 program.model_name);
  targets::host::HostOptions draft_host = host;
  draft_host.context = std::min(model.target->context(), program.context_max);
  model.draft_target = load_target(program, draft_host);
  model.draft_model = std::make_unique<engine::DraftModel>(*model.draft_target);
}

// The host as the target, with what makes it fast.
engine::BatchOptions load_on_host(RunningModel& model, const lockstep_load_options& options,
                                  targets::host::HostOptions host) {
  const Tuning tuning = find_tuning(model.loaded, host, load_options(options));
  host.workers = tuning.workers;
  std::unique_ptr<targets::host::HostTarget> target = load_target(model.loaded.program, host);
  model.isa = kernels_name(*target);
  model.threads = target->workers();
  model.target = std::move(target);
  if (options.cache_dir != nullptr) {
    model.kept_prefixes = std::make_unique<KeptPrefixes>(
        model.loaded.program,
        store::PrefixStoreOptions{.folder = options.cache_dir, .warn = load_options(options).warn});
  }
  if (options.draft_model != nullptr) load_draft_model(model, options, host);
  engine::BatchOptions batch = batch_options(tuning);
  if (options.drafts_max != 0) batch.drafts_max = options.drafts_max;
  if (options.no_speculation != 0) batch.drafts_max = 0;
  batch.prefix_keeper = model.kept_prefixes.get();
  batch.draft_model = model.draft_model.get();
  return batch;
}

// Simulated chips as the target. Their simulator takes as long for eight rows at once as for eight steps, so
// that a guess would cost what it might save.
engine::BatchOptions load_on_chips(RunningModel& model, const lockstep_load_options& options) {
  if (options.cache_dir != nullptr || options.draft_model != nullptr) {
    user_error("{}: a chip keeps its state and makes no guesses; leave out {}", options.machine,
               options.cache_dir != nullptr ? "--cache-dir" : "--draft-model");
  }
  std::unique_ptr<targets::lpu::LpuTarget> target = load_chips(model.loaded.program, options.context);
  model.chips = target.get();
  model.machine = target->machine().name;
  model.isa = program::isa::lpu().name;
  model.target = std::move(target);
  engine::BatchOptions batch;
  batch.drafts_max = 0;
  return batch;
}

}  // namespace

void load_running_model(const char* path, const lockstep_load_options& options, RunningModel& model) {
  targets::host::HostOptions host = {options.isa != nullptr ? options.isa : "", options.threads,
                                     options.context, options.kv_positions};
  targets::host::select_kernels(host.isa);  // refuses a wrong name before long work
  model.machine = load_options(options).machine;
  model.loaded = load_program(path, load_options(options));
  model.tokenizer = std::make_unique<text::Tokenizer>(load_tokenizer(model.loaded.program));
  model.chat_template = load_chat_template(model.loaded.program);
  const bool on_host = model.loaded.program.isa == program::isa::host().name;
  const engine::BatchOptions batch =
      on_host ? load_on_host(model, options, host) : load_on_chips(model, options);
  model.fingerprint = hex(model.loaded.program.fingerprint);
  model.program_hash = hex(model.loaded.program_hash);
  model.engine = std::make_unique<engine::Engine>(*model.target, *model.tokenizer,
                                                  model.loaded.program.vocabulary, batch);
}

}  // namespace lockstep::api
