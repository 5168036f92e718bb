// The interpreter's half for expressions and macros.
#include <algorithm>

#include "text/jinja_builtins.h"
#include "text/jinja_interpreter.h"

namespace lockstep::text::jinja {
namespace {

class MacroObject : public Object {
 public:
  MacroObject(Interpreter& interpreter, const MacroDefinition& macro, ScopePointer closure)
      : interpreter_(interpreter), macro_(macro), closure_(std::move(closure)) {}
  std::string type_name() const override { return "Macro"; }
  std::string print(Budget&, int) const override { return fmt::format("<Macro '{}'>", macro_.name); }
  bool callable() const override { return true; }
  std::optional<Value> attribute(CallContext&, const std::string& name) override {
    if (name == "name") return Value::string(macro_.name);
    return std::nullopt;
  }
  Value call(CallContext&, Arguments& arguments) override {
    return interpreter_.call_macro(macro_, closure_, arguments);
  }

 private:
  Interpreter& interpreter_;
  const MacroDefinition& macro_;
  ScopePointer closure_;
};

// The keyword argument of that name, taken out; nothing if there is none.
std::optional<Value> take_keyword(Arguments& arguments, std::string_view name) {
  auto found = std::find_if(arguments.keywords.begin(), arguments.keywords.end(),
                            [&](const auto& keyword) { return keyword.first == name; });
  if (found == arguments.keywords.end()) return std::nullopt;
  Value value = std::move(found->second);
  arguments.keywords.erase(found);
  return value;
}

}  // namespace

Value Interpreter::make_macro(const MacroDefinition& macro) {
  return Value::object(std::make_shared<MacroObject>(*this, macro, scope_));
}

Value Interpreter::evaluate(const Expression& expression) {
  EvaluationLevel level(context_);
  context_.budget.spend(1);
  line_ = expression.line;
  switch (expression.kind) {
    case ExpressionKind::Literal:
      return static_cast<const Literal&>(expression).value;
    case ExpressionKind::Name:
      return evaluate_name(static_cast<const Name&>(expression));
    case ExpressionKind::List:
      return Value::list(evaluate_items(static_cast<const ItemsExpression&>(expression)));
    case ExpressionKind::Tuple:
      return Value::tuple(evaluate_items(static_cast<const ItemsExpression&>(expression)));
    case ExpressionKind::Dict:
      return evaluate_dict(static_cast<const DictExpression&>(expression));
    case ExpressionKind::Negate:
      return negate(evaluate(*static_cast<const UnaryExpression&>(expression).operand));
    case ExpressionKind::Plus:
      return unary_plus(evaluate(*static_cast<const UnaryExpression&>(expression).operand));
    case ExpressionKind::Not:
      return Value::boolean(!evaluate(*static_cast<const UnaryExpression&>(expression).operand).truthy());
    case ExpressionKind::Binary:
    case ExpressionKind::And:
    case ExpressionKind::Or:
      return evaluate_binary(static_cast<const BinaryExpression&>(expression));
    case ExpressionKind::Concat:
      return evaluate_concat(static_cast<const ItemsExpression&>(expression));
    case ExpressionKind::Compare:
      return evaluate_compare(static_cast<const CompareExpression&>(expression));
    case ExpressionKind::Conditional:
      return evaluate_conditional(static_cast<const ConditionalExpression&>(expression));
    case ExpressionKind::GetAttribute: {
      const auto& node = static_cast<const GetAttributeExpression&>(expression);
      return get_attribute(context_, evaluate(*node.object), node.name);
    }
    case ExpressionKind::GetItem: {
      const auto& node = static_cast<const GetItemExpression&>(expression);
      Value object = evaluate(*node.object);
      return get_item(context_, object, evaluate(*node.index));
    }
    case ExpressionKind::Slice: {
      const auto& node = static_cast<const SliceExpression&>(expression);
      Value object = evaluate(*node.object);
      Value start = evaluate_or_none(node.start);
      Value stop = evaluate_or_none(node.stop);
      return get_slice(context_, object, start, stop, evaluate_or_none(node.step));
    }
    case ExpressionKind::Call:
      return evaluate_call(static_cast<const CallExpression&>(expression), nullptr);
    case ExpressionKind::Filter:
      return evaluate_filter(static_cast<const FilterExpression&>(expression), nullptr);
    case ExpressionKind::Test: {
      const auto& node = static_cast<const FilterExpression&>(expression);
      Value operand = evaluate(*node.operand);
      Arguments arguments = evaluate_arguments(node.arguments);
      return Value::boolean(apply_test(context_, node.name, operand, arguments));
    }
  }
  return Value();
}

Value Interpreter::evaluate_or_none(const ExpressionPointer& expression) {
  return expression ? evaluate(*expression) : Value();
}

Value Interpreter::evaluate_name(const Name& expression) {
  if (const Value* found = scope_->find(expression.name)) return *found;
  if (std::optional<Value> global = find_global(expression.name)) return *global;
  return Value::undefined(fmt::format("'{}' is undefined", expression.name));
}

std::vector<Value> Interpreter::evaluate_items(const ItemsExpression& expression) {
  std::vector<Value> items;
  items.reserve(expression.items.size());
  for (const auto& item : expression.items) items.push_back(evaluate(*item));
  return items;
}

Value Interpreter::evaluate_dict(const DictExpression& expression) {
  Dict entries;
  for (const auto& [key, value] : expression.items) {
    Value key_value = evaluate(*key);
    entries.set(key_value, evaluate(*value));
  }
  return Value::dict(std::move(entries));
}

Value Interpreter::evaluate_binary(const BinaryExpression& expression) {
  Value left = evaluate(*expression.left);
  if (expression.kind == ExpressionKind::And) return left.truthy() ? evaluate(*expression.right) : left;
  if (expression.kind == ExpressionKind::Or) return left.truthy() ? left : evaluate(*expression.right);
  Value right = evaluate(*expression.right);
  line_ = expression.line;
  return apply_binary(context_, expression.operation, left, right);
}

Value Interpreter::evaluate_concat(const ItemsExpression& expression) {
  std::string text;
  for (const Value& item : evaluate_items(expression)) {
    if (item.is_string()) {
      text += item.as_string();
    } else {
      text += to_text(item, context_.budget);
    }
    if (text.size() > context_.budget.limits().maximum_string_bytes) break;
  }
  return make_string(context_, std::move(text));
}

Value Interpreter::evaluate_compare(const CompareExpression& expression) {
  Value left = evaluate(*expression.first);
  for (const auto& [comparison, operand] : expression.rest) {
    Value right = evaluate(*operand);
    line_ = expression.line;
    if (!compare(context_, comparison, left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::evaluate_conditional(const ConditionalExpression& expression) {
  if (evaluate(*expression.condition).truthy()) return evaluate(*expression.value);
  if (expression.otherwise) return evaluate(*expression.otherwise);
  return Value::undefined(fmt::format("the 'if' without 'else' on line {} did not hold", expression.line));
}

Arguments Interpreter::evaluate_arguments(const CallArguments& arguments) {
  Arguments result;
  for (const auto& argument : arguments.positional) result.positional.push_back(evaluate(*argument));
  if (arguments.unpacked_list) {
    for (Value& item : iterate(context_, evaluate(*arguments.unpacked_list)))
      result.positional.push_back(std::move(item));
  }
  for (const auto& [name, argument] : arguments.keywords)
    result.keywords.emplace_back(name, evaluate(*argument));
  if (!arguments.unpacked_dict) return result;
  Value more = evaluate(*arguments.unpacked_dict);
  if (more.kind() != Kind::Dict) fail("'**' needs a dict, not a value of type {}", more.type_name());
  if (more.as_dict().entries().size() > 1000) fail("'**' takes at most 1000 named arguments");
  for (const auto& [key, value] : more.as_dict().entries()) {
    if (!key.is_string()) fail("'**' needs a dict with strings for keys");
    for (const auto& keyword : result.keywords) {
      if (keyword.first == key.as_string()) fail("the argument '{}' is given twice", key.as_string());
    }
    context_.budget.spend(result.keywords.size());
    result.keywords.emplace_back(key.as_string(), value);
  }
  return result;
}

Value Interpreter::evaluate_call(const CallExpression& expression, const Value* caller) {
  Value callee = evaluate(*expression.callee);
  Arguments arguments = evaluate_arguments(expression.arguments);
  if (caller) {
    if (take_keyword(arguments, "caller")) fail("the argument 'caller' is given twice");
    arguments.keywords.emplace_back("caller", *caller);
  }
  line_ = expression.line;
  if (callee.is_undefined()) fail("{}", callee.undefined_message());
  if (callee.kind() != Kind::Object || !callee.as_object()->callable()) {
    fail("a value of type {} cannot be called", callee.type_name());
  }
  return callee.as_object()->call(context_, arguments);
}

Value Interpreter::evaluate_filter(const FilterExpression& expression, const Value* block_text) {
  Value operand;
  if (!expression.operand) {
    operand = *block_text;
  } else if (block_text) {
    operand = evaluate_filter(static_cast<const FilterExpression&>(*expression.operand), block_text);
  } else {
    operand = evaluate(*expression.operand);
  }
  Arguments arguments = evaluate_arguments(expression.arguments);
  line_ = expression.line;
  return apply_filter(context_, expression.name, operand, arguments);
}

Value Interpreter::call_macro(const MacroDefinition& macro, const ScopePointer& closure,
                              Arguments& arguments) {
  struct Restore {
    Interpreter& interpreter;
    ScopePointer scope;
    std::string* output;
    ~Restore() {
      if (interpreter.scope_.use_count() > 1) interpreter.captured_scopes_.push_back(interpreter.scope_);
      interpreter.scope_ = std::move(scope);
      interpreter.output_ = output;
    }
  } restore{*this, scope_, output_};
  scope_ = std::make_shared<Scope>(closure);
  size_t count = macro.parameters.size();
  for (size_t i = 0; i < count; ++i) {
    const Parameter& parameter = macro.parameters[i];
    std::optional<Value> value;
    if (i < arguments.positional.size()) {
      value = arguments.positional[i];
    } else {
      value = take_keyword(arguments, parameter.name);
    }
    if (!value && parameter.default_value) value = evaluate(*parameter.default_value);
    if (!value) value = Value::undefined(fmt::format("the parameter '{}' was not given", parameter.name));
    scope_->variables[parameter.name] = std::move(*value);
  }
  if (macro.uses_caller) {
    std::optional<Value> caller = take_keyword(arguments, "caller");
    scope_->variables["caller"] =
        caller ? *caller : Value::undefined("no caller is defined: the macro is not called by a call block");
  }
  if (macro.uses_kwargs) {
    Dict rest;
    for (auto& [name, value] : arguments.keywords) rest.set(Value::string(name), std::move(value));
    scope_->variables["kwargs"] = Value::dict(std::move(rest));
  } else if (!arguments.keywords.empty()) {
    fail("the macro '{}' has no argument named '{}'", macro.name, arguments.keywords[0].first);
  }
  if (macro.uses_varargs) {
    std::vector<Value> rest;
    for (size_t i = count; i < arguments.positional.size(); ++i) rest.push_back(arguments.positional[i]);
    scope_->variables["varargs"] = Value::tuple(std::move(rest));
  } else if (arguments.positional.size() > count) {
    fail("the macro '{}' takes at most {} arguments, not {}", macro.name, count, arguments.positional.size());
  }
  std::string text;
  output_ = &text;
  run(macro.body);
  return make_string(context_, std::move(text));
}

}  // namespace lockstep::text::jinja
