#include "cli/config_file.h"

#include <toml++/toml.h>

#include <sstream>

#include "base/error.h"
#include "base/file.h"

namespace lockstep::cli {

namespace {

bool is_flag(const CLI::Option& option) {
  return option.get_items_expected_max() == 0;
}

bool is_list(const CLI::Option& option) {
  return option.get_items_expected_max() > 1;
}

bool is_text(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return !type.starts_with("INT") && !type.starts_with("UINT") && !type.starts_with("FLOAT");
}

// A value as the command line would have it; nothing for what no option can be.
std::optional<std::string> plain_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (!node.is_number() && !node.is_boolean()) return std::nullopt;
  std::ostringstream stream;
  node.visit([&](const auto& value) { stream << value; });
  return stream.str();
}

// What the option is to be given. Throws a user's error, which names no place.
std::vector<std::string> values_of(const CLI::Option& option, const toml::node& node) {
  if (is_flag(option)) {
    const auto* flag = node.as_boolean();
    if (flag == nullptr) user_error("true or false is wanted");
    return flag->get() ? std::vector<std::string>{"true"} : std::vector<std::string>{};
  }
  std::vector<std::string> values;
  const auto add = [&](const toml::node& item) {
    const auto text = plain_text(item);
    if (!text || item.is_boolean() || item.is_string() != is_text(option)) {
      user_error("{} is wanted", is_text(option) ? "a text in quotation marks" : "a number");
    }
    values.push_back(*text);
  };
  const toml::array* array = node.as_array();
  if (array == nullptr) {
    add(node);
  } else if (is_list(option)) {
    for (const toml::node& item : *array) add(item);
  } else {
    user_error("one value is wanted, not a list");
  }
  return values;
}

void apply(CLI::App& command, const std::string& key, const toml::node& node) {
  CLI::Option* option = command.get_option_no_throw("--" + key);
  if (option == nullptr || key == "config" || key == "help") {
    user_error("there is no such setting; {} --help lists them, without the two dashes", command.get_name());
  }
  const std::vector<std::string> values = values_of(*option, node);
  if (option->count() != 0 || values.empty()) return;  // the command line has the last word
  for (const std::string& value : values) option->add_result(value);
  option->run_callback();
}

std::string toml_text(const CLI::Option& option, const std::string& value) {
  if (!is_text(option)) return value;
  std::ostringstream stream;
  stream << toml::value<std::string>(value);
  return stream.str();
}

std::string value_as_toml(const CLI::Option& option) {
  if (is_flag(option)) return option.count() != 0 ? "true" : "false";
  if (!is_list(option)) {
    return toml_text(option, option.count() != 0 ? option.results().back() : option.get_default_str());
  }
  std::vector<std::string> items;
  for (const std::string& value : option.results()) items.push_back(toml_text(option, value));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

}  // namespace

void apply_config_file(CLI::App& command, const std::string& path) {
  toml::table settings;
  try {
    settings = toml::parse(read_text_file(path));
  } catch (const toml::parse_error& error) {
    user_error("{}:{}: {}", path, error.source().begin.line, error.description());
  }
  for (const auto& [key, node] : settings) {
    const std::string name(key.str());
    try {
      apply(command, name, node);
    } catch (const Error& error) {
      user_error("{}:{}: {}: {}", path, node.source().begin.line, name, error.what());
    } catch (const CLI::ParseError& error) {
      user_error("{}:{}: {}: {}", path, node.source().begin.line, name, error.what());
    }
  }
}

std::string options_as_toml(const CLI::App& command, const std::vector<std::string>& left_out) {
  std::string text;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_lnames().empty()) continue;
    const std::string& name = option->get_lnames().front();
    if (std::find(left_out.begin(), left_out.end(), name) != left_out.end()) continue;
    const bool has_value =
        is_flag(*option) || is_list(*option) || option->count() != 0 || !option->get_default_str().empty();
    text += fmt::format("# {}\n", option->get_description());
    text += has_value ? fmt::format("{} = {}\n\n", name, value_as_toml(*option))
                      : fmt::format("# {} =\n\n", name);
  }
  return text;
}

}  // namespace lockstep::cli
