// The files of the folder console/, as they were when this was built.
#pragma once

#include <string_view>
#include <vector>

namespace lockstep::server {

struct ConsoleFile {
  std::string_view name;  // "index.html"
  std::string_view text;
};

const std::vector<ConsoleFile>& console_files();

}  // namespace lockstep::server
