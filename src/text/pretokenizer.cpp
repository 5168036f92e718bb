#include "text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <utility>

#include "base/error.h"

namespace lockstep::text {
namespace {

// Character classes, as the inside of [...]. They are those of Unicode 16, with which the reference
// tokenizers are built: what PCRE2's own tables lack of it (those of version 10.42 are of Unicode 14) is
// added. The ASCII ranges are in \p{L} and \p{N} already, but are tested faster.

// White_Space. PCRE2's \s would also take U+180E, which is no white space since Unicode 6.3.
const std::string kSpaces =
    "\\t-\\r\\x20\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}";
const std::string kLetters =
    "A-Za-z\\p{L}"
    "\\x{1C89}-\\x{1C8A}\\x{A7CB}-\\x{A7CD}\\x{A7DA}-\\x{A7DC}\\x{105C0}-\\x{105F3}"
    "\\x{10D4A}-\\x{10D65}\\x{10D6F}-\\x{10D85}\\x{10EC2}-\\x{10EC4}\\x{1123F}-\\x{11240}"
    "\\x{11380}-\\x{11389}\\x{1138B}\\x{1138E}\\x{11390}-\\x{113B5}\\x{113B7}\\x{113D1}"
    "\\x{113D3}\\x{11BC0}-\\x{11BE0}\\x{11F02}\\x{11F04}-\\x{11F10}\\x{11F12}-\\x{11F33}"
    "\\x{1342F}\\x{13441}-\\x{13446}\\x{13460}-\\x{143FA}\\x{16100}-\\x{1611D}"
    "\\x{16D40}-\\x{16D6C}\\x{18CFF}\\x{1B132}\\x{1B155}\\x{1DF25}-\\x{1DF2A}"
    "\\x{1E030}-\\x{1E06D}\\x{1E4D0}-\\x{1E4EB}\\x{1E5D0}-\\x{1E5ED}\\x{1E5F0}\\x{2B739}"
    "\\x{2EBF0}-\\x{2EE5D}\\x{31350}-\\x{323AF}";
const std::string kNumbers =
    "0-9\\p{N}"
    "\\x{10D40}-\\x{10D49}\\x{116D0}-\\x{116E3}\\x{11BF0}-\\x{11BF9}\\x{11F50}-\\x{11F59}"
    "\\x{16130}-\\x{16139}\\x{16D70}-\\x{16D79}\\x{1CCF0}-\\x{1CCF9}\\x{1D2C0}-\\x{1D2D3}"
    "\\x{1E4F0}-\\x{1E4F9}\\x{1E5F1}-\\x{1E5FA}";

std::string gpt2_pattern() {
  return "'s|'t|'re|'ve|'m|'ll|'d| ?[" + kLetters + "]+| ?[" + kNumbers + "]+| ?[^" + kSpaces + kLetters +
         kNumbers + "]+|[" + kSpaces + "]+(?![^" + kSpaces + "])|[" + kSpaces + "]+";
}

// A number ends the run before it like the end of the text: the look-ahead lets numbers pass.
std::string smollm_pattern() {
  return "'s|'t|'re|'ve|'m|'ll|'d| ?[" + kLetters + "]+|[" + kNumbers + "]| ?[^" + kSpaces + kLetters +
         kNumbers + "]+|[" + kSpaces + "]+(?![^" + kSpaces + kNumbers + "])|[" + kSpaces + "]+";
}

// `repeats` follows the class of numbers.
std::string llama3_pattern(const std::string& repeats) {
  return "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n" + kLetters + kNumbers + "]?[" + kLetters + "]+|[" +
         kNumbers + "]" + repeats + "| ?[^" + kSpaces + kLetters + kNumbers + "]+[\\r\\n]*|[" + kSpaces +
         "]*[\\r\\n]+|[" + kSpaces + "]+(?![^" + kSpaces + "])|[" + kSpaces + "]+";
}

enum class Family { Gpt2, SmolLm, Llama3, Qwen2 };

std::string pattern_of(Family family) {
  switch (family) {
    case Family::Gpt2:
      return gpt2_pattern();
    case Family::SmolLm:
      return smollm_pattern();
    case Family::Llama3:
      return llama3_pattern("{1,3}");
    case Family::Qwen2:
      return llama3_pattern("");
  }
  return {};
}

struct Known {
  std::string_view name;
  Family family;
};
constexpr std::array<Known, 11> kKnown = {{{"gpt-2", Family::Gpt2},
                                           {"default", Family::Gpt2},
                                           {"phi-2", Family::Gpt2},
                                           {"smollm", Family::SmolLm},
                                           {"starcoder", Family::SmolLm},
                                           {"refact", Family::SmolLm},
                                           {"llama-bpe", Family::Llama3},
                                           {"llama3", Family::Llama3},
                                           {"llama-v3", Family::Llama3},
                                           {"qwen2", Family::Qwen2},
                                           {"deepseek-r1-qwen", Family::Qwen2}}};

Family find_family(std::string_view name) {
  std::string names;
  for (const Known& known : kKnown) {
    if (known.name == name) return known.family;
    names += names.empty() ? "" : ", ";
    names += known.name;
  }
  user_error("the pre-tokenizer \"{}\" is not known; known are {}", name, names);
}

struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct PreTokenizer::Pattern {
  pcre2_code* code = nullptr;
  pcre2_match_context* limits = nullptr;

  explicit Pattern(const std::string& pattern) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                         &error, &offset, nullptr);
    LOCKSTEP_CHECK(code != nullptr);
    // Without just-in-time support in the library the interpreter gives the same matches.
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    limits = pcre2_match_context_create(nullptr);
    if (limits == nullptr) machine_error("out of memory for the pre-tokenizer");
    // The patterns backtrack over one run at most, so a match costs no more than the run is long.
    pcre2_set_match_limit(limits, UINT32_MAX);
  }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;
  ~Pattern() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }

  int match(std::string_view text, size_t offset, pcre2_match_data* data) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    int result = pcre2_match(code, subject, text.size(), offset, PCRE2_NO_UTF_CHECK, data, limits);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
      result =
          pcre2_match(code, subject, text.size(), offset, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, limits);
    }
    return result;
  }
};

PreTokenizer::PreTokenizer(std::string_view name) {
  const Family family = find_family(name);
  pattern_ = std::make_unique<const Pattern>(pattern_of(family));
  ignores_merges_ = family == Family::Llama3;
}
PreTokenizer::~PreTokenizer() = default;
PreTokenizer::PreTokenizer(PreTokenizer&&) noexcept = default;
PreTokenizer& PreTokenizer::operator=(PreTokenizer&&) noexcept = default;

void PreTokenizer::split(std::string_view valid_utf8, std::vector<std::string_view>& words) const {
  if (valid_utf8.empty()) return;
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(
      pcre2_match_data_create_from_pattern(pattern_->code, nullptr));
  if (data == nullptr) machine_error("out of memory for the pre-tokenizer");
  size_t offset = 0;
  while (offset < valid_utf8.size()) {
    const int result = pattern_->match(valid_utf8, offset, data.get());
    if (result == PCRE2_ERROR_NOMEMORY || result == PCRE2_ERROR_HEAPLIMIT) {
      machine_error("out of memory for the pre-tokenizer");
    }
    // Every pattern matches at every offset, because its alternatives cover all characters.
    LOCKSTEP_CHECK(result > 0);
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
    LOCKSTEP_CHECK(bounds[0] == offset && bounds[1] > offset);
    words.push_back(valid_utf8.substr(offset, bounds[1] - offset));
    offset = bounds[1];
  }
}

}  // namespace lockstep::text
