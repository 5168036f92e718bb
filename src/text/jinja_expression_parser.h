// The expression half of the parser; the statement parser derives from it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_ast.h"
#include "text/jinja_lexer.h"

namespace lockstep::text::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

 protected:
  // Counts one level of nesting while it lives.
  class Nesting {
   public:
    Nesting(ExpressionParser& parser);
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };

  // What a macro's body mentions of the names that every macro has.
  struct SpecialNames {
    bool caller = false;
    bool varargs = false;
    bool kwargs = false;
  };

  const Token& current() const { return tokens_[position_]; }
  const Token& next() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  void advance() { position_ += position_ + 1 < tokens_.size() ? 1 : 0; }
  bool at(std::string_view operation) const;
  bool at_name(std::string_view name) const;
  bool skip(std::string_view operation);
  bool skip_name(std::string_view name);
  void expect(std::string_view operation);
  std::string expect_name(const char* what);
  // "'x'", "the end of the tag" and so on, for messages.
  static std::string describe(const Token& token);

  // Expressions separated by commas make a tuple. `with_conditional`: whether `if` may follow.
  ExpressionPointer parse_tuple(bool with_conditional = true, bool in_parentheses = false);
  ExpressionPointer parse_expression();
  ExpressionPointer parse_without_conditional() { return parse_or(); }
  // A chain of filters applied to `operand`; the first one's bar is already read if `after_bar`.
  ExpressionPointer parse_filters(ExpressionPointer operand, bool after_bar);

  std::vector<SpecialNames*> macros_;   // being parsed, outermost first
  std::vector<Failure> unknown_names_;  // of filters and tests that are certain to be reached
  bool conditional_frame_ = false;      // inside an `if`: unknown names wait until they are reached

 private:
  ExpressionPointer parse_or();
  ExpressionPointer parse_and();
  ExpressionPointer parse_not();
  ExpressionPointer parse_compare();
  ExpressionPointer parse_sum();
  ExpressionPointer parse_concat();
  ExpressionPointer parse_product();
  ExpressionPointer parse_power();
  ExpressionPointer parse_unary(bool with_filter);
  ExpressionPointer parse_primary();
  ExpressionPointer parse_postfix(ExpressionPointer node);
  ExpressionPointer parse_filter_chain(ExpressionPointer node);
  ExpressionPointer parse_attribute(ExpressionPointer node);
  ExpressionPointer parse_subscript(ExpressionPointer node);
  ExpressionPointer parse_call(ExpressionPointer node);
  ExpressionPointer parse_test(ExpressionPointer node);
  ExpressionPointer parse_list();
  ExpressionPointer parse_dict();
  CallArguments parse_arguments();
  bool at_tuple_end() const;
  bool at_test_argument() const;
  ExpressionPointer make_binary(ExpressionKind kind, BinaryOperator operation, ExpressionPointer left,
                                ExpressionPointer right, int line);
  void check_name_known(bool known, const char* what, const std::string& name, int line);

  std::vector<Token> tokens_;
  size_t position_ = 0;
  int nesting_ = 0;
};

}  // namespace lockstep::text::jinja
