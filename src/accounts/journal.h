// Writes usage records: many in one commit, and each told when it is safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "accounts/accounts.h"
#include "accounts/usage.h"
#include "base/error.h"

namespace lockstep::accounts {

struct JournalOptions {
  size_t capacity = 65536;  // records that wait
  size_t largest_commit = 512;
  // How long a failing database is tried again before a record's end is an error.
  std::chrono::milliseconds give_up_after = std::chrono::seconds(30);
};

// A thread that commits records in the order in which they came; those that come while a commit runs are in
// the next one together. THREAD: any.
class Journal {
 public:
  // Called once for every record, by the journal's thread (or by add, when there is no room): with null when
  // the record is committed, otherwise with the reason why it is not there (or, if the connection broke in
  // the commit, not known to be there). Adding the record again is always safe. It must be quick and not
  // throw.
  using Done = std::function<void(const Error*)>;
  // Further changes in the same transaction as the record: all or nothing. May be run again, and also runs
  // when the record was there before.
  using Also = std::function<void(database::Transaction&)>;

  explicit Journal(Accounts& accounts, JournalOptions options = {});
  // Writes all that waits, and returns when every Done was called.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // Never waits for the database.
  void add(UsageRecord record, Done done = {}, Also also = {});
  // Waits until all that was added before is written or given up.
  void flush();
  // Records that wait or are being written; a server refuses requests (503) before this nears the capacity.
  size_t waiting() const;

 private:
  struct State;

  std::unique_ptr<State> state_;
};

}  // namespace lockstep::accounts
