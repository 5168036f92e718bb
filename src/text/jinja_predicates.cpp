// Tests: what may follow `is`.
#include <algorithm>

#include "text/jinja_builtins.h"
#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

// A test that looks at the value alone.
template <bool (*kHolds)(const Value&)>
bool alone(CallContext&, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "this test", {}, 0);
  return kHolds(operand);
}

template <Comparison kComparison>
bool compared(CallContext& context, const Value& operand, Arguments& arguments) {
  Bound bound(arguments, "a test that compares", {""}, 1);
  return compare(context, kComparison, operand, bound[0]);
}

bool divisible(CallContext& context, const Value& operand, const Value& divisor, int64_t remainder) {
  Value rest = apply_binary(context, BinaryOperator::Modulo, operand, divisor);
  return equals(context, rest, Value::integer(remainder));
}

bool is_callable(const Value& value) {
  return value.is_undefined() || (value.kind() == Kind::Object && value.as_object()->callable());
}

bool is_sequence(const Value& value) {
  if (value.kind() != Kind::Sequence)
    return value.is_string() || value.is_undefined() || value.kind() == Kind::Dict;
  SequenceKind kind = value.as_sequence().kind;
  return kind != SequenceKind::DictItems && kind != SequenceKind::DictKeys &&
         kind != SequenceKind::DictValues;
}

template <Kind kKind>
bool is_kind(const Value& value) {
  return value.kind() == kKind;
}

template <bool kWanted>
bool is_boolean(const Value& value) {
  return value.kind() == Kind::Boolean && value.as_boolean() == kWanted;
}

bool is_defined(const Value& value) {
  return !value.is_undefined();
}
bool is_number(const Value& value) {
  return value.is_number();
}
bool never(const Value&) {
  return false;
}

const FunctionTable<TestFunction>& tests() {
  static const FunctionTable<TestFunction> table = {
      {"boolean", alone<is_kind<Kind::Boolean>>},
      {"callable", alone<is_callable>},
      {"defined", alone<is_defined>},
      {"undefined", alone<is_kind<Kind::Undefined>>},
      {"escaped", alone<never>},
      {"false", alone<is_boolean<false>>},
      {"true", alone<is_boolean<true>>},
      {"float", alone<is_kind<Kind::Float>>},
      {"integer", alone<is_kind<Kind::Integer>>},
      {"iterable", alone<is_iterable>},
      {"mapping", alone<is_kind<Kind::Dict>>},
      {"none", alone<is_kind<Kind::None>>},
      {"number", alone<is_number>},
      {"sequence", alone<is_sequence>},
      {"string", alone<is_kind<Kind::String>>},
      {"lower", [](CallContext& c, const Value& v,
                   Arguments&) { return belongs_to(to_text(v, c.budget), CharacterClass::Lower); }},
      {"upper", [](CallContext& c, const Value& v,
                   Arguments&) { return belongs_to(to_text(v, c.budget), CharacterClass::Upper); }},
      {"filter",
       [](CallContext&, const Value& v, Arguments&) { return v.is_string() && has_filter(v.as_string()); }},
      {"test",
       [](CallContext&, const Value& v, Arguments&) { return v.is_string() && has_test(v.as_string()); }},
      {"divisibleby",
       [](CallContext& c, const Value& v, Arguments& a) {
         Bound bound(a, "the test 'divisibleby'", {"num"}, 1);
         return divisible(c, v, bound[0], 0);
       }},
      {"even",
       [](CallContext& c, const Value& v, Arguments&) { return divisible(c, v, Value::integer(2), 0); }},
      {"odd",
       [](CallContext& c, const Value& v, Arguments&) { return divisible(c, v, Value::integer(2), 1); }},
      {"sameas",
       [](CallContext&, const Value& v, Arguments& a) {
         Bound bound(a, "the test 'sameas'", {"other"}, 1);
         return v.same_as(bound[0]);
       }},
      {"in",
       [](CallContext& c, const Value& v, Arguments& a) {
         Bound bound(a, "the test 'in'", {"seq"}, 1);
         return contains(c, bound[0], v);
       }},
      {"==", compared<Comparison::Equal>},
      {"eq", compared<Comparison::Equal>},
      {"equalto", compared<Comparison::Equal>},
      {"!=", compared<Comparison::NotEqual>},
      {"ne", compared<Comparison::NotEqual>},
      {"<", compared<Comparison::Less>},
      {"lt", compared<Comparison::Less>},
      {"lessthan", compared<Comparison::Less>},
      {"<=", compared<Comparison::LessEqual>},
      {"le", compared<Comparison::LessEqual>},
      {">", compared<Comparison::Greater>},
      {"gt", compared<Comparison::Greater>},
      {"greaterthan", compared<Comparison::Greater>},
      {">=", compared<Comparison::GreaterEqual>},
      {"ge", compared<Comparison::GreaterEqual>},
  };
  return table;
}

}  // namespace

bool has_test(std::string_view name) {
  return tests().contains(name);
}

bool apply_test(CallContext& context, const std::string& name, const Value& operand, Arguments& arguments) {
  auto found = tests().find(name);
  if (found == tests().end()) fail("there is no test named '{}'", name);
  context.budget.spend(1);
  return found->second(context, operand, arguments);
}

}  // namespace lockstep::text::jinja
