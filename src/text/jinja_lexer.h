// Cuts a template into tokens. White space control happens here: `-` and `+` at tags, the newline after a
// block tag dropped (trim_blocks), the blanks before a block tag dropped (lstrip_blocks), and one newline
// at the template's end dropped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_value.h"

namespace lockstep::text::jinja {

enum class TokenKind {
  Text,
  PrintBegin,
  PrintEnd,
  BlockBegin,
  BlockEnd,
  Name,
  String,
  Integer,
  Float,
  Operator,
  End
};

struct Token {
  TokenKind kind = TokenKind::End;
  std::string text;  // the text, the name, the operator, the string's content
  int line = 1;
  WideInteger integer = 0;
  double number = 0;
};

// Throws Failure with the line of what is wrong. The last token is End.
std::vector<Token> tokenize(std::string_view source);

}  // namespace lockstep::text::jinja
