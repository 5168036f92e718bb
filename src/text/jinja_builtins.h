// What a template finds ready: filters, tests, methods of values and global functions.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/jinja_operators.h"

namespace lockstep::text::jinja {

using FilterFunction = Value (*)(CallContext& context, const Value& operand, Arguments& arguments);
using TestFunction = bool (*)(CallContext& context, const Value& operand, Arguments& arguments);
using GlobalFunction = Value (*)(CallContext& context, Arguments& arguments);
template <class Function>
using FunctionTable = std::unordered_map<std::string_view, Function>;

bool has_filter(std::string_view name);
bool has_test(std::string_view name);
// Refuse names that there are not.
Value apply_filter(CallContext& context, const std::string& name, const Value& operand, Arguments& arguments);
bool apply_test(CallContext& context, const std::string& name, const Value& operand, Arguments& arguments);

// A method of a string, list, tuple, range or dict, bound to it. Methods that would change a list or a dict
// are undefined values: a template may not change its variables.
std::optional<Value> find_method(const Value& self, const std::string& name);

// str.replace(); no limit of replacements if `maximum` is negative.
Value replace_text(CallContext& context, const std::string& text, const std::string& old_part,
                   const std::string& new_part, int64_t maximum);

// int(text, base) and float(text) of Python; nothing if the text is no number. parse_integer refuses
// numbers beyond 64 bits.
std::optional<WideInteger> parse_integer(const std::string& text, int64_t base);
std::optional<double> parse_float(const std::string& text);

// json.dumps() of Python.
struct JsonStyle {
  std::optional<std::string> indent;  // one level of it; a single line if there is none
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool ensure_ascii = false;
  bool sort_keys = false;
};
std::string to_json(CallContext& context, const Value& value, const JsonStyle& style);

// A global function such as range, null if there is none of that name.
std::optional<Value> find_global(const std::string& name);

// The tables' parts, one per file.
const FunctionTable<FilterFunction>& text_filters();
const FunctionTable<FilterFunction>& sequence_filters();

// Arguments matched to parameters by place and name, as Python does.
class Bound {
 public:
  // `what` names the callee in messages; a parameter without a name can only be given by place; the first
  // `required` ones must be given.
  Bound(Arguments& arguments, std::string_view what, std::initializer_list<std::string_view> names,
        size_t required);

  bool given(size_t index) const { return values_[index].has_value(); }
  const Value& operator[](size_t index) const { return *values_[index]; }
  Value value_or(size_t index, Value otherwise) const {
    return values_[index].value_or(std::move(otherwise));
  }
  // Refuse values of another type.
  const std::string& text(size_t index) const;
  int64_t integer(size_t index) const;
  int64_t integer_or(size_t index, int64_t otherwise) const {
    return given(index) ? integer(index) : otherwise;
  }
  bool truthy_or(size_t index, bool otherwise) const {
    return given(index) ? (*this)[index].truthy() : otherwise;
  }

 private:
  std::string what_;
  std::vector<std::optional<Value>> values_;
};

// Python's iterator: gives its items once.
class Generator : public Object {
 public:
  explicit Generator(std::vector<Value> items);
  std::string type_name() const override { return "generator"; }
  bool iterable() const override { return true; }
  std::vector<Value> take_items(CallContext& context) override;
  // The next item, nothing at the end.
  std::optional<Value> take_one();
  int depth() const override { return depth_; }

 private:
  std::vector<Value> items_;
  size_t next_ = 0;
  int depth_ = 1;
};
Value make_generator(std::vector<Value> items);

// What {% set space.name = value %} assigns to.
class Namespace : public Object {
 public:
  std::string type_name() const override { return "Namespace"; }
  std::string print(Budget& budget, int depth) const override;
  std::optional<Value> attribute(CallContext& context, const std::string& name) override;
  void set(const std::string& name, Value value);
  void clear() override { entries_ = Dict(); }

 private:
  Dict entries_;
};

}  // namespace lockstep::text::jinja
