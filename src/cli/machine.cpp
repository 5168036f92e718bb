// lockstep machine: the chips that can be compiled for, their numbers, and what these give where a figure is
// published.
#include "machine/machine.h"

#include <fmt/format.h>

#include <memory>

#include "cli/command.h"
#include "cli/console.h"
#include "machine/figures.h"

namespace lockstep::cli {

namespace {

using Json = nlohmann::ordered_json;

Json machine_json(const machine::Machine& machine) {
  Json json;
  json["name"] = machine.name;
  json["title"] = machine.title;
  json["data"] = Json::array();
  for (const machine::Datum& datum : machine.data) {
    if (datum.key.starts_with("published.")) continue;
    json["data"].push_back({{"key", datum.key},
                            {"value", datum.value},
                            {"unit", datum.unit},
                            {"standing", datum.standing},
                            {"source", datum.source}});
  }
  json["figures"] = Json::array();
  for (const machine::Figure& figure : machine::figures()) {
    const double predicted = figure.predict(machine);
    Json row = {
        {"name", figure.name}, {"title", figure.title}, {"unit", figure.unit}, {"predicted", predicted}};
    if (const machine::Datum* published = machine.find(std::string("published.") + figure.name)) {
      row["published"] = published->value;
      row["ratio"] = predicted / published->value;
      row["standing"] = published->standing;
      row["source"] = published->source;
      if (!published->note.empty()) row["note"] = published->note;
    }
    json["figures"].push_back(row);
  }
  return json;
}

void show(const Json& json) {
  print_text(fmt::format("{}: {}\n\n{:<28} {:>10}  {:<10} {:<9}  source\n", json["name"].get<std::string>(),
                         json["title"].get<std::string>(), "number", "value", "unit", "standing"));
  for (const Json& datum : json["data"]) {
    print_text(fmt::format("{:<28} {:>10}  {:<10} {:<9}  {}\n", datum["key"].get<std::string>(),
                           datum["value"].get<double>(), datum["unit"].get<std::string>(),
                           datum["standing"].get<std::string>(), datum["source"].get<std::string>()));
  }
  print_text(fmt::format("\n{:<48} {:>10} {:>10} {:>6}  {:<7} source of what is published\n", "figure",
                         "predicted", "published", "ratio", "unit"));
  for (const Json& figure : json["figures"]) {
    const bool published = figure.contains("published");
    print_text(fmt::format("{:<48} {:>10.5g} {:>10} {:>6}  {:<7} {}\n", figure["title"].get<std::string>(),
                           figure["predicted"].get<double>(),
                           published ? fmt::format("{:.5g}", figure["published"].get<double>()) : "-",
                           published ? fmt::format("{:.2f}", figure["ratio"].get<double>()) : "-",
                           figure["unit"].get<std::string>(),
                           published ? figure["source"].get<std::string>() : "-"));
    if (figure.contains("note")) print_text(fmt::format("    {}\n", figure["note"].get<std::string>()));
  }
}

void list_machines(bool json_wanted) {
  Json json = Json::array();
  for (const std::string& name : machine::machine_names()) {
    const machine::Machine machine = machine::find_machine(name);
    json.push_back({{"name", name}, {"title", machine.title}, {"sram_bytes", machine.chip_bytes()}});
  }
  if (json_wanted) return print_json(json);
  for (const Json& row : json) {
    print_text(fmt::format("{:<10} {:>6.1f} MB  {}\n", row["name"].get<std::string>(),
                           row["sram_bytes"].get<double>() / 1e6, row["title"].get<std::string>()));
  }
}

}  // namespace

void add_machine(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("machine", "Show a chip's numbers, and what they give beside what is published");
  auto name = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  command->add_option("name", *name, "a machine or a file that ends in .toml (default: list the machines)");
  command->add_flag("--json", *json, "print JSON");
  command->footer("\nExamples:\n  lockstep machine\n  lockstep machine lpu-v1");
  command->callback([name, json] {
    if (name->empty()) return list_machines(*json);
    const Json shown = machine_json(machine::find_machine(*name));
    if (*json) {
      print_json(shown);
    } else {
      show(shown);
    }
  });
}

}  // namespace lockstep::cli
