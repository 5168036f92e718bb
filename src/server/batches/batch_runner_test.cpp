#include "server/batches/batch_runner.h"

#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "accounts/test_accounts.h"
#include "base/identifiers.h"
#include "server/api_error.h"
#include "server/batches/batch_endpoints.h"
#include "server/batches/open_batches.h"
#include "server/json_fields.h"
#include "store/data_folder.h"

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

bool ended(BatchStatus status) {
  return status == BatchStatus::Completed || status == BatchStatus::Failed ||
         status == BatchStatus::Expired || status == BatchStatus::Cancelled;
}

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
    return make_of(input_of(bodies), window_ms);
  }
  static std::string input_of(const std::vector<std::string>& bodies) {
    std::string input;
    for (size_t i = 0; i < bodies.size(); ++i) {
      input += fmt::format(
          R"({{"custom_id":"c{}","method":"POST","url":"/v1/chat/completions","body":{{"model":"m"{}}}}})", i,
          bodies[i]);
      input += '\n';
    }
    return input;
  }
  std::string make_of(const std::string& input, int64_t window_ms = accounts::kDay_ms) {
    return make_for(owner_.caller(), input, window_ms);
  }
  std::string make_for(const accounts::Caller& caller, const std::string& input,
                       int64_t window_ms = accounts::kDay_ms) {
    const int64_t now_ms = accounts::now_ms();
    const File file = files_.add({.project_id = caller.project_id,
                                  .purpose = kBatchPurpose,
                                  .filename = "input.jsonl",
                                  .created_at_ms = now_ms,
                                  .expires_at_ms = now_ms + accounts::kDay_ms},
                                 as_bytes(input));
    Batch batch;
    batch.id = "batch_" + new_ulid();
    batch.caller = caller;
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
    return wait_until(id, [](const Batch& batch) { return ended(batch.status); });
  }
  void cancel(const std::string& id) {
    database_.write([&](Transaction& transaction) {
      Batch batch = *batch_tables::find(transaction, {}, id);
      batch.enter(BatchStatus::Cancelling, accounts::now_ms());
      batch_tables::update(transaction, batch);
    });
    runner_->look();
  }

  // A caller of the same organisation with a project, a member and a key of their own.
  struct Guest {
    accounts::Project project;
    accounts::Member member;
    accounts::NewKey key;
    accounts::Caller caller;
  };
  Guest new_guest(const std::string& name) {
    accounts::ProjectSettings settings;
    settings.name = name;
    Guest guest;
    guest.project = owner_.make_project(settings);
    guest.member = owner_.add_member(name, accounts::Role::Developer);
    accounts::KeyRequest request;
    request.name = name;
    request.scopes = {accounts::Scope::Inference, accounts::Scope::Files};
    request.project_id = guest.project.id;
    request.member_id = guest.member.id;
    guest.key = owner_.make_key(request);
    guest.caller = *accounts().authenticate(guest.key.secret, accounts::now_ms());
    return guest;
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

TEST_P(BatchRunnerTest, StopsWhenItsMakerMayNoLongerAsk) {
  struct Case {
    std::string code;
    std::function<void(const Guest&)> lose;
  };
  const std::vector<Case> cases = {
      {"key_revoked", [&](const Guest& guest) { owner_.revoke_key(guest.key.key.id); }},
      {"member_removed", [&](const Guest& guest) { owner_.remove_member(guest.member.id); }},
      {"permission_denied",
       [&](const Guest& guest) { owner_.change_member(guest.member.id, accounts::Role::Reader); }},
      {"project_archived", [&](const Guest& guest) { owner_.archive_project(guest.project.id); }},
      {"key_expired", [&](const Guest& guest) {
         database_.execute("UPDATE keys SET expires_at_ms = 1 WHERE id = $1", {guest.key.key.id});
       }}};
  start(8);
  const std::string other = make({kGood, kHeld});
  for (const Case& one : cases) {
    const Guest guest = new_guest(one.code);
    const std::string id = make_for(guest.caller, input_of({kGood, kHeld, kHeld}));
    wait_until(id, [](const Batch& batch) { return batch.completed == 1; });
    one.lose(guest);
    runner_->look();
    const Batch batch = wait_for_end(id);
    EXPECT_EQ(batch.status, BatchStatus::Cancelled) << one.code;
    ASSERT_EQ(batch.errors.size(), 1u) << one.code;
    EXPECT_EQ(batch.errors[0].code, one.code);
    EXPECT_TRUE(batch.output_file_id);
    EXPECT_EQ(records_of(id), 1);
  }
  answerer_.release();
  EXPECT_EQ(wait_for_end(other).completed, 2);
}

TEST_P(BatchRunnerTest, AServerWithoutKeysHasBatchesToo) {
  accounts::Caller caller = owner_.caller();
  caller.key_id.clear();
  start();
  EXPECT_EQ(wait_for_end(make_for(caller, input_of({kGood}))).status, BatchStatus::Completed);
}

// More than there are places.
constexpr int kMany = 70;

TEST_P(BatchRunnerTest, OneProjectsBatchesKeepNobodyFromTheirs) {
  std::vector<std::string> ids;
  for (int i = 0; i < kMany; ++i) ids.push_back(make({kHeld}));
  start(4);
  wait_until(ids[0], [](const Batch& batch) { return batch.status == BatchStatus::InProgress; });
  // Ends without a place.
  cancel(ids.back());
  EXPECT_EQ(wait_for_end(ids.back()).status, BatchStatus::Cancelled);
  database_.execute("UPDATE batches SET expires_at_ms = 1 WHERE id = $1", {ids[kMany - 2]});
  EXPECT_EQ(wait_for_end(ids[kMany - 2]).status, BatchStatus::Expired);
  // Another project has its place, though all lines are out.
  const std::string small = make_for(new_guest("small").caller, input_of({kGood}));
  wait_until(small, [](const Batch& batch) { return batch.status == BatchStatus::InProgress; });
  answerer_.release();
  wait_for_end(small);
  for (const std::string& id : ids) wait_for_end(id);
}

TEST_P(BatchRunnerTest, ProjectsTakeTurns) {
  start(1);
  const std::string held = make({kHeld});
  wait_until(held, [&](const Batch&) { return answerer_.running() == 1; });
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(make(std::vector<std::string>(20, kGood)));
  const std::string other =
      make_for(new_guest("other").caller, input_of(std::vector<std::string>(20, kGood)));
  wait_until(other, [](const Batch& batch) { return batch.status == BatchStatus::InProgress; });
  answerer_.release();
  wait_for_end(other);
  int64_t done = 0;
  for (const std::string& id : ids) done += find(id).completed;
  EXPECT_LT(done, 100);  // 20, and what was answered while the end was found out
  for (const std::string& id : ids) wait_for_end(id);
}

TEST_P(BatchRunnerTest, SeesMoreThanAThousand) {
  const std::string model = make({kGood});
  database_.write([&](Transaction& transaction) {
    Batch batch = *batch_tables::find(transaction, {}, model);
    for (int i = 0; i < 1100; ++i) {
      batch.id = "batch_" + new_ulid();
      batch_tables::insert(transaction, batch);
    }
  });
  EXPECT_EQ(open_batches(database_, accounts::now_ms()).size(), 1101u);
}

TEST_P(BatchRunnerTest, AProjectHasSoManyOpenBatches) {
  const std::string model = make({kGood});
  Batch batch = find(model);
  database_.write([&](Transaction& transaction) {
    for (int i = 1; i < kOpenBatchesMax; ++i) {
      batch.id = "batch_" + new_ulid();
      batch_tables::insert(transaction, batch);
    }
  });
  Router router;
  router.add("POST", "/v1/chat/completions", kAnyone, {});
  add_batch_endpoints(router, database_, [] {});
  const http::Request request{
      .id = "req_1",
      .method = "POST",
      .target = "/v1/batches",
      .body = fmt::format(
          R"({{"input_file_id":"{}","endpoint":"/v1/chat/completions","completion_window":"24h"}})",
          batch.input_file_id)};
  Call call{.request = request, .target = http::Target(request.target), .caller = owner_.caller()};
  const Route& route = router.find(call);
  try {
    route.handler(call);
    ADD_FAILURE() << "taken";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.code(), "too_many_batches");
  }
  database_.execute("UPDATE batches SET status = 'completed' WHERE id = $1", {model});
  EXPECT_NE(route.handler(call), nullptr);
}

TEST_P(BatchRunnerTest, ADamagedInputStopsItsOwnBatch) {
  start(2);
  // Longer than what is read ahead.
  const std::string large = fmt::format(R"(,"pad":"{}")", std::string(100'000, 'x'));
  const std::string other =
      make({kHeld, kGood});  // the first, so that each of the two places has a held line
  const std::string damaged = make({kHeld, large, large});
  wait_until(damaged, [&](const Batch&) { return answerer_.running() == 2; });
  const auto path = files_.content_path(find(damaged).input_file_id);
  std::fstream(path, std::ios::in | std::ios::out) << std::string(std::filesystem::file_size(path), 'x');
  answerer_.release();
  const Batch batch = wait_for_end(damaged);
  EXPECT_EQ(batch.status, BatchStatus::Cancelled);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_EQ(batch.errors[0].code, "input_damaged");
  EXPECT_EQ(batch.errors[0].line, 2);
  EXPECT_EQ(wait_for_end(other).completed, 2);
  for (int line = 1; line <= 2; ++line) EXPECT_EQ(answerer_.tries(batch_request_id(other, line)), 1);
}

TEST_P(BatchRunnerTest, ADamagedInputExpires) {
  start(1);
  const std::string id = make({kHeld, kGood, kGood}, 1500);
  wait_until(id, [&](const Batch&) { return answerer_.running() == 1; });
  std::filesystem::resize_file(files_.content_path(find(id).input_file_id), 10);
  const Batch batch = wait_for_end(id);
  EXPECT_EQ(batch.status, BatchStatus::Expired);
  EXPECT_EQ(batch.failed, 3);
}

TEST_P(BatchRunnerTest, ARunKeepsItsInput) {
  const std::string id = make({kGood, kGood});
  BatchPlace place{database_, files_, folder_ / "locks", {.endpoints = {"/v1/chat/completions"}}};
  store::make_data_folder(place.locks);
  const auto run = BatchRun::open(place, id);
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(run->step(0), BatchRun::Step::More);
  EXPECT_EQ(find(id).status, BatchStatus::InProgress);
  EXPECT_EQ(run->batch().status, BatchStatus::InProgress);
  std::filesystem::remove(files_.content_path(find(id).input_file_id));  // is open
  EXPECT_EQ(run->take({}), 0u);
  EXPECT_EQ(run->take({}), 1u);
  EXPECT_EQ(run->input().number(1), 2);
}

TEST(OpenBatches, ProjectsTakePlacesInTurn) {
  std::vector<OpenBatch> batches;
  for (const char* id : {"a1", "a2", "a3", "c1", "b1", "b2"}) {
    OpenBatch& batch = batches.emplace_back();
    batch.id = id;
    batch.caller.project_id = std::string(id, 1);
  }
  const auto order = [&](const std::string& after) {
    std::string text;
    for (const OpenBatch* batch : in_turn(batches, after)) text += batch->id + " ";
    return text;
  };
  EXPECT_EQ(order(""), "a1 b1 c1 a2 b2 a3 ");
  EXPECT_EQ(order("a"), "b1 c1 a1 b2 a2 a3 ");
  EXPECT_EQ(order("c"), "a1 b1 c1 a2 b2 a3 ");
  batches.clear();
  EXPECT_EQ(order("a"), "");
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
