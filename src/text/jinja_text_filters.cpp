// Filters on texts and numbers.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "text/jinja_builtins.h"
#include "text/jinja_format.h"
#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

std::string text_of(CallContext& context, const Value& value) {
  std::string text = to_text(value, context.budget);
  context.budget.spend_string(text.size());
  return text;
}

template <std::string (*kChange)(std::string_view)>
Value change_case(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "a filter that changes the case", {}, 0);
  return make_string(context, kChange(text_of(context, operand)));
}

// Jinja's title(): a word starts after white space, '-' or an opening bracket.
std::string title_words(std::string_view text) {
  std::string result;
  bool word_starts = true;
  std::u32string word;
  auto finish = [&] {
    if (word.empty()) return;
    result += to_upper(encode(word[0])) + to_lower(encode(std::u32string_view(word).substr(1)));
    word.clear();
  };
  for (char32_t point : decode(text)) {
    word_starts = is_space(point) || std::u32string_view(U"-({[<").find(point) != std::u32string_view::npos;
    if (word_starts) {
      finish();
      result += encode(point);
    } else {
      word += point;
    }
  }
  finish();
  return result;
}

Value trim(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'trim'", {"chars"}, 0);
  std::string text = text_of(context, operand);
  const std::string* set = bound.given(0) && !bound[0].is_none() ? &bound.text(0) : nullptr;
  return Value::string(std::string(strip(text, set, true, true)));
}

Value replace(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'replace'", {"old", "new", "count"}, 2);
  int64_t maximum = bound.given(2) && !bound[2].is_none() ? bound.integer(2) : -1;
  return replace_text(context, to_text(operand, context.budget), to_text(bound[0], context.budget),
                      to_text(bound[1], context.budget), maximum);
}

Value indent(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'indent'", {"width", "first", "blank"}, 0);
  if (operand.is_undefined()) fail("{}", operand.undefined_message());
  if (!operand.is_string())
    fail("the filter 'indent' needs a string, not a value of type {}", operand.type_name());
  std::string indention(4, ' ');
  if (bound.given(0) && bound[0].is_string()) {
    indention = bound.text(0);
  } else if (bound.given(0)) {
    int64_t width = std::max<int64_t>(bound.integer(0), 0);
    context.budget.spend_string(static_cast<size_t>(width));
    indention = std::string(static_cast<size_t>(width), ' ');
  }
  std::vector<std::string> lines = split_lines(operand.as_string() + "\n", false);
  std::string result = bound.truthy_or(1, false) ? indention : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) result += "\n";
    if (i > 0 && (bound.truthy_or(2, false) || !lines[i].empty())) result += indention;
    result += lines[i];
    if (result.size() > context.budget.limits().maximum_string_bytes) break;
  }
  return make_string(context, std::move(result));
}

Value truncate(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'truncate'", {"length", "killwords", "end", "leeway"}, 0);
  std::string end = bound.given(2) ? bound.text(2) : "...";
  auto end_size = static_cast<int64_t>(length_of(end));
  int64_t size = bound.integer_or(0, 255);
  int64_t leeway = bound.given(3) && !bound[3].is_none() ? bound.integer(3) : 5;
  if (size < end_size || leeway < 0) {
    fail("the filter 'truncate' needs a length of at least {} and a leeway of at least 0", end_size);
  }
  std::optional<size_t> length_now = length(context, operand);
  if (length_now && static_cast<int64_t>(*length_now) <= size + leeway) return operand;
  if (!operand.is_string())
    fail("the filter 'truncate' needs a string, not a value of type {}", operand.type_name());
  std::u32string points = decode(operand.as_string());
  std::string kept = encode(std::u32string_view(points).substr(0, static_cast<size_t>(size - end_size)));
  if (!bound.truthy_or(1, false)) kept = kept.substr(0, std::min(kept.rfind(' '), kept.size()));
  return make_string(context, kept + end);
}

Value escape(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'escape'", {}, 0);
  std::string result;
  for (char c : text_of(context, operand)) {
    result += c == '&'    ? "&amp;"
              : c == '<'  ? "&lt;"
              : c == '>'  ? "&gt;"
              : c == '\'' ? "&#39;"
              : c == '"'  ? "&#34;"
                          : std::string(1, c);
  }
  return make_string(context, std::move(result));
}

std::string url_quote(const std::string& text, bool in_query) {
  std::string result;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    bool plain = byte < 0x80 &&
                 (belongs_to(std::string(1, c), CharacterClass::Alphanumeric) ||
                  std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && !in_query));
    result += plain ? std::string(1, c) : c == ' ' && in_query ? "+" : fmt::format("%{:02X}", byte);
  }
  return result;
}

Value url_encode(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'urlencode'", {}, 0);
  if (operand.is_string() || !is_iterable(operand))
    return make_string(context, url_quote(text_of(context, operand), false));
  std::vector<Value> pairs;
  if (operand.kind() == Kind::Dict) {
    for (const auto& [key, value] : operand.as_dict().entries()) pairs.push_back(Value::tuple({key, value}));
  } else {
    pairs = iterate(context, operand);
  }
  std::string result;
  for (const Value& pair : pairs) {
    std::vector<Value> parts = iterate(context, pair);
    if (parts.size() != 2) fail("the filter 'urlencode' needs pairs of a key and a value");
    if (!result.empty()) result += "&";
    result += url_quote(text_of(context, parts[0]), true) + "=" + url_quote(text_of(context, parts[1]), true);
  }
  return make_string(context, std::move(result));
}

Value call_string_method(CallContext& context, const Value& operand, const char* method,
                         Arguments& arguments) {
  std::optional<Value> bound = find_method(Value::string(text_of(context, operand)), method);
  return bound->as_object()->call(context, arguments);
}

Value to_integer(CallContext&, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'int'", {"default", "base"}, 0);
  if (operand.is_undefined()) fail("{}", operand.undefined_message());
  if (operand.is_integral()) return Value::integer(operand.as_integer());
  std::optional<double> number;
  if (operand.is_string()) {
    if (auto value = parse_integer(operand.as_string(), bound.integer_or(1, 10)))
      return Value::integer(*value);
    number = parse_float(operand.as_string());
    if (number && std::isinf(*number)) number.reset();
  } else if (operand.kind() == Kind::Float) {
    number = operand.as_float();
    if (std::isinf(*number)) fail("infinity has no integer");
  }
  if (!number || std::isnan(*number)) return bound.value_or(0, Value::integer(0));
  if (std::fabs(*number) >= 0x1p64) fail("the number {} does not fit in 64 bits", *number);
  return Value::integer(static_cast<WideInteger>(*number));
}

Value to_float(CallContext&, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'float'", {"default"}, 0);
  if (operand.is_undefined()) fail("{}", operand.undefined_message());
  if (operand.is_number()) return Value::floating(operand.as_float());
  std::optional<double> number;
  if (operand.is_string()) number = parse_float(operand.as_string());
  return number ? Value::floating(*number) : bound.value_or(0, Value::floating(0));
}

Value absolute(CallContext&, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'abs'", {}, 0);
  if (operand.kind() == Kind::Float) return Value::floating(std::fabs(operand.as_float()));
  if (!operand.is_integral())
    fail("the filter 'abs' needs a number, not a value of type {}", operand.type_name());
  return Value::integer(operand.as_integer() < 0 ? -operand.as_integer() : operand.as_integer());
}

// To `precision` decimal digits, ties to even, decided on the exact value.
double round_decimal(double value, int64_t precision) {
  if (!std::isfinite(value)) return value;
  if (precision >= 0) {
    char buffer[800];
    std::snprintf(buffer, sizeof(buffer), "%.*f", static_cast<int>(std::min<int64_t>(precision, 340)), value);
    return *parse_float(buffer);
  }
  if (precision < -308) return std::copysign(0.0, value);
  double scale = std::pow(10.0, static_cast<double>(-precision));
  return std::nearbyint(value / scale) * scale;
}

Value round(CallContext&, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'round'", {"precision", "method"}, 0);
  int64_t precision = bound.integer_or(0, 0);
  std::string method = bound.given(1) ? bound.text(1) : "common";
  if (method != "common" && method != "ceil" && method != "floor")
    fail("the filter 'round' has no method '{}'", method);
  if (operand.is_undefined()) fail("{}", operand.undefined_message());
  if (!operand.is_number())
    fail("the filter 'round' needs a number, not a value of type {}", operand.type_name());
  if (method == "common") {
    if (!operand.is_integral()) return Value::floating(round_decimal(operand.as_float(), precision));
    if (precision >= 0) return Value::integer(operand.as_integer());
    return Value::integer(static_cast<WideInteger>(round_decimal(operand.as_float(), precision)));
  }
  double scale = std::pow(10.0, static_cast<double>(precision));
  double scaled = operand.as_float() * scale;
  if (!std::isfinite(scaled)) fail("the filter 'round' cannot round {}", operand.as_float());
  return Value::floating((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value to_json_filter(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'tojson'", {"ensure_ascii", "indent", "separators", "sort_keys"}, 0);
  JsonStyle style;
  style.ensure_ascii = bound.truthy_or(0, false);
  style.sort_keys = bound.truthy_or(3, false);
  if (bound.given(1) && bound[1].is_string()) {
    style.indent = bound.text(1);
  } else if (bound.given(1) && !bound[1].is_none()) {
    int64_t width = std::max<int64_t>(bound.integer(1), 0);
    context.budget.spend_string(static_cast<size_t>(width));
    style.indent = std::string(static_cast<size_t>(width), ' ');
  }
  if (style.indent) style.item_separator = ",";
  if (bound.given(2) && !bound[2].is_none()) {
    std::vector<Value> parts = iterate(context, bound[2]);
    if (parts.size() != 2 || !parts[0].is_string() || !parts[1].is_string()) {
      fail("the filter 'tojson' needs two separators, both strings");
    }
    style.item_separator = parts[0].as_string();
    style.key_separator = parts[1].as_string();
  }
  return make_string(context, to_json(context, operand, style));
}

Value format_values(CallContext& context, const Value& operand, Arguments& arguments) {
  std::string format = text_of(context, operand);
  if (!arguments.keywords.empty() && !arguments.positional.empty())
    fail("the filter 'format' takes values by place or by name, not both");
  if (arguments.keywords.empty()) return format_percent(context, format, Value::tuple(arguments.positional));
  Dict named;
  for (const auto& [name, value] : arguments.keywords) named.set(Value::string(name), value);
  return format_percent(context, format, Value::dict(std::move(named)));
}

Value word_count(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'wordcount'", {}, 0);
  return Value::integer(static_cast<WideInteger>(count_words(text_of(context, operand))));
}

Value as_text(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'string'", {}, 0);
  return Value::string(text_of(context, operand));
}

Value center(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'center'", {"width"}, 0);
  Arguments width;
  width.positional.push_back(bound.value_or(0, Value::integer(80)));
  return call_string_method(context, operand, "center", width);
}

}  // namespace

const FunctionTable<FilterFunction>& text_filters() {
  static const FunctionTable<FilterFunction> table = {
      {"abs", absolute},
      {"capitalize", change_case<capitalize>},
      {"center", center},
      {"e", escape},
      {"escape", escape},
      {"float", to_float},
      {"forceescape", escape},
      {"format", format_values},
      {"indent", indent},
      {"int", to_integer},
      {"lower", change_case<to_lower>},
      {"replace", replace},
      {"round", round},
      {"safe", as_text},
      {"string", as_text},
      {"title", change_case<title_words>},
      {"tojson", to_json_filter},
      {"trim", trim},
      {"truncate", truncate},
      {"upper", change_case<to_upper>},
      {"urlencode", url_encode},
      {"wordcount", word_count},
  };
  return table;
}

}  // namespace lockstep::text::jinja
