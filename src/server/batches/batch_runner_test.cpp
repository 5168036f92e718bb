#include "server/batches/batch_runner.h"

#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "accounts/test_accounts.h"
#include "base/identifiers.h"
#include "server/api_error.h"
#include "server/json_fields.h"

namespace lockstep::server {
namespace {

using database::Transaction;

// In place of the service: answers a line as its body says, {"model":"m","say":STATUS}. Others than "held"
// ones at once.
class Answerer {
 public:
  std::unique_ptr<http::Reply> operator()(Call& call) {
    const RequestJson body = RequestJson::parse(call.request.body);
    const std::lock_guard lock(mutex_);
    const int tries = ++tries_[call.request.id];
    ++running_;
    most_running_ = std::max(most_running_, running_);
    unsigned status = body.value("say", 200u);
    if (status == 503 && tries > 1) status = 200;
    return std::make_unique<Reply>(*this, call, status, body.value("held", false));
  }

  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    for (const http::Wake& wake : wakes_) wake();
  }
  int tries(const std::string& request_id) {
    const std::lock_guard lock(mutex_);
    return tries_[request_id];
  }
  int running() {
    const std::lock_guard lock(mutex_);
    return running_;
  }
  int most_running() {
    const std::lock_guard lock(mutex_);
    return most_running_;
  }

 private:
  class Reply : public http::Reply {
   public:
    Reply(Answerer& owner, const Call& call, unsigned status, bool held)
        : owner_(owner), take_record_(call.take_record), status_(status), held_(held) {
      record_.request_id = call.request.id;
      record_.time_ms = accounts::now_ms();
      record_.organisation_id = call.caller.organisation_id;
      record_.project_id = call.caller.project_id;
      record_.key_id = call.caller.key_id;
      record_.endpoint = call.target.path;
      record_.tier = accounts::Tier::Batch;
      record_.status = status;
      record_.cost = 7;
      record_.batch_id = call.batch_id;
      owner_.wakes_.push_back(call.wake);
    }
    ~Reply() override {
      const std::lock_guard lock(owner_.mutex_);
      --owner_.running_;
    }
    http::Piece next() override {
      {
        const std::lock_guard lock(owner_.mutex_);
        if (held_ && !owner_.released_) return {};
      }
      take_record_(record_);
      return {http::Head{status_}, fmt::format(R"({{"said":{}}})", status_), true};
    }

   private:
    Answerer& owner_;
    const std::function<void(accounts::UsageRecord)> take_record_;
    const unsigned status_;
    const bool held_;
    accounts::UsageRecord record_;
  };

  std::mutex mutex_;
  std::map<std::string, int> tries_;
  std::vector<http::Wake> wakes_;
  int running_ = 0, most_running_ = 0;
  bool released_ = false;
};

class BatchRunnerTest : public accounts::AccountsFixture {
 protected:
  void start(uint32_t lines_at_once = 4) {
    BatchRules rules{.endpoints = {"/v1/chat/completions"}};
    runner_.emplace(
        BatchPlace{database_, files_, folder_ / "locks", rules}, journal_,
        [this](Call& call) { return answerer_(call); }, lines_at_once);
  }

  // A batch of these lines' bodies; custom ids are "c0", "c1", ...
  std::string make(const std::vector<std::string>& bodies, int64_t window_ms = accounts::kDay_ms) {
    std::string input;
    for (size_t i = 0; i < bodies.size(); ++i) {
      input += fmt::format(
          R"({{"custom_id":"c{}","method":"POST","url":"/v1/chat/completions","body":{{"model":"m"{}}}}})", i,
          bodies[i]);
      input += '\n';
    }
    return make_of(input, window_ms);
  }
  std::string make_of(const std::string& input, int64_t window_ms = accounts::kDay_ms) {
    const int64_t now_ms = accounts::now_ms();
    const File file = files_.add({.project_id = owner_.caller().project_id,
                                  .purpose = kBatchPurpose,
                                  .filename = "input.jsonl",
                                  .created_at_ms = now_ms,
                                  .expires_at_ms = now_ms + accounts::kDay_ms},
                                 as_bytes(input));
    Batch batch;
    batch.id = "batch_" + new_ulid();
    batch.caller = owner_.caller();
    batch.endpoint = "/v1/chat/completions";
    batch.input_file_id = file.id;
    batch.completion_window = "24h";
    batch.enter(BatchStatus::Validating, now_ms);
    batch.expires_at_ms = now_ms + window_ms;
    database_.write([&](Transaction& transaction) { batch_tables::insert(transaction, batch); });
    if (runner_) runner_->look();
    return batch.id;
  }

  Batch find(const std::string& id) {
    return *database_.read([&](Transaction& transaction) { return batch_tables::find(transaction, {}, id); });
  }
  template <class Condition>
  Batch wait_until(const std::string& id, Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (true) {
      const Batch batch = find(id);
      if (condition(batch)) return batch;
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "not reached: " << batch_json(batch).dump();
        return batch;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  Batch wait_for_end(const std::string& id) {
    return wait_until(id, [](const Batch& batch) { return !is_open(batch.status); });
  }
  void cancel(const std::string& id) {
    database_.write([&](Transaction& transaction) {
      Batch batch = *batch_tables::find(transaction, {}, id);
      batch.enter(BatchStatus::Cancelling, accounts::now_ms());
      batch_tables::update(transaction, batch);
    });
    runner_->look();
  }

  // The lines of a file of results, by custom id; none twice.
  std::map<std::string, RequestJson> lines_of(const std::optional<std::string>& file_id) {
    std::map<std::string, RequestJson> lines;
    if (!file_id) return lines;
    const File file = files_.find(owner_.caller().project_id, *file_id);
    EXPECT_EQ(file.purpose, kBatchOutputPurpose);
    EXPECT_EQ(std::filesystem::file_size(files_.content_path(*file_id)), static_cast<uintmax_t>(file.bytes));
    std::ifstream content(files_.content_path(*file_id));
    for (std::string text; std::getline(content, text);) {
      RequestJson json = RequestJson::parse(text);
      EXPECT_TRUE(lines.emplace(json["custom_id"], json).second) << text;
    }
    return lines;
  }
  int64_t number(const std::string& sql, const database::Values& values = {}) {
    return database_.execute(sql, values).rows.at(0).integer(0);
  }
  int64_t records_of(const std::string& id) {
    return number("SELECT COUNT(*) FROM request_log WHERE batch_id = $1", {id});
  }

  store::TemporaryFolder folder_;
  accounts::Access owner_ = new_owner();
  accounts::Journal journal_{accounts()};
  FileStore files_{database_, folder_ / "files", {}};
  Answerer answerer_;
  std::optional<BatchRunner> runner_;
};
INSTANTIATE_TEST_SUITE_P(Both, BatchRunnerTest, database::both_dialects(), database::dialect_name);

const std::string kGood = "", kBad = R"(,"say":400)", kHeld = R"(,"held":true)";

TEST_P(BatchRunnerTest, AnswersToTheOutputAndErrorsToTheErrorFile) {
  start();
  std::vector<std::string> bodies(300, kGood);
  for (size_t i = 0; i < bodies.size(); i += 7) bodies[i] = kBad;
  const std::string id = make(bodies);
  const Batch batch = wait_for_end(id);
  EXPECT_EQ(batch.status, BatchStatus::Completed);
  EXPECT_EQ(batch.total, 300);
  EXPECT_EQ(batch.completed, 257);
  EXPECT_EQ(batch.failed, 43);
  EXPECT_TRUE(batch.since(BatchStatus::InProgress) && batch.since(BatchStatus::Finalizing));
  const auto answers = lines_of(batch.output_file_id), errors = lines_of(batch.error_file_id);
  EXPECT_EQ(answers.size(), 257u);
  EXPECT_EQ(errors.size(), 43u);
  EXPECT_EQ(answers.at("c1")["response"]["body"]["said"], 200);
  EXPECT_EQ(errors.at("c7")["response"]["status_code"], 400);
  EXPECT_EQ(answers.at("c1")["response"]["request_id"], batch_request_id(id, 2));
  EXPECT_EQ(records_of(id), 300);
  EXPECT_EQ(number("SELECT COUNT(*) FROM batch_results"), 0);
  EXPECT_LE(answerer_.most_running(), 4);
}

TEST_P(BatchRunnerTest, OnlyGoodLinesHaveNoErrorFile) {
  start();
  const Batch batch = wait_for_end(make({kGood}));
  EXPECT_TRUE(batch.output_file_id);
  EXPECT_FALSE(batch.error_file_id);
  const Batch bad = wait_for_end(make({kBad}));
  EXPECT_FALSE(bad.output_file_id);
  EXPECT_TRUE(bad.error_file_id);
}

TEST_P(BatchRunnerTest, AWrongInputFails) {
  start();
  const Batch empty = wait_for_end(make_of("\n"));
  EXPECT_EQ(empty.status, BatchStatus::Failed);
  EXPECT_EQ(empty.errors.at(0).code, "empty_file");
  const Batch wrong = wait_for_end(make_of("x\n\ny\n"));
  ASSERT_EQ(wrong.errors.size(), 2u);
  EXPECT_EQ(wrong.errors[1].line, 3);
  EXPECT_EQ(wrong.errors[1].code, "invalid_json_line");
  EXPECT_EQ(number("SELECT COUNT(*) FROM request_log"), 0);
}

TEST_P(BatchRunnerTest, LinesWithoutRoomAreSentAgain) {
  start();
  const std::string id = make({R"(,"say":503)", kGood});
  const Batch batch = wait_for_end(id);
  EXPECT_EQ(batch.completed, 2);
  EXPECT_EQ(answerer_.tries(batch_request_id(id, 1)), 2);
  EXPECT_EQ(answerer_.tries(batch_request_id(id, 2)), 1);
  EXPECT_EQ(records_of(id), 2);
}

TEST_P(BatchRunnerTest, GoesOnWhereItWas) {
  start();
  std::vector<std::string> bodies(40, kGood);
  for (size_t i = 30; i < bodies.size(); ++i) bodies[i] = kHeld;
  const std::string id = make(bodies);
  wait_until(id, [](const Batch& batch) { return batch.completed == 30; });
  runner_.reset();
  EXPECT_EQ(answerer_.running(), 0);
  EXPECT_EQ(find(id).status, BatchStatus::InProgress);
  EXPECT_EQ(records_of(id), 30);
  answerer_.release();
  start();
  const Batch batch = wait_for_end(id);
  EXPECT_EQ(batch.completed, 40);
  EXPECT_EQ(lines_of(batch.output_file_id).size(), 40u);
  EXPECT_EQ(records_of(id), 40);
  for (int line = 1; line <= 30; ++line) EXPECT_EQ(answerer_.tries(batch_request_id(id, line)), 1);
}

TEST_P(BatchRunnerTest, CancelledKeepsWhatIsFinished) {
  start();
  const std::string id = make({kGood, kBad, kHeld, kHeld});
  wait_until(id, [](const Batch& batch) { return batch.completed == 1 && batch.failed == 1; });
  cancel(id);
  const Batch batch = wait_for_end(id);
  EXPECT_EQ(batch.status, BatchStatus::Cancelled);
  EXPECT_EQ(lines_of(batch.output_file_id).size(), 1u);
  EXPECT_EQ(lines_of(batch.error_file_id).size(), 1u);
  EXPECT_EQ(records_of(id), 2);  // lines that were stopped cost nothing
  EXPECT_EQ(answerer_.running(), 0);
}

TEST_P(BatchRunnerTest, ExpiredSaysSoForTheRest) {
  start();
  const std::string id = make({kGood, kBad, kHeld, kHeld, kHeld}, 500);
  const Batch batch = wait_for_end(id);
  EXPECT_EQ(batch.status, BatchStatus::Expired);
  EXPECT_EQ(batch.completed, 1);
  EXPECT_EQ(batch.failed, 4);
  const auto errors = lines_of(batch.error_file_id);
  ASSERT_EQ(errors.size(), 4u);
  EXPECT_EQ(errors.at("c4")["error"]["code"], "batch_expired");
  EXPECT_TRUE(errors.at("c4")["response"].is_null());
  EXPECT_EQ(records_of(id), 2);
}

TEST_P(BatchRunnerTest, TwoRunnersShareTheBatches) {
  start(2);
  BatchRules rules{.endpoints = {"/v1/chat/completions"}};
  BatchRunner second(
      BatchPlace{database_, files_, folder_ / "locks", rules}, journal_,
      [this](Call& call) { return answerer_(call); }, 2);
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(make(std::vector<std::string>(20, kGood)));
  for (const std::string& id : ids) {
    EXPECT_EQ(wait_for_end(id).completed, 20);
    for (int line = 1; line <= 20; ++line) EXPECT_EQ(answerer_.tries(batch_request_id(id, line)), 1) << id;
  }
}

TEST_P(BatchRunnerTest, BatchesTakeTurns) {
  start(2);
  const std::string large = make(std::vector<std::string>(400, kGood));
  const std::string small = make({kGood, kGood});
  wait_for_end(small);
  EXPECT_LT(find(large).completed, 400);
  wait_for_end(large);
}

TEST_P(BatchRunnerTest, ALineHasOneResult) {
  const std::string id = make({kGood});
  const auto add = [&](const BatchResult& result) {
    database_.write([&](Transaction& transaction) { batch_tables::add_result(transaction, id, result); });
  };
  const auto enter = [&](BatchStatus status) {
    database_.write([&](Transaction& transaction) {
      Batch batch = *batch_tables::find(transaction, {}, id);
      batch.enter(status, 1);
      batch_tables::update(transaction, batch);
    });
  };
  add({1, false, "too early"});
  enter(BatchStatus::InProgress);
  add({1, false, "first"});
  add({1, true, "second"});
  enter(BatchStatus::Finalizing);
  add({2, false, "too late"});
  const auto results =
      database_.read([&](Transaction& transaction) { return batch_tables::results(transaction, id, 0, 10); });
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].text, "first");
  EXPECT_EQ(find(id).completed, 1);
  EXPECT_EQ(find(id).failed, 0);
}

}  // namespace
}  // namespace lockstep::server
