// Python's operators on values, as far as templates use them. All throw Failure for operands that Python
// refuses, and with the undefined value's message for undefined ones.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_value.h"

namespace lockstep::text::jinja {

// What operators, filters and functions need of the render that calls them.
struct CallContext {
  Budget budget;
  std::optional<std::tm> now;  // what strftime_now() shows; the local time if it is not set
  // Objects that can hold each other; cleared when the render ends.
  std::vector<std::shared_ptr<Object>> retained;
  int depth = 0;  // of the evaluation
};

// Counts one level of the evaluation while it lives; refuses more levels than the limits allow.
class EvaluationLevel {
 public:
  explicit EvaluationLevel(CallContext& context) : depth_(context.depth) {
    int maximum = context.budget.limits().maximum_evaluation_depth;
    if (depth_ >= maximum) fail("the evaluation is nested more than {} levels deep", maximum);
    ++depth_;
  }
  ~EvaluationLevel() { --depth_; }
  EvaluationLevel(const EvaluationLevel&) = delete;
  EvaluationLevel& operator=(const EvaluationLevel&) = delete;

 private:
  int& depth_;
};

Value apply_binary(CallContext& context, BinaryOperator operation, const Value& left, const Value& right);
Value negate(const Value& operand);
Value unary_plus(const Value& operand);
bool compare(CallContext& context, Comparison comparison, const Value& left, const Value& right);
bool equals(CallContext& context, const Value& left, const Value& right, int depth = 0);
bool less(CallContext& context, const Value& left, const Value& right, int depth = 0);
bool contains(CallContext& context, const Value& container, const Value& item);

// object.name: a method or attribute, else an entry of a dict, else undefined.
Value get_attribute(CallContext& context, const Value& object, const std::string& name);
// object[key]: an item or entry, else a method or attribute if the key is a string, else undefined.
Value get_item(CallContext& context, const Value& object, const Value& key);
// object[start:stop:step]; None stands for a part that is left out.
Value get_slice(CallContext& context, const Value& object, const Value& start, const Value& stop,
                const Value& step);

// The items of a value, taken out of it if it is a generator; refuses what Python cannot iterate.
std::vector<Value> iterate(CallContext& context, const Value& value);
bool is_iterable(const Value& value);
// len(value), nothing if it has none.
std::optional<size_t> length(CallContext& context, const Value& value);

// A string value, charged to the budget.
Value make_string(CallContext& context, std::string text);

}  // namespace lockstep::text::jinja
