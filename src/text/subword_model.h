// What a tokenizer does between special tokens; one implementation a TokenizerKind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::text {

// THREAD: const methods may run in many threads at once.
class SubwordModel {
 public:
  virtual ~SubwordModel() = default;

  // Appends the ids of a text without special tokens. `text` has at most 1 GiB and need not be valid UTF-8.
  virtual void encode(std::string_view text, std::vector<int32_t>& ids) const = 0;

  // The bytes of a normal, unused or byte token; `id` is inside the vocabulary.
  virtual std::string token_bytes(int32_t id) const = 0;
};

}  // namespace lockstep::text
