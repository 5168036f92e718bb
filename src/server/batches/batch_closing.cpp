#include "server/batches/batch_closing.h"

#include "base/bytes.h"
#include "base/error.h"
#include "server/batches/batch_line.h"

namespace lockstep::server {

namespace {

constexpr int64_t kResultsAtOnce = 200;

}  // namespace

BatchClosing::BatchClosing(database::Database& database, FileStore& files, const Batch& batch,
                           BatchStatus end)
    : database_(database), files_(files), batch_(batch), end_(end) {}

void BatchClosing::append(Output& output, const std::string& line, const char* kind) {
  if (!output.content) {
    output.file.id = FileStore::new_id();
    output.file.project_id = batch_.caller.project_id;
    output.file.purpose = kBatchOutputPurpose;
    output.file.filename = fmt::format("{}_{}.jsonl", batch_.id, kind);
    output.content.emplace(files_.content_path(output.file.id), store::Leftovers::Leave);
  }
  output.content->append(as_bytes(line));
  output.content->append(as_bytes("\n"));
  output.file.bytes += static_cast<int64_t>(line.size()) + 1;
  ++output.lines;
}

bool BatchClosing::add_results() {
  const std::vector<BatchResult> results = database_.read([&](database::Transaction& transaction) {
    return batch_tables::results(transaction, batch_.id, after_, kResultsAtOnce);
  });
  for (const BatchResult& result : results) {
    append(result.failed ? errors_ : answers_, result.text, result.failed ? "error" : "output");
    after_ = result.line;
  }
  return results.size() == static_cast<size_t>(kResultsAtOnce);
}

void BatchClosing::add_expired(const std::string& custom_id) {
  append(errors_, expired_line(custom_id), "error");
  ++expired_;
}

void BatchClosing::finish() {
  for (Output* output : {&answers_, &errors_}) {
    if (output->content) output->content->commit();
  }
  const bool ended =
      database_.write([&](database::Transaction& transaction) { return end_batch(transaction); });
  if (ended) return;
  for (const Output* output : {&answers_, &errors_}) {
    if (output->content) files_.discard_content(output->file.id);
  }
}

bool BatchClosing::end_batch(database::Transaction& transaction) {
  std::optional<Batch> batch = batch_tables::find(transaction, std::nullopt, batch_.id);
  if (!batch || batch->status != batch_.status || batch->completed != answers_.lines ||
      batch->failed != errors_.lines - expired_) {
    return false;
  }
  const int64_t now_ms = accounts::now_ms();
  const auto add = [&](Output& output) -> std::optional<std::string> {
    if (!output.content) return std::nullopt;
    output.file.created_at_ms = now_ms;
    output.file.expires_at_ms = now_ms + kFileKept_ms;
    FileStore::insert(transaction, output.file);
    return output.file.id;
  };
  batch->output_file_id = add(answers_);
  batch->error_file_id = add(errors_);
  batch->failed += expired_;
  batch->enter(end_, now_ms);
  batch_tables::update(transaction, *batch);
  batch_tables::remove_results(transaction, batch->id);
  return true;
}

}  // namespace lockstep::server
