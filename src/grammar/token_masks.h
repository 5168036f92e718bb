// Which tokens may come next in a text that follows a grammar.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "grammar/grammar.h"
#include "grammar/matcher.h"
#include "grammar/token_trie.h"

namespace lockstep::grammar {

// FNV-1a over words.
struct HashReadings {
  size_t operator()(const Readings& readings) const;
};

// Masks of one grammar, with what was worked out for one kept for the next: the readings met so far are
// numbered and their steps by byte kept in tables (a deterministic automaton made as it is needed). What is
// kept is bounded between masks and has no influence on a mask. Used by one thread at a time.
class TokenMasks {
 public:
  // `end_tokens`: the ids that end a text. Grammar and trie must outlive the masks. Throws a user's error for
  // an end token outside the vocabulary.
  TokenMasks(const Grammar& grammar, const TokenTrie& trie, std::vector<int32_t> end_tokens);

  // Asked before each step of a text that is not known yet, which takes microseconds in most grammars and
  // milliseconds in the most ambiguous ones: true ends the work.
  using Stop = std::function<bool()>;

  // Bit id % 64 of word id / 64 says that token `id` may come next: an end token exactly where the text may
  // end, another where its bytes lead on. At least one bit is set for a vocabulary that has a token for every
  // byte. None: it was stopped; the next call goes on there if it is for the same readings.
  std::optional<std::vector<uint64_t>> allowed(const Readings& readings, const Stop& stop = {});

 private:
  // A number for readings. In a step's table, kLeaves is added where the readings reach a hole.
  using Number = uint32_t;
  static constexpr Number kDead = 0;
  static constexpr Number kUnknown = 0xFFFFFFFF;
  static constexpr Number kLeaves = 0x80000000;

  // The mask of tokens that stay inside the place's innermost rule, and the trie's nodes where they leave it.
  struct LocalMask {
    std::vector<uint64_t> bits;
    std::vector<uint32_t> leaving;
  };
  struct Known {
    const Readings* readings = nullptr;
    std::unique_ptr<Number[]> steps = {};  // by byte; made when first needed
    std::unique_ptr<LocalMask> local = {};
  };
  // Readings along a way down the trie.
  struct Step {
    Number number;
    Number* table;
  };

  void forget();
  Number number(const Readings& readings);
  Step step_at(Number number);
  // kUnknown: stopped.
  Number step(const Step& from, uint8_t byte, const Stop& stop) {
    const Number found = from.table[byte];
    return found != kUnknown ? found : work_out_step(from, byte, stop);
  }
  Number work_out_step(const Step& from, uint8_t byte, const Stop& stop);
  // Walks the nodes [begin, end) of the trie, where `path_` has the readings before the first. False:
  // stopped.
  bool walk(uint32_t begin, uint32_t end, std::vector<uint64_t>& bits, std::vector<uint32_t>* leaving,
            const Stop& stop);
  // Walks down to a node from `path_[0]`, so that `path_` has the readings before it. False: stopped.
  bool walk_down(uint32_t node, const Stop& stop);
  const LocalMask* local_mask(Number holes, const Stop& stop);  // null: stopped

  const Grammar& grammar_;
  const TokenTrie& trie_;
  const std::vector<int32_t> end_tokens_;
  const size_t word_count_;
  std::unordered_map<Readings, Number, HashReadings> numbers_;
  std::vector<Known> known_;
  size_t local_masks_ = 0;  // made since the last forget()
  Readings unfinished_;     // whose mask was stopped last; empty: it was not
  std::vector<Step> path_;  // by depth, the readings after that many bytes
};

}  // namespace lockstep::grammar
