// lockstep cache: the compiled programs that are kept.
#include "store/cache.h"

#include <fmt/chrono.h>

#include <memory>

#include "cli/command.h"
#include "cli/console.h"
#include "program/encode.h"

namespace lockstep::cli {

namespace {

store::Cache open_cache() {
  const store::CacheSettings settings = store::cache_settings_from_environment();
  store::Cache::Opened opened = store::Cache::open(settings);
  if (!opened.cache) machine_error("{}", opened.reason);
  return std::move(*opened.cache);
}

// The model of a cached program, or what is wrong with it.
std::string model_of(const store::CacheFolder& folder, const std::string& key) {
  try {
    const auto file = folder.open(key);
    return file ? program::decode(file->bytes(), key).model_name : "gone";
  } catch (const Error&) {
    return "damaged: made again when it is next needed";
  }
}

void list(bool json_wanted) {
  const store::Cache cache = open_cache();
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const store::CacheEntry& entry : cache.programs().list()) {
    const std::string model = model_of(cache.programs(), entry.key);
    const std::string used = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                                         fmt::gmtime(std::chrono::system_clock::to_time_t(entry.last_used)));
    json.push_back({{"key", entry.key}, {"bytes", entry.bytes}, {"last_used", used}, {"model", model}});
    if (!json_wanted) {
      print_text(fmt::format("{}  {:>9.1f} MB  {}  {}\n", entry.key.substr(0, 16),
                             static_cast<double>(entry.bytes) / 1e6, used, model));
    }
  }
  if (json_wanted) return print_json(json);
  if (json.empty()) print_text(fmt::format("no programs in {}\n", cache.programs().folder().string()));
}

void clear() {
  const store::Cache cache = open_cache();
  cache.tunings().clear();
  print_text(fmt::format("removed {:.1f} MB of compiled programs\n",
                         static_cast<double>(cache.programs().clear()) / 1e6));
}

}  // namespace

void add_cache(CLI::App& app) {
  CLI::App* command = app.add_subcommand("cache", "List or remove the compiled programs that are kept");
  command->require_subcommand(1);
  command->footer(
      "\nExamples:\n  lockstep cache list\n  lockstep cache clear\n\n$LOCKSTEP_CACHE names the folder, "
      "$LOCKSTEP_CACHE_MAX_BYTES its limit.");
  auto json = std::make_shared<bool>(false);
  CLI::App* list_command = command->add_subcommand("list", "List compiled programs, the last used first");
  list_command->add_flag("--json", *json, "print JSON");
  list_command->callback([json] { list(*json); });
  command->add_subcommand("clear", "Remove all compiled programs and what was found to be fastest with them")
      ->callback(clear);
}

}  // namespace lockstep::cli
