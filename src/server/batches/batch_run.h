// One batch that this server works on: checks its input, says which line is next, and ends it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "database/database.h"
#include "server/batches/batch.h"
#include "server/batches/batch_closing.h"
#include "server/batches/batch_input.h"
#include "server/batches/batch_line.h"
#include "server/files/file_store.h"
#include "store/lock_file.h"

namespace lockstep::server {

// What all runs work with.
struct BatchPlace {
  database::Database& database;
  FileStore& files;
  std::filesystem::path locks;  // a folder
  BatchRules rules;
};

// Whoever finds the batch's status changed by somebody else lets the run go and opens another one. THREAD:
// one at a time.
class BatchRun {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Empty: another server works on the batch, or there is none. A lock of the kernel tells, in the folder
  // that servers with one database share: it ends with its process, so that a batch goes on at once after a
  // crash. What is in the database would bear two servers, too: a line's usage and result are there once.
  // Throws where the input cannot be read.
  static std::unique_ptr<BatchRun> open(BatchPlace& place, const std::string& batch_id);

  enum class Step : uint8_t {
    More,    // there is more to do at once
    Wait,    // for lines, or the time
    Recall,  // wants its lines back: drop those that run, wait for those that are being recorded
    Leave    // the batch has ended, or somebody else has changed it
  };
  // Does what takes a few milliseconds. `lines_out`: lines that take() gave and that have not come back.
  Step step(size_t lines_out);

  // The next line to be answered: an index of input().
  std::optional<size_t> take(Time now);
  // The line has its result.
  void finish(size_t index);
  // The line is to be answered later.
  void put_back(size_t index, Time not_before) { waiting_.emplace(not_before, index); }

  const Batch& batch() const { return batch_; }
  // Who made the batch, as it is now.
  void set_caller(accounts::Caller caller) { batch_.caller = std::move(caller); }
  BatchInput& input() { return *input_; }

 private:
  BatchRun(BatchPlace& place, Batch batch, store::LockFile lock);
  Step validate();
  Step run(size_t lines_out);
  Step close(BatchStatus end);
  // More: done; Leave: somebody else has changed the batch.
  Step change(BatchStatus next, const std::vector<BatchError>& errors);
  void open_input();
  bool expired() const;
  bool add_some_expired();

  BatchPlace& place_;
  Batch batch_;
  const store::LockFile lock_;
  std::optional<BatchInput> input_;  // none where the batch is about to end
  std::optional<BatchValidator> validator_;
  std::unique_ptr<BatchClosing> closing_;
  std::vector<bool> done_;               // lines with a result
  size_t open_lines_ = 0;                // without one
  std::multimap<Time, size_t> waiting_;  // to be tried again
  size_t next_ = 0;                      // validating, giving out or expiring: the next line
};

}  // namespace lockstep::server
