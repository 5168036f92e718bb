#include "text/jinja_value.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

void check_depth(int depth) {
  if (depth > kMaximumNesting) fail("values are nested more than {} levels deep", kMaximumNesting);
}

}  // namespace

Value Value::undefined(std::string message) {
  return Value(Data(UndefinedMessage{std::make_shared<const std::string>(std::move(message))}));
}

Value Value::integer(WideInteger value) {
  if (value < kMinimumInteger || value > kMaximumInteger) fail("an integer does not fit in 64 bits");
  return Value(Data(value));
}

Value Value::string(std::string value) {
  return Value(Data(std::make_shared<const std::string>(std::move(value))));
}

Value Value::sequence(SequenceKind kind, std::vector<Value> items, std::string range_text) {
  Sequence sequence{kind, std::move(items), std::move(range_text), 1};
  for (const Value& item : sequence.items) sequence.depth = std::max(sequence.depth, item.depth() + 1);
  check_depth(sequence.depth);
  return Value(Data(std::make_shared<const Sequence>(std::move(sequence))));
}

Value Value::dict(Dict entries) {
  check_depth(entries.depth);
  return Value(Data(std::make_shared<const Dict>(std::move(entries))));
}

Value Value::from_json(const nlohmann::ordered_json& json, Budget& budget, int depth) {
  check_depth(depth);
  budget.spend(1);
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::null:
      return Value();
    case nlohmann::ordered_json::value_t::boolean:
      return boolean(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_integer:
      return integer(json.get<int64_t>());
    case nlohmann::ordered_json::value_t::number_unsigned:
      return integer(json.get<uint64_t>());
    case nlohmann::ordered_json::value_t::number_float:
      return floating(json.get<double>());
    case nlohmann::ordered_json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      budget.spend_string(text.size());
      return string(text);
    }
    case nlohmann::ordered_json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const auto& item : json) items.push_back(from_json(item, budget, depth + 1));
      return list(std::move(items));
    }
    case nlohmann::ordered_json::value_t::object: {
      Dict entries;
      for (const auto& [key, item] : json.items()) {
        entries.set(string(key), from_json(item, budget, depth + 1));
      }
      return dict(std::move(entries));
    }
    default:
      fail("a variable holds a JSON value of a kind that templates have not");
  }
}

Kind Value::kind() const {
  static constexpr Kind kinds[] = {Kind::None,   Kind::Undefined, Kind::Boolean, Kind::Integer, Kind::Float,
                                   Kind::String, Kind::Sequence,  Kind::Dict,    Kind::Object};
  return kinds[data_.index()];
}

bool Value::is_number() const {
  Kind k = kind();
  return k == Kind::Integer || k == Kind::Float || k == Kind::Boolean;
}

WideInteger Value::as_integer() const {
  if (auto* flag = std::get_if<bool>(&data_)) return *flag ? 1 : 0;
  return std::get<WideInteger>(data_);
}

double Value::as_float() const {
  if (auto* number = std::get_if<double>(&data_)) return *number;
  return static_cast<double>(as_integer());
}

bool Value::is_sequence(SequenceKind wanted) const {
  return kind() == Kind::Sequence && as_sequence().kind == wanted;
}

bool Value::truthy() const {
  switch (kind()) {
    case Kind::Undefined:
    case Kind::None:
      return false;
    case Kind::Boolean:
    case Kind::Integer:
      return as_integer() != 0;
    case Kind::Float:
      return as_float() != 0;
    case Kind::String:
      return !as_string().empty();
    case Kind::Sequence:
      return !as_sequence().items.empty();
    case Kind::Dict:
      return !as_dict().entries().empty();
    case Kind::Object:
      return as_object()->length().value_or(1) != 0;
  }
  return false;
}

int Value::depth() const {
  if (auto* sequence = std::get_if<std::shared_ptr<const Sequence>>(&data_)) return (*sequence)->depth;
  if (auto* dict = std::get_if<std::shared_ptr<const Dict>>(&data_)) return (*dict)->depth;
  if (auto* object = std::get_if<std::shared_ptr<Object>>(&data_)) return (*object)->depth();
  return 0;
}

std::string Value::type_name() const {
  switch (kind()) {
    case Kind::Undefined:
      return "Undefined";
    case Kind::None:
      return "NoneType";
    case Kind::Boolean:
      return "bool";
    case Kind::Integer:
      return "int";
    case Kind::Float:
      return "float";
    case Kind::String:
      return "str";
    case Kind::Dict:
      return "dict";
    case Kind::Object:
      return as_object()->type_name();
    case Kind::Sequence:
      break;
  }
  switch (as_sequence().kind) {
    case SequenceKind::List:
      return "list";
    case SequenceKind::Tuple:
    case SequenceKind::Group:
      return "tuple";
    case SequenceKind::Range:
      return "range";
    case SequenceKind::DictItems:
      return "dict_items";
    case SequenceKind::DictKeys:
      return "dict_keys";
    case SequenceKind::DictValues:
      return "dict_values";
  }
  return "object";
}

bool Value::same_as(const Value& other) const {
  if (kind() != other.kind()) return false;
  switch (kind()) {
    case Kind::None:
      return true;
    case Kind::Undefined:
      return std::get<UndefinedMessage>(data_).text == std::get<UndefinedMessage>(other.data_).text;
    case Kind::Boolean:
    case Kind::Integer:
      return as_integer() == other.as_integer();
    case Kind::Float:
      return as_float() == other.as_float();
    case Kind::String:
      return as_string() == other.as_string();
    case Kind::Sequence:
      return &as_sequence() == &other.as_sequence();
    case Kind::Dict:
      return &as_dict() == &other.as_dict();
    case Kind::Object:
      return as_object() == other.as_object();
  }
  return false;
}

std::string hash_text(const Value& value) {
  switch (value.kind()) {
    case Kind::String:
      return "s" + value.as_string();
    case Kind::None:
      return "n";
    case Kind::Undefined:
      return "u";
    case Kind::Boolean:
    case Kind::Integer:
      return "i" + integer_text(value.as_integer());
    case Kind::Float: {
      double number = value.as_float();
      if (std::floor(number) == number && std::fabs(number) < 1e18) {
        return "i" + integer_text(static_cast<WideInteger>(number));
      }
      return "f" + float_text(number);
    }
    case Kind::Object:
      return "o" + fmt::format("{}", static_cast<const void*>(value.as_object().get()));
    case Kind::Sequence:
      if (value.is_sequence(SequenceKind::Tuple) || value.is_sequence(SequenceKind::Group)) {
        std::string text = "t";
        for (const Value& item : value.as_sequence().items) {
          std::string part = hash_text(item);
          text += fmt::format("{}:{}", part.size(), part);
          if (text.size() > (1 << 20)) fail("a tuple is too large for a key of a dict");
        }
        return text;
      }
      break;
    case Kind::Dict:
      break;
  }
  fail("a {} cannot be the key of a dict", value.type_name());
}

void Dict::set(const Value& key, Value value) {
  depth = std::max({depth, key.depth() + 1, value.depth() + 1});
  auto [place, added] = index_.try_emplace(hash_text(key), entries_.size());
  if (added) {
    entries_.emplace_back(key, std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
}

const Value* Dict::find(const Value& key) const {
  auto place = index_.find(hash_text(key));
  return place == index_.end() ? nullptr : &entries_[place->second].second;
}

const Value* Dict::find(std::string_view key) const {
  auto place = index_.find("s" + std::string(key));
  return place == index_.end() ? nullptr : &entries_[place->second].second;
}

std::string Object::print(Budget&, int) const {
  return fmt::format("<{} object>", type_name());
}

Value Object::call(CallContext&, Arguments&) {
  fail("a {} cannot be called", type_name());
}

}  // namespace lockstep::text::jinja
