// Strings as Python sees them: sequences of code points, with Unicode's cases and classes. Strings are
// UTF-8; a byte that is not valid UTF-8 counts as one code point and survives every operation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::text::jinja {

bool is_ascii(std::string_view text);

// Code points of `text`; an invalid byte B becomes U+DC00 + B, which encode() turns back into B.
std::u32string decode(std::string_view text);
std::string encode(std::u32string_view points);
std::string encode(char32_t point);

// The number of code points.
size_t length_of(std::string_view text);

bool is_space(char32_t point);
// Whether str.splitlines() ends a line here.
bool is_line_break(char32_t point);
// Whether repr() shows the character itself.
bool is_printable(char32_t point);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string capitalize(std::string_view text);
// str.title(): every run of cased letters starts with an upper case letter.
std::string to_title(std::string_view text);
std::string swap_case(std::string_view text);

enum class CharacterClass { Alphabetic, Alphanumeric, Decimal, Digit, Numeric, Space, Upper, Lower, Title };
// Python's isalpha(), isdigit() and so on: true if the text is not empty and belongs to the class.
bool belongs_to(std::string_view text, CharacterClass wanted);

// The number of runs of word characters (letters, digits, underscore).
size_t count_words(std::string_view text);

// Without the characters of `set` (white space if null) at the left, the right or both ends.
std::string_view strip(std::string_view text, const std::string* set, bool left, bool right);

// str.split(separator, maximum): white space runs if separator is null; no limit if maximum is negative.
std::vector<std::string> split(std::string_view text, const std::string* separator, int64_t maximum);
std::vector<std::string> split_from_right(std::string_view text, const std::string* separator,
                                          int64_t maximum);
std::vector<std::string> split_lines(std::string_view text, bool keep_ends);

}  // namespace lockstep::text::jinja
