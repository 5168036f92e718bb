// Test only: a small vocabulary, and answers that take allowed tokens at random.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "constrain/constraints.h"
#include "grammar/matcher.h"
#include "grammar/schema.h"
#include "text/tokenizer.h"

namespace lockstep::constrain {

// Every byte, pieces of calls and of JSON, the formats' control tokens, and an end mark.
inline text::Vocabulary walk_vocabulary() {
  text::Vocabulary vocabulary;
  vocabulary.pre_tokenizer = "gpt-2";
  auto add = [&](const std::string& token, text::TokenType type) {
    vocabulary.tokens.push_back(token);
    vocabulary.types.push_back(type);
  };
  int unprintable = 0;
  for (int byte = 0; byte < 256; ++byte) {
    // GPT-2 spells bytes that are not printable by the characters from U+0100 on.
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int code_point = printable ? byte : 256 + unprintable++;
    std::string spelled(1, static_cast<char>(code_point));
    if (code_point >= 128) {
      spelled = {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 63))};
    }
    add(spelled, text::TokenType::Normal);
  }
  for (const char* piece :
       {"{\"", "\":", "\"}", "},", "\"name\"", "<tool", "_call>", "abc", "true", "\"a\"", "}}"}) {
    add(piece, text::TokenType::Normal);
  }
  add("<tool_call>", text::TokenType::UserDefined);
  for (const char* control :
       {"<|im_end|>", "<|im_start|>", "[TOOL_CALLS]", "[ARGS]", "<|python_tag|>", "<|tool_call|>"}) {
    add(control, text::TokenType::Control);
  }
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.tokens[id] == "<|im_end|>") vocabulary.eos_id = static_cast<int32_t>(id);
  }
  return vocabulary;
}

struct WalkedAnswer {
  std::string text;
  bool finished = false;  // by an end mark
};

// Takes up to `tokens_max` tokens, with guesses at what comes as drafts.
inline WalkedAnswer walk_answer(engine::TokenConstraint& constraint, const text::Tokenizer& tokenizer,
                                std::mt19937& random, size_t tokens_max) {
  WalkedAnswer answer;
  std::vector<int32_t> draft;
  for (size_t step = 0; step < tokens_max; ++step) {
    if (step % 3 == 0) {
      const std::span<const int32_t> forced = constraint.forced();
      draft.assign(forced.begin(), forced.end());
      if (draft.empty() && random() % 2 == 0) draft = {static_cast<int32_t>(random() % 260), 42};
      constraint.prepare(draft);
    }
    const std::span<const uint64_t> mask = constraint.allowed();
    std::vector<int32_t> ids;
    for (size_t id = 0; id < mask.size() * 64; ++id) {
      if (mask[id / 64] >> (id % 64) & 1) ids.push_back(static_cast<int32_t>(id));
    }
    if (ids.empty()) return answer;
    int32_t pick = ids[random() % ids.size()];
    auto prefer = [&](std::string_view token, unsigned one_in) {
      for (const int32_t id : ids) {
        if (tokenizer.token_bytes(id) == token && random() % one_in == 0) pick = id;
      }
    };
    for (const std::string_view begin :
         {"<tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "<|tool_call|>", "{"})
      prefer(begin, 8);
    if (step > 60) {  // towards the end
      for (const std::string_view close : {"\"", "}", "]"}) prefer(close, 2);
      prefer("<|im_end|>", 1);
    }
    if (!draft.empty() && std::find(ids.begin(), ids.end(), draft[0]) != ids.end()) pick = draft[0];
    if (!draft.empty()) draft.erase(draft.begin());
    if (tokenizer.is_end_of_generation(pick)) {
      answer.finished = true;
      return answer;
    }
    constraint.accept(pick);
    answer.text += tokenizer.token_bytes(pick);
  }
  return answer;
}

// The text is one of a schema's.
inline bool satisfies(const nlohmann::ordered_json& schema, const std::string& text) {
  const grammar::Grammar grammar =
      schema.is_null() ? grammar::json_object_grammar() : grammar::schema_grammar(schema);
  grammar::Matcher matcher(grammar);
  return nlohmann::json::accept(text) && matcher.accept(text) && matcher.can_finish();
}

inline std::vector<CallableTool> walk_tools() {
  return {{"get", grammar::read_schema(R"({"type": "object", "properties": {
               "a": {"type": "string", "maxLength": 5}, "b": {"enum": ["<tool_call>", "}", "\"x"]}},
               "required": ["b"]})"),
           "tools.0"},
          {"get_more", grammar::read_schema(R"({"type": "object", "properties": {}})"), "tools.1"},
          {"any-thing", grammar::read_schema(R"({"type": "object"})"), "tools.2"}};
}

}  // namespace lockstep::constrain
