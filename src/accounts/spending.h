// Caps on what an organisation or a project may spend in a month of UTC.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "accounts/caller.h"
#include "accounts/limits.h"
#include "accounts/prices.h"

namespace lockstep::accounts {

struct SpendCap {
  Subject subject;  // Organisation or Project
  std::string subject_id;
  NanoUsd month_cap;
  bool operator==(const SpendCap&) const = default;
};

// What was spent in one month.
struct MonthSpend {
  std::string subject_id;
  int64_t month;  // calendar.h
  NanoUsd spent;
};

struct SpendRefusal {
  SpendCap cap;
  NanoUsd spent;
  int64_t resets_at_ms;  // the first of the next month
};

// What the caps are and how much of them is spent, in memory. Known is what is committed: requests that still
// run may go beyond the cap, new ones are refused. THREAD: any.
class Spending {
 public:
  void configure(std::vector<SpendCap> caps);
  // A month's sum, from the database. Sums only grow, so that an older one changes nothing.
  void note(const std::vector<MonthSpend>& sums);

  // Empty: the caller may spend.
  std::optional<SpendRefusal> check(const Caller& caller, int64_t now_ms) const;
  NanoUsd spent(const std::string& subject_id, int64_t now_ms) const;

 private:
  NanoUsd spent_in(const std::string& subject_id, int64_t month) const;

  mutable std::mutex mutex_;
  std::map<std::string, SpendCap> caps_;     // by subject_id
  std::map<std::string, MonthSpend> spent_;  // by subject_id, the latest month
};

}  // namespace lockstep::accounts
