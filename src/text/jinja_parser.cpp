#include "text/jinja_parser.h"

#include <algorithm>

#include "text/jinja_expression_parser.h"

namespace lockstep::text::jinja {
namespace {

class StatementParser : public ExpressionParser {
 public:
  explicit StatementParser(std::string_view source) : ExpressionParser(tokenize(source)) {}

  Body parse() {
    Body body = parse_until({});
    if (!unknown_names_.empty()) throw unknown_names_.front();
    return body;
  }

 private:
  using Names = std::vector<std::string_view>;

  // Restores a member when it goes out of scope.
  template <class T>
  class Restore {
   public:
    Restore(T& place, T value) : place_(place), saved_(place) { place = value; }
    ~Restore() { place_ = saved_; }
    Restore(const Restore&) = delete;
    Restore& operator=(const Restore&) = delete;

   private:
    T& place_;
    T saved_;
  };

  void end_tag() {
    if (current().kind != TokenKind::BlockEnd) {
      fail_at(current().line, "the end of the tag is expected, not {}", describe(current()));
    }
    advance();
  }

  bool at_any(const Names& names) const {
    return current().kind == TokenKind::Name &&
           std::find(names.begin(), names.end(), current().text) != names.end();
  }

  // Statements up to a tag that starts with one of `ends`, which is left to be read; all if there are none.
  Body parse_until(const Names& ends) {
    Nesting nesting(*this);
    Body body;
    while (current().kind != TokenKind::End) {
      int line = current().line;
      if (current().kind == TokenKind::Text) {
        body.push_back(std::make_unique<TextStatement>(current().text, line));
        advance();
      } else if (current().kind == TokenKind::PrintBegin) {
        advance();
        auto print = std::make_unique<PrintStatement>(line);
        print->value = parse_tuple();
        if (current().kind != TokenKind::PrintEnd) {
          fail_at(current().line, "'}}}}' is expected, not {}", describe(current()));
        }
        advance();
        body.push_back(std::move(print));
      } else {
        advance();
        if (at_any(ends)) return body;
        parse_statement(body);
        end_tag();
      }
    }
    if (!ends.empty()) fail_at(current().line, "the template ends where '{{% {} %}}' should be", ends.back());
    return body;
  }

  // The body after a tag's own words, up to and with one of `ends`; returns the one that was found.
  std::string parse_body(Body& body, const Names& ends) {
    skip(":");
    end_tag();
    body = parse_until(ends);
    return expect_name("the end of a block");
  }

  void parse_statement(Body& body) {
    int line = current().line;
    std::string tag = expect_name("the name of a tag");
    if (tag == "if") {
      body.push_back(parse_if(line));
    } else if (tag == "for") {
      body.push_back(parse_for(line));
    } else if (tag == "set") {
      body.push_back(parse_set(line));
    } else if (tag == "macro") {
      body.push_back(parse_macro(line));
    } else if (tag == "call") {
      body.push_back(parse_call_block(line));
    } else if (tag == "filter") {
      body.push_back(parse_filter_block(line));
    } else if (tag == "with") {
      body.push_back(parse_with(line));
    } else if (tag == "generation") {
      body.push_back(parse_generation(line));
    } else if (tag == "print") {
      parse_print(body);
    } else if (tag == "break" || tag == "continue") {
      if (loop_depth_ == 0) fail_at(line, "'{}' stands outside of a loop", tag);
      body.push_back(
          std::make_unique<Statement>(tag == "break" ? StatementKind::Break : StatementKind::Continue, line));
    } else {
      fail_at(line, "the tag '{}' is not one that chat templates may use", tag);
    }
  }

  std::unique_ptr<Statement> parse_if(int line) {
    Restore<bool> conditional(conditional_frame_, true);
    auto node = std::make_unique<IfStatement>(line);
    while (true) {
      auto& [condition, branch] = node->branches.emplace_back();
      condition = parse_tuple(false);
      std::string end = parse_body(branch, {"elif", "else", "endif"});
      if (end == "elif") continue;
      if (end == "else") parse_body(node->otherwise, {"endif"});
      return node;
    }
  }

  std::unique_ptr<Statement> parse_for(int line) {
    Restore<bool> conditional(conditional_frame_, false);
    Restore<bool> inside(inside_for_, true);
    auto node = std::make_unique<ForStatement>(line);
    node->target = parse_target(false);
    if (!skip_name("in")) fail_at(current().line, "'in' is expected, not {}", describe(current()));
    node->iterable = parse_tuple(false);
    if (skip_name("if")) node->condition = parse_expression();
    if (at_name("recursive")) fail_at(line, "recursive loops are not supported");
    std::string end;
    {
      Restore<int> depth(loop_depth_, loop_depth_ + 1);
      end = parse_body(node->body, {"else", "endfor"});
    }
    if (end == "else") parse_body(node->otherwise, {"endfor"});
    return node;
  }

  // One target or several with commas between them.
  Target parse_target(bool with_attribute) {
    Nesting nesting(*this);
    Target tuple;
    tuple.is_tuple = true;
    bool has_comma = false;
    while (true) {
      if (current().kind == TokenKind::BlockEnd || at(")")) break;
      tuple.parts.push_back(parse_single_target(with_attribute));
      if (!skip(",")) break;
      has_comma = true;
    }
    if (tuple.parts.empty()) fail_at(current().line, "a name is expected, not {}", describe(current()));
    if (has_comma) return tuple;
    return std::move(tuple.parts[0]);
  }

  Target parse_single_target(bool with_attribute) {
    if (skip("(")) {
      Target inner = parse_target(false);
      expect(")");
      return inner;
    }
    int line = current().line;
    Target target;
    target.name = expect_name("a name to assign to");
    static constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
    if (std::find(std::begin(kConstants), std::end(kConstants), target.name) != std::end(kConstants)) {
      fail_at(line, "'{}' cannot be assigned to", target.name);
    }
    if (target.name == "loop" && inside_for_) fail_at(line, "'loop' cannot be assigned to inside of a loop");
    if (with_attribute && skip(".")) target.attribute = expect_name("the name of an attribute");
    return target;
  }

  std::unique_ptr<Statement> parse_set(int line) {
    Target target = parse_target(true);
    if (skip("=")) {
      auto node = std::make_unique<SetStatement>(line);
      node->target = std::move(target);
      node->value = parse_tuple();
      return node;
    }
    Restore<bool> conditional(conditional_frame_, false);
    auto node = std::make_unique<SetBlockStatement>(line);
    node->target = std::move(target);
    node->filter = parse_filters(nullptr, false);
    parse_body(node->body, {"endset"});
    return node;
  }

  void parse_signature(MacroDefinition& macro) {
    expect("(");
    while (!at(")")) {
      if (!macro.parameters.empty()) expect(",");
      int line = current().line;
      Parameter parameter;
      parameter.name = expect_name("the name of a parameter");
      for (const Parameter& other : macro.parameters) {
        if (other.name == parameter.name)
          fail_at(line, "the parameter '{}' is declared twice", parameter.name);
      }
      if (skip("=")) {
        parameter.default_value = parse_expression();
      } else if (!macro.parameters.empty() && macro.parameters.back().default_value) {
        fail_at(line, "the parameter '{}' needs a default like the one before it", parameter.name);
      }
      macro.parameters.push_back(std::move(parameter));
    }
    expect(")");
  }

  // The body of a macro or of a call block.
  void parse_macro_body(MacroDefinition& macro, std::string_view end) {
    Restore<bool> conditional(conditional_frame_, false);
    Restore<int> depth(loop_depth_, 0);
    SpecialNames special;
    macros_.push_back(&special);
    parse_body(macro.body, {end});
    macros_.pop_back();
    auto is_parameter = [&](std::string_view name) {
      return std::any_of(macro.parameters.begin(), macro.parameters.end(),
                         [&](const Parameter& parameter) { return parameter.name == name; });
    };
    macro.uses_caller = special.caller && !is_parameter("caller");
    macro.uses_varargs = special.varargs && !is_parameter("varargs");
    macro.uses_kwargs = special.kwargs && !is_parameter("kwargs");
  }

  std::unique_ptr<Statement> parse_macro(int line) {
    auto node = std::make_unique<MacroStatement>(line);
    node->macro.name = expect_name("the name of the macro");
    parse_signature(node->macro);
    parse_macro_body(node->macro, "endmacro");
    return node;
  }

  std::unique_ptr<Statement> parse_call_block(int line) {
    auto node = std::make_unique<CallBlockStatement>(line);
    node->caller.name = "caller";
    if (at("(")) parse_signature(node->caller);
    node->call = parse_expression();
    if (node->call->kind != ExpressionKind::Call)
      fail_at(line, "a call block needs a call, such as 'call name()'");
    parse_macro_body(node->caller, "endcall");
    return node;
  }

  std::unique_ptr<Statement> parse_filter_block(int line) {
    Restore<bool> conditional(conditional_frame_, false);
    auto node = std::make_unique<FilterBlockStatement>(line);
    node->filter = parse_filters(nullptr, true);
    parse_body(node->body, {"endfilter"});
    return node;
  }

  std::unique_ptr<Statement> parse_with(int line) {
    Restore<bool> conditional(conditional_frame_, false);
    auto node = std::make_unique<WithStatement>(line);
    while (current().kind != TokenKind::BlockEnd) {
      if (!node->assignments.empty()) expect(",");
      Target target = parse_single_target(false);
      expect("=");
      node->assignments.emplace_back(std::move(target), parse_expression());
    }
    parse_body(node->body, {"endwith"});
    return node;
  }

  // What the generation tags of training templates hold; they mark it and change nothing else.
  std::unique_ptr<Statement> parse_generation(int line) {
    Restore<bool> conditional(conditional_frame_, false);
    Restore<int> depth(loop_depth_, 0);
    auto node = std::make_unique<ScopeStatement>(line);
    parse_body(node->body, {"endgeneration"});
    return node;
  }

  void parse_print(Body& body) {
    bool first = true;
    while (current().kind != TokenKind::BlockEnd) {
      if (!first) expect(",");
      first = false;
      auto print = std::make_unique<PrintStatement>(current().line);
      print->value = parse_expression();
      body.push_back(std::move(print));
    }
  }

  int loop_depth_ = 0;       // of loops that a 'break' here would leave
  bool inside_for_ = false;  // anywhere inside of a loop, its macros too
};

}  // namespace

Body parse_template(std::string_view source) {
  return StatementParser(source).parse();
}

}  // namespace lockstep::text::jinja
