#include "server/batches/batch_run.h"

#include <utility>

#include "accounts/calendar.h"
#include "base/error.h"
#include "server/api_error.h"

namespace lockstep::server {

namespace {

// A step's share of an input.
constexpr size_t kLinesAtOnce = 100;
constexpr size_t kBytesAtOnce = 1 << 20;

// Empty if the line cannot be read any more: a damaged input must not keep its batch from ending.
std::string custom_id_of(BatchInput& input, size_t index) {
  try {
    return parse_batch_line(input.text(index), {}).custom_id;
  } catch (const ApiError&) {
  } catch (const Error&) {
  }
  return "";
}

}  // namespace

std::unique_ptr<BatchRun> BatchRun::open(BatchPlace& place, const std::string& batch_id) {
  std::optional<store::LockFile> lock = store::LockFile::try_lock(place.locks / (batch_id + ".lock"));
  if (!lock) return nullptr;
  std::optional<Batch> batch = place.database.read([&](database::Transaction& transaction) {
    return batch_tables::find(transaction, std::nullopt, batch_id);
  });
  if (!batch) return nullptr;
  return std::unique_ptr<BatchRun>(new BatchRun(place, *std::move(batch), std::move(*lock)));
}

BatchRun::BatchRun(BatchPlace& place, Batch batch, store::LockFile lock)
    : place_(place), batch_(std::move(batch)), lock_(std::move(lock)) {
  if (batch_.status == BatchStatus::Validating || batch_.status == BatchStatus::InProgress) open_input();
}

void BatchRun::open_input() {
  try {
    input_.emplace(place_.files.content_path(batch_.input_file_id));
  } catch (const Error&) {
    if (expired()) return;  // it ends without
    throw;
  }
  done_.resize(input_->size());
  open_lines_ = done_.size();
  const auto lines = place_.database.read([&](database::Transaction& transaction) {
    return batch_tables::lines_with_result(transaction, batch_.id);
  });
  for (const int64_t line : lines) {
    const size_t index = input_->index_of(line);
    if (index < done_.size()) finish(index);
  }
}

void BatchRun::finish(size_t index) {
  LOCKSTEP_CHECK(!done_.at(index));
  done_[index] = true;
  --open_lines_;
}

BatchRun::Step BatchRun::step(size_t lines_out) {
  switch (batch_.status) {
    case BatchStatus::Validating:
      return expired() ? close(BatchStatus::Expired) : validate();
    case BatchStatus::InProgress:
      return run(lines_out);
    case BatchStatus::Finalizing:
      return close(BatchStatus::Completed);
    case BatchStatus::Cancelling:
      return close(BatchStatus::Cancelled);
    default:
      return Step::Leave;
  }
}

BatchRun::Step BatchRun::validate() {
  if (!validator_) {
    validator_.emplace(place_.rules);
    validator_->check_count(input_->size());
  }
  size_t bytes = 0;
  for (size_t i = 0; i < kLinesAtOnce && bytes < kBytesAtOnce && next_ < input_->size(); ++i, ++next_) {
    bytes += input_->bytes(next_);
    validator_->check(input_->text(next_), input_->number(next_));
  }
  if (next_ < input_->size() && !validator_->full()) return Step::More;
  const bool good = validator_->errors().empty();
  const Step changed = change(good ? BatchStatus::InProgress : BatchStatus::Failed, validator_->errors());
  validator_.reset();
  next_ = 0;
  return good ? changed : Step::Leave;
}

BatchRun::Step BatchRun::run(size_t lines_out) {
  if (expired()) return lines_out != 0 ? Step::Recall : close(BatchStatus::Expired);
  if (lines_out != 0 || open_lines_ != 0) return Step::Wait;
  input_.reset();
  return change(BatchStatus::Finalizing, {});
}

BatchRun::Step BatchRun::close(BatchStatus end) {
  if (!closing_) {
    closing_ = std::make_unique<BatchClosing>(place_.database, place_.files, batch_, end);
    next_ = 0;
  }
  if (closing_->add_results()) return Step::More;
  if (batch_.status == BatchStatus::InProgress && add_some_expired()) return Step::More;
  closing_->finish();
  return Step::Leave;
}

bool BatchRun::add_some_expired() {
  for (size_t i = 0; i < kLinesAtOnce && next_ < done_.size(); ++i, ++next_) {
    if (!done_[next_]) closing_->add_expired(custom_id_of(*input_, next_));
  }
  return next_ < done_.size();
}

std::optional<size_t> BatchRun::take(Time now) {
  if (batch_.status != BatchStatus::InProgress || expired()) return std::nullopt;
  if (!waiting_.empty() && waiting_.begin()->first <= now) {
    return waiting_.extract(waiting_.begin()).mapped();
  }
  while (next_ < done_.size() && done_[next_]) ++next_;
  return next_ < done_.size() ? std::optional(next_++) : std::nullopt;
}

BatchRun::Step BatchRun::change(BatchStatus next, const std::vector<BatchError>& errors) {
  std::optional<Batch> changed = place_.database.write([&](database::Transaction& transaction) {
    std::optional<Batch> batch = batch_tables::find(transaction, std::nullopt, batch_.id);
    if (!batch || batch->status != batch_.status) return std::optional<Batch>();
    batch->enter(next, accounts::now_ms());
    batch->errors = errors;
    batch->total = static_cast<int64_t>(done_.size());
    batch_tables::update(transaction, *batch);
    return batch;
  });
  if (!changed) return Step::Leave;
  changed->caller = std::move(batch_.caller);
  batch_ = *std::move(changed);
  return Step::More;
}

bool BatchRun::expired() const {
  return accounts::now_ms() >= batch_.expires_at_ms;
}

}  // namespace lockstep::server
