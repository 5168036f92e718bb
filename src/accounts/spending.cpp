#include "accounts/spending.h"

#include "accounts/calendar.h"

namespace lockstep::accounts {

void Spending::configure(std::vector<SpendCap> caps) {
  const std::lock_guard lock(mutex_);
  caps_.clear();
  for (SpendCap& cap : caps) {
    std::string id = cap.subject_id;
    caps_.emplace(std::move(id), std::move(cap));
  }
}

void Spending::note(const std::vector<MonthSpend>& sums) {
  const std::lock_guard lock(mutex_);
  for (const MonthSpend& sum : sums) {
    const auto [entry, is_new] = spent_.try_emplace(sum.subject_id, sum);
    MonthSpend& known = entry->second;
    if (sum.month > known.month || (sum.month == known.month && sum.spent > known.spent)) known = sum;
  }
}

NanoUsd Spending::spent_in(const std::string& subject_id, int64_t month) const {
  const auto found = spent_.find(subject_id);
  return found == spent_.end() || found->second.month != month ? 0 : found->second.spent;
}

NanoUsd Spending::spent(const std::string& subject_id, int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  return spent_in(subject_id, month_of(now_ms));
}

std::optional<SpendRefusal> Spending::check(const Caller& caller, int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  const int64_t month = month_of(now_ms);
  for (const std::string& id : {caller.organisation_id, caller.project_id}) {
    const auto cap = caps_.find(id);
    if (cap == caps_.end()) continue;
    const NanoUsd spent = spent_in(id, month);
    if (spent >= cap->second.month_cap) return SpendRefusal{cap->second, spent, month_start_ms(month + 1)};
  }
  return std::nullopt;
}

}  // namespace lockstep::accounts
