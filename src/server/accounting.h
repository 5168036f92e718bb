// What a request counts: against limits and caps before it runs, in the request log when it has ended.
#pragma once

#include <cstdint>
#include <string>

#include "accounts/journal.h"
#include "accounts/prices.h"
#include "server/answers.h"
#include "server/latencies.h"
#include "server/router.h"

namespace lockstep::server {

// A request as it is counted.
struct Counted {
  std::string model;
  accounts::Tier tier = accounts::Tier::OnDemand;
  int64_t tokens_max = 0;  // of the prompt and of all answers together
};

// THREAD: any.
class Accounting {
 public:
  // Both must outlive this.
  Accounting(accounts::Accounts& accounts, accounts::Journal& journal, accounts::PriceList prices)
      : accounts_(accounts), journal_(journal), prices_(std::move(prices)) {}

  // Counts the request against the caller's limits and caps, puts the x-ratelimit headers into the call, and
  // gives what records its end. Throws an ApiError: 429 over a limit (413 where the request alone is too
  // large for it), 400 beyond a spend cap, 503 where the log cannot keep up.
  Settle admit(Call& call, const Counted& counted);

  // Records a request that was refused before it ran. Never waits.
  void note_refusal(const Call& call, unsigned status, const std::string& code);

  // Of the requests that were answered lately.
  const Latencies& latencies() const { return latencies_; }

 private:
  accounts::UsageRecord record_of(const Call& call) const;
  void refuse(const Call& call, const Counted& counted, const accounts::RateRefusal& refusal) const;
  void add_headers(Call& call, const std::string& model) const;

  accounts::Accounts& accounts_;
  accounts::Journal& journal_;
  const accounts::PriceList prices_;
  Latencies latencies_;
};

}  // namespace lockstep::server
