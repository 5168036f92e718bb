#include "text/utf8.h"

#include <algorithm>
#include <cstring>

namespace lockstep::text {
namespace {

// The length of the sequence that `lead` opens (0: none) and the range that its second byte must be in,
// after table 3-7 of the Unicode Standard.
struct Lead {
  uint32_t length;
  uint8_t second_low;
  uint8_t second_high;
};

Lead classify(uint8_t lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

// The number of bytes from `offset` on that are ASCII, counted in whole words of eight.
size_t ascii_words(std::string_view text, size_t offset) {
  size_t end = offset;
  while (end + 8 <= text.size()) {
    uint64_t word;
    std::memcpy(&word, text.data() + end, 8);
    if (word & 0x8080808080808080ull) break;
    end += 8;
  }
  return end - offset;
}

}  // namespace

Utf8Step decode_utf8(std::string_view text, size_t offset) {
  const auto lead_byte = static_cast<uint8_t>(text[offset]);
  const Lead lead = classify(lead_byte);
  if (lead.length == 1) return {lead_byte, 1, Utf8Status::Valid};
  if (lead.length == 0) return {kReplacementCharacter, 1, Utf8Status::Invalid};
  char32_t code_point = lead_byte & (0x7Fu >> lead.length);
  for (uint32_t i = 1; i < lead.length; ++i) {
    if (offset + i >= text.size()) return {kReplacementCharacter, i, Utf8Status::Incomplete};
    const auto byte = static_cast<uint8_t>(text[offset + i]);
    const uint8_t low = i == 1 ? lead.second_low : 0x80;
    const uint8_t high = i == 1 ? lead.second_high : 0xBF;
    if (byte < low || byte > high) return {kReplacementCharacter, i, Utf8Status::Invalid};
    code_point = (code_point << 6) | (byte & 0x3Fu);
  }
  return {code_point, lead.length, Utf8Status::Valid};
}

void append_utf8(std::string& text, char32_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000)) {
    code_point = kReplacementCharacter;
  }
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0 | (code_point >> 6));
    text += static_cast<char>(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0 | (code_point >> 12));
    text += static_cast<char>(0x80 | ((code_point >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (code_point & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | (code_point >> 18));
    text += static_cast<char>(0x80 | ((code_point >> 12) & 0x3F));
    text += static_cast<char>(0x80 | ((code_point >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (code_point & 0x3F));
  }
}

std::optional<size_t> find_invalid_utf8(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    offset += ascii_words(text, offset);
    if (offset == text.size()) break;
    const Utf8Step step = decode_utf8(text, offset);
    if (step.status != Utf8Status::Valid) return offset;
    offset += step.length;
  }
  return std::nullopt;
}

size_t count_characters(std::string_view bytes) {
  return static_cast<size_t>(
      std::count_if(bytes.begin(), bytes.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

size_t append_valid_utf8(std::string_view bytes, std::string& output) {
  size_t offset = 0;
  while (offset < bytes.size()) {
    const size_t ascii = ascii_words(bytes, offset);
    output.append(bytes, offset, ascii);
    offset += ascii;
    if (offset == bytes.size()) break;
    const Utf8Step step = decode_utf8(bytes, offset);
    if (step.status == Utf8Status::Incomplete) break;
    if (step.status == Utf8Status::Valid) {
      output.append(bytes, offset, step.length);
    } else {
      append_utf8(output, kReplacementCharacter);
    }
    offset += step.length;
  }
  return offset;
}

}  // namespace lockstep::text
