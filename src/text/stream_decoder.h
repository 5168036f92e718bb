// Text from tokens as they come.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"

namespace lockstep::text {

// Gives whole characters only: bytes that begin one are held back until the token that ends it. Invalid
// bytes become U+FFFD, one for each maximal subpart (Unicode 3.9). For Spm with a space prefix, the space at
// the very start of the text is dropped unless the text continues an earlier one. The pieces joined are
// Tokenizer::decode() of all ids. The tokenizer must outlive the decoder. Used by one thread.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {});

  // The text that `id` completes, perhaps empty. Throws a user's error for an id outside the vocabulary.
  std::string push(int32_t id);
  // What is held back, as U+FFFD; then the decoder is as new.
  std::string flush();

 private:
  bool drops_space() const;

  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  std::string pending_;  // an incomplete sequence, at most 3 bytes between calls
  bool drop_space_;      // nothing has come yet, and a space would be dropped
};

}  // namespace lockstep::text
