#include "accounts/prices.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/printable.h"

namespace lockstep::accounts {
namespace {

constexpr int64_t kNanoPerDollar = 1'000'000'000;
constexpr size_t kDigitsAfterPoint = 9;
constexpr size_t kDigitsBeforePoint = 10;
constexpr NanoUsd kLargest = 1'000'000'000 * kNanoPerDollar;

bool only_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int64_t digits_value(std::string_view digits) {
  int64_t value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  return value;
}

}  // namespace

NanoUsd parse_usd(std::string_view text, std::string_view what) {
  const size_t point = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, point);
  std::string fraction(point < text.size() ? text.substr(point + 1) : "");
  const bool good = !whole.empty() && whole.size() <= kDigitsBeforePoint && only_digits(whole) &&
                    only_digits(fraction) && fraction.size() <= kDigitsAfterPoint &&
                    (point == text.size() || !fraction.empty());
  fraction.resize(kDigitsAfterPoint, '0');
  if (!good || digits_value(whole) > kLargest / kNanoPerDollar) {
    user_error(
        "{} is '{}', but must be dollars as a decimal number up to a billion with up to nine digits after "
        "the point, such as 0.15",
        what, printable(text));
  }
  return digits_value(whole) * kNanoPerDollar + digits_value(fraction);
}

std::string format_usd(NanoUsd amount) {
  std::string text = fmt::format("{}.{:09}", amount / kNanoPerDollar, amount % kNanoPerDollar);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string_view tier_name(Tier tier) {
  static constexpr std::array<std::string_view, 4> kNames = {"on_demand", "performance", "flex", "batch"};
  return kNames.at(static_cast<size_t>(tier));
}

std::optional<Tier> tier_named(std::string_view name) {
  for (const Tier tier : {Tier::OnDemand, Tier::Performance, Tier::Flex, Tier::Batch}) {
    if (tier_name(tier) == name) return tier;
  }
  return std::nullopt;
}

NanoUsd cost(const Price& price, Tier tier, const TokenCounts& tokens) {
  // 128 bits: a price is up to 10^18.
  using Wide = __int128;
  const NanoUsd cached_price = tier == Tier::Batch ? price.input : price.cached_input;
  const int64_t permille = tier == Tier::Batch ? kBatch_permille : 1000;
  const Wide per_million = Wide{price.input} * (tokens.prompt - tokens.cached) +
                           Wide{cached_price} * tokens.cached + Wide{price.output} * tokens.completion;
  constexpr int64_t kDivisor = 1'000'000 * int64_t{1000};
  return static_cast<NanoUsd>(std::min<Wide>((per_million * permille + kDivisor / 2) / kDivisor, kLargest));
}

Price PriceList::of(std::string_view model) const {
  const auto found = prices_.find(model);
  return found == prices_.end() ? Price{} : found->second;
}

}  // namespace lockstep::accounts
