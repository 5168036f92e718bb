#include "text/jinja_lexer.h"

#include <array>
#include <charconv>

#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The value of a digit in bases up to 16, -1 if it is none.
int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Line ends become "\n"; the last one is dropped.
std::string normalize(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      text += '\n';
    }
  }
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize(source)) {}

  std::vector<Token> run() {
    while (position_ < source_.size()) read_text_and_tag();
    push(TokenKind::End, "");
    return std::move(tokens_);
  }

 private:
  char peek(size_t offset = 0) const {
    return position_ + offset < source_.size() ? source_[position_ + offset] : '\0';
  }
  bool starts_with(std::string_view text) const {
    return std::string_view(source_).substr(position_).starts_with(text);
  }
  std::string_view rest() const { return std::string_view(source_).substr(position_); }

  void push(TokenKind kind, std::string text) {
    tokens_.push_back(Token{kind, std::move(text), line_, 0, 0});
  }

  // Moves on, counting lines; remembers whether a line starts here.
  void advance(size_t count) {
    for (size_t i = 0; i < count; ++i) line_ += source_[position_ + i] == '\n';
    position_ += count;
    if (count > 0) line_starting_ = source_[position_ - 1] == '\n';
  }

  size_t space_length(size_t offset) const {
    std::string_view text = rest().substr(std::min(offset, rest().size()));
    return text.size() - strip(text, nullptr, true, false).size();
  }

  // The text before a tag as the tag's sign leaves it. `starts_line`: whether a line starts where it does.
  static std::string_view trim_before_tag(std::string_view text, char sign, bool is_print, bool starts_line) {
    if (sign == '-') return strip(text, nullptr, false, true);
    if (sign == '+' || is_print) return text;
    size_t line_start = text.rfind('\n') + 1;
    if (line_start == 0 && !starts_line) return text;
    bool blank = strip(text.substr(line_start), nullptr, true, false).empty();
    return blank ? text.substr(0, line_start) : text;
  }

  void push_text(std::string_view text) {
    if (!text.empty()) push(TokenKind::Text, std::string(text));
  }

  void read_text_and_tag() {
    size_t tag = position_;
    while (true) {
      tag = source_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= source_.size()) {
        push_text(rest());
        position_ = source_.size();
        return;
      }
      char second = source_[tag + 1];
      if (second == '%' || second == '{' || second == '#') break;
      ++tag;
    }
    char second = source_[tag + 1];
    char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    if (sign != '-' && sign != '+') sign = '\0';
    std::string_view text = std::string_view(source_).substr(position_, tag - position_);
    push_text(trim_before_tag(text, sign, second == '{', line_starting_));
    advance(tag - position_ + (sign ? 3 : 2));
    if (second == '#') {
      read_comment();
    } else if (second == '%') {
      if (!read_raw()) read_tag(TokenKind::BlockBegin, TokenKind::BlockEnd);
    } else {
      read_tag(TokenKind::PrintBegin, TokenKind::PrintEnd);
    }
  }

  void read_comment() {
    size_t end = source_.find("#}", position_);
    if (end == std::string::npos) fail_at(line_, "a comment is not closed with '#}}'");
    char sign = end > position_ ? source_[end - 1] : '\0';
    advance(end - position_ + 2);
    if (sign == '-') {
      advance(space_length(0));
    } else if (sign != '+' && peek() == '\n') {
      advance(1);
    }
  }

  // Length of a block tag's end at `offset`, 0 if there is none there.
  size_t block_end_length(size_t offset) const {
    std::string_view text = rest().substr(std::min(offset, rest().size()));
    if (text.starts_with("+%}")) return 3;
    if (text.starts_with("-%}")) return 3 + space_length(offset + 3);
    if (text.starts_with("%}")) return text.size() > 2 && text[2] == '\n' ? 3 : 2;
    return 0;
  }

  // A raw block, if the tag whose start was just read opens one.
  bool read_raw() {
    size_t size = space_length(0);
    if (!rest().substr(size).starts_with("raw")) return false;
    size += 3;
    size += space_length(size);
    std::string_view end = rest().substr(size);
    if (end.starts_with("-%}")) {
      size += 3;
      size += space_length(size);
    } else if (end.starts_with("%}")) {
      size += 2;
    } else {
      return false;
    }
    int start_line = line_;
    advance(size);
    for (size_t tag = source_.find("{%", position_); tag != std::string::npos;
         tag = source_.find("{%", tag + 1)) {
      size_t offset = tag - position_ + 2;
      char sign = peek(offset);
      if (sign == '-' || sign == '+') {
        ++offset;
      } else {
        sign = '\0';
      }
      offset += space_length(offset);
      if (!rest().substr(std::min(offset, rest().size())).starts_with("endraw")) continue;
      offset += 6;
      offset += space_length(offset);
      size_t end_size = block_end_length(offset);
      if (end_size == 0) continue;
      push_text(trim_before_tag(rest().substr(0, tag - position_), sign, false, line_starting_));
      advance(offset + end_size);
      return true;
    }
    fail_at(start_line, "a raw block is not closed with '{{% endraw %}}'");
  }

  void read_tag(TokenKind begin, TokenKind end) {
    push(begin, "");
    std::string open_brackets;
    while (true) {
      if (position_ >= source_.size()) {
        fail_at(tokens_.back().line, "the template ends inside a tag");
      }
      if (open_brackets.empty()) {
        size_t size = end == TokenKind::BlockEnd ? block_end_length(0) : print_end_length();
        if (size > 0) {
          push(end, "");
          advance(size);
          return;
        }
      }
      if (size_t spaces = space_length(0)) {
        advance(spaces);
        continue;
      }
      read_token(open_brackets);
    }
  }

  size_t print_end_length() const {
    if (starts_with("-}}")) return 3 + space_length(3);
    return starts_with("}}") ? 2 : 0;
  }

  void read_token(std::string& open_brackets) {
    char c = peek();
    if (is_digit(c)) {
      read_number();
    } else if (c == '\'' || c == '"') {
      read_string(c);
    } else if (size_t size = name_length()) {
      push(TokenKind::Name, std::string(rest().substr(0, size)));
      advance(size);
    } else {
      read_operator(open_brackets);
    }
  }

  size_t name_length() const {
    size_t size = 0;
    std::string_view text = rest();
    while (size < text.size()) {
      auto byte = static_cast<unsigned char>(text[size]);
      if (byte < 0x80) {
        bool is_letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
        if (byte != '_' && !is_letter && !is_digit(text[size])) break;
        ++size;
        continue;
      }
      size_t next = size + 1;
      while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xC0) == 0x80) ++next;
      if (!belongs_to(text.substr(size, next - size), CharacterClass::Alphanumeric)) break;
      size = next;
    }
    return size;
  }

  // Length of digits at `offset`, single underscores between them allowed.
  size_t digits_length(size_t offset) const {
    size_t size = 0;
    while (is_digit(peek(offset + size)) ||
           (size > 0 && peek(offset + size) == '_' && is_digit(peek(offset + size + 1)))) {
      ++size;
    }
    return size;
  }

  size_t float_length() const {
    if (position_ > 0 && source_[position_ - 1] == '.') return 0;
    size_t size = digits_length(0);
    bool has_fraction = peek(size) == '.' && is_digit(peek(size + 1));
    if (has_fraction) size += 1 + digits_length(size + 1);
    if (peek(size) == 'e' || peek(size) == 'E') {
      size_t sign = peek(size + 1) == '+' || peek(size + 1) == '-' ? 1 : 0;
      if (size_t exponent = digits_length(size + 1 + sign)) return size + 1 + sign + exponent;
    }
    return has_fraction ? size : 0;
  }

  void read_number() {
    size_t size = float_length();
    bool is_float = size > 0;
    int base = 10;
    size_t prefix = 0;
    if (!is_float) {
      char mark = static_cast<char>(peek(1) | 0x20);
      int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
      if (peek() == '0' && marked != 0) {
        size = 2;
        while (true) {
          size_t underscore = peek(size) == '_' ? 1 : 0;
          int value = digit_value(peek(size + underscore));
          if (value < 0 || value >= marked) break;
          size += underscore + 1;
        }
        prefix = size > 2 ? 2 : 0;
        base = size > 2 ? marked : 10;
        if (size == 2) size = 1;
      } else if (peek() == '0') {
        size = 1;
        while (peek(size) == '0' || (peek(size) == '_' && peek(size + 1) == '0')) ++size;
      } else {
        size = digits_length(0);
      }
    }
    std::string digits;
    for (char c : rest().substr(prefix, size - prefix)) {
      if (c != '_') digits += c;
    }
    push(is_float ? TokenKind::Float : TokenKind::Integer, digits);
    if (is_float) {
      auto result = std::from_chars(digits.data(), digits.data() + digits.size(), tokens_.back().number);
      if (result.ec == std::errc::result_out_of_range)
        tokens_.back().number = std::strtod(digits.c_str(), nullptr);
    } else {
      WideInteger value = 0;
      for (char c : digits) {
        value = value * base + digit_value(c);
        if (value > kMaximumInteger) fail_at(line_, "the number {} does not fit in 64 bits", digits);
      }
      tokens_.back().integer = value;
    }
    advance(size);
  }

  void read_string(char quote) {
    size_t size = 1;
    while (position_ + size < source_.size() && peek(size) != quote) size += peek(size) == '\\' ? 2 : 1;
    if (position_ + size >= source_.size()) fail_at(line_, "a string is not closed with {}", quote);
    push(TokenKind::String, unescape(rest().substr(1, size - 1)));
    advance(size + 1);
  }

  std::string unescape(std::string_view text) const {
    std::string result;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        result += text[i];
        continue;
      }
      char c = text[++i];
      static constexpr std::string_view kNames = "abfnrtv\\'\"";
      static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
      size_t simple = kNames.find(c);
      if (simple != std::string_view::npos) {
        result += kValues[simple];
      } else if (c == '\n') {
        continue;
      } else if (c >= '0' && c <= '7') {
        char32_t point = 0;
        size_t end = std::min(i + 3, text.size());
        for (; i < end && text[i] >= '0' && text[i] <= '7'; ++i)
          point = point * 8 + static_cast<char32_t>(text[i] - '0');
        --i;
        result += encode(point);
      } else if (c == 'x' || c == 'u' || c == 'U') {
        size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        result += encode(hexadecimal_escape(text.substr(i + 1), count));
        i += count;
      } else if (c == 'N') {
        fail_at(line_, "the escape \\N is not supported; write the character itself or \\uXXXX");
      } else {
        result += '\\';
        result += c;
      }
    }
    return result;
  }

  char32_t hexadecimal_escape(std::string_view text, size_t count) const {
    char32_t point = 0;
    for (size_t i = 0; i < count; ++i) {
      int value = i < text.size() ? digit_value(text[i]) : -1;
      if (value < 0) fail_at(line_, "an escape in a string needs {} hexadecimal digits", count);
      point = point * 16 + static_cast<char32_t>(value);
    }
    if (point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
      fail_at(line_, "an escape in a string names no Unicode character");
    }
    return point;
  }

  void read_operator(std::string& open_brackets) {
    static constexpr std::array<std::string_view, 26> kOperators = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (std::string_view candidate : kOperators) {
      if (!starts_with(candidate)) continue;
      char c = candidate[0];
      if (c == '(' || c == '[' || c == '{') {
        open_brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
      } else if (c == ')' || c == ']' || c == '}') {
        if (open_brackets.empty()) fail_at(line_, "'{}' closes nothing", c);
        if (open_brackets.back() != c)
          fail_at(line_, "'{}' stands where '{}' should be", c, open_brackets.back());
        open_brackets.pop_back();
      }
      push(TokenKind::Operator, std::string(candidate));
      advance(candidate.size());
      return;
    }
    fail_at(line_, "the character '{}' has no meaning inside a tag", encode(decode(rest().substr(0, 4))[0]));
  }

  std::string source_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace lockstep::text::jinja
