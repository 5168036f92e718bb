#include "text/jinja_format.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/jinja_builtins.h"
#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

constexpr int64_t kMaximumPrecision = 1000;

struct FieldFormat {
  std::string fill = " ";
  char alignment = 0;  // '<', '>', '^', '=' or none
  char sign = 0;       // '+', ' ' or none
  bool alternate = false;
  bool thousands = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

// Reads decimal digits at `position`; refuses more than the strings that may be made.
int64_t read_number(CallContext& context, std::string_view text, size_t& position) {
  int64_t value = 0;
  for (; position < text.size() && text[position] >= '0' && text[position] <= '9'; ++position) {
    value = value * 10 + (text[position] - '0');
    if (value > static_cast<int64_t>(context.budget.limits().maximum_string_bytes))
      fail("a width in a format is too large");
  }
  return value;
}

std::string pad(CallContext& context, const std::string& text, const FieldFormat& format, char otherwise) {
  auto size = static_cast<int64_t>(length_of(text));
  if (size >= format.width) return text;
  auto missing = static_cast<size_t>(format.width - size);
  context.budget.spend_string(text.size() + missing * format.fill.size());
  char alignment = format.alignment ? format.alignment : otherwise;
  size_t before = alignment == '<' ? 0 : alignment == '^' ? missing / 2 : missing;
  std::string left;
  std::string right;
  for (size_t i = 0; i < before; ++i) left += format.fill;
  for (size_t i = before; i < missing; ++i) right += format.fill;
  bool signed_text = !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ');
  if (alignment == '=' && signed_text) return text.substr(0, 1) + left + text.substr(1);
  return left + text + right;
}

std::string with_thousands(std::string digits) {
  size_t end = digits.find_first_not_of("0123456789");
  if (end == std::string::npos) end = digits.size();
  for (size_t place = end; place > 3; place -= 3) digits.insert(place - 3, ",");
  return digits;
}

std::string integer_digits(WideInteger magnitude, char type, bool alternate) {
  switch (type) {
    case 'x':
      return fmt::format("{}{:x}", alternate ? "0x" : "", magnitude);
    case 'X':
      return fmt::format("{}{:X}", alternate ? "0X" : "", magnitude);
    case 'o':
      return fmt::format("{}{:o}", alternate ? "0o" : "", magnitude);
    case 'b':
      return fmt::format("{}{:b}", alternate ? "0b" : "", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

std::string float_digits(double magnitude, const FieldFormat& format) {
  if (format.precision > kMaximumPrecision)
    fail("a precision of more than {} is too large", kMaximumPrecision);
  if (format.type == 0 && format.precision < 0) return float_text(magnitude);
  if (std::isnan(magnitude)) return "nan";
  if (std::isinf(magnitude)) return "inf";
  char type = format.type == 0 || format.type == '%' ? (format.type == 0 ? 'g' : 'f') : format.type;
  if (type == 'F') type = 'f';
  const char pattern[] = {'%',
                          format.alternate ? '#' : '.',
                          format.alternate ? '.' : '*',
                          format.alternate ? '*' : type,
                          format.alternate ? type : '\0',
                          '\0'};
  int precision = format.precision < 0 ? 6 : static_cast<int>(format.precision);
  char buffer[kMaximumPrecision + 400];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  int size = std::snprintf(buffer, sizeof(buffer), pattern, precision,
                           format.type == '%' ? magnitude * 100 : magnitude);
#pragma GCC diagnostic pop
  std::string text(buffer, static_cast<size_t>(size));
  if (format.type == 0 && text.find_first_of(".e") == std::string::npos) text += ".0";
  return format.type == '%' ? text + "%" : text;
}

std::string format_number(CallContext& context, const Value& value, const FieldFormat& format) {
  static constexpr std::string_view kFloatTypes = "eEfFgG%";
  bool as_float =
      value.kind() == Kind::Float || (format.type && kFloatTypes.find(format.type) != std::string_view::npos);
  bool negative =
      as_float ? std::signbit(value.as_float()) && !std::isnan(value.as_float()) : value.as_integer() < 0;
  std::string digits;
  if (as_float) {
    digits = float_digits(std::fabs(value.as_float()), format);
  } else {
    WideInteger magnitude = negative ? -value.as_integer() : value.as_integer();
    digits = integer_digits(magnitude, format.type, format.alternate);
    while (static_cast<int64_t>(digits.size()) < std::min(format.precision, kMaximumPrecision))
      digits.insert(0, "0");
  }
  if (format.thousands) digits = with_thousands(digits);
  std::string sign = negative ? "-" : format.sign ? std::string(1, format.sign) : "";
  return pad(context, sign + digits, format, '>');
}

std::string format_string(CallContext& context, std::string text, const FieldFormat& format, char alignment) {
  if (format.precision >= 0) {
    std::u32string points = decode(text);
    if (static_cast<int64_t>(points.size()) > format.precision) {
      text = encode(std::u32string_view(points).substr(0, static_cast<size_t>(format.precision)));
    }
  }
  return pad(context, text, format, alignment);
}

// The values of a format with '%', taken one after another or by name.
class PercentValues {
 public:
  explicit PercentValues(const Value& values)
      : values_(values), is_tuple_(values.is_sequence(SequenceKind::Tuple)) {}

  Value next() {
    bool enough = is_tuple_ ? used_ < values_.as_sequence().items.size() : used_ == 0;
    if (!enough) fail("a format with '%' has more fields than values");
    return is_tuple_ ? values_.as_sequence().items[used_++] : (++used_, values_);
  }
  Value named(CallContext& context, const std::string& name) {
    if (values_.kind() != Kind::Dict) fail("a format with '%({})' needs a dict of values", name);
    const Value* found = values_.as_dict().find(name);
    if (!found) fail("a format with '%' asks for '{}', which its dict has not", name);
    context.budget.spend(1);
    by_name_ = true;
    return *found;
  }
  void finish() const {
    bool mapping = values_.kind() == Kind::Dict || values_.is_undefined() ||
                   (values_.kind() == Kind::Sequence && !is_tuple_);
    bool all_used = is_tuple_ ? used_ == values_.as_sequence().items.size() : used_ == 1 || mapping;
    if (!all_used && !by_name_) fail("a format with '%' has fewer fields than values");
  }

 private:
  const Value& values_;
  bool is_tuple_;
  size_t used_ = 0;
  bool by_name_ = false;
};

// The flags, width, precision and type after '%', up to the type.
FieldFormat read_percent_field(CallContext& context, std::string_view text, size_t& position,
                               PercentValues& values) {
  FieldFormat format;
  bool zero = false;
  for (; position < text.size(); ++position) {
    char c = text[position];
    if (c == '-') {
      format.alignment = '<';
    } else if (c == '+' || (c == ' ' && format.sign != '+')) {
      format.sign = c;
    } else if (c == '0') {
      zero = true;
    } else if (c == '#') {
      format.alternate = true;
    } else if (c != ' ') {
      break;
    }
  }
  auto read_size = [&]() -> int64_t {
    if (position >= text.size() || text[position] != '*') return read_number(context, text, position);
    ++position;
    Value size = values.next();
    if (!size.is_integral()) fail("'*' in a format with '%' needs an integer");
    if (size.as_integer() > 0xFFFFFFF || size.as_integer() < -0xFFFFFFF)
      fail("a width in a format is too large");
    return static_cast<int64_t>(size.as_integer());
  };
  format.width = read_size();
  if (format.width < 0) {
    format.width = -format.width;
    format.alignment = '<';
  }
  if (position < text.size() && text[position] == '.') {
    ++position;
    format.precision = std::max<int64_t>(read_size(), 0);
  }
  while (position < text.size() && (text[position] == 'l' || text[position] == 'h' || text[position] == 'L'))
    ++position;
  if (position >= text.size()) fail("a format with '%' ends inside a field");
  format.type = text[position++];
  bool is_text = format.type == 's' || format.type == 'r' || format.type == 'c' || format.type == 'a';
  if (zero && format.alignment == 0 && !is_text) {
    format.fill = "0";
    format.alignment = '=';
  }
  return format;
}

std::string percent_field(CallContext& context, const Value& value, FieldFormat format) {
  switch (format.type) {
    case 's':
      return format_string(context, to_text(value, context.budget), format, '>');
    case 'r':
    case 'a':
      return format_string(context, to_repr(value, context.budget), format, '>');
    case 'c':
      if (value.is_string() && length_of(value.as_string()) == 1)
        return format_string(context, value.as_string(), format, '>');
      if (value.is_integral() && value.as_integer() >= 0 && value.as_integer() < 0x110000) {
        return format_string(context, encode(static_cast<char32_t>(value.as_integer())), format, '>');
      }
      fail("'%c' needs one character");
    case 'd':
    case 'i':
    case 'u':
      format.type = 'd';
      if (value.kind() == Kind::Float) {
        if (!std::isfinite(value.as_float()) || std::fabs(value.as_float()) >= 0x1p64)
          fail("'%d' cannot show {}", float_text(value.as_float()));
        return format_number(context, Value::integer(static_cast<WideInteger>(value.as_float())), format);
      }
      break;
    case 'x':
    case 'X':
    case 'o':
      if (!value.is_integral())
        fail("'%{}' needs an integer, not a value of type {}", format.type, value.type_name());
      break;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
      break;
    default:
      fail("a format with '%' has no type '{}'", format.type);
  }
  if (value.is_undefined()) fail("{}", value.undefined_message());
  if (!value.is_number())
    fail("'%{}' needs a number, not a value of type {}", format.type, value.type_name());
  return format_number(context, value, format);
}

}  // namespace

Value format_percent(CallContext& context, const std::string& format, const Value& values) {
  context.budget.spend_string(format.size());
  std::string_view text = format;
  PercentValues source(values);
  std::string result;
  for (size_t position = 0; position < text.size();) {
    size_t mark = std::min(text.find('%', position), text.size());
    result += text.substr(position, mark - position);
    position = mark + 1;
    if (mark == text.size()) break;
    if (position < text.size() && text[position] == '%') {
      result += '%';
      ++position;
      continue;
    }
    std::optional<Value> named;
    if (position < text.size() && text[position] == '(') {
      size_t close = text.find(')', position);
      if (close == std::string_view::npos) fail("a format with '%(' has no ')'");
      named = source.named(context, std::string(text.substr(position + 1, close - position - 1)));
      position = close + 1;
    }
    FieldFormat field = read_percent_field(context, text, position, source);
    if (field.type == '%') {
      result += '%';
      continue;
    }
    result += percent_field(context, named ? *named : source.next(), field);
    if (result.size() > context.budget.limits().maximum_string_bytes)
      context.budget.spend_string(result.size());
  }
  source.finish();
  return make_string(context, std::move(result));
}

namespace {

FieldFormat read_specification(CallContext& context, std::string_view text) {
  FieldFormat format;
  std::u32string points = decode(text);
  size_t position = 0;
  auto is_alignment = [](char32_t c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (points.size() > 1 && is_alignment(points[1])) {
    format.fill = encode(points[0]);
    format.alignment = static_cast<char>(points[1]);
    position = format.fill.size() + 1;
  } else if (!points.empty() && is_alignment(points[0])) {
    format.alignment = static_cast<char>(points[0]);
    position = 1;
  }
  auto at = [&](char c) { return position < text.size() && text[position] == c; };
  if (at('+') || at('-') || at(' ')) {
    format.sign = at('-') ? '\0' : text[position];
    ++position;
  }
  if (at('#')) {
    format.alternate = true;
    ++position;
  }
  if (at('0')) {
    if (format.alignment == 0) {
      format.fill = "0";
      format.alignment = '=';
    }
    ++position;
  }
  format.width = read_number(context, text, position);
  if (at(',')) {
    format.thousands = true;
    ++position;
  }
  if (at('.')) {
    ++position;
    format.precision = read_number(context, text, position);
  }
  if (position < text.size()) format.type = text[position++];
  if (position < text.size()) fail("the format specification '{}' is not understood", text);
  return format;
}

std::string braces_field(CallContext& context, const Value& value, std::string_view specification) {
  if (specification.empty()) return to_text(value, context.budget);
  FieldFormat format = read_specification(context, specification);
  if (value.is_string()) {
    if (format.type != 0 && format.type != 's') fail("a string cannot be formatted as '{}'", format.type);
    return format_string(context, value.as_string(), format, '<');
  }
  if (!value.is_number()) fail("a value of type {} takes no format specification", value.type_name());
  static constexpr std::string_view kIntegerTypes = "dxXob";
  static constexpr std::string_view kFloatTypes = "eEfFgG%";
  bool integer_type = kIntegerTypes.find(format.type) != std::string_view::npos;
  bool float_type = kFloatTypes.find(format.type) != std::string_view::npos;
  if (format.type != 0 && !float_type && !(integer_type && value.is_integral())) {
    fail("a value of type {} cannot be formatted as '{}'", value.type_name(), format.type);
  }
  if (format.precision >= 0 && value.is_integral() && !float_type) fail("an integer takes no precision");
  return format_number(context, value, format);
}

// What a field's name stands for: an argument and the attributes and items after it.
Value field_value(CallContext& context, std::string_view name, Arguments& arguments, int& automatic) {
  size_t end = std::min(name.find_first_of(".["), name.size());
  std::string first(name.substr(0, end));
  Value value;
  bool numbered = !first.empty() && first.find_first_not_of("0123456789") == std::string::npos;
  if (first.empty() || numbered) {
    if ((automatic > 0 && numbered) || (automatic < 0 && !numbered))
      fail("a format mixes '{{}}' with '{{0}}'");
    size_t index = numbered ? 0 : static_cast<size_t>(automatic);
    if (numbered && std::from_chars(first.data(), first.data() + first.size(), index).ec != std::errc())
      index = SIZE_MAX;
    automatic = numbered ? -1 : automatic + 1;
    if (index >= arguments.positional.size()) fail("a format with '{{}}' has more fields than values");
    value = arguments.positional[index];
  } else {
    const Value* found = nullptr;
    for (const auto& [key, argument] : arguments.keywords) found = key == first ? &argument : found;
    if (!found) fail("a format asks for '{}', which is not given", first);
    value = *found;
  }
  while (end < name.size()) {
    size_t start = end + 1;
    if (name[end] == '.') {
      end = std::min(name.find_first_of(".[", start), name.size());
      value = get_attribute(context, value, std::string(name.substr(start, end - start)));
    } else {
      size_t close = name.find(']', start);
      if (close == std::string_view::npos) fail("a format has '[' without ']'");
      std::string key(name.substr(start, close - start));
      int64_t index = 0;
      auto result = std::from_chars(key.data(), key.data() + key.size(), index);
      bool is_index = !key.empty() && result.ec == std::errc() && result.ptr == key.data() + key.size();
      value = get_item(context, value, is_index ? Value::integer(index) : Value::string(key));
      end = close + 1;
      if (end < name.size() && name[end] != '.' && name[end] != '[') fail("a format has text after ']'");
    }
  }
  return value;
}

}  // namespace

Value format_braces(CallContext& context, const std::string& format, Arguments& arguments) {
  context.budget.spend_string(format.size());
  std::string_view text = format;
  std::string result;
  int automatic = 0;
  for (size_t position = 0; position < text.size();) {
    char c = text[position];
    if (c != '{' && c != '}') {
      result += c;
      ++position;
      continue;
    }
    if (position + 1 < text.size() && text[position + 1] == c) {
      result += c;
      position += 2;
      continue;
    }
    size_t close = text.find('}', position);
    if (c == '}' || close == std::string_view::npos) fail("a format has a single '{}'", c);
    std::string_view field = text.substr(position + 1, close - position - 1);
    if (field.find('{') != std::string_view::npos)
      fail("a format with fields inside of fields is not supported");
    size_t name_end = std::min(field.find_first_of("!:"), field.size());
    Value value = field_value(context, field.substr(0, name_end), arguments, automatic);
    if (name_end < field.size() && field[name_end] == '!') {
      char conversion = name_end + 1 < field.size() ? field[name_end + 1] : '\0';
      if (conversion != 's' && conversion != 'r') fail("a format has no conversion '!{}'", conversion);
      value =
          Value::string(conversion == 's' ? to_text(value, context.budget) : to_repr(value, context.budget));
      name_end += 2;
      if (name_end < field.size() && field[name_end] != ':')
        fail("a format needs ':' after '!{}'", conversion);
    }
    result += braces_field(context, value, name_end < field.size() ? field.substr(name_end + 1) : "");
    if (result.size() > context.budget.limits().maximum_string_bytes)
      context.budget.spend_string(result.size());
    position = close + 1;
  }
  return make_string(context, std::move(result));
}

}  // namespace lockstep::text::jinja
