#include "text/merge_symbols.h"

#include <gtest/gtest.h>

#include <random>

namespace lockstep::text {
namespace {

std::vector<Symbol> symbols_of(const std::vector<int32_t>& ids) {
  std::vector<Symbol> symbols;
  for (size_t i = 0; i < ids.size(); ++i) symbols.push_back({static_cast<uint32_t>(i), 1, ids[i]});
  return symbols;
}

std::vector<int32_t> ids_of(const std::vector<Symbol>& symbols) {
  std::vector<int32_t> ids;
  for (const Symbol& symbol : symbols) ids.push_back(symbol.id);
  return ids;
}

// The definition, word for word: look for the lowest rank from the left, merge, begin again.
std::vector<int32_t> merge_naively(std::vector<int32_t> ids, const MergeTable& table) {
  while (true) {
    size_t best = ids.size();
    Merge best_merge;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const Merge merge = table.find(ids[i], ids[i + 1]);
      if (merge.id != kNoToken && (best == ids.size() || merge.rank < best_merge.rank)) {
        best = i;
        best_merge = merge;
      }
    }
    if (best == ids.size()) return ids;
    ids[best] = best_merge.id;
    ids.erase(ids.begin() + best + 1);
  }
}

// Few ids and ranks, so that pairs repeat, overlap and tie.
TEST(MergeSymbols, ScanAndHeapAgreeWithTheDefinition) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    MergeTable table(40);
    for (int i = 0; i < 40; ++i) {
      table.insert(static_cast<int32_t>(random() % 8), static_cast<int32_t>(random() % 8),
                   {static_cast<uint32_t>(random() % 6), static_cast<int32_t>(random() % 8)});
    }
    std::vector<int32_t> ids(random() % 80);
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % 4);
    const auto find_merge = [&](const Symbol& a, const Symbol& b) { return table.find(a.id, b.id); };
    const std::vector<int32_t> expected = merge_naively(ids, table);
    MergeScratch scratch;
    std::vector<Symbol> scanned = symbols_of(ids);
    detail::merge_by_scan(scanned, find_merge, scratch.merges);
    EXPECT_EQ(ids_of(scanned), expected);
    std::vector<Symbol> heaped = symbols_of(ids);
    detail::merge_by_heap(heaped, find_merge, scratch);
    EXPECT_EQ(ids_of(heaped), expected);
    uint32_t begin = 0;
    for (const Symbol& symbol : heaped) {
      EXPECT_EQ(symbol.begin, begin);
      begin += symbol.length;
    }
    EXPECT_EQ(begin, ids.size());
  }
}

}  // namespace
}  // namespace lockstep::text
