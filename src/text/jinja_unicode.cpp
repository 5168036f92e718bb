#include "text/jinja_unicode.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <memory>

#include "base/error.h"

namespace lockstep::text::jinja {
namespace {

constexpr char32_t kInvalidByteBase = 0xDC00;

// Length of the valid UTF-8 sequence at `text`'s start, 0 if there is none; the code point in `point`.
size_t decode_one(std::string_view text, char32_t& point) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) {
    point = first;
    return 1;
  }
  size_t size = first >= 0xF0 && first <= 0xF4 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || size > text.size()) return 0;
  point = first & (0xFF >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    point = point << 6 | (byte(i) & 0x3F);
  }
  bool overlong = (size == 3 && point < 0x800) || (size == 4 && point < 0x10000);
  if (overlong || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return 0;
  return size;
}

// A compiled pattern that lives as long as the process; shared by all threads, as PCRE2 allows.
class Pattern {
 public:
  explicit Pattern(const char* pattern) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL, &code, &offset, nullptr);
    LOCKSTEP_CHECK(code_ != nullptr);
  }
  ~Pattern() { pcre2_code_free(code_); }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  // Whether the pattern matches at `start` or after it; the match's end in `end`. False for invalid UTF-8.
  bool find(std::string_view text, size_t start, size_t& end) const {
    auto match = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>(
        pcre2_match_data_create_from_pattern(code_, nullptr), pcre2_match_data_free);
    if (!match) machine_error("out of memory while matching a pattern");
    int count = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), start, 0,
                            match.get(), nullptr);
    if (count < 0) return false;
    end = pcre2_get_ovector_pointer(match.get())[1];
    return true;
  }
  bool found_in(std::string_view text) const {
    size_t end = 0;
    return find(text, 0, end);
  }

  // Every match replaced, with PCRE2's extended syntax; the text as it was if it is not valid UTF-8.
  std::string substitute(std::string_view text, const char* replacement) const {
    std::string result(text.size() * 3 + 16, '\0');
    PCRE2_SIZE size = result.size();
    int count = pcre2_substitute(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                                 PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_EXTENDED, nullptr, nullptr,
                                 reinterpret_cast<PCRE2_SPTR>(replacement), PCRE2_ZERO_TERMINATED,
                                 reinterpret_cast<PCRE2_UCHAR*>(result.data()), &size);
    if (count < 0) return std::string(text);
    result.resize(size);
    return result;
  }

 private:
  pcre2_code* code_;
};

bool is_upper(char32_t point) {
  if (point < 0x80) return point >= 'A' && point <= 'Z';
  static const Pattern pattern("\\A[\\p{Lu}\\p{Lt}]");
  return pattern.found_in(encode(point));
}
bool is_lower(char32_t point) {
  if (point < 0x80) return point >= 'a' && point <= 'z';
  static const Pattern pattern("\\A\\p{Ll}");
  return pattern.found_in(encode(point));
}

}  // namespace

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::u32string decode(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  while (!text.empty()) {
    char32_t point = 0;
    size_t size = decode_one(text, point);
    if (size == 0) {
      point = kInvalidByteBase + static_cast<unsigned char>(text[0]);
      size = 1;
    }
    points.push_back(point);
    text.remove_prefix(size);
  }
  return points;
}

std::string encode(char32_t point) {
  std::string text;
  auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (point < 0x80) {
    put(point);
  } else if (point >= kInvalidByteBase + 0x80 && point <= kInvalidByteBase + 0xFF) {
    put(point - kInvalidByteBase);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
  return text;
}

std::string encode(std::u32string_view points) {
  std::string text;
  text.reserve(points.size());
  for (char32_t point : points) {
    if (point < 0x80) {
      text.push_back(static_cast<char>(point));
    } else {
      text += encode(point);
    }
  }
  return text;
}

size_t length_of(std::string_view text) {
  return is_ascii(text) ? text.size() : decode(text).size();
}

bool is_space(char32_t p) {
  if (p < 0x80) return (p >= 9 && p <= 13) || (p >= 28 && p <= 32);
  return p == 0x85 || p == 0xA0 || p == 0x1680 || (p >= 0x2000 && p <= 0x200A) || p == 0x2028 ||
         p == 0x2029 || p == 0x202F || p == 0x205F || p == 0x3000;
}

bool is_line_break(char32_t p) {
  return (p >= 10 && p <= 13) || (p >= 0x1C && p <= 0x1E) || p == 0x85 || p == 0x2028 || p == 0x2029;
}

bool is_printable(char32_t point) {
  if (point < 0x80) return point >= 0x20 && point < 0x7F;
  static const Pattern pattern("\\A[^\\p{C}\\p{Z}]");
  return pattern.found_in(encode(point));
}

std::string to_upper(std::string_view text) {
  if (!is_ascii(text)) {
    static const Pattern sharp_s("\u00DF");
    static const Pattern all(".+");
    return all.substitute(sharp_s.substitute(text, "ss"), "\\U$0");
  }
  std::string result(text);
  for (char& c : result) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return result;
}

std::string to_lower(std::string_view text) {
  if (!is_ascii(text)) {
    static const Pattern all(".+");
    return all.substitute(text, "\\L$0");
  }
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

std::string capitalize(std::string_view text) {
  std::u32string points = decode(text);
  if (points.empty()) return {};
  std::string first = to_upper(encode(points[0]));
  if (points[0] == 0xDF) first = "Ss";
  return first + to_lower(encode(std::u32string_view(points).substr(1)));
}

std::string to_title(std::string_view text) {
  std::string result;
  bool inside_word = false;
  for (char32_t point : decode(text)) {
    result += inside_word ? to_lower(encode(point)) : to_upper(encode(point));
    inside_word = is_upper(point) || is_lower(point);
  }
  return result;
}

std::string swap_case(std::string_view text) {
  std::string result;
  for (char32_t point : decode(text)) {
    result += is_upper(point) ? to_lower(encode(point)) : to_upper(encode(point));
  }
  return result;
}

bool belongs_to(std::string_view text, CharacterClass wanted) {
  static const Pattern alphabetic("\\A\\p{L}+\\z");
  static const Pattern alphanumeric("\\A[\\p{L}\\p{N}]+\\z");
  static const Pattern decimal("\\A\\p{Nd}+\\z");
  static const Pattern digit(
      "\\A[\\p{Nd}\\x{B2}\\x{B3}\\x{B9}\\x{2070}\\x{2074}-\\x{2079}"
      "\\x{2080}-\\x{2089}\\x{2460}-\\x{2468}]+\\z");
  static const Pattern numeric("\\A\\p{N}+\\z");
  static const Pattern upper("\\A[^\\p{Ll}\\p{Lt}]*\\p{Lu}[^\\p{Ll}\\p{Lt}]*\\z");
  static const Pattern lower("\\A[^\\p{Lu}\\p{Lt}]*\\p{Ll}[^\\p{Lu}\\p{Lt}]*\\z");
  switch (wanted) {
    case CharacterClass::Alphabetic:
      return alphabetic.found_in(text);
    case CharacterClass::Alphanumeric:
      return alphanumeric.found_in(text);
    case CharacterClass::Decimal:
      return decimal.found_in(text);
    case CharacterClass::Digit:
      return digit.found_in(text);
    case CharacterClass::Numeric:
      return numeric.found_in(text);
    case CharacterClass::Upper:
      return upper.found_in(text);
    case CharacterClass::Lower:
      return lower.found_in(text);
    case CharacterClass::Space: {
      std::u32string points = decode(text);
      return !points.empty() && std::all_of(points.begin(), points.end(), is_space);
    }
    case CharacterClass::Title: {
      bool cased = false;
      bool after_cased = false;
      for (char32_t point : decode(text)) {
        bool up = is_upper(point);
        bool low = is_lower(point);
        if ((up && after_cased) || (low && !after_cased)) return false;
        after_cased = up || low;
        cased = cased || after_cased;
      }
      return cased;
    }
  }
  return false;
}

size_t count_words(std::string_view text) {
  static const Pattern word("\\w+");
  size_t count = 0;
  for (size_t position = 0; word.find(text, position, position);) ++count;
  return count;
}

std::string_view strip(std::string_view text, const std::string* set, bool left, bool right) {
  std::u32string members = set ? decode(*set) : std::u32string();
  auto removable = [&](char32_t point) {
    return set ? members.find(point) != std::u32string::npos : is_space(point);
  };
  while (left && !text.empty()) {
    char32_t point = 0;
    size_t size = decode_one(text, point);
    if (size == 0) {
      point = kInvalidByteBase + static_cast<unsigned char>(text[0]);
      size = 1;
    }
    if (!removable(point)) break;
    text.remove_prefix(size);
  }
  while (right && !text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) {
      --start;
    }
    char32_t point = 0;
    if (decode_one(text.substr(start), point) != text.size() - start) {
      start = text.size() - 1;
      point = kInvalidByteBase + static_cast<unsigned char>(text[start]);
    }
    if (!removable(point)) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

namespace {

// The words between white space, at most `maximum` cuts (any number if negative), from the left.
std::vector<std::string> split_on_space(std::u32string_view points, int64_t maximum, bool from_right) {
  std::vector<std::string> parts;
  auto at = [&](size_t i) { return from_right ? points[points.size() - 1 - i] : points[i]; };
  auto cut = [&](size_t start, size_t end) {
    size_t first = from_right ? points.size() - end : start;
    parts.push_back(encode(points.substr(first, end - start)));
  };
  size_t position = 0;
  while (true) {
    while (position < points.size() && is_space(at(position))) ++position;
    if (position == points.size()) break;
    size_t end = position;
    if (maximum >= 0 && parts.size() >= static_cast<size_t>(maximum)) {
      end = points.size();
    } else {
      while (end < points.size() && !is_space(at(end))) ++end;
    }
    cut(position, end);
    position = end;
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

std::vector<std::string> split(std::string_view text, const std::string* separator, int64_t maximum) {
  if (!separator) return split_on_space(decode(text), maximum, false);
  std::vector<std::string> parts;
  size_t start = 0;
  while (maximum < 0 || parts.size() < static_cast<size_t>(maximum)) {
    size_t found = text.find(*separator, start);
    if (found == std::string_view::npos) break;
    parts.emplace_back(text.substr(start, found - start));
    start = found + separator->size();
  }
  parts.emplace_back(text.substr(start));
  return parts;
}

std::vector<std::string> split_from_right(std::string_view text, const std::string* separator,
                                          int64_t maximum) {
  if (!separator) return split_on_space(decode(text), maximum, true);
  std::vector<std::string> parts;
  while (maximum < 0 || parts.size() < static_cast<size_t>(maximum)) {
    size_t found = text.rfind(*separator);
    if (found == std::string_view::npos) break;
    parts.emplace_back(text.substr(found + separator->size()));
    text = text.substr(0, found);
  }
  parts.emplace_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  std::u32string points = decode(text);
  std::u32string_view view = points;
  size_t start = 0;
  while (start < view.size()) {
    size_t end = start;
    while (end < view.size() && !is_line_break(view[end])) ++end;
    size_t next = end;
    if (next < view.size())
      next += view[next] == '\r' && next + 1 < view.size() && view[next + 1] == '\n' ? 2 : 1;
    lines.push_back(encode(view.substr(start, (keep_ends ? next : end) - start)));
    start = next;
  }
  return lines;
}

}  // namespace lockstep::text::jinja
