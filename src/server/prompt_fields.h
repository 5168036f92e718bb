// Fields that hold texts or tokens for the model: "prompt" and "input".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "server/json_fields.h"
#include "text/tokenizer.h"

namespace lockstep::server {

using Prompt = std::variant<std::string, std::vector<int32_t>>;

inline constexpr size_t kInputsMax = 2048;  // in one request for embeddings: OpenAI's limit

// A string, an array of strings, an array of token ids (one prompt) or an array of such arrays. Throws an
// ApiError for anything else, a missing field, no prompt, and more than `most` of them. Ids are not checked
// against a vocabulary.
std::vector<Prompt> read_prompts(JsonFields& fields, const char* name, size_t most);

// Token ids from 0. `path` names the field in errors, here and below.
std::vector<int32_t> read_tokens(const RequestJson& list, const std::string& path);

// Throws an ApiError for an id outside the vocabulary.
void check_vocabulary(std::span<const int32_t> tokens, const text::Tokenizer& tokenizer,
                      const std::string& path);

// A prompt's tokens. In a text special tokens are parsed, and the begin mark is added where the model asks
// for it; ids are taken as they are. Throws an ApiError for none, and for ids outside the vocabulary.
std::vector<int32_t> prompt_tokens(const text::Tokenizer& tokenizer, const Prompt& prompt,
                                   const std::string& path);

}  // namespace lockstep::server
