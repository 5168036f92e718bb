// Finds tokens by their text, and tokens by a pair of tokens: flat open-addressing tables that are filled
// once and then only read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::text {

inline constexpr int32_t kNoToken = -1;

// Text to id. Keeps ids only: the tokens must outlive the index and stay where they are.
class TokenIndex {
 public:
  // Room for every token; none is in the index yet.
  explicit TokenIndex(const std::vector<std::string>& tokens);

  // Adds a token unless one with the same text is already there.
  void insert(int32_t id);
  // The id of `token`, or kNoToken.
  int32_t find(std::string_view token) const;

 private:
  struct Slot {
    int32_t id = kNoToken;
    uint32_t tag = 0;  // the upper half of the hash
  };
  size_t find_slot(std::string_view token, uint64_t hash) const;

  const std::vector<std::string>* tokens_;
  std::vector<Slot> slots_;
};

// What a pair of neighbouring tokens merges into.
struct Merge {
  uint32_t rank = 0;  // lower is merged first
  int32_t id = kNoToken;
};

// (left id, right id) to Merge.
class MergeTable {
 public:
  explicit MergeTable(size_t capacity);

  // Adds a merge unless the pair already has one. At most `capacity` merges.
  void insert(int32_t left, int32_t right, Merge merge);
  // The pair's merge; its id is kNoToken when there is none.
  Merge find(int32_t left, int32_t right) const;

 private:
  struct Slot {
    uint64_t key = 0;
    Merge merge;
  };
  size_t find_slot(uint64_t key) const;

  std::vector<Slot> slots_;
  int shift_;  // keeps the top bits of a hash, as many as slots_ has
};

}  // namespace lockstep::text
