#include "text/jinja_operators.h"

#include <algorithm>
#include <cmath>

#include "text/jinja_builtins.h"
#include "text/jinja_format.h"
#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

// Floats and 64-bit integers alike, both exact.
long double exact_number(const Value& value) {
  if (value.kind() == Kind::Float) return value.as_float();
  return static_cast<long double>(value.as_integer());
}

void refuse_undefined(const Value& value) {
  if (value.is_undefined()) fail("{}", value.undefined_message());
}

const char* symbol(BinaryOperator operation) {
  static constexpr const char* kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  return kSymbols[static_cast<size_t>(operation)];
}

bool is_tuple(const Value& value) {
  return value.is_sequence(SequenceKind::Tuple) || value.is_sequence(SequenceKind::Group);
}

WideInteger floor_divide(WideInteger left, WideInteger right) {
  WideInteger quotient = left / right;
  return left % right != 0 && (left < 0) != (right < 0) ? quotient - 1 : quotient;
}

WideInteger multiply(WideInteger left, WideInteger right) {
  long double estimate = static_cast<long double>(left) * static_cast<long double>(right);
  if (std::fabs(estimate) > 0x1p65L) fail("an integer does not fit in 64 bits");
  return left * right;
}

Value integer_power(WideInteger base, WideInteger exponent) {
  if (exponent < 0) {
    if (base == 0) fail("zero cannot be raised to a negative power");
    return Value::floating(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  WideInteger result = 1;
  if (base == 0 || base == 1 || base == -1) {
    if (exponent == 0) return Value::integer(1);
    return Value::integer(base == -1 && exponent % 2 == 0 ? 1 : base);
  }
  for (WideInteger i = 0; i < exponent; ++i) result = Value::integer(multiply(result, base)).as_integer();
  return Value::integer(result);
}

Value integer_operation(BinaryOperator operation, WideInteger left, WideInteger right) {
  bool divides = operation == BinaryOperator::Divide || operation == BinaryOperator::FloorDivide ||
                 operation == BinaryOperator::Modulo;
  if (divides && right == 0) fail("a number is divided by zero");
  switch (operation) {
    case BinaryOperator::Add:
      return Value::integer(left + right);
    case BinaryOperator::Subtract:
      return Value::integer(left - right);
    case BinaryOperator::Multiply:
      return Value::integer(multiply(left, right));
    case BinaryOperator::Divide:
      return Value::floating(
          static_cast<double>(static_cast<long double>(left) / static_cast<long double>(right)));
    case BinaryOperator::FloorDivide:
      return Value::integer(floor_divide(left, right));
    case BinaryOperator::Modulo:
      return Value::integer(left - floor_divide(left, right) * right);
    case BinaryOperator::Power:
      return integer_power(left, right);
  }
  return Value();
}

Value float_operation(BinaryOperator operation, double left, double right) {
  bool divides = operation == BinaryOperator::Divide || operation == BinaryOperator::FloorDivide ||
                 operation == BinaryOperator::Modulo;
  if (divides && right == 0) fail("a number is divided by zero");
  switch (operation) {
    case BinaryOperator::Add:
      return Value::floating(left + right);
    case BinaryOperator::Subtract:
      return Value::floating(left - right);
    case BinaryOperator::Multiply:
      return Value::floating(left * right);
    case BinaryOperator::Divide:
      return Value::floating(left / right);
    case BinaryOperator::Power: {
      if (left == 0 && right < 0) fail("zero cannot be raised to a negative power");
      double result = std::pow(left, right);
      if (std::isnan(result) && !std::isnan(left) && !std::isnan(right)) fail("a power has no real value");
      if (std::isinf(result) && std::isfinite(left) && std::isfinite(right)) fail("a power is too large");
      return Value::floating(result);
    }
    default:
      break;
  }
  // Floor division and its remainder, which takes the divisor's sign.
  double remainder = std::fmod(left, right);
  double quotient = (left - remainder) / right;
  if (remainder == 0) {
    remainder = std::copysign(0.0, right);
  } else if ((right < 0) != (remainder < 0)) {
    remainder += right;
    quotient -= 1;
  }
  if (operation == BinaryOperator::Modulo) return Value::floating(remainder);
  if (quotient == 0) return Value::floating(std::copysign(0.0, left / right));
  double floor = std::floor(quotient);
  return Value::floating(quotient - floor > 0.5 ? floor + 1 : floor);
}

Value repeat(CallContext& context, const Value& value, WideInteger count) {
  WideInteger times = std::max<WideInteger>(count, 0);
  if (value.is_string()) {
    const std::string& text = value.as_string();
    if (!text.empty() &&
        times > static_cast<WideInteger>(context.budget.limits().maximum_string_bytes / text.size())) {
      fail("a text of more than {} bytes would be made", context.budget.limits().maximum_string_bytes);
    }
    context.budget.spend_string(text.size() * static_cast<size_t>(times));
    std::string result;
    result.reserve(text.size() * static_cast<size_t>(times));
    for (WideInteger i = 0; i < times && !text.empty(); ++i) result += text;
    return Value::string(std::move(result));
  }
  const Sequence& sequence = value.as_sequence();
  if (sequence.items.empty()) return value;
  if (times > static_cast<WideInteger>(context.budget.limits().maximum_steps / sequence.items.size())) {
    fail("a list is repeated too often");
  }
  context.budget.spend(sequence.items.size() * static_cast<size_t>(times));
  std::vector<Value> items;
  for (WideInteger i = 0; i < times; ++i)
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  return is_tuple(value) ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

Value concatenate(CallContext& context, const Value& left, const Value& right) {
  if (left.is_string()) {
    context.budget.spend_string(left.as_string().size() + right.as_string().size());
    return Value::string(left.as_string() + right.as_string());
  }
  std::vector<Value> items = left.as_sequence().items;
  const std::vector<Value>& more = right.as_sequence().items;
  context.budget.spend(items.size() + more.size());
  items.insert(items.end(), more.begin(), more.end());
  return is_tuple(left) ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

bool is_list(const Value& value) {
  return value.is_sequence(SequenceKind::List);
}

bool can_repeat(const Value& value) {
  return value.is_string() || is_list(value) || is_tuple(value);
}

}  // namespace

Value apply_binary(CallContext& context, BinaryOperator operation, const Value& left, const Value& right) {
  if (operation == BinaryOperator::Modulo && left.is_string())
    return format_percent(context, left.as_string(), right);
  refuse_undefined(left);
  refuse_undefined(right);
  if (left.is_number() && right.is_number()) {
    if (left.is_integral() && right.is_integral()) {
      return integer_operation(operation, left.as_integer(), right.as_integer());
    }
    return float_operation(operation, left.as_float(), right.as_float());
  }
  if (operation == BinaryOperator::Add &&
      ((left.is_string() && right.is_string()) || (is_list(left) && is_list(right)) ||
       (is_tuple(left) && is_tuple(right)))) {
    return concatenate(context, left, right);
  }
  if (operation == BinaryOperator::Multiply) {
    if (can_repeat(left) && right.is_integral()) return repeat(context, left, right.as_integer());
    if (can_repeat(right) && left.is_integral()) return repeat(context, right, left.as_integer());
  }
  fail("'{}' cannot join a value of type {} and one of type {}", symbol(operation), left.type_name(),
       right.type_name());
}

Value negate(const Value& operand) {
  refuse_undefined(operand);
  if (operand.kind() == Kind::Float) return Value::floating(-operand.as_float());
  if (operand.is_integral()) return Value::integer(-operand.as_integer());
  fail("'-' cannot be applied to a value of type {}", operand.type_name());
}

Value unary_plus(const Value& operand) {
  refuse_undefined(operand);
  if (operand.kind() == Kind::Float) return operand;
  if (operand.is_integral()) return Value::integer(operand.as_integer());
  fail("'+' cannot be applied to a value of type {}", operand.type_name());
}

bool equals(CallContext& context, const Value& left, const Value& right, int depth) {
  context.budget.spend(1);
  if (depth > kMaximumNesting) fail("values are nested too deep to be compared");
  if (left.is_number() && right.is_number()) return exact_number(left) == exact_number(right);
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::Undefined:
    case Kind::None:
      return true;
    case Kind::String:
      context.budget.spend(left.as_string().size() / 32);
      return left.as_string() == right.as_string();
    case Kind::Sequence: {
      if (left.as_sequence().kind != right.as_sequence().kind && !(is_tuple(left) && is_tuple(right)))
        return false;
      if (left.is_sequence(SequenceKind::DictValues)) return left.same_as(right);
      const auto& a = left.as_sequence().items;
      const auto& b = right.as_sequence().items;
      return a.size() == b.size() &&
             std::equal(a.begin(), a.end(), b.begin(), [&](const Value& x, const Value& y) {
               return x.same_as(y) || equals(context, x, y, depth + 1);
             });
    }
    case Kind::Dict: {
      const Dict& a = left.as_dict();
      const Dict& b = right.as_dict();
      if (a.entries().size() != b.entries().size()) return false;
      return std::all_of(a.entries().begin(), a.entries().end(), [&](const auto& entry) {
        const Value* other = b.find(entry.first);
        return other && (other->same_as(entry.second) || equals(context, entry.second, *other, depth + 1));
      });
    }
    default:
      return left.same_as(right);
  }
}

bool less(CallContext& context, const Value& left, const Value& right, int depth) {
  context.budget.spend(1);
  if (depth > kMaximumNesting) fail("values are nested too deep to be compared");
  refuse_undefined(left);
  refuse_undefined(right);
  if (left.is_number() && right.is_number()) return exact_number(left) < exact_number(right);
  if (left.is_string() && right.is_string()) {
    context.budget.spend(std::min(left.as_string().size(), right.as_string().size()) / 32);
    return left.as_string() < right.as_string();
  }
  if ((is_list(left) && is_list(right)) || (is_tuple(left) && is_tuple(right))) {
    const auto& a = left.as_sequence().items;
    const auto& b = right.as_sequence().items;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (!a[i].same_as(b[i]) && !equals(context, a[i], b[i], depth + 1))
        return less(context, a[i], b[i], depth + 1);
    }
    return a.size() < b.size();
  }
  fail("a value of type {} and one of type {} have no order", left.type_name(), right.type_name());
}

bool compare(CallContext& context, Comparison comparison, const Value& left, const Value& right) {
  // Python's a <= b is not "not b < a" for NaN.
  auto equal_numbers = [&] {
    return left.is_number() && right.is_number() && exact_number(left) == exact_number(right);
  };
  bool numbers = left.is_number() && right.is_number();
  switch (comparison) {
    case Comparison::Equal:
      return equals(context, left, right);
    case Comparison::NotEqual:
      return !equals(context, left, right);
    case Comparison::Less:
      return less(context, left, right);
    case Comparison::Greater:
      return less(context, right, left);
    case Comparison::LessEqual:
      return numbers ? less(context, left, right) || equal_numbers() : !less(context, right, left);
    case Comparison::GreaterEqual:
      return numbers ? less(context, right, left) || equal_numbers() : !less(context, left, right);
    case Comparison::In:
      return contains(context, right, left);
    case Comparison::NotIn:
      return !contains(context, right, left);
  }
  return false;
}

bool contains(CallContext& context, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::Undefined:
      return false;
    case Kind::String:
      if (!item.is_string())
        fail("only a string can be 'in' a string, not a value of type {}", item.type_name());
      context.budget.spend(1 + container.as_string().size() / 32);
      return container.as_string().find(item.as_string()) != std::string::npos;
    case Kind::Dict:
      return container.as_dict().find(item) != nullptr;
    case Kind::Sequence: {
      const auto& items = container.as_sequence().items;
      return std::any_of(items.begin(), items.end(), [&](const Value& other) {
        return other.same_as(item) || equals(context, other, item);
      });
    }
    default: {
      std::vector<Value> items = iterate(context, container);
      return std::any_of(items.begin(), items.end(),
                         [&](const Value& other) { return equals(context, other, item); });
    }
  }
}

bool is_iterable(const Value& value) {
  switch (value.kind()) {
    case Kind::Undefined:
    case Kind::String:
    case Kind::Sequence:
    case Kind::Dict:
      return true;
    case Kind::Object:
      return value.as_object()->iterable();
    default:
      return false;
  }
}

std::vector<Value> iterate(CallContext& context, const Value& value) {
  std::vector<Value> items;
  switch (value.kind()) {
    case Kind::Undefined:
      return items;
    case Kind::String: {
      const std::u32string points = decode(value.as_string());
      context.budget.spend(points.size());
      for (char32_t point : points) items.push_back(Value::string(encode(point)));
      return items;
    }
    case Kind::Sequence:
      context.budget.spend(value.as_sequence().items.size());
      return value.as_sequence().items;
    case Kind::Dict:
      context.budget.spend(value.as_dict().entries().size());
      for (const auto& entry : value.as_dict().entries()) items.push_back(entry.first);
      return items;
    case Kind::Object:
      if (value.as_object()->iterable()) return value.as_object()->take_items(context);
      break;
    default:
      break;
  }
  fail("a value of type {} cannot be iterated over", value.type_name());
}

std::optional<size_t> length(CallContext& context, const Value& value) {
  switch (value.kind()) {
    case Kind::Undefined:
      return 0;
    case Kind::String:
      context.budget.spend(1 + value.as_string().size() / 32);
      return length_of(value.as_string());
    case Kind::Sequence:
      return value.as_sequence().items.size();
    case Kind::Dict:
      return value.as_dict().entries().size();
    case Kind::Object:
      return value.as_object()->length();
    default:
      return std::nullopt;
  }
}

Value make_string(CallContext& context, std::string text) {
  context.budget.spend_string(text.size());
  return Value::string(std::move(text));
}

}  // namespace lockstep::text::jinja
