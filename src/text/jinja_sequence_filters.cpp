// Filters on lists, dicts and other values that hold values.
#include <algorithm>
#include <functional>

#include "text/jinja_builtins.h"
#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

using Path = std::vector<Value>;  // keys, one after another

// The parts of an attribute such as "function.name" or "parts.0".
Path attribute_path(const Value& attribute) {
  if (attribute.is_none()) return {};
  if (!attribute.is_string()) return {attribute};
  Path path;
  const std::string dot = ".";
  for (const std::string& part : split(attribute.as_string(), &dot, -1)) {
    bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    path.push_back(number ? Value::integer(parse_integer(part, 10).value_or(0)) : Value::string(part));
  }
  return path;
}

Value follow(CallContext& context, Value item, const Path& path, const Value& otherwise = Value()) {
  for (const Value& part : path) {
    item = get_item(context, item, part);
    if (item.is_undefined() && !otherwise.is_none()) item = otherwise;
  }
  return item;
}

Value without_case(CallContext& context, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  return make_string(context, to_lower(value.as_string()));
}

// What an item is sorted, grouped or compared by.
struct Key {
  Value key;
  Value item;
};

std::vector<Key> keyed(CallContext& context, const Value& operand, const Path& path, bool case_sensitive,
                       const Value& otherwise = Value()) {
  std::vector<Key> keys;
  for (Value& item : iterate(context, operand)) {
    Value key = without_case(context, follow(context, item, path, otherwise), case_sensitive);
    keys.push_back({std::move(key), std::move(item)});
  }
  return keys;
}

void sort_keys(CallContext& context, std::vector<Key>& keys, bool reverse) {
  std::stable_sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    return reverse ? less(context, b.key, a.key) : less(context, a.key, b.key);
  });
}

Value items_of_keys(std::vector<Key> keys) {
  std::vector<Value> items;
  items.reserve(keys.size());
  for (Key& key : keys) items.push_back(std::move(key.item));
  return Value::list(std::move(items));
}

Value sort(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'sort'", {"reverse", "case_sensitive", "attribute"}, 0);
  bool case_sensitive = bound.truthy_or(1, false);
  Value attribute = bound.value_or(2, Value());
  std::vector<Path> paths;
  if (attribute.is_string()) {
    const std::string comma = ",";
    for (const std::string& part : split(attribute.as_string(), &comma, -1))
      paths.push_back(attribute_path(Value::string(part)));
  } else {
    paths.push_back(attribute_path(attribute));
  }
  std::vector<Key> keys;
  for (Value& item : iterate(context, operand)) {
    std::vector<Value> parts;
    for (const Path& path : paths)
      parts.push_back(without_case(context, follow(context, item, path), case_sensitive));
    keys.push_back({Value::list(std::move(parts)), std::move(item)});
  }
  sort_keys(context, keys, bound.truthy_or(0, false));
  return items_of_keys(std::move(keys));
}

Value sort_dict(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'dictsort'", {"case_sensitive", "by", "reverse"}, 0);
  std::string by = bound.given(1) ? bound.text(1) : "key";
  if (by != "key" && by != "value")
    fail("the filter 'dictsort' sorts by 'key' or by 'value', not by '{}'", by);
  if (operand.is_undefined()) fail("{}", operand.undefined_message());
  if (operand.kind() != Kind::Dict)
    fail("the filter 'dictsort' needs a dict, not a value of type {}", operand.type_name());
  std::vector<Key> keys;
  for (const auto& [key, value] : operand.as_dict().entries()) {
    Value sorted_by = without_case(context, by == "key" ? key : value, bound.truthy_or(0, false));
    keys.push_back({std::move(sorted_by), Value::tuple({key, value})});
  }
  sort_keys(context, keys, bound.truthy_or(2, false));
  return items_of_keys(std::move(keys));
}

Value unique(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'unique'", {"case_sensitive", "attribute"}, 0);
  Dict seen;
  std::vector<Value> items;
  for (Key& key :
       keyed(context, operand, attribute_path(bound.value_or(1, Value())), bound.truthy_or(0, false))) {
    if (seen.find(key.key)) continue;
    seen.set(key.key, Value());
    items.push_back(std::move(key.item));
  }
  return make_generator(std::move(items));
}

Value extreme(CallContext& context, const Value& operand, Arguments& arguments, bool largest) {
  Bound bound(arguments, "the filters 'min' and 'max'", {"case_sensitive", "attribute"}, 0);
  std::vector<Key> keys =
      keyed(context, operand, attribute_path(bound.value_or(1, Value())), bound.truthy_or(0, false));
  if (keys.empty()) return Value::undefined("an empty sequence has no smallest or largest item");
  const Key* best = &keys[0];
  for (const Key& key : keys) {
    if (largest ? less(context, best->key, key.key) : less(context, key.key, best->key)) best = &key;
  }
  return best->item;
}

Value group_by(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'groupby'", {"attribute", "default", "case_sensitive"}, 1);
  Path path = attribute_path(bound[0]);
  Value otherwise = bound.value_or(1, Value());
  std::vector<Key> keys = keyed(context, operand, path, bound.truthy_or(2, false), otherwise);
  sort_keys(context, keys, false);
  std::vector<Value> groups;
  for (size_t start = 0; start < keys.size();) {
    size_t end = start;
    std::vector<Value> members;
    for (; end < keys.size() && equals(context, keys[end].key, keys[start].key); ++end)
      members.push_back(keys[end].item);
    if (end == start) members.push_back(keys[end++].item);  // a key that does not even equal itself
    Value grouper = follow(context, keys[start].item, path, otherwise);
    groups.push_back(
        Value::sequence(SequenceKind::Group, {std::move(grouper), Value::list(std::move(members))}));
    start = end;
  }
  return Value::list(std::move(groups));
}

Value sum(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'sum'", {"attribute", "start"}, 0);
  Path path = attribute_path(bound.value_or(0, Value()));
  Value total = bound.value_or(1, Value::integer(0));
  if (total.is_string()) fail("the filter 'sum' adds no strings; 'join' does");
  for (const Value& item : iterate(context, operand)) {
    total = apply_binary(context, BinaryOperator::Add, total, follow(context, item, path));
  }
  return total;
}

Value join(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'join'", {"d", "attribute"}, 0);
  std::string separator = bound.given(0) ? to_text(bound[0], context.budget) : "";
  Path path = attribute_path(bound.value_or(1, Value()));
  std::string result;
  bool first = true;
  for (const Value& item : iterate(context, operand)) {
    std::string text = to_text(follow(context, item, path), context.budget);
    context.budget.spend_string(text.size() + separator.size());
    if (!first) result += separator;
    result += text;
    first = false;
    if (result.size() > context.budget.limits().maximum_string_bytes) break;
  }
  return make_string(context, std::move(result));
}

Value first(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'first'", {}, 0);
  if (auto* generator = operand.object_as<Generator>()) {
    return generator->take_one().value_or(Value::undefined("an empty sequence has no first item"));
  }
  if (operand.kind() == Kind::Sequence && !operand.as_sequence().items.empty())
    return operand.as_sequence().items.front();
  std::vector<Value> items = iterate(context, operand);
  return items.empty() ? Value::undefined("an empty sequence has no first item") : items.front();
}

void refuse_unordered(const Value& operand, const char* what) {
  if (operand.kind() == Kind::Object || !is_iterable(operand)) {
    fail("the filter '{}' needs a list or a string, not a value of type {}", what, operand.type_name());
  }
}

Value last(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'last'", {}, 0);
  refuse_unordered(operand, "last");
  std::vector<Value> items = iterate(context, operand);
  return items.empty() ? Value::undefined("an empty sequence has no last item") : items.back();
}

Value reverse(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'reverse'", {}, 0);
  if (operand.is_string()) {
    std::u32string points = decode(operand.as_string());
    std::reverse(points.begin(), points.end());
    return make_string(context, encode(points));
  }
  std::vector<Value> items = iterate(context, operand);
  std::reverse(items.begin(), items.end());
  return operand.kind() == Kind::Object ? Value::list(std::move(items)) : make_generator(std::move(items));
}

Value count(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'length'", {}, 0);
  std::optional<size_t> size = length(context, operand);
  if (!size) fail("a value of type {} has no length", operand.type_name());
  return Value::integer(static_cast<WideInteger>(*size));
}

Value to_list(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'list'", {}, 0);
  return Value::list(iterate(context, operand));
}

Value dict_items(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'items'", {}, 0);
  std::vector<Value> items;
  if (operand.is_undefined()) return make_generator({});
  if (operand.kind() != Kind::Dict)
    fail("the filter 'items' needs a dict, not a value of type {}", operand.type_name());
  context.budget.spend(operand.as_dict().entries().size());
  for (const auto& [key, value] : operand.as_dict().entries()) items.push_back(Value::tuple({key, value}));
  return make_generator(std::move(items));
}

Value default_value(CallContext&, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'default'", {"default_value", "boolean"}, 0);
  bool replaced = operand.is_undefined() || (bound.truthy_or(1, false) && !operand.truthy());
  return replaced ? bound.value_or(0, Value::string("")) : operand;
}

Value attribute(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'attr'", {"name"}, 1);
  if (operand.kind() != Kind::Dict) return get_attribute(context, operand, bound.text(0));
  std::optional<Value> method = find_method(operand, bound.text(0));
  return method ? *method
                : Value::undefined(fmt::format("'dict object' has no attribute '{}'", bound.text(0)));
}

Value batch(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'batch'", {"linecount", "fill_with"}, 1);
  int64_t size = bound.integer(0);
  std::vector<Value> rows;
  std::vector<Value> row;
  for (const Value& item : iterate(context, operand)) {
    if (static_cast<int64_t>(row.size()) == size) {
      rows.push_back(Value::list(std::move(row)));
      row.clear();
    }
    row.push_back(item);
  }
  if (!row.empty()) {
    Value fill = bound.value_or(1, Value());
    while (!fill.is_none() && static_cast<int64_t>(row.size()) < size) {
      context.budget.spend(1);
      row.push_back(fill);
    }
    rows.push_back(Value::list(std::move(row)));
  }
  return make_generator(std::move(rows));
}

Value slice(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "the filter 'slice'", {"slices", "fill_with"}, 1);
  std::vector<Value> items = iterate(context, operand);
  int64_t slices = bound.integer(0);
  if (slices == 0) fail("the filter 'slice' cannot make zero slices");
  Value fill = bound.value_or(1, Value());
  auto size = static_cast<int64_t>(items.size());
  std::vector<Value> rows;
  int64_t start = 0;
  for (int64_t i = 0; i < slices; ++i) {
    context.budget.spend(1);
    bool longer = i < size % slices;
    int64_t end = start + size / slices + (longer ? 1 : 0);
    std::vector<Value> row(items.begin() + start, items.begin() + end);
    if (!fill.is_none() && !longer) row.push_back(fill);
    rows.push_back(Value::list(std::move(row)));
    start = end;
  }
  return make_generator(std::move(rows));
}

// A copy of the arguments without the first `count`.
Arguments without_first(const Arguments& arguments, size_t count) {
  Arguments rest;
  rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(count),
                         arguments.positional.end());
  rest.keywords = arguments.keywords;
  return rest;
}

std::string function_name(const Value& value, const char* what) {
  if (!value.is_string())
    fail("the name of a {} must be a string, not a value of type {}", what, value.type_name());
  return value.as_string();
}

Value map(CallContext& context, const Value& operand, Arguments& arguments) {
  if (!operand.truthy()) return make_generator({});
  std::function<Value(const Value&)> change;
  bool by_attribute = arguments.positional.empty() &&
                      std::any_of(arguments.keywords.begin(), arguments.keywords.end(),
                                  [](const auto& keyword) { return keyword.first == "attribute"; });
  if (by_attribute) {
    Bound bound(arguments, "the filter 'map'", {"attribute", "default"}, 1);
    change = [&context, path = attribute_path(bound[0]), otherwise = bound.value_or(1, Value())](
                 const Value& item) { return follow(context, item, path, otherwise); };
  } else {
    if (arguments.positional.empty()) fail("the filter 'map' needs the name of a filter or an attribute");
    change = [&context, name = function_name(arguments.positional[0], "filter"),
              rest = without_first(arguments, 1)](const Value& item) mutable {
      return apply_filter(context, name, item, rest);
    };
  }
  std::vector<Value> items;
  for (const Value& item : iterate(context, operand)) items.push_back(change(item));
  return make_generator(std::move(items));
}

Value choose(CallContext& context, const Value& operand, Arguments& arguments, bool wanted,
             bool by_attribute) {
  if (!operand.truthy()) return make_generator({});
  size_t offset = by_attribute ? 1 : 0;
  if (by_attribute && arguments.positional.empty())
    fail("the filters 'selectattr' and 'rejectattr' need the name of an attribute");
  Path path = by_attribute ? attribute_path(arguments.positional[0]) : Path();
  bool has_test = arguments.positional.size() > offset;
  std::string name = has_test ? function_name(arguments.positional[offset], "test") : "";
  Arguments rest = without_first(arguments, has_test ? offset + 1 : arguments.positional.size());
  std::vector<Value> items;
  for (Value& item : iterate(context, operand)) {
    Value tested = follow(context, item, path);
    bool holds = has_test ? apply_test(context, name, tested, rest) : tested.truthy();
    if (holds == wanted) items.push_back(std::move(item));
  }
  return make_generator(std::move(items));
}

}  // namespace

const FunctionTable<FilterFunction>& sequence_filters() {
  static const FunctionTable<FilterFunction> table = {
      {"attr", attribute},
      {"batch", batch},
      {"count", count},
      {"d", default_value},
      {"default", default_value},
      {"dictsort", sort_dict},
      {"first", first},
      {"groupby", group_by},
      {"items", dict_items},
      {"join", join},
      {"last", last},
      {"length", count},
      {"list", to_list},
      {"map", map},
      {"max", [](CallContext& c, const Value& v, Arguments& a) { return extreme(c, v, a, true); }},
      {"min", [](CallContext& c, const Value& v, Arguments& a) { return extreme(c, v, a, false); }},
      {"reject", [](CallContext& c, const Value& v, Arguments& a) { return choose(c, v, a, false, false); }},
      {"rejectattr",
       [](CallContext& c, const Value& v, Arguments& a) { return choose(c, v, a, false, true); }},
      {"reverse", reverse},
      {"select", [](CallContext& c, const Value& v, Arguments& a) { return choose(c, v, a, true, false); }},
      {"selectattr",
       [](CallContext& c, const Value& v, Arguments& a) { return choose(c, v, a, true, true); }},
      {"slice", slice},
      {"sort", sort},
      {"sum", sum},
      {"unique", unique},
  };
  return table;
}

}  // namespace lockstep::text::jinja
