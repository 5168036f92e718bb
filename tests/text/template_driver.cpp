// Renders chat templates for template_compare.py: one JSON object a line on standard input, with "template"
// and "variables"; one a line on standard output, with "text" or "error".
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "text/chat_template.h"

int main() {
  lockstep::text::RenderOptions options;
  std::tm now = {};  // 2 January 2031, a Thursday, 03:04:05
  now.tm_year = 131;
  now.tm_mday = 2;
  now.tm_hour = 3;
  now.tm_min = 4;
  now.tm_sec = 5;
  std::mktime(&now);
  options.now = now;
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::ordered_json reply;
    try {
      auto request = nlohmann::ordered_json::parse(line);
      auto chat_template =
          lockstep::text::ChatTemplate::parse(request.at("template").get<std::string>(), "the template");
      reply["text"] = chat_template.render(request.at("variables"), options);
    } catch (const lockstep::Error& error) {
      reply = {{"error", error.what()}, {"kind", static_cast<int>(error.kind())}};
    }
    std::cout << reply.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << '\n';
  }
  return 0;
}
