// UTF-8: strict decoding (no overlong forms, no surrogates, nothing above U+10FFFF), encoding, and the
// replacement of what is broken by U+FFFD.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep::text {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

enum class Utf8Status : uint8_t {
  Valid,
  Invalid,     // `length` bytes are the longest prefix of a sequence that no next byte can complete
  Incomplete,  // the text ends inside a sequence that more bytes could complete
};

struct Utf8Step {
  char32_t code_point = kReplacementCharacter;  // meaningful when Valid
  uint32_t length = 0;                          // bytes covered, 1 to 4
  Utf8Status status = Utf8Status::Valid;
};

// What stands at `offset`, which must be below text.size().
Utf8Step decode_utf8(std::string_view text, size_t offset);

// Appends a code point; one that is no Unicode scalar value is appended as U+FFFD.
void append_utf8(std::string& text, char32_t code_point);

// The offset of the first byte that is not part of valid UTF-8, if there is one.
std::optional<size_t> find_invalid_utf8(std::string_view text);

// How many characters begin in the bytes: code points, where they are valid UTF-8.
size_t count_characters(std::string_view bytes);

// Appends `bytes` to `output` with every invalid sequence (its longest valid prefix, as Unicode 3.9
// "maximal subpart" defines it) replaced by one U+FFFD. Returns the number of bytes used: all, or all but
// an incomplete sequence at the end (at most 3 bytes).
size_t append_valid_utf8(std::string_view bytes, std::string& output);

}  // namespace lockstep::text
