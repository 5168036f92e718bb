// Batches in the database, and the results of their lines until a batch has ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "database/database.h"
#include "server/batches/batch.h"
#include "server/paging.h"

namespace lockstep::server {

// The result of one line, as it stands in the output or error file.
struct BatchResult {
  int64_t line = 0;  // of the input file, counted from 1
  bool failed = false;
  std::string text;  // JSON without a line's end
};

// Rows, for whoever has a transaction. Times of a batch, its status and its files are changed with update(),
// in one transaction with the find() before it; the counts of lines with add_result() alone.
namespace batch_tables {

void insert(database::Transaction& transaction, const Batch& batch);
// `project_id` empty: of any project, for the server itself.
std::optional<Batch> find(database::Transaction& transaction, const std::optional<std::string>& project_id,
                          const std::string& id);
// `ids` empty: all.
PageOf<Batch> list(database::Transaction& transaction, const std::string& project_id,
                   const std::vector<std::string>& ids, const Page& page);
void update(database::Transaction& transaction, const Batch& batch);

// A line has at most one result, the first; a batch that is neither in progress nor being cancelled gets
// none.
void add_result(database::Transaction& transaction, const std::string& batch_id, const BatchResult& result);
// Up to `most` with a line after `after`, in the lines' order.
std::vector<BatchResult> results(database::Transaction& transaction, const std::string& batch_id,
                                 int64_t after, int64_t most);
// The lines that have a result.
std::vector<int64_t> lines_with_result(database::Transaction& transaction, const std::string& batch_id);
void remove_results(database::Transaction& transaction, const std::string& batch_id);

// Removes batches that ended long ago.
void purge(database::Transaction& transaction, int64_t now_ms);

}  // namespace batch_tables

}  // namespace lockstep::server
