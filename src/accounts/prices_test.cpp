#include "accounts/prices.h"

#include <gtest/gtest.h>

#include "accounts/calendar.h"
#include "accounts/spending.h"
#include "base/error.h"

namespace lockstep::accounts {
namespace {

TEST(Usd, TextsAreExact) {
  for (const auto& [text, amount] :
       std::vector<std::pair<std::string, NanoUsd>>{{"0", 0},
                                                    {"1", 1'000'000'000},
                                                    {"0.15", 150'000'000},
                                                    {"0.0375", 37'500'000},
                                                    {"0.000000001", 1},
                                                    {"1000000000", 1'000'000'000'000'000'000},
                                                    {"12.5", 12'500'000'000}}) {
    EXPECT_EQ(parse_usd(text, "price"), amount) << text;
    EXPECT_EQ(format_usd(amount), text);
  }
  EXPECT_EQ(parse_usd("00.150", "price"), 150'000'000);
}

TEST(Usd, OtherTextsAreRefused) {
  for (const char* text : {"", ".", ".5", "5.", "-1", "+1", "1e3", "1,5", " 1", "0.0000000001", "1000000001",
                           "99999999999999999999", "nan", "1.2.3"}) {
    EXPECT_THROW(parse_usd(text, "price"), Error) << text;
  }
}

TEST(Cost, IsRoundedOnce) {
  const Price price{150'000'000, 75'000'000, 600'000'000};
  EXPECT_EQ(cost(price, Tier::OnDemand, {1'000'000, 0, 1'000'000}), 750'000'000);
  // 100 of 1000 prompt tokens are cached.
  EXPECT_EQ(cost(price, Tier::OnDemand, {1000, 100, 10}), 900 * 150 + 100 * 75 + 10 * 600);
  EXPECT_EQ(cost(price, Tier::Performance, {1000, 100, 10}), 900 * 150 + 100 * 75 + 10 * 600);
  // The discount of a batch is on the whole price, also of cached tokens.
  EXPECT_EQ(cost(price, Tier::Batch, {1000, 100, 10}), (1000 * 150 + 10 * 600) / 2);
  // Parts of a nano-dollar: one token at 37.5, and halves go up.
  const Price fine{37'500'000, 0, 0};
  EXPECT_EQ(cost(fine, Tier::OnDemand, {1, 0, 0}), 38);
  EXPECT_EQ(cost(fine, Tier::OnDemand, {3, 0, 0}), 113);
  EXPECT_EQ(cost(fine, Tier::Flex, {1, 0, 0}), 38);
  EXPECT_EQ(cost(fine, Tier::OnDemand, {}), 0);
  const Price dear{1'000'000'000'000'000'000, 0, 0};
  EXPECT_EQ(cost(dear, Tier::OnDemand, {1'000'000, 0, 0}), 1'000'000'000'000'000'000);
}

TEST(Cost, TheLargestIsStillANumber) {
  const NanoUsd dear = parse_usd("1000000000", "price");
  EXPECT_EQ(cost({dear, dear, dear}, Tier::OnDemand, {10'000'000'000, 0, 10'000'000'000}), dear);
}

TEST(PriceList, AnUnknownModelIsFree) {
  PriceList prices;
  prices.set("m", {1, 2, 3});
  EXPECT_EQ(prices.of("m").output, 3);
  EXPECT_EQ(cost(prices.of("n"), Tier::OnDemand, {1'000'000, 0, 5}), 0);
}

TEST(Calendar, MonthsAreThoseOfUtc) {
  const int64_t november = month_of(1'795'000'000'000);
  EXPECT_EQ(month_name(november), "2026-11");
  const int64_t start_ms = month_start_ms(november);
  EXPECT_EQ(start_ms, 1'793'491'200'000);
  EXPECT_EQ(month_of(start_ms), november);
  EXPECT_EQ(month_of(start_ms - 1), november - 1);
  EXPECT_EQ(month_name(november + 2), "2027-01");
  EXPECT_EQ(month_start_ms(november + 1) - start_ms, 30 * kDay_ms);
  EXPECT_EQ(month_start_ms(month_of(0)), 0);
}

TEST(Spending, CapsRefuseUntilTheFirst) {
  Spending spending;
  Caller caller;
  caller.organisation_id = "org_a";
  caller.project_id = "proj_a";
  const int64_t now_ms = 1'795'000'000'000;
  const int64_t month = month_of(now_ms);
  EXPECT_FALSE(spending.check(caller, now_ms));
  const SpendCap project_cap{Subject::Project, "proj_a", 100};
  spending.configure({{Subject::Organisation, "org_a", 1000}, project_cap});
  spending.note({{"org_a", month, 99}, {"proj_a", month, 99}});
  EXPECT_FALSE(spending.check(caller, now_ms));
  spending.note({{"org_a", month, 100}, {"proj_a", month, 100}});
  const auto refusal = spending.check(caller, now_ms);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->cap, project_cap);
  EXPECT_EQ(refusal->spent, 100);
  EXPECT_EQ(refusal->resets_at_ms, month_start_ms(month + 1));
  // An older sum that comes late changes nothing.
  spending.note({{"proj_a", month, 50}, {"proj_a", month - 1, 5000}});
  EXPECT_EQ(spending.spent("proj_a", now_ms), 100);
  EXPECT_TRUE(spending.check(caller, month_start_ms(month + 1) - 1));
  EXPECT_FALSE(spending.check(caller, month_start_ms(month + 1)));
  // Another project may still spend, until the organisation's cap.
  caller.project_id = "proj_b";
  EXPECT_FALSE(spending.check(caller, now_ms));
  spending.note({{"org_a", month, 1001}});
  EXPECT_EQ(spending.check(caller, now_ms)->cap.subject, Subject::Organisation);
}

}  // namespace
}  // namespace lockstep::accounts
