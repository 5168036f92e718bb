#include "api/model_assets.h"

namespace lockstep::api {

namespace {

std::optional<int32_t> find_id(const importer::Metadata& metadata, const char* key) {
  const std::optional<uint64_t> id = metadata.find_uint(key);
  // GGUF writes "no such token" as the largest 32-bit number.
  if (!id || *id >= 0x7fffffffu) return std::nullopt;
  return static_cast<int32_t>(*id);
}

program::Asset text_asset(const char* name, std::string_view text) {
  const Bytes bytes = lockstep::as_bytes(text);
  return {name, {bytes.begin(), bytes.end()}};
}

}  // namespace

text::Vocabulary import_vocabulary(const importer::Metadata& metadata) {
  text::Vocabulary vocabulary;
  const std::string model = metadata.require_string("tokenizer.ggml.model");
  if (model == "gpt2") {
    vocabulary.kind = text::TokenizerKind::Bpe;
    vocabulary.pre_tokenizer = metadata.find_string("tokenizer.ggml.pre").value_or("gpt-2");
  } else if (model == "llama") {
    vocabulary.kind = text::TokenizerKind::Spm;
  } else {
    user_error(
        "{}: its tokenizer is of the kind {}; gpt2 (byte-level BPE) and llama (SentencePiece BPE) are known",
        metadata.source(), model);
  }
  vocabulary.tokens = metadata.require_strings("tokenizer.ggml.tokens");
  vocabulary.types.assign(vocabulary.tokens.size(), text::TokenType::Normal);
  if (const auto types = metadata.find_ints("tokenizer.ggml.token_type")) {
    if (types->size() != vocabulary.tokens.size()) {
      user_error("{}: {} token types for {} tokens", metadata.source(), types->size(),
                 vocabulary.tokens.size());
    }
    for (size_t i = 0; i < types->size(); ++i) {
      if ((*types)[i] < 1 || (*types)[i] > 6)
        user_error("{}: token {} has the unknown type {}", metadata.source(), i, (*types)[i]);
      vocabulary.types[i] = static_cast<text::TokenType>((*types)[i]);
    }
  }
  const bool spm = vocabulary.kind == text::TokenizerKind::Spm;
  if (spm) {
    for (double score : metadata.require_floats("tokenizer.ggml.scores"))
      vocabulary.scores.push_back(static_cast<float>(score));
  } else {
    // A tokenizer without merges is written without the key.
    const std::vector<std::string>* merges = metadata.find_strings("tokenizer.ggml.merges");
    if (merges != nullptr) vocabulary.merges = *merges;
  }
  vocabulary.bos_id = find_id(metadata, "tokenizer.ggml.bos_token_id");
  vocabulary.eos_id = find_id(metadata, "tokenizer.ggml.eos_token_id");
  vocabulary.eot_id = find_id(metadata, "tokenizer.ggml.eot_token_id");
  vocabulary.unknown_id = find_id(metadata, "tokenizer.ggml.unknown_token_id");
  vocabulary.padding_id = find_id(metadata, "tokenizer.ggml.padding_token_id");
  vocabulary.add_bos =
      metadata.find_bool("tokenizer.ggml.add_bos_token").value_or(spm) && vocabulary.bos_id.has_value();
  vocabulary.add_eos =
      metadata.find_bool("tokenizer.ggml.add_eos_token").value_or(false) && vocabulary.eos_id.has_value();
  vocabulary.add_space_prefix = metadata.find_bool("tokenizer.ggml.add_space_prefix").value_or(true);
  text::check_vocabulary(vocabulary, metadata.source());
  return vocabulary;
}

std::vector<program::Asset> import_assets(const importer::Metadata& metadata) {
  std::vector<program::Asset> assets;
  assets.push_back({kTokenizerAsset, text::encode_vocabulary(import_vocabulary(metadata))});
  if (const auto source = metadata.find_string("tokenizer.chat_template")) {
    assets.push_back(text_asset(kChatTemplateAsset, *source));
  }
  if (const auto license = metadata.find_string("general.license")) {
    assets.push_back(text_asset(kLicenseAsset, *license));
  }
  std::string card;
  for (const auto& [key, value] : metadata.values()) {
    const auto* text = std::get_if<std::string>(&value);
    if (key.starts_with("general.") && text != nullptr && text->size() < 65536)
      card += key + " = " + *text + "\n";
  }
  assets.push_back(text_asset(kCardAsset, card));
  return assets;
}

}  // namespace lockstep::api
