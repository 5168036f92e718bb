// What a request counts: against limits and caps before it runs, in the request log when it has ended.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "accounts/journal.h"
#include "accounts/prices.h"
#include "server/answers.h"
#include "server/latencies.h"
#include "server/router.h"

namespace lockstep::server {

// THREAD: any.
class Accounting {
 public:
  // Of the bodies that are held until they are stored, of all requests together.
  static constexpr size_t kBodyBytesHeldMax = size_t{256} << 20;
  // Refusals that wait for the database; more leave no row.
  static constexpr size_t kRefusalsWaitingMax = 1024;

  // Both must outlive this.
  Accounting(accounts::Accounts& accounts, accounts::Journal& journal, accounts::PriceList prices,
             size_t body_bytes_held_max = kBodyBytesHeldMax)
      : accounts_(accounts),
        journal_(journal),
        prices_(std::move(prices)),
        body_bytes_held_max_(body_bytes_held_max) {}

  // Counts the request, which call.counted names, against the caller's limits and caps, and gives what
  // records its end. Throws an ApiError: 429 over a limit (413 where the request alone is too large for it),
  // 400 beyond a spend cap, 503 where the log or the memory for texts that it stores cannot keep up.
  Settle admit(Call& call, const accounts::TokensWanted& tokens);

  // Records a request that was refused before it ran, without its text; where many are refused at once, not
  // all. Never waits.
  void note_refusal(const Call& call, unsigned status, const std::string& code);

  // Puts the x-ratelimit headers of the caller's limits for a model into the call.
  void add_headers(Call& call, const std::string& model) const;

  // Of the requests that were answered lately.
  const Latencies& latencies() const { return latencies_; }

 private:
  accounts::UsageRecord record_of(const Call& call) const;
  void refuse(const Call& call, const accounts::RateRefusal& refusal) const;
  std::shared_ptr<void> hold_bytes(size_t bytes);

  accounts::Accounts& accounts_;
  accounts::Journal& journal_;
  const accounts::PriceList prices_;
  const size_t body_bytes_held_max_;
  Latencies latencies_;
  // Shared with what waits for the journal, which may outlive this.
  const std::shared_ptr<std::atomic<size_t>> refusals_waiting_ = std::make_shared<std::atomic<size_t>>(0);
  const std::shared_ptr<std::atomic<size_t>> bytes_held_ = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace lockstep::server
