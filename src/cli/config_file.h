// A command's options in a TOML file: a key for each long option, without its dashes.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace lockstep::cli {

// Sets the options that the command line did not name, which must have been parsed. Throws a user's error
// that names the file and the key.
void apply_config_file(CLI::App& command, const std::string& path);

// All long options but `left_out` as such a file, with what they are for and their values.
std::string options_as_toml(const CLI::App& command, const std::vector<std::string>& left_out);

}  // namespace lockstep::cli
