// The API of a small model in this process.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "../diff/small_model.h"
#include "accounts/schema.h"
#include "server/api_service.h"
#include "store/test_processes.h"
#include "targets/host/host_target.h"

namespace lockstep::tests {

// A model called "small", for which no keys are asked, with a database of its own.
struct SmallService {
  explicit SmallService(float gain = 1.0f)
      : model(make_small_model({}, gain)),
        target(targets::host::load(model->compiled.program, {"", 2, 128, 4096})),
        chat_template(text::ChatTemplate::parse(
            "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}",
            "the test's template")),
        engine(*target, *model->tokenizer, model->graph.vocabulary),
        database(new_database(folder.path())),
        accounts(*database),
        journal(accounts),
        service({.ids = {"small"},
                 .fingerprint = std::string(64, '0'),
                 .context = target->context(),
                 .engine = engine,
                 .tokenizer = *model->tokenizer,
                 .chat_template = &chat_template},
                accounts, journal, {.open = true, .data_folder = folder.path()}) {}

  static std::unique_ptr<database::Database> new_database(const std::filesystem::path& folder) {
    auto database = std::make_unique<database::Database>((folder / "lockstep.db").string());
    database::migrate(*database, accounts::schema());
    accounts::Accounts(*database).first_start();
    return database;
  }

  std::unique_ptr<SmallModel> model;
  std::unique_ptr<targets::host::HostTarget> target;
  text::ChatTemplate chat_template;
  engine::Engine engine;
  store::TemporaryFolder folder;
  std::unique_ptr<database::Database> database;
  accounts::Accounts accounts;
  accounts::Journal journal;
  server::ApiService service;
};

}  // namespace lockstep::tests
