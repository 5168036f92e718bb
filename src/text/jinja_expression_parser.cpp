#include "text/jinja_expression_parser.h"

#include <algorithm>

#include "text/jinja_builtins.h"

namespace lockstep::text::jinja {
namespace {

// Makes `node` as high as its child asks.
void grow(Expression& node, const ExpressionPointer& child) {
  if (!child) return;
  node.height = std::max(node.height, child->height + 1);
  if (node.height > kMaximumNesting) {
    fail_at(node.line, "an expression is nested more than {} levels deep", kMaximumNesting);
  }
}

void grow(Expression& node, const CallArguments& arguments) {
  for (const auto& argument : arguments.positional) grow(node, argument);
  for (const auto& [name, argument] : arguments.keywords) grow(node, argument);
  grow(node, arguments.unpacked_list);
  grow(node, arguments.unpacked_dict);
}

}  // namespace

ExpressionParser::Nesting::Nesting(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.nesting_ > kMaximumNesting) {
    --parser_.nesting_;
    fail_at(parser_.current().line, "the template is nested more than {} levels deep", kMaximumNesting);
  }
}

bool ExpressionParser::at(std::string_view operation) const {
  return current().kind == TokenKind::Operator && current().text == operation;
}

bool ExpressionParser::at_name(std::string_view name) const {
  return current().kind == TokenKind::Name && current().text == name;
}

bool ExpressionParser::skip(std::string_view operation) {
  bool found = at(operation);
  if (found) advance();
  return found;
}

bool ExpressionParser::skip_name(std::string_view name) {
  bool found = at_name(name);
  if (found) advance();
  return found;
}

void ExpressionParser::expect(std::string_view operation) {
  if (!skip(operation)) fail_at(current().line, "'{}' is expected, not {}", operation, describe(current()));
}

std::string ExpressionParser::expect_name(const char* what) {
  if (current().kind != TokenKind::Name) {
    fail_at(current().line, "{} is expected, not {}", what, describe(current()));
  }
  std::string name = current().text;
  advance();
  return name;
}

std::string ExpressionParser::describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::PrintEnd:
    case TokenKind::BlockEnd:
      return "the end of the tag";
    case TokenKind::End:
      return "the end of the template";
    case TokenKind::Text:
      return "text";
    case TokenKind::String:
      return "a string";
    default:
      return "'" + token.text + "'";
  }
}

void ExpressionParser::check_name_known(bool known, const char* what, const std::string& name, int line) {
  if (known || conditional_frame_) return;
  unknown_names_.emplace_back(fmt::format("there is no {} named '{}'", what, name), line);
}

bool ExpressionParser::at_tuple_end() const {
  return current().kind == TokenKind::PrintEnd || current().kind == TokenKind::BlockEnd || at(")");
}

ExpressionPointer ExpressionParser::parse_tuple(bool with_conditional, bool in_parentheses) {
  Nesting nesting(*this);
  int line = current().line;
  auto tuple = std::make_unique<ItemsExpression>(ExpressionKind::Tuple, line);
  bool is_tuple = false;
  while (true) {
    if (!tuple->items.empty()) expect(",");
    if (at_tuple_end()) break;
    tuple->items.push_back(with_conditional ? parse_expression() : parse_or());
    grow(*tuple, tuple->items.back());
    if (!at(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !tuple->items.empty()) return std::move(tuple->items[0]);
  if (!is_tuple && !in_parentheses) {
    fail_at(current().line, "an expression is expected, not {}", describe(current()));
  }
  return tuple;
}

ExpressionPointer ExpressionParser::parse_expression() {
  Nesting nesting(*this);
  int line = current().line;
  size_t unknown_before = unknown_names_.size();
  ExpressionPointer value = parse_or();
  while (skip_name("if")) {
    auto node = std::make_unique<ConditionalExpression>(line);
    node->value = std::move(value);
    node->condition = parse_or();
    if (skip_name("else")) node->otherwise = parse_expression();
    grow(*node, node->value);
    grow(*node, node->condition);
    grow(*node, node->otherwise);
    unknown_names_.erase(unknown_names_.begin() + static_cast<std::ptrdiff_t>(unknown_before),
                         unknown_names_.end());
    value = std::move(node);
    line = current().line;
  }
  return value;
}

ExpressionPointer ExpressionParser::make_binary(ExpressionKind kind, BinaryOperator operation,
                                                ExpressionPointer left, ExpressionPointer right, int line) {
  auto node = std::make_unique<BinaryExpression>(kind, line);
  grow(*node, left);
  grow(*node, right);
  node->operation = operation;
  node->left = std::move(left);
  node->right = std::move(right);
  return node;
}

ExpressionPointer ExpressionParser::parse_or() {
  ExpressionPointer left = parse_and();
  for (int line = current().line; skip_name("or"); line = current().line) {
    left = make_binary(ExpressionKind::Or, BinaryOperator::Add, std::move(left), parse_and(), line);
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_and() {
  ExpressionPointer left = parse_not();
  for (int line = current().line; skip_name("and"); line = current().line) {
    left = make_binary(ExpressionKind::And, BinaryOperator::Add, std::move(left), parse_not(), line);
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_not() {
  if (!at_name("not")) return parse_compare();
  Nesting nesting(*this);
  auto node = std::make_unique<UnaryExpression>(ExpressionKind::Not, current().line);
  advance();
  node->operand = parse_not();
  grow(*node, node->operand);
  return node;
}

ExpressionPointer ExpressionParser::parse_compare() {
  static constexpr std::pair<std::string_view, Comparison> kOperators[] = {
      {"==", Comparison::Equal},     {"!=", Comparison::NotEqual}, {"<", Comparison::Less},
      {"<=", Comparison::LessEqual}, {">", Comparison::Greater},   {">=", Comparison::GreaterEqual}};
  auto node = std::make_unique<CompareExpression>(current().line);
  node->first = parse_sum();
  while (true) {
    const auto* found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                     [&](const auto& candidate) { return at(candidate.first); });
    Comparison comparison;
    if (found != std::end(kOperators)) {
      comparison = found->second;
      advance();
    } else if (skip_name("in")) {
      comparison = Comparison::In;
    } else if (at_name("not") && next().kind == TokenKind::Name && next().text == "in") {
      advance();
      advance();
      comparison = Comparison::NotIn;
    } else {
      break;
    }
    node->rest.emplace_back(comparison, parse_sum());
    grow(*node, node->rest.back().second);
  }
  if (node->rest.empty()) return std::move(node->first);
  grow(*node, node->first);
  return node;
}

ExpressionPointer ExpressionParser::parse_sum() {
  ExpressionPointer left = parse_concat();
  while (at("+") || at("-")) {
    int line = current().line;
    BinaryOperator operation = at("+") ? BinaryOperator::Add : BinaryOperator::Subtract;
    advance();
    left = make_binary(ExpressionKind::Binary, operation, std::move(left), parse_concat(), line);
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_concat() {
  int line = current().line;
  ExpressionPointer first = parse_product();
  if (!at("~")) return first;
  auto node = std::make_unique<ItemsExpression>(ExpressionKind::Concat, line);
  grow(*node, first);
  node->items.push_back(std::move(first));
  while (skip("~")) {
    node->items.push_back(parse_product());
    grow(*node, node->items.back());
  }
  return node;
}

ExpressionPointer ExpressionParser::parse_product() {
  ExpressionPointer left = parse_power();
  while (at("*") || at("/") || at("//") || at("%")) {
    int line = current().line;
    BinaryOperator operation = at("*")    ? BinaryOperator::Multiply
                               : at("/")  ? BinaryOperator::Divide
                               : at("//") ? BinaryOperator::FloorDivide
                                          : BinaryOperator::Modulo;
    advance();
    left = make_binary(ExpressionKind::Binary, operation, std::move(left), parse_power(), line);
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_power() {
  ExpressionPointer left = parse_unary(true);
  for (int line = current().line; skip("**"); line = current().line) {
    left =
        make_binary(ExpressionKind::Binary, BinaryOperator::Power, std::move(left), parse_unary(true), line);
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_unary(bool with_filter) {
  ExpressionPointer node;
  if (at("-") || at("+")) {
    Nesting nesting(*this);
    auto unary = std::make_unique<UnaryExpression>(at("-") ? ExpressionKind::Negate : ExpressionKind::Plus,
                                                   current().line);
    advance();
    unary->operand = parse_unary(false);
    grow(*unary, unary->operand);
    node = std::move(unary);
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filter ? parse_filter_chain(std::move(node)) : std::move(node);
}

ExpressionPointer ExpressionParser::parse_primary() {
  const Token token = current();
  if (token.kind == TokenKind::Name) {
    advance();
    if (token.text == "true" || token.text == "True")
      return std::make_unique<Literal>(Value::boolean(true), token.line);
    if (token.text == "false" || token.text == "False") {
      return std::make_unique<Literal>(Value::boolean(false), token.line);
    }
    if (token.text == "none" || token.text == "None") return std::make_unique<Literal>(Value(), token.line);
    for (SpecialNames* special : macros_) {
      special->caller = special->caller || token.text == "caller";
      special->varargs = special->varargs || token.text == "varargs";
      special->kwargs = special->kwargs || token.text == "kwargs";
    }
    return std::make_unique<Name>(token.text, token.line);
  }
  if (token.kind == TokenKind::String) {
    std::string text;
    for (; current().kind == TokenKind::String; advance()) text += current().text;
    return std::make_unique<Literal>(Value::string(std::move(text)), token.line);
  }
  if (token.kind == TokenKind::Integer) {
    advance();
    return std::make_unique<Literal>(Value::integer(token.integer), token.line);
  }
  if (token.kind == TokenKind::Float) {
    advance();
    return std::make_unique<Literal>(Value::floating(token.number), token.line);
  }
  if (skip("(")) {
    ExpressionPointer node = parse_tuple(true, true);
    expect(")");
    return node;
  }
  if (at("[")) return parse_list();
  if (at("{")) return parse_dict();
  fail_at(token.line, "an expression is expected, not {}", describe(token));
}

ExpressionPointer ExpressionParser::parse_list() {
  auto node = std::make_unique<ItemsExpression>(ExpressionKind::List, current().line);
  expect("[");
  while (!at("]")) {
    if (!node->items.empty()) expect(",");
    if (at("]")) break;
    node->items.push_back(parse_expression());
    grow(*node, node->items.back());
  }
  expect("]");
  return node;
}

ExpressionPointer ExpressionParser::parse_dict() {
  auto node = std::make_unique<DictExpression>(current().line);
  expect("{");
  while (!at("}")) {
    if (!node->items.empty()) expect(",");
    if (at("}")) break;
    ExpressionPointer key = parse_expression();
    expect(":");
    ExpressionPointer value = parse_expression();
    grow(*node, key);
    grow(*node, value);
    node->items.emplace_back(std::move(key), std::move(value));
  }
  expect("}");
  return node;
}

ExpressionPointer ExpressionParser::parse_postfix(ExpressionPointer node) {
  while (true) {
    if (at(".")) {
      node = parse_attribute(std::move(node));
    } else if (at("[")) {
      node = parse_subscript(std::move(node));
    } else if (at("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPointer ExpressionParser::parse_filter_chain(ExpressionPointer node) {
  while (true) {
    if (at("|")) {
      node = parse_filters(std::move(node), false);
    } else if (at_name("is")) {
      node = parse_test(std::move(node));
    } else if (at("(")) {
      node = parse_call(std::move(node));
    } else {
      return node;
    }
  }
}

ExpressionPointer ExpressionParser::parse_attribute(ExpressionPointer node) {
  expect(".");
  const Token token = current();
  advance();
  if (token.kind == TokenKind::Name) {
    auto result = std::make_unique<GetAttributeExpression>(token.line);
    grow(*result, node);
    result->object = std::move(node);
    result->name = token.text;
    return result;
  }
  if (token.kind != TokenKind::Integer) {
    fail_at(token.line, "a name or a number is expected after '.', not {}", describe(token));
  }
  auto result = std::make_unique<GetItemExpression>(token.line);
  grow(*result, node);
  result->object = std::move(node);
  result->index = std::make_unique<Literal>(Value::integer(token.integer), token.line);
  return result;
}

ExpressionPointer ExpressionParser::parse_subscript(ExpressionPointer node) {
  int line = current().line;
  expect("[");
  ExpressionPointer start;
  if (!at(":")) start = parse_expression();
  if (!at(":")) {
    if (at(",")) {
      auto tuple = std::make_unique<ItemsExpression>(ExpressionKind::Tuple, line);
      tuple->items.push_back(std::move(start));
      while (skip(",")) tuple->items.push_back(parse_expression());
      for (const auto& item : tuple->items) grow(*tuple, item);
      start = std::move(tuple);
    }
    expect("]");
    auto item = std::make_unique<GetItemExpression>(line);
    grow(*item, node);
    grow(*item, start);
    item->object = std::move(node);
    item->index = std::move(start);
    return item;
  }
  auto slice = std::make_unique<SliceExpression>(line);
  slice->start = std::move(start);
  expect(":");
  if (!at(":") && !at("]")) slice->stop = parse_expression();
  if (skip(":") && !at("]")) slice->step = parse_expression();
  expect("]");
  slice->object = std::move(node);
  for (const auto* part : {&slice->object, &slice->start, &slice->stop, &slice->step}) grow(*slice, *part);
  return slice;
}

CallArguments ExpressionParser::parse_arguments() {
  int line = current().line;
  CallArguments arguments;
  auto ensure = [&](bool right) {
    if (!right)
      fail_at(line, "the arguments of a call are out of order: positional, named, *list, **dict is right");
  };
  expect("(");
  bool first = true;
  while (!at(")")) {
    if (!first) {
      expect(",");
      if (at(")")) break;
    }
    first = false;
    if (skip("*")) {
      ensure(!arguments.unpacked_list && !arguments.unpacked_dict);
      arguments.unpacked_list = parse_expression();
    } else if (skip("**")) {
      ensure(!arguments.unpacked_dict);
      arguments.unpacked_dict = parse_expression();
    } else if (current().kind == TokenKind::Name && next().kind == TokenKind::Operator &&
               next().text == "=") {
      ensure(!arguments.unpacked_dict);
      std::string name = current().text;
      advance();
      advance();
      for (const auto& [other, value] : arguments.keywords) {
        if (other == name) fail_at(line, "the argument '{}' is given twice", name);
      }
      arguments.keywords.emplace_back(std::move(name), parse_expression());
    } else {
      ensure(!arguments.unpacked_list && !arguments.unpacked_dict && arguments.keywords.empty());
      arguments.positional.push_back(parse_expression());
    }
  }
  expect(")");
  return arguments;
}

ExpressionPointer ExpressionParser::parse_call(ExpressionPointer node) {
  auto call = std::make_unique<CallExpression>(current().line);
  call->arguments = parse_arguments();
  call->callee = std::move(node);
  grow(*call, call->callee);
  grow(*call, call->arguments);
  return call;
}

ExpressionPointer ExpressionParser::parse_filters(ExpressionPointer operand, bool after_bar) {
  while (after_bar || skip("|")) {
    after_bar = false;
    auto node = std::make_unique<FilterExpression>(ExpressionKind::Filter, current().line);
    node->name = expect_name("the name of a filter");
    while (skip(".")) node->name += "." + expect_name("a name");
    check_name_known(has_filter(node->name), "filter", node->name, node->line);
    if (at("(")) node->arguments = parse_arguments();
    node->operand = std::move(operand);
    grow(*node, node->operand);
    grow(*node, node->arguments);
    operand = std::move(node);
  }
  return operand;
}

bool ExpressionParser::at_test_argument() const {
  switch (current().kind) {
    case TokenKind::Name:
      return !at_name("else") && !at_name("or") && !at_name("and");
    case TokenKind::String:
    case TokenKind::Integer:
    case TokenKind::Float:
      return true;
    default:
      return at("[") || at("{");
  }
}

ExpressionPointer ExpressionParser::parse_test(ExpressionPointer node) {
  int line = current().line;
  advance();
  bool negated = skip_name("not");
  auto test = std::make_unique<FilterExpression>(ExpressionKind::Test, line);
  test->name = expect_name("the name of a test");
  while (skip(".")) test->name += "." + expect_name("a name");
  check_name_known(has_test(test->name), "test", test->name, line);
  if (at("(")) {
    test->arguments = parse_arguments();
  } else if (at_test_argument()) {
    if (at_name("is")) fail_at(line, "tests with 'is' cannot be chained");
    Nesting nesting(*this);
    test->arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  test->operand = std::move(node);
  grow(*test, test->operand);
  grow(*test, test->arguments);
  if (!negated) return test;
  auto result = std::make_unique<UnaryExpression>(ExpressionKind::Not, line);
  result->operand = std::move(test);
  grow(*result, result->operand);
  return result;
}

}  // namespace lockstep::text::jinja
