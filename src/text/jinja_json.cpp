// Values as JSON, laid out as Python's json.dumps() does.
#include <algorithm>
#include <cmath>

#include "text/jinja_builtins.h"
#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(CallContext& context, const JsonStyle& style) : context_(context), style_(style) {}

  std::string run(const Value& value) {
    write(value, 0);
    return std::move(text_);
  }

 private:
  void put(std::string_view part) {
    context_.budget.spend(1 + part.size() / 32);
    text_ += part;
    if (text_.size() > context_.budget.limits().maximum_string_bytes)
      context_.budget.spend_string(text_.size());
  }

  void new_line(int level) {
    put("\n");
    for (int i = 0; i < level; ++i) put(*style_.indent);
  }

  void write(const Value& value, int level) {
    if (level > kMaximumNesting) fail("values are nested too deep for JSON");
    switch (value.kind()) {
      case Kind::None:
        return put("null");
      case Kind::Boolean:
        return put(value.as_boolean() ? "true" : "false");
      case Kind::Integer:
        return put(integer_text(value.as_integer()));
      case Kind::Float:
        return put(number_text(value.as_float()));
      case Kind::String:
        return write_string(value.as_string());
      case Kind::Dict:
        return write_dict(value.as_dict(), level);
      case Kind::Sequence:
        if (value.is_sequence(SequenceKind::List) || value.is_sequence(SequenceKind::Tuple) ||
            value.is_sequence(SequenceKind::Group)) {
          return write_list(value.as_sequence().items, level);
        }
        break;
      default:
        break;
    }
    fail("a value of type {} has no form in JSON{}", value.type_name(),
         value.is_undefined() ? ": " + value.undefined_message() : "");
  }

  static std::string number_text(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return float_text(value);
  }

  void write_list(const std::vector<Value>& items, int level) {
    if (items.empty()) return put("[]");
    put("[");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) put(style_.item_separator);
      if (style_.indent) new_line(level + 1);
      write(items[i], level + 1);
    }
    if (style_.indent) new_line(level);
    put("]");
  }

  static std::string key_text(const Value& key) {
    switch (key.kind()) {
      case Kind::String:
        return key.as_string();
      case Kind::None:
        return "null";
      case Kind::Boolean:
        return key.as_boolean() ? "true" : "false";
      case Kind::Integer:
        return integer_text(key.as_integer());
      case Kind::Float:
        return number_text(key.as_float());
      default:
        fail("a value of type {} cannot be a key in JSON", key.type_name());
    }
  }

  void write_dict(const Dict& dict, int level) {
    if (dict.entries().empty()) return put("{}");
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries()) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [&](const auto* a, const auto* b) { return less(context_, a->first, b->first); });
    }
    put("{");
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) put(style_.item_separator);
      if (style_.indent) new_line(level + 1);
      write_string(key_text(entries[i]->first));
      put(style_.key_separator);
      write(entries[i]->second, level + 1);
    }
    if (style_.indent) new_line(level);
    put("}");
  }

  void write_string(const std::string& text) {
    static constexpr std::string_view kEscaped = "\"\\\n\r\t\b\f";
    static constexpr std::string_view kLetters = "\"\\nrtbf";
    std::string result = "\"";
    for (char32_t point : style_.ensure_ascii ? decode(text) : std::u32string()) append_ascii(result, point);
    for (char c : style_.ensure_ascii ? std::string() : text) {
      size_t escaped = kEscaped.find(c);
      if (escaped != std::string_view::npos) {
        result += '\\';
        result += kLetters[escaped];
      } else if (static_cast<unsigned char>(c) < 0x20) {
        result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        result += c;
      }
    }
    put(result + "\"");
  }

  static void append_ascii(std::string& result, char32_t point) {
    static constexpr std::string_view kEscaped = "\"\\\n\r\t\b\f";
    static constexpr std::string_view kLetters = "\"\\nrtbf";
    size_t escaped = point < 0x80 ? kEscaped.find(static_cast<char>(point)) : std::string_view::npos;
    auto code = static_cast<uint32_t>(point);
    if (escaped != std::string_view::npos) {
      result += '\\';
      result += kLetters[escaped];
    } else if (point >= 0x20 && point < 0x7F) {
      result += static_cast<char>(point);
    } else if (point < 0x10000) {
      result += code == 0x7F ? "\x7f" : fmt::format("\\u{:04x}", code);
    } else {
      code -= 0x10000;
      result += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF));
    }
  }

  CallContext& context_;
  const JsonStyle& style_;
  std::string text_;
};

}  // namespace

std::string to_json(CallContext& context, const Value& value, const JsonStyle& style) {
  return JsonWriter(context, style).run(value);
}

}  // namespace lockstep::text::jinja
