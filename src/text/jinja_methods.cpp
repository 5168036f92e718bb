// The methods of strings, lists, tuples, ranges and dicts.
#include <algorithm>

#include "text/jinja_builtins.h"
#include "text/jinja_format.h"
#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

using Method = Value (*)(CallContext& context, const Value& self, Arguments& arguments);

class BoundMethod : public Object {
 public:
  BoundMethod(Value self, std::string name, Method method)
      : self_(std::move(self)), name_(std::move(name)), method_(method) {}
  std::string type_name() const override { return "builtin_function_or_method"; }
  std::string print(Budget&, int) const override {
    return fmt::format("<built-in method {} of {} object>", name_, self_.type_name());
  }
  bool callable() const override { return true; }
  Value call(CallContext& context, Arguments& arguments) override {
    if (self_.is_string()) context.budget.spend_string(self_.as_string().size());
    return method_(context, self_, arguments);
  }
  int depth() const override { return self_.depth() + 1; }

 private:
  Value self_;
  std::string name_;
  Method method_;
};

// A separator or a set of characters: null if it is left out or none.
const std::string* optional_text(const Bound& bound, size_t index) {
  return bound.given(index) && !bound[index].is_none() ? &bound.text(index) : nullptr;
}

Value string_list(CallContext& context, const std::vector<std::string>& parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string& part : parts) items.push_back(make_string(context, part));
  return Value::list(std::move(items));
}

Value strip_ends(const Value& self, Arguments& arguments, bool left, bool right) {
  Bound bound(arguments, "strip()", {""}, 0);
  return Value::string(std::string(strip(self.as_string(), optional_text(bound, 0), left, right)));
}

Value split_text(CallContext& context, const Value& self, Arguments& arguments, bool from_right) {
  Bound bound(arguments, "split()", {"sep", "maxsplit"}, 0);
  const std::string* separator = optional_text(bound, 0);
  if (separator && separator->empty()) fail("split() needs a separator that is not empty");
  int64_t maximum = bound.integer_or(1, -1);
  const std::string& text = self.as_string();
  return string_list(
      context, from_right ? split_from_right(text, separator, maximum) : split(text, separator, maximum));
}

Value partition(CallContext& context, const Value& self, Arguments& arguments, bool from_right) {
  Bound bound(arguments, "partition()", {""}, 1);
  const std::string& separator = bound.text(0);
  if (separator.empty()) fail("partition() needs a separator that is not empty");
  const std::string& text = self.as_string();
  size_t place = from_right ? text.rfind(separator) : text.find(separator);
  std::vector<std::string> parts = {text, "", ""};
  if (place != std::string::npos) {
    parts = {text.substr(0, place), separator, text.substr(place + separator.size())};
  } else if (from_right) {
    std::swap(parts[0], parts[2]);
  }
  std::vector<Value> items;
  for (std::string& part : parts) items.push_back(make_string(context, std::move(part)));
  return Value::tuple(std::move(items));
}

// Code points, and the part of them between two optional indices as in a slice.
struct Searched {
  std::u32string points;
  size_t start = 0;
  size_t end = 0;
  bool valid = true;  // false if the start lies beyond the end
};

Searched searched_part(const Value& self, const Bound& bound, size_t first_index) {
  Searched part;
  part.points = decode(self.as_string());
  auto size = static_cast<int64_t>(part.points.size());
  auto resolve = [&](size_t index, int64_t otherwise) {
    if (!bound.given(index) || bound[index].is_none()) return otherwise;
    int64_t place = bound.integer(index);
    return std::max<int64_t>(place < 0 ? place + size : place, 0);
  };
  int64_t start = resolve(first_index, 0);
  int64_t end = std::min(resolve(first_index + 1, size), size);
  part.valid = start <= end;
  part.start = static_cast<size_t>(std::min(start, size));
  part.end = static_cast<size_t>(end);
  return part;
}

// The index of a part of the string, -1 if it is not there.
int64_t find_text(const Value& self, Arguments& arguments, const char* what, bool from_right) {
  Bound bound(arguments, what, {"", "", ""}, 1);
  std::u32string wanted = decode(bound.text(0));
  Searched part = searched_part(self, bound, 1);
  if (!part.valid) return -1;
  std::u32string_view view = std::u32string_view(part.points).substr(part.start, part.end - part.start);
  size_t found = from_right ? view.rfind(wanted) : view.find(wanted);
  return found == std::u32string_view::npos ? -1 : static_cast<int64_t>(found + part.start);
}

Value find_or_fail(const Value& self, Arguments& arguments, bool from_right) {
  int64_t place = find_text(self, arguments, "index()", from_right);
  if (place < 0) fail("index() does not find its text");
  return Value::integer(place);
}

Value count_text(CallContext&, const Value& self, Arguments& arguments) {
  Bound bound(arguments, "count()", {"", "", ""}, 1);
  std::u32string wanted = decode(bound.text(0));
  Searched part = searched_part(self, bound, 1);
  if (!part.valid) return Value::integer(0);
  std::u32string_view view = std::u32string_view(part.points).substr(part.start, part.end - part.start);
  if (wanted.empty()) return Value::integer(static_cast<WideInteger>(view.size() + 1));
  WideInteger count = 0;
  for (size_t place = view.find(wanted); place != std::u32string_view::npos;
       place = view.find(wanted, place + wanted.size())) {
    ++count;
  }
  return Value::integer(count);
}

Value has_end(const Value& self, Arguments& arguments, bool at_start) {
  Bound bound(arguments, at_start ? "startswith()" : "endswith()", {"", "", ""}, 1);
  Searched part = searched_part(self, bound, 1);
  std::u32string_view view =
      std::u32string_view(part.points).substr(part.start, part.valid ? part.end - part.start : 0);
  auto matches = [&](const Value& candidate) {
    if (!candidate.is_string()) fail("startswith() and endswith() need a string or a tuple of strings");
    std::u32string wanted = decode(candidate.as_string());
    return part.valid && (at_start ? view.starts_with(wanted) : view.ends_with(wanted));
  };
  if (!bound[0].is_sequence(SequenceKind::Tuple)) return Value::boolean(matches(bound[0]));
  const auto& candidates = bound[0].as_sequence().items;
  return Value::boolean(std::any_of(candidates.begin(), candidates.end(), matches));
}

Value join_texts(CallContext& context, const Value& self, Arguments& arguments) {
  Bound bound(arguments, "join()", {""}, 1);
  std::string result;
  bool first = true;
  for (const Value& item : iterate(context, bound[0])) {
    if (!item.is_string()) fail("join() needs strings, not a value of type {}", item.type_name());
    context.budget.spend_string(result.size() > item.as_string().size() ? item.as_string().size()
                                                                        : result.size());
    if (!first) result += self.as_string();
    result += item.as_string();
    first = false;
    if (result.size() > context.budget.limits().maximum_string_bytes) break;
  }
  return make_string(context, std::move(result));
}

Value justify(CallContext& context, const Value& self, Arguments& arguments, char alignment) {
  Bound bound(arguments, "center(), ljust() and rjust()", {"", ""}, 1);
  std::string fill = bound.given(1) ? bound.text(1) : " ";
  if (length_of(fill) != 1) fail("text is padded with one character, not with '{}'", fill);
  auto size = static_cast<int64_t>(length_of(self.as_string()));
  int64_t missing = bound.integer(0) - size;
  if (missing <= 0) return self;
  context.budget.spend_string(static_cast<size_t>(missing) > context.budget.limits().maximum_string_bytes
                                  ? static_cast<size_t>(missing)
                                  : self.as_string().size() + static_cast<size_t>(missing) * fill.size());
  // Python's center() puts the odd blank left if both the width and what is missing are odd.
  int64_t left = alignment == '<'   ? 0
                 : alignment == '>' ? missing
                                    : missing / 2 + (missing & (size + missing) & 1);
  std::string result;
  for (int64_t i = 0; i < left; ++i) result += fill;
  result += self.as_string();
  for (int64_t i = left; i < missing; ++i) result += fill;
  return Value::string(std::move(result));
}

Value zero_fill(CallContext& context, const Value& self, Arguments& arguments) {
  Bound bound(arguments, "zfill()", {""}, 1);
  const std::string& text = self.as_string();
  int64_t missing = bound.integer(0) - static_cast<int64_t>(length_of(text));
  if (missing <= 0) return self;
  context.budget.spend_string(text.size() + static_cast<size_t>(missing));
  size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  return Value::string(text.substr(0, sign) + std::string(static_cast<size_t>(missing), '0') +
                       text.substr(sign));
}

Value remove_end(const Value& self, Arguments& arguments, bool at_start) {
  Bound bound(arguments, at_start ? "removeprefix()" : "removesuffix()", {""}, 1);
  std::string_view text = self.as_string();
  const std::string& part = bound.text(0);
  if (at_start && text.starts_with(part)) text.remove_prefix(part.size());
  if (!at_start && text.ends_with(part)) text.remove_suffix(part.size());
  return Value::string(std::string(text));
}

Value replace_method(CallContext& context, const Value& self, Arguments& arguments) {
  Bound bound(arguments, "replace()", {"", "", ""}, 2);
  return replace_text(context, self.as_string(), bound.text(0), bound.text(1), bound.integer_or(2, -1));
}

template <CharacterClass kClass>
Value is_class(CallContext&, const Value& self, Arguments& arguments) {
  Bound bound(arguments, "a method of strings that asks what they consist of", {}, 0);
  return Value::boolean(belongs_to(self.as_string(), kClass));
}

template <std::string (*kChange)(std::string_view)>
Value change_case(CallContext& context, const Value& self, Arguments& arguments) {
  Bound bound(arguments, "a method of strings that changes their case", {}, 0);
  return make_string(context, kChange(self.as_string()));
}

const FunctionTable<Method>& string_methods() {
  static const FunctionTable<Method> table = {
      {"strip",
       [](CallContext&, const Value& self, Arguments& a) { return strip_ends(self, a, true, true); }},
      {"lstrip",
       [](CallContext&, const Value& self, Arguments& a) { return strip_ends(self, a, true, false); }},
      {"rstrip",
       [](CallContext&, const Value& self, Arguments& a) { return strip_ends(self, a, false, true); }},
      {"split",
       [](CallContext& c, const Value& self, Arguments& a) { return split_text(c, self, a, false); }},
      {"rsplit",
       [](CallContext& c, const Value& self, Arguments& a) { return split_text(c, self, a, true); }},
      {"splitlines",
       [](CallContext& c, const Value& self, Arguments& a) {
         Bound bound(a, "splitlines()", {"keepends"}, 0);
         return string_list(c, split_lines(self.as_string(), bound.truthy_or(0, false)));
       }},
      {"partition",
       [](CallContext& c, const Value& self, Arguments& a) { return partition(c, self, a, false); }},
      {"rpartition",
       [](CallContext& c, const Value& self, Arguments& a) { return partition(c, self, a, true); }},
      {"find", [](CallContext&, const Value& self,
                  Arguments& a) { return Value::integer(find_text(self, a, "find()", false)); }},
      {"rfind", [](CallContext&, const Value& self,
                   Arguments& a) { return Value::integer(find_text(self, a, "rfind()", true)); }},
      {"index", [](CallContext&, const Value& self, Arguments& a) { return find_or_fail(self, a, false); }},
      {"rindex", [](CallContext&, const Value& self, Arguments& a) { return find_or_fail(self, a, true); }},
      {"count", count_text},
      {"startswith", [](CallContext&, const Value& self, Arguments& a) { return has_end(self, a, true); }},
      {"endswith", [](CallContext&, const Value& self, Arguments& a) { return has_end(self, a, false); }},
      {"join", join_texts},
      {"replace", replace_method},
      {"center", [](CallContext& c, const Value& self, Arguments& a) { return justify(c, self, a, '^'); }},
      {"ljust", [](CallContext& c, const Value& self, Arguments& a) { return justify(c, self, a, '<'); }},
      {"rjust", [](CallContext& c, const Value& self, Arguments& a) { return justify(c, self, a, '>'); }},
      {"zfill", zero_fill},
      {"removeprefix",
       [](CallContext&, const Value& self, Arguments& a) { return remove_end(self, a, true); }},
      {"removesuffix",
       [](CallContext&, const Value& self, Arguments& a) { return remove_end(self, a, false); }},
      {"format",
       [](CallContext& c, const Value& self, Arguments& a) { return format_braces(c, self.as_string(), a); }},
      {"upper", change_case<to_upper>},
      {"lower", change_case<to_lower>},
      {"casefold", change_case<to_lower>},
      {"title", change_case<to_title>},
      {"capitalize", change_case<capitalize>},
      {"swapcase", change_case<swap_case>},
      {"isalpha", is_class<CharacterClass::Alphabetic>},
      {"isalnum", is_class<CharacterClass::Alphanumeric>},
      {"isdecimal", is_class<CharacterClass::Decimal>},
      {"isdigit", is_class<CharacterClass::Digit>},
      {"isnumeric", is_class<CharacterClass::Numeric>},
      {"isspace", is_class<CharacterClass::Space>},
      {"isupper", is_class<CharacterClass::Upper>},
      {"islower", is_class<CharacterClass::Lower>},
      {"istitle", is_class<CharacterClass::Title>},
      {"isascii", [](CallContext&, const Value& self,
                     Arguments&) { return Value::boolean(is_ascii(self.as_string())); }},
  };
  return table;
}

Value count_items(CallContext& context, const Value& self, Arguments& arguments) {
  Bound bound(arguments, "count()", {""}, 1);
  const auto& items = self.as_sequence().items;
  return Value::integer(std::count_if(items.begin(), items.end(),
                                      [&](const Value& item) { return equals(context, item, bound[0]); }));
}

Value index_of_item(CallContext& context, const Value& self, Arguments& arguments) {
  Bound bound(arguments, "index()", {"", "", ""}, 1);
  const auto& items = self.as_sequence().items;
  auto size = static_cast<int64_t>(items.size());
  auto clamp = [&](int64_t place) { return std::clamp<int64_t>(place < 0 ? place + size : place, 0, size); };
  int64_t end = clamp(bound.integer_or(2, size));
  for (int64_t i = clamp(bound.integer_or(1, 0)); i < end; ++i) {
    if (equals(context, items[static_cast<size_t>(i)], bound[0])) return Value::integer(i);
  }
  fail("index() does not find its item");
}

const FunctionTable<Method>& sequence_methods() {
  static const FunctionTable<Method> table = {{"count", count_items}, {"index", index_of_item}};
  return table;
}

template <SequenceKind kKind>
Value dict_view(CallContext& context, const Value& self, Arguments& arguments) {
  Bound bound(arguments, "a method of dicts that lists them", {}, 0);
  std::vector<Value> items;
  for (const auto& [key, value] : self.as_dict().entries()) {
    context.budget.spend(1);
    if constexpr (kKind == SequenceKind::DictItems) {
      items.push_back(Value::tuple({key, value}));
    } else {
      items.push_back(kKind == SequenceKind::DictKeys ? key : value);
    }
  }
  return Value::sequence(kKind, std::move(items));
}

const FunctionTable<Method>& dict_methods() {
  static const FunctionTable<Method> table = {
      {"get",
       [](CallContext&, const Value& self, Arguments& arguments) {
         Bound bound(arguments, "get()", {"", ""}, 1);
         const Value* found = self.as_dict().find(bound[0]);
         return found ? *found : bound.value_or(1, Value());
       }},
      {"items", dict_view<SequenceKind::DictItems>},
      {"keys", dict_view<SequenceKind::DictKeys>},
      {"values", dict_view<SequenceKind::DictValues>},
      {"copy",
       [](CallContext&, const Value& self, Arguments& arguments) {
         Bound bound(arguments, "copy()", {}, 0);
         return self;
       }},
  };
  return table;
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Value replace_text(CallContext& context, const std::string& text, const std::string& old_part,
                   const std::string& new_part, int64_t maximum) {
  context.budget.spend_string(text.size());
  std::string result;
  auto limit = static_cast<uint64_t>(maximum);  // a negative one is no limit
  uint64_t count = 0;
  size_t position = 0;
  auto put = [&](std::string_view part) {
    result += part;
    if (result.size() > context.budget.limits().maximum_string_bytes)
      context.budget.spend_string(result.size());
  };
  if (old_part.empty()) {
    for (char32_t point : decode(text)) {
      if (count++ < limit) put(new_part);
      put(encode(point));
    }
    if (count < limit) put(new_part);
    return make_string(context, std::move(result));
  }
  while (count < limit) {
    size_t found = text.find(old_part, position);
    if (found == std::string::npos) break;
    put(std::string_view(text).substr(position, found - position));
    put(new_part);
    position = found + old_part.size();
    ++count;
  }
  put(std::string_view(text).substr(position));
  return make_string(context, std::move(result));
}

std::optional<Value> find_method(const Value& self, const std::string& name) {
  auto refused = [&] {
    return Value::undefined(
        fmt::format("a template may not change its values: '{}' of a {} is refused", name, self.type_name()));
  };
  const FunctionTable<Method>* table = nullptr;
  if (self.is_string()) {
    table = &string_methods();
    if (is_one_of(name, {"encode", "expandtabs", "translate", "maketrans", "format_map", "isidentifier",
                         "isprintable"})) {
      fail("the method '{}' of strings is not supported", name);
    }
  } else if (self.kind() == Kind::Dict) {
    table = &dict_methods();
    if (is_one_of(name, {"clear", "pop", "popitem", "setdefault", "update"})) return refused();
  } else if (self.is_sequence(SequenceKind::List)) {
    table = &sequence_methods();
    if (is_one_of(name, {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"}))
      return refused();
    if (name == "copy") {
      return Value::object(std::make_shared<BoundMethod>(
          self, name, +[](CallContext&, const Value& list, Arguments&) { return list; }));
    }
  } else if (self.kind() == Kind::Sequence && !self.is_sequence(SequenceKind::DictItems) &&
             !self.is_sequence(SequenceKind::DictKeys) && !self.is_sequence(SequenceKind::DictValues)) {
    table = &sequence_methods();
  }
  if (!table) return std::nullopt;
  auto found = table->find(name);
  if (found == table->end()) return std::nullopt;
  return Value::object(std::make_shared<BoundMethod>(self, name, found->second));
}

}  // namespace lockstep::text::jinja
