// The values of a template: Python's as far as chat templates can tell. Values are immutable and shared,
// except the few objects that hold state (namespaces, generators, loops); a render's values stay inside it.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja_budget.h"

namespace lockstep::text::jinja {

// Integers hold what 64 bits hold, signed or unsigned; anything beyond is refused.
using WideInteger = __int128;
inline constexpr WideInteger kMinimumInteger = -(WideInteger{1} << 63);
inline constexpr WideInteger kMaximumInteger = (WideInteger{1} << 64) - 1;

class Object;
class Value;
struct CallContext;

enum class SequenceKind { List, Tuple, Range, Group, DictItems, DictKeys, DictValues };

struct Sequence;
class Dict;

enum class Kind { Undefined, None, Boolean, Integer, Float, String, Sequence, Dict, Object };

class Value {
 public:
  // None.
  Value() : data_(std::monostate()) {}

  // An undefined value; using it other than by printing, testing or iterating fails with `message`.
  static Value undefined(std::string message);
  static Value boolean(bool value) { return Value(Data(value)); }
  // Refuses what 64 bits cannot hold.
  static Value integer(WideInteger value);
  static Value floating(double value) { return Value(Data(value)); }
  static Value string(std::string value);
  // Refuse nesting deeper than kMaximumNesting.
  static Value list(std::vector<Value> items) { return sequence(SequenceKind::List, std::move(items)); }
  static Value tuple(std::vector<Value> items) { return sequence(SequenceKind::Tuple, std::move(items)); }
  static Value sequence(SequenceKind kind, std::vector<Value> items, std::string range_text = {});
  static Value dict(Dict entries);
  static Value object(std::shared_ptr<Object> object) { return Value(Data(std::move(object))); }
  // The variables of a request, or any part of them.
  static Value from_json(const nlohmann::ordered_json& json, Budget& budget, int depth = 0);

  Kind kind() const;
  bool is_undefined() const { return kind() == Kind::Undefined; }
  bool is_none() const { return kind() == Kind::None; }
  bool is_string() const { return kind() == Kind::String; }
  bool is_number() const;  // a boolean, an integer or a float, as in Python
  bool is_integral() const { return kind() == Kind::Integer || kind() == Kind::Boolean; }

  // The content; the kind must be the right one.
  const std::string& undefined_message() const { return *std::get<UndefinedMessage>(data_).text; }
  bool as_boolean() const { return std::get<bool>(data_); }
  WideInteger as_integer() const;  // of a boolean too
  double as_float() const;         // of any number
  const std::string& as_string() const { return *std::get<std::shared_ptr<const std::string>>(data_); }
  const Sequence& as_sequence() const { return *std::get<std::shared_ptr<const Sequence>>(data_); }
  const Dict& as_dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  const std::shared_ptr<Object>& as_object() const { return std::get<std::shared_ptr<Object>>(data_); }

  bool is_sequence(SequenceKind wanted) const;
  // The object as T, null if it is no object or another one.
  template <class T>
  T* object_as() const {
    auto* object = std::get_if<std::shared_ptr<Object>>(&data_);
    return object ? dynamic_cast<T*>(object->get()) : nullptr;
  }

  bool truthy() const;
  // How many levels of containers it is; 0 for scalars and stateful objects.
  int depth() const;
  // Python's name of the type, as in its messages: "str", "int", "dict".
  std::string type_name() const;
  // Python's `is`.
  bool same_as(const Value& other) const;

 private:
  struct UndefinedMessage {
    std::shared_ptr<const std::string> text;
  };
  using Data = std::variant<std::monostate, UndefinedMessage, bool, WideInteger, double,
                            std::shared_ptr<const std::string>, std::shared_ptr<const Sequence>,
                            std::shared_ptr<const Dict>, std::shared_ptr<Object>>;
  explicit Value(Data data) : data_(std::move(data)) {}

  Data data_;
};

struct Sequence {
  SequenceKind kind = SequenceKind::List;
  std::vector<Value> items;
  std::string range_text;  // how a range prints
  int depth = 1;
};

// Keeps the order of insertion. Keys compare as in Python: 1, 1.0 and true are one key.
class Dict {
 public:
  // Refuses keys that Python cannot hash.
  void set(const Value& key, Value value);
  // Null if there is none; refuses keys that Python cannot hash.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  int depth = 1;

 private:
  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_map<std::string, size_t> index_;  // by hash_text()
};

// A text that is equal exactly for values that are one key of a dict; refuses lists, dicts and the like.
std::string hash_text(const Value& value);

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

// What has state, can be called or is no plain data.
class Object : public std::enable_shared_from_this<Object> {
 public:
  virtual ~Object() = default;
  virtual std::string type_name() const = 0;
  virtual std::string print(Budget& budget, int depth) const;
  virtual std::optional<Value> attribute(CallContext&, const std::string&) { return std::nullopt; }
  virtual bool callable() const { return false; }
  virtual Value call(CallContext& context, Arguments& arguments);
  virtual bool iterable() const { return false; }
  // Items left; taken out of the object.
  virtual std::vector<Value> take_items(CallContext&) { return {}; }
  virtual std::optional<size_t> length() { return std::nullopt; }
  // Drops what it holds, so that objects that hold each other can be freed.
  virtual void clear() {}
  virtual int depth() const { return 0; }
};

// str(value) and repr(value) of Python.
std::string to_text(const Value& value, Budget& budget);
std::string to_repr(const Value& value, Budget& budget, int depth = 0);
std::string float_text(double value);
std::string integer_text(WideInteger value);

}  // namespace lockstep::text::jinja
