// What travels in a program beside its weights: tokenizer, chat template, licence and the model's card.
#pragma once

#include <string>
#include <vector>

#include "import/checkpoint.h"
#include "program/program.h"
#include "text/vocabulary.h"

namespace lockstep::api {

inline constexpr const char* kTokenizerAsset = "tokenizer";
inline constexpr const char* kChatTemplateAsset = "chat_template";
inline constexpr const char* kLicenseAsset = "license";
inline constexpr const char* kCardAsset = "card";

// The vocabulary of a checkpoint's tokenizer.ggml.* metadata. Throws a user's error for a tokenizer that is
// missing or of a kind that text/ does not know.
text::Vocabulary import_vocabulary(const importer::Metadata& metadata);

// All assets of a checkpoint. The card is "key = value" lines of its general.* metadata.
std::vector<program::Asset> import_assets(const importer::Metadata& metadata);

}  // namespace lockstep::api
