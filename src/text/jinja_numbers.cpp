// Numbers out of texts, as Python's int() and float() read them.
#include <charconv>
#include <cstdlib>

#include "text/jinja_builtins.h"
#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

// Without the single underscores that Python allows between digits; nothing if one stands elsewhere.
std::optional<std::string> without_underscores(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      result += text[i];
      continue;
    }
    bool between = i > 0 && i + 1 < text.size() && digit_of(text[i - 1]) < 36 && digit_of(text[i + 1]) < 36;
    if (!between) return std::nullopt;
  }
  return result;
}

}  // namespace

std::optional<WideInteger> parse_integer(const std::string& text, int64_t base) {
  std::string_view view = strip(text, nullptr, true, true);
  bool negative = view.starts_with("-");
  if (negative || view.starts_with("+")) view.remove_prefix(1);
  if (base != 0 && (base < 2 || base > 36)) fail("an integer has no base {}", base);
  if (view.size() > 2 && view[0] == '0') {
    char mark = static_cast<char>(view[1] | 0x20);
    int64_t marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (marked != 0 && (base == marked || base == 0)) {
      base = marked;
      view.remove_prefix(2);
      if (view.starts_with("_")) view.remove_prefix(1);
    }
  }
  if (base == 0) base = 10;
  std::optional<std::string> digits = without_underscores(view);
  if (!digits || digits->empty()) return std::nullopt;
  WideInteger value = 0;
  bool too_large = false;
  for (char c : *digits) {
    if (digit_of(c) >= base) return std::nullopt;
    if (!too_large) value = value * base + digit_of(c);
    too_large = too_large || value > kMaximumInteger;
  }
  if (too_large) fail("the number {} does not fit in 64 bits", digits->substr(0, 40));
  return negative ? -value : value;
}

std::optional<double> parse_float(const std::string& text) {
  std::string_view view = strip(text, nullptr, true, true);
  std::optional<std::string> digits = without_underscores(view);
  if (!digits) return std::nullopt;
  std::string_view number = *digits;
  if (number.starts_with("+") && !number.starts_with("+-")) number.remove_prefix(1);
  double value = 0;
  auto result = std::from_chars(number.data(), number.data() + number.size(), value);
  if (result.ptr != number.data() + number.size() || number.empty()) return std::nullopt;
  if (number.find('(') != std::string_view::npos) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) return std::strtod(std::string(number).c_str(), nullptr);
  if (result.ec != std::errc()) return std::nullopt;
  return value;
}

}  // namespace lockstep::text::jinja
