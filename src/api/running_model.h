// A model that is loaded and has an engine: what the C interface and the server work with.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/kept_prefixes.h"
#include "api/loaded_model.h"
#include "engine/engine.h"
#include "engine/model_drafter.h"
#include "lockstep/lockstep.h"

namespace lockstep::api {

struct RunningModel {
  LoadedProgram loaded;
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;
  std::unique_ptr<targets::Target> target;
  const targets::lpu::LpuTarget* chips = nullptr;  // the target, where it is one of chips
  uint32_t threads = 1;
  std::unique_ptr<KeptPrefixes> kept_prefixes;
  LoadedProgram draft_loaded;
  std::unique_ptr<targets::host::HostTarget> draft_target;
  std::unique_ptr<lockstep::engine::DraftModel> draft_model;
  std::string fingerprint, program_hash, machine, isa;
  std::unique_ptr<lockstep::engine::Engine> engine;  // last: it stops first
};

// Fills an empty model and starts its engine. Throws the errors of load_program and of the targets.
void load_running_model(const char* path, const lockstep_load_options& options, RunningModel& model);

// What is behind a model of the C interface.
RunningModel& running_model(lockstep_model& model);

}  // namespace lockstep::api
