#include "text/jinja_interpreter.h"

#include <algorithm>

#include "text/jinja_builtins.h"
#include "text/jinja_loop.h"

namespace lockstep::text::jinja {

// A scope inside of `parent` while it lives.
class Interpreter::ScopeGuard {
 public:
  ScopeGuard(Interpreter& interpreter, const ScopePointer& parent)
      : interpreter_(interpreter), outer_(interpreter.scope_) {
    interpreter_.scope_ = std::make_shared<Scope>(parent);
  }
  ~ScopeGuard() {
    if (interpreter_.scope_.use_count() > 1) interpreter_.captured_scopes_.push_back(interpreter_.scope_);
    interpreter_.scope_ = outer_;
  }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Interpreter& interpreter_;
  ScopePointer outer_;
};

Interpreter::Interpreter(CallContext& context) : context_(context), scope_(std::make_shared<Scope>(nullptr)) {
  captured_scopes_.push_back(scope_);
}

Interpreter::~Interpreter() {
  for (const auto& object : context_.retained) object->clear();
  for (const ScopePointer& scope : captured_scopes_) scope->variables.clear();
}

void Interpreter::set_variable(const std::string& name, Value value) {
  scope_->variables[name] = std::move(value);
}

std::string Interpreter::render(const Body& body) {
  std::string text;
  output_ = &text;
  ScopeGuard guard(*this, scope_);
  run(body);
  return text;
}

void Interpreter::write(std::string_view text) {
  context_.budget.spend(text.size() / 32);
  if (output_->size() + text.size() > context_.budget.limits().maximum_string_bytes) {
    fail("the text is longer than {} bytes", context_.budget.limits().maximum_string_bytes);
  }
  *output_ += text;
}

Interpreter::Flow Interpreter::run(const Body& body) {
  for (const auto& statement : body) {
    Flow flow = run(*statement);
    if (flow != Flow::Normal) return flow;
  }
  return Flow::Normal;
}

Interpreter::Flow Interpreter::run(const Statement& statement) {
  EvaluationLevel level(context_);
  context_.budget.spend(1);
  line_ = statement.line;
  switch (statement.kind) {
    case StatementKind::Text:
      write(static_cast<const TextStatement&>(statement).text);
      return Flow::Normal;
    case StatementKind::Print:
      write(to_text(evaluate(*static_cast<const PrintStatement&>(statement).value), context_.budget));
      return Flow::Normal;
    case StatementKind::If:
      return run_if(static_cast<const IfStatement&>(statement));
    case StatementKind::For:
      return run_for(static_cast<const ForStatement&>(statement));
    case StatementKind::Set: {
      const auto& set = static_cast<const SetStatement&>(statement);
      assign(set.target, evaluate(*set.value));
      return Flow::Normal;
    }
    case StatementKind::SetBlock:
      return run_set_block(static_cast<const SetBlockStatement&>(statement));
    case StatementKind::Macro: {
      const auto& macro = static_cast<const MacroStatement&>(statement).macro;
      scope_->variables[macro.name] = make_macro(macro);
      return Flow::Normal;
    }
    case StatementKind::CallBlock:
      run_call_block(static_cast<const CallBlockStatement&>(statement));
      return Flow::Normal;
    case StatementKind::FilterBlock:
      return run_filter_block(static_cast<const FilterBlockStatement&>(statement));
    case StatementKind::With:
      return run_with(static_cast<const WithStatement&>(statement));
    case StatementKind::Scope: {
      ScopeGuard guard(*this, scope_);
      return run(static_cast<const ScopeStatement&>(statement).body);
    }
    case StatementKind::Break:
      return Flow::Break;
    case StatementKind::Continue:
      return Flow::Continue;
  }
  return Flow::Normal;
}

Interpreter::Flow Interpreter::run_if(const IfStatement& statement) {
  for (const auto& [condition, body] : statement.branches) {
    if (evaluate(*condition).truthy()) return run(body);
  }
  return run(statement.otherwise);
}

Interpreter::Flow Interpreter::run_for(const ForStatement& statement) {
  std::function<bool(const Value&)> condition;
  if (statement.condition) {
    condition = [this, &statement, outer = scope_](const Value& item) {
      ScopeGuard guard(*this, outer);
      assign(statement.target, item);
      return evaluate(*statement.condition).truthy();
    };
  }
  auto loop =
      std::make_shared<LoopState>(iterate(context_, evaluate(*statement.iterable)), std::move(condition));
  context_.retained.push_back(loop);
  bool completed = false;  // as in Jinja2, an iteration that breaks or continues does not count
  while (loop->advance()) {
    context_.budget.spend(1);
    ScopeGuard guard(*this, scope_);
    assign(statement.target, loop->item());
    scope_->variables["loop"] = Value::object(loop);
    Flow flow = run(statement.body);
    if (flow == Flow::Break) break;
    completed = completed || flow == Flow::Normal;
  }
  loop->clear();
  if (completed || statement.otherwise.empty()) return Flow::Normal;
  ScopeGuard guard(*this, scope_);
  return run(statement.otherwise);
}

Interpreter::Flow Interpreter::run_with(const WithStatement& statement) {
  std::vector<Value> values;
  for (const auto& [target, value] : statement.assignments) values.push_back(evaluate(*value));
  ScopeGuard guard(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) assign(statement.assignments[i].first, std::move(values[i]));
  return run(statement.body);
}

std::string Interpreter::capture(const Body& body, Flow& flow) {
  std::string text;
  std::string* outer = output_;
  output_ = &text;
  ScopeGuard guard(*this, scope_);
  flow = run(body);
  output_ = outer;
  return text;
}

Interpreter::Flow Interpreter::run_set_block(const SetBlockStatement& statement) {
  Flow flow = Flow::Normal;
  Value value = Value::string(capture(statement.body, flow));
  if (flow != Flow::Normal) return flow;
  if (statement.filter)
    value = evaluate_filter(static_cast<const FilterExpression&>(*statement.filter), &value);
  assign(statement.target, std::move(value));
  return Flow::Normal;
}

Interpreter::Flow Interpreter::run_filter_block(const FilterBlockStatement& statement) {
  Flow flow = Flow::Normal;
  Value text = Value::string(capture(statement.body, flow));
  if (flow != Flow::Normal) return flow;
  write(to_text(evaluate_filter(static_cast<const FilterExpression&>(*statement.filter), &text),
                context_.budget));
  return Flow::Normal;
}

void Interpreter::run_call_block(const CallBlockStatement& statement) {
  Value caller = make_macro(statement.caller);
  write(
      to_text(evaluate_call(static_cast<const CallExpression&>(*statement.call), &caller), context_.budget));
}

void Interpreter::assign(const Target& target, Value value) {
  if (target.is_tuple) {
    std::vector<Value> parts = iterate(context_, value);
    if (parts.size() != target.parts.size()) {
      fail("{} values cannot be assigned to {} names", parts.size(), target.parts.size());
    }
    for (size_t i = 0; i < parts.size(); ++i) assign(target.parts[i], std::move(parts[i]));
    return;
  }
  if (target.attribute.empty()) {
    scope_->variables[target.name] = std::move(value);
    return;
  }
  const Value* found = scope_->find(target.name);
  auto* space = found ? found->object_as<Namespace>() : nullptr;
  if (!space) fail("'{}' is no namespace, and only a namespace's attributes can be set", target.name);
  space->set(target.attribute, std::move(value));
}

}  // namespace lockstep::text::jinja
