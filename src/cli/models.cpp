// lockstep models: the models that are at hand.
#include <memory>

#include "cli/command.h"
#include "cli/console.h"
#include "cli/default_model.h"
#include "cli/options.h"
#include "import/gguf.h"
#include "store/cache.h"

namespace lockstep::cli {

namespace {

void run(bool json_wanted) {
  const store::CacheSettings settings = store::cache_settings_from_environment();
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  const std::filesystem::path folder = settings.root / "models";
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
    if (!file.is_regular_file() || file.path().extension() != ".gguf") continue;
    nlohmann::ordered_json row;
    row["path"] = file.path().string();
    row["bytes"] = file.file_size();
    row["default"] = file.path().filename() == kDefaultModelName;
    try {
      const importer::Checkpoint checkpoint = importer::read_gguf(file.path());
      row["name"] = checkpoint.metadata.find_string("general.name").value_or("");
      row["architecture"] = checkpoint.metadata.find_string("general.architecture").value_or("");
      row["license"] = checkpoint.metadata.find_string("general.license").value_or("");
    } catch (const Error& error) {
      row["error"] = error.what();
    }
    json.push_back(row);
  }
  if (json_wanted) return print_json(json);
  if (json.empty()) {
    return print_text(
        fmt::format("no models in {} yet; 'lockstep run' fetches {}; -m FILE.gguf takes any other\n",
                    folder.string(), kDefaultModelName));
  }
  for (const auto& row : json) {
    print_text(fmt::format(
        "{}{}  {:.1f} MB  {}\n", row["path"].get<std::string>(),
        row["default"].get<bool>() ? " (default)" : "", row["bytes"].get<double>() / 1e6,
        row.contains("error") ? row["error"].get<std::string>() : row["name"].get<std::string>()));
  }
}

}  // namespace

void add_models(CLI::App& app) {
  CLI::App* command = app.add_subcommand("models", "List the models in the cache folder");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "print JSON");
  command->footer("\nExample:\n  lockstep models");
  command->callback([json] { run(*json); });
}

}  // namespace lockstep::cli
