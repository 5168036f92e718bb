// Money: whole nano-USD (10^-9 dollars), so that no sum is ever off; 64 bits hold nine billion dollars.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace lockstep::accounts {

using NanoUsd = int64_t;

// "0.0375" as nano-USD: a decimal number, not negative, up to nine digits after the point and up to a billion
// dollars. Throws a user's error that names `what`.
NanoUsd parse_usd(std::string_view text, std::string_view what);
// "12.5", without zeros at the end.
std::string format_usd(NanoUsd amount);

// What tokens of one model cost.
struct Price {
  NanoUsd input = 0;         // of a million prompt tokens that were computed
  NanoUsd cached_input = 0;  // of a million prompt tokens whose state was there before
  NanoUsd output = 0;        // of a million generated tokens
};
// A batch's share of the price; it has no second discount for cached tokens.
inline constexpr int64_t kBatch_permille = 500;

struct TokenCounts {
  int64_t prompt = 0;  // all of the prompt, cached ones too
  int64_t cached = 0;
  int64_t completion = 0;
};

enum class Tier : uint8_t { OnDemand, Performance, Flex, Batch };
// "on_demand", "performance", "flex", "batch".
std::string_view tier_name(Tier tier);
std::optional<Tier> tier_named(std::string_view name);

// Rounded once, to the nearest nano-USD, halves up; a billion dollars at the most.
NanoUsd cost(const Price& price, Tier tier, const TokenCounts& tokens);

// Prices by model; one that is not there is free.
class PriceList {
 public:
  void set(std::string model, Price price) { prices_[std::move(model)] = price; }
  Price of(std::string_view model) const;

 private:
  std::map<std::string, Price, std::less<>> prices_;
};

}  // namespace lockstep::accounts
