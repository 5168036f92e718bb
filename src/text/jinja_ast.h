// The tree of a parsed template. A node owns its children; `height` bounds the recursion over a tree.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace lockstep::text::jinja {

enum class ExpressionKind {
  Literal,
  Name,
  List,
  Tuple,
  Dict,
  Negate,
  Plus,
  Not,
  Binary,
  And,
  Or,
  Concat,
  Compare,
  Conditional,
  GetAttribute,
  GetItem,
  Slice,
  Call,
  Filter,
  Test
};

struct Expression {
  Expression(ExpressionKind kind_, int line_) : kind(kind_), line(line_) {}
  virtual ~Expression() = default;
  ExpressionKind kind;
  int line;
  int height = 1;
};
using ExpressionPointer = std::unique_ptr<Expression>;

struct CallArguments {
  std::vector<ExpressionPointer> positional;
  std::vector<std::pair<std::string, ExpressionPointer>> keywords;
  ExpressionPointer unpacked_list;  // *x
  ExpressionPointer unpacked_dict;  // **x
};

struct Literal : Expression {
  Literal(Value value_, int line_) : Expression(ExpressionKind::Literal, line_), value(std::move(value_)) {}
  Value value;
};

struct Name : Expression {
  Name(std::string name_, int line_) : Expression(ExpressionKind::Name, line_), name(std::move(name_)) {}
  std::string name;
};

// A list, a tuple, or the parts of a concatenation with `~`.
struct ItemsExpression : Expression {
  using Expression::Expression;
  std::vector<ExpressionPointer> items;
};

struct DictExpression : Expression {
  explicit DictExpression(int line_) : Expression(ExpressionKind::Dict, line_) {}
  std::vector<std::pair<ExpressionPointer, ExpressionPointer>> items;
};

// Negate, Plus, Not.
struct UnaryExpression : Expression {
  using Expression::Expression;
  ExpressionPointer operand;
};

enum class BinaryOperator { Add, Subtract, Multiply, Divide, FloorDivide, Modulo, Power };

// Binary, And, Or; `operation` is for Binary alone.
struct BinaryExpression : Expression {
  using Expression::Expression;
  BinaryOperator operation = BinaryOperator::Add;
  ExpressionPointer left;
  ExpressionPointer right;
};

enum class Comparison { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, In, NotIn };

// first OP operand OP operand ...: each neighbour pair must hold.
struct CompareExpression : Expression {
  explicit CompareExpression(int line_) : Expression(ExpressionKind::Compare, line_) {}
  ExpressionPointer first;
  std::vector<std::pair<Comparison, ExpressionPointer>> rest;
};

// `value if condition else otherwise`; `otherwise` may be null.
struct ConditionalExpression : Expression {
  explicit ConditionalExpression(int line_) : Expression(ExpressionKind::Conditional, line_) {}
  ExpressionPointer condition;
  ExpressionPointer value;
  ExpressionPointer otherwise;
};

struct GetAttributeExpression : Expression {
  explicit GetAttributeExpression(int line_) : Expression(ExpressionKind::GetAttribute, line_) {}
  ExpressionPointer object;
  std::string name;
};

struct GetItemExpression : Expression {
  explicit GetItemExpression(int line_) : Expression(ExpressionKind::GetItem, line_) {}
  ExpressionPointer object;
  ExpressionPointer index;
};

// object[start:stop:step]; each part may be null.
struct SliceExpression : Expression {
  explicit SliceExpression(int line_) : Expression(ExpressionKind::Slice, line_) {}
  ExpressionPointer object;
  ExpressionPointer start;
  ExpressionPointer stop;
  ExpressionPointer step;
};

struct CallExpression : Expression {
  explicit CallExpression(int line_) : Expression(ExpressionKind::Call, line_) {}
  ExpressionPointer callee;
  CallArguments arguments;
};

// `operand|name(arguments)` or `operand is name(arguments)`; a filter block's innermost operand is null.
struct FilterExpression : Expression {
  using Expression::Expression;
  ExpressionPointer operand;
  std::string name;
  CallArguments arguments;
};

enum class StatementKind {
  Text,
  Print,
  If,
  For,
  Set,
  SetBlock,
  Macro,
  CallBlock,
  FilterBlock,
  With,
  Scope,
  Break,
  Continue
};

struct Statement {
  Statement(StatementKind kind_, int line_) : kind(kind_), line(line_) {}
  virtual ~Statement() = default;
  StatementKind kind;
  int line;
};
using Body = std::vector<std::unique_ptr<Statement>>;

struct TextStatement : Statement {
  TextStatement(std::string text_, int line_)
      : Statement(StatementKind::Text, line_), text(std::move(text_)) {}
  std::string text;
};

struct PrintStatement : Statement {
  explicit PrintStatement(int line_) : Statement(StatementKind::Print, line_) {}
  ExpressionPointer value;
};

struct IfStatement : Statement {
  explicit IfStatement(int line_) : Statement(StatementKind::If, line_) {}
  std::vector<std::pair<ExpressionPointer, Body>> branches;
  Body otherwise;
};

// Where a value goes: a name, a namespace's attribute, or a tuple of targets.
struct Target {
  std::string name;
  std::string attribute;  // empty for a plain name
  std::vector<Target> parts;
  bool is_tuple = false;
};

struct ForStatement : Statement {
  explicit ForStatement(int line_) : Statement(StatementKind::For, line_) {}
  Target target;
  ExpressionPointer iterable;
  ExpressionPointer condition;  // may be null
  Body body;
  Body otherwise;
};

struct SetStatement : Statement {
  explicit SetStatement(int line_) : Statement(StatementKind::Set, line_) {}
  Target target;
  ExpressionPointer value;
};

struct SetBlockStatement : Statement {
  explicit SetBlockStatement(int line_) : Statement(StatementKind::SetBlock, line_) {}
  Target target;
  ExpressionPointer filter;  // may be null
  Body body;
};

struct Parameter {
  std::string name;
  ExpressionPointer default_value;  // may be null
};

// A macro, or the body of a call block.
struct MacroDefinition {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

struct MacroStatement : Statement {
  explicit MacroStatement(int line_) : Statement(StatementKind::Macro, line_) {}
  MacroDefinition macro;
};

struct CallBlockStatement : Statement {
  explicit CallBlockStatement(int line_) : Statement(StatementKind::CallBlock, line_) {}
  MacroDefinition caller;
  ExpressionPointer call;
};

struct FilterBlockStatement : Statement {
  explicit FilterBlockStatement(int line_) : Statement(StatementKind::FilterBlock, line_) {}
  ExpressionPointer filter;
  Body body;
};

struct WithStatement : Statement {
  explicit WithStatement(int line_) : Statement(StatementKind::With, line_) {}
  std::vector<std::pair<Target, ExpressionPointer>> assignments;
  Body body;
};

// A body with a scope of its own: what a generation block is.
struct ScopeStatement : Statement {
  explicit ScopeStatement(int line_) : Statement(StatementKind::Scope, line_) {}
  Body body;
};

}  // namespace lockstep::text::jinja
