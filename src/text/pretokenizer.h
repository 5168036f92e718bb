// Cuts text into the words inside which byte-level BPE merges. Letters and numbers are those of Unicode 16.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::text {

// One of the patterns that models were trained with, by its name in GGUF's tokenizer.ggml.pre:
//   gpt-2, default, phi-2           GPT-2: words, numbers and punctuation with one leading space
//   smollm, starcoder, refact       every digit alone, then GPT-2 between digits
//   llama-bpe, llama3, llama-v3     Llama 3: numbers of up to three digits
//   qwen2, deepseek-r1-qwen         Llama 3 with every digit alone
// THREAD: const methods may run in many threads at once.
class PreTokenizer {
 public:
  // Throws a user's error that names the known ones if `name` is not among them.
  explicit PreTokenizer(std::string_view name);
  ~PreTokenizer();
  PreTokenizer(PreTokenizer&&) noexcept;
  PreTokenizer& operator=(PreTokenizer&&) noexcept;

  // Appends the words of `valid_utf8` in order; together they cover it. They are views into it.
  void split(std::string_view valid_utf8, std::vector<std::string_view>& words) const;

  // True when a word that is itself a token is taken without merging.
  bool ignores_merges() const { return ignores_merges_; }

 private:
  struct Pattern;
  std::unique_ptr<const Pattern> pattern_;
  bool ignores_merges_ = false;
};

}  // namespace lockstep::text
