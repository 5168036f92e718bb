// Walks a parsed template and writes its text.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_operators.h"
#include "text/jinja_scope.h"

namespace lockstep::text::jinja {

// One render. The template must outlive it; nothing that it makes outlives it.
class Interpreter {
 public:
  explicit Interpreter(CallContext& context);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  void set_variable(const std::string& name, Value value);
  // Throws Failure; line() then tells where.
  std::string render(const Body& body);
  int line() const { return line_; }

  // What a macro or the body of a call block gives for these arguments, seen from the scope it was defined
  // in.
  Value call_macro(const MacroDefinition& macro, const ScopePointer& closure, Arguments& arguments);

 private:
  enum class Flow { Normal, Break, Continue };
  class ScopeGuard;

  Flow run(const Body& body);
  Flow run(const Statement& statement);
  Flow run_if(const IfStatement& statement);
  Flow run_for(const ForStatement& statement);
  Flow run_with(const WithStatement& statement);
  Flow run_set_block(const SetBlockStatement& statement);
  Flow run_filter_block(const FilterBlockStatement& statement);
  void run_call_block(const CallBlockStatement& statement);
  // The body's text instead of writing it, in a scope of its own.
  std::string capture(const Body& body, Flow& flow);
  void write(std::string_view text);

  void assign(const Target& target, Value value);

  Value evaluate(const Expression& expression);
  Value evaluate_or_none(const ExpressionPointer& expression);
  std::vector<Value> evaluate_items(const ItemsExpression& expression);
  Value evaluate_name(const Name& expression);
  Value evaluate_dict(const DictExpression& expression);
  Value evaluate_binary(const BinaryExpression& expression);
  Value evaluate_concat(const ItemsExpression& expression);
  Value evaluate_compare(const CompareExpression& expression);
  Value evaluate_conditional(const ConditionalExpression& expression);
  Value evaluate_call(const CallExpression& expression, const Value* caller);
  Value evaluate_filter(const FilterExpression& expression, const Value* block_text);
  Arguments evaluate_arguments(const CallArguments& arguments);
  Value make_macro(const MacroDefinition& macro);

  CallContext& context_;
  ScopePointer scope_;
  std::vector<ScopePointer> captured_scopes_;  // that macros keep; emptied when the render ends
  std::string* output_ = nullptr;
  int line_ = 1;
};

}  // namespace lockstep::text::jinja
