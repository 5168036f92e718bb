// Which tokens may come next in a text that follows a grammar.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/matcher.h"
#include "grammar/token_trie.h"

namespace lockstep::grammar {

// Masks of one grammar, with what was worked out kept for the next: the readings met so far are numbered and
// their steps by byte kept in tables (a deterministic automaton made as it is needed). What is kept is
// bounded and has no influence on a mask. Used by one thread.
class TokenMasks {
 public:
  // `end_tokens`: the ids that end a text. Grammar and trie must outlive the masks. Throws a user's error for
  // an end token outside the vocabulary.
  TokenMasks(const Grammar& grammar, const TokenTrie& trie, std::vector<int32_t> end_tokens);

  // Bit id % 64 of word id / 64 says that token `id` may come next: an end token exactly where the text may
  // end, another where its bytes lead on. At least one bit is set for a vocabulary that has a token for every
  // byte. Valid until the next call.
  std::span<const uint64_t> allowed(const Readings& readings);

 private:
  using Number = uint32_t;  // of readings
  static constexpr Number kDead = 0;
  static constexpr Number kUnknown = 0xFFFFFFFF;

  // The mask of tokens that stay inside the place's innermost rule, and the trie's nodes where they leave it.
  struct LocalMask {
    std::vector<uint64_t> bits;
    std::vector<uint32_t> leaving;
  };
  struct Known {
    const Readings* readings;
    bool leaves = false;                                  // reaches a hole
    std::unique_ptr<std::array<Number, 256>> steps = {};  // made when first needed
    std::vector<uint64_t> mask = {};
    std::unique_ptr<LocalMask> local = {};
  };
  struct HashReadings {
    size_t operator()(const Readings& readings) const;
  };

  void forget();
  Number number(const Readings& readings);
  Number step(Number from, uint8_t byte);
  // Walks the nodes [begin, end) of the trie, where `path_` has the readings before the first.
  void walk(uint32_t begin, uint32_t end, std::vector<uint64_t>& bits, std::vector<uint32_t>* leaving);
  const LocalMask& local_mask(Number holes);
  std::vector<uint64_t> work_out(Number id);

  const Grammar& grammar_;
  const TokenTrie& trie_;
  const std::vector<int32_t> end_tokens_;
  const size_t word_count_;
  std::unordered_map<Readings, Number, HashReadings> numbers_;
  std::vector<Known> known_;
  size_t masks_ = 0;          // made since the last forget()
  std::vector<Number> path_;  // by depth, the readings after that many bytes
};

}  // namespace lockstep::grammar
