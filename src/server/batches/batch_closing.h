// Ends a batch: makes its output and error files of the lines' results.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "database/database.h"
#include "server/batches/batch.h"
#include "server/batches/batch_input.h"
#include "server/batches/batch_store.h"
#include "server/files/file_store.h"
#include "store/atomic_file.h"

namespace lockstep::server {

// The contents of both files are written before one transaction makes them files of the project, gives the
// batch its end and drops the results: a crash before it leaves all as it was, and closing begins anew. The
// transaction also finds out whether the files have all results there are: the batch's counts are changed
// together with the results. One thread.
class BatchClosing {
 public:
  // `end`: Completed, Cancelled or Expired. All must outlive this.
  BatchClosing(database::Database& database, FileStore& files, const Batch& batch, BatchStatus end);

  // A line without a result, for the error file of a batch that expires. After the results.
  void add_expired(const std::string& custom_id);
  // Adds some more results; gives false when there are no more.
  bool add_results();
  // Called last. A batch that was changed meanwhile stays as it is.
  void finish();

 private:
  struct Output {
    File file;
    std::optional<store::AtomicFile> content;
    int64_t lines = 0;
  };

  void append(Output& output, const std::string& line, const char* kind);
  void commit_contents();
  bool end_batch(database::Transaction& transaction);

  database::Database& database_;
  FileStore& files_;
  const Batch& batch_;
  const BatchStatus end_;
  Output answers_, errors_;
  int64_t expired_ = 0;
  int64_t after_ = 0;  // the last line whose result was added
};

}  // namespace lockstep::server
