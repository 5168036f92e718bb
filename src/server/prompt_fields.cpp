#include "server/prompt_fields.h"

#include <limits>

#include "server/api_error.h"
#include "text/chat_prompt.h"

namespace lockstep::server {

namespace {

constexpr const char* kForms =
    "value must be a string, an array of strings, an array of token ids or an array of such arrays";

Prompt read_prompt(const RequestJson& json, const std::string& path) {
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_array()) bad_field(path, "{}", kForms);
  return read_tokens(json, path);
}

}  // namespace

std::vector<int32_t> read_tokens(const RequestJson& list, const std::string& path) {
  if (!list.is_array()) bad_field(path, "value must be an array of token ids");
  std::vector<int32_t> tokens;
  tokens.reserve(list.size());
  for (const RequestJson& item : list) {
    const bool good =
        item.is_number_unsigned() && item.get<uint64_t>() <= std::numeric_limits<int32_t>::max();
    if (!good) bad_field(fmt::format("{}.{}", path, tokens.size()), "value must be a token id, from 0");
    tokens.push_back(item.get<int32_t>());
  }
  return tokens;
}

void check_vocabulary(std::span<const int32_t> tokens, const text::Tokenizer& tokenizer,
                      const std::string& path) {
  const size_t vocabulary = tokenizer.vocabulary().tokens.size();
  for (const int32_t token : tokens) {
    if (static_cast<size_t>(token) < vocabulary) continue;
    bad_field(path, "token {} is not in the vocabulary, which ends with {}", token, vocabulary - 1);
  }
}

std::vector<Prompt> read_prompts(JsonFields& fields, const char* name, size_t most) {
  const RequestJson* json = fields.find(name);
  if (json == nullptr) bad_field(name, "property '{}' is missing", name);
  const bool is_list = json->is_array() && !json->empty() && !json->front().is_number();
  if (!is_list) return {read_prompt(*json, name)};
  if (json->size() > most) bad_field(name, "{} were given; up to {} are possible", json->size(), most);
  std::vector<Prompt> prompts;
  for (const RequestJson& item : *json) {
    prompts.push_back(read_prompt(item, fmt::format("{}.{}", name, prompts.size())));
  }
  return prompts;
}

std::vector<int32_t> prompt_tokens(const text::Tokenizer& tokenizer, const Prompt& prompt,
                                   const std::string& path) {
  const auto* text = std::get_if<std::string>(&prompt);
  std::vector<int32_t> tokens =
      text == nullptr ? std::get<1>(prompt) : text::tokenize_prompt(tokenizer, *text, true);
  if (tokens.empty()) bad_field(path, "it has no tokens; at least one is wanted");
  check_vocabulary(tokens, tokenizer, path);
  return tokens;
}

}  // namespace lockstep::server
