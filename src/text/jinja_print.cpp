// How values print: str() and repr() of Python.
#include <charconv>
#include <cmath>

#include "text/jinja_unicode.h"
#include "text/jinja_value.h"

namespace lockstep::text::jinja {
namespace {

std::string string_repr(const std::string& text) {
  bool double_quotes = text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  char quote = double_quotes ? '"' : '\'';
  std::string result(1, quote);
  for (char32_t point : decode(text)) {
    if (point == '\n') {
      result += "\\n";
    } else if (point == '\r') {
      result += "\\r";
    } else if (point == '\t') {
      result += "\\t";
    } else if (point == '\\' || point == static_cast<char32_t>(quote)) {
      result += '\\';
      result += static_cast<char>(point);
    } else if (is_printable(point)) {
      result += encode(point);
    } else if (point < 0x100) {
      result += fmt::format("\\x{:02x}", static_cast<uint32_t>(point));
    } else if (point < 0x10000) {
      result += fmt::format("\\u{:04x}", static_cast<uint32_t>(point));
    } else {
      result += fmt::format("\\U{:08x}", static_cast<uint32_t>(point));
    }
  }
  return result + quote;
}

// Appends `part`, charging the text that is built.
void append(std::string& text, std::string_view part, Budget& budget) {
  budget.spend(1 + part.size() / 32);
  if (text.size() + part.size() > budget.limits().maximum_string_bytes) {
    budget.spend_string(text.size() + part.size());
  }
  text += part;
}

std::string items_repr(const std::vector<Value>& items, Budget& budget, int depth) {
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    append(text, i == 0 ? "" : ", ", budget);
    append(text, to_repr(items[i], budget, depth + 1), budget);
  }
  return text;
}

std::string sequence_repr(const Sequence& sequence, Budget& budget, int depth) {
  if (sequence.kind == SequenceKind::Range) return sequence.range_text;
  std::string items = items_repr(sequence.items, budget, depth);
  switch (sequence.kind) {
    case SequenceKind::Tuple:
    case SequenceKind::Group:
      return "(" + items + (sequence.items.size() == 1 ? ",)" : ")");
    case SequenceKind::DictItems:
      return "dict_items([" + items + "])";
    case SequenceKind::DictKeys:
      return "dict_keys([" + items + "])";
    case SequenceKind::DictValues:
      return "dict_values([" + items + "])";
    default:
      return "[" + items + "]";
  }
}

std::string dict_repr(const Dict& dict, Budget& budget, int depth) {
  std::string text = "{";
  for (const auto& [key, value] : dict.entries()) {
    append(text, text.size() == 1 ? "" : ", ", budget);
    append(text, to_repr(key, budget, depth + 1), budget);
    append(text, ": ", budget);
    append(text, to_repr(value, budget, depth + 1), budget);
  }
  return text + "}";
}

}  // namespace

std::string integer_text(WideInteger value) {
  return fmt::format("{}", value);
}

// The shortest digits that read back as the same float, laid out as Python does: an exponent below 1e-4
// and from 1e16 on, else a decimal point.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  size_t mark = text.find('e');
  int exponent = 0;
  std::string_view exponent_text = text.substr(mark + (text[mark + 1] == '+' ? 2 : 1));
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  std::string sign = text[0] == '-' ? "-" : "";
  std::string digits;
  for (char c : text.substr(0, mark)) {
    if (c >= '0' && c <= '9') digits += c;
  }
  int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    std::string fraction = count > 1 ? "." + digits.substr(1) : "";
    return fmt::format("{}{}{}e{}{:02}", sign, digits[0], fraction, exponent < 0 ? '-' : '+',
                       std::abs(exponent));
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (count <= exponent + 1) {
    return sign + digits + std::string(static_cast<size_t>(exponent + 1 - count), '0') + ".0";
  }
  size_t point = static_cast<size_t>(exponent) + 1;
  return sign + digits.substr(0, point) + "." + digits.substr(point);
}

std::string to_text(const Value& value, Budget& budget) {
  if (value.is_string()) return value.as_string();
  if (value.is_undefined()) return "";
  return to_repr(value, budget);
}

std::string to_repr(const Value& value, Budget& budget, int depth) {
  budget.spend(1);
  if (depth > kMaximumNesting) fail("values are nested more than {} levels deep", kMaximumNesting);
  switch (value.kind()) {
    case Kind::Undefined:
      return "Undefined";
    case Kind::None:
      return "None";
    case Kind::Boolean:
      return value.as_boolean() ? "True" : "False";
    case Kind::Integer:
      return integer_text(value.as_integer());
    case Kind::Float:
      return float_text(value.as_float());
    case Kind::String:
      budget.spend_string(value.as_string().size());
      return string_repr(value.as_string());
    case Kind::Sequence:
      return sequence_repr(value.as_sequence(), budget, depth);
    case Kind::Dict:
      return dict_repr(value.as_dict(), budget, depth);
    case Kind::Object:
      return value.as_object()->print(budget, depth);
  }
  return "";
}

}  // namespace lockstep::text::jinja
