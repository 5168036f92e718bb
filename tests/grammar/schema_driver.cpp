// Writes texts at random that follow schemas, for schema_compare.py:
//   schema_driver COUNT SEED < schemas > answers
// A line has a schema, its answer is a JSON list of at most COUNT texts, or a string: why it is refused.
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "base/error.h"
#include "grammar/matcher.h"
#include "grammar/schema.h"

namespace {

using namespace lockstep::grammar;

constexpr size_t kLongText = 60;  // characters, after which a text goes towards its end
constexpr size_t kTextMax = 1000;

// A byte that ends something, once a text is long; none where there is no such.
std::optional<uint8_t> ending(const std::string& bytes) {
  for (const char byte : std::string_view("\"}],:")) {
    if (bytes.find(byte) != std::string::npos) return static_cast<uint8_t>(byte);
  }
  return std::nullopt;
}

// None where the end was not found in time.
std::optional<std::string> random_text(const Grammar& grammar, std::mt19937& random) {
  Matcher matcher(grammar);
  std::string text;
  while (text.size() < kTextMax) {
    std::string all, common;
    for (int byte = 0; byte < 256; ++byte) {
      if (advance(grammar, matcher.readings(), static_cast<uint8_t>(byte)).empty()) continue;
      all.push_back(static_cast<char>(byte));
      const bool rare =
          byte >= 0x80 || std::string_view(" \n\t\\{[").find(all.back()) != std::string_view::npos;
      if (!rare) common.push_back(all.back());
    }
    const bool hurries = text.size() > kLongText;
    if (matcher.can_finish() && (hurries || all.empty() || random() % 4 == 0)) return text;
    const std::string& from = common.empty() || (!hurries && random() % 8 == 0) ? all : common;
    std::optional<uint8_t> byte;
    const bool ends = hurries ? random() % 2 == 0 : random() % 6 == 0;
    if (ends) byte = ending(from);
    if (!byte) byte = static_cast<uint8_t>(from[random() % from.size()]);
    LOCKSTEP_CHECK(matcher.accept(*byte));
    text += static_cast<char>(*byte);
  }
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  std::mt19937 random(static_cast<uint32_t>(std::atoi(argv[2])));
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json answer = nlohmann::json::array();
    try {
      const Grammar grammar = schema_grammar(read_schema(line));
      for (int i = 0; i < std::atoi(argv[1]); ++i) {
        if (const std::optional<std::string> text = random_text(grammar, random)) answer.push_back(*text);
      }
    } catch (const lockstep::Error& error) {
      answer = error.what();
    }
    std::cout << answer.dump() << "\n";
  }
}
