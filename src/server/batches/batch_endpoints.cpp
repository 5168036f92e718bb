#include "server/batches/batch_endpoints.h"

#include <algorithm>

#include "accounts/calendar.h"
#include "base/identifiers.h"
#include "server/api_error.h"
#include "server/batches/batch_request.h"
#include "server/batches/batch_store.h"
#include "server/batches/open_batches.h"
#include "server/files/file_store.h"
#include "server/paging.h"

namespace lockstep::server {

namespace {

using database::Transaction;

constexpr int64_t kListUsual = 20, kListMax = 100;  // as with OpenAI
constexpr size_t kIdsMax = 200;                     // API.md section 1
constexpr std::string_view kCursor = "cursor_";     // and the id of a page's last batch

class BatchEndpoints {
 public:
  BatchEndpoints(database::Database& database, std::vector<std::string> endpoints,
                 std::function<void()> changed)
      : database_(database), endpoints_(std::move(endpoints)), changed_(std::move(changed)) {}

  std::unique_ptr<http::Reply> make(const Call& call) const {
    if (!call.caller.may(accounts::Action::Infer)) {
      throw ApiError(
          403, "permission_denied", "",
          "A batch's lines are answered as requests of your key: it needs the scope 'inference' too.");
    }
    Batch batch = parse_batch_request(call.request.body, endpoints_, accounts::now_ms());
    batch.id = "batch_" + new_ulid();
    batch.caller = call.caller;
    database_.write([&](Transaction& transaction) {
      require_input(transaction, batch);
      require_place(transaction, batch.caller.project_id);
      batch_tables::insert(transaction, batch);
    });
    changed_();
    return json_reply(batch_json(batch));
  }

  std::unique_ptr<http::Reply> list(const Call& call) const {
    QueryFields query(call.target);
    Page page = read_page(query, kListUsual, kListMax);
    const std::optional<std::string> cursor = query.text("cursor");
    const std::vector<std::string> ids = query.texts("id", kIdsMax);
    query.finish();
    if (cursor) {
      if (page.after) bad_field("cursor", "it says the same as 'after'; send one of them");
      if (!cursor->starts_with(kCursor)) bad_field("cursor", "send the next_cursor of the page before");
      page.after = cursor->substr(kCursor.size());
    }
    const PageOf<Batch> found = database_.read([&](Transaction& transaction) {
      return batch_tables::list(transaction, call.caller.project_id, ids, page);
    });
    ReplyJson data = ReplyJson::array();
    for (const Batch& batch : found.rows) data.push_back(batch_json(batch));
    ReplyJson json = list_json(std::move(data), found.has_more);
    json["paging"]["next_cursor"] = nullptr;
    if (found.has_more) json["paging"]["next_cursor"] = std::string(kCursor) + found.rows.back().id;
    return json_reply(json);
  }

  std::unique_ptr<http::Reply> find(const Call& call) const {
    return json_reply(batch_json(
        database_.read([&](Transaction& transaction) { return require_batch(transaction, call); })));
  }

  std::unique_ptr<http::Reply> cancel(const Call& call) const {
    const Batch batch = database_.write([&](Transaction& transaction) {
      Batch found = require_batch(transaction, call);
      if (found.status == BatchStatus::Cancelling) return found;
      if (found.status != BatchStatus::Validating && found.status != BatchStatus::InProgress) {
        throw ApiError(409, "batch_ended", "batch_id",
                       fmt::format("The batch '{}' can not be cancelled any more: it is {}.", found.id,
                                   batch_status_name(found.status)));
      }
      found.enter(BatchStatus::Cancelling, accounts::now_ms());
      batch_tables::update(transaction, found);
      return found;
    });
    changed_();
    return json_reply(batch_json(batch));
  }

 private:
  static void require_input(Transaction& transaction, const Batch& batch) {
    const File file =
        FileStore::find(transaction, batch.caller.project_id, batch.input_file_id, "input_file_id");
    if (file.purpose == kBatchPurpose) return;
    bad_field("input_file_id", "the file's purpose is '{}'; upload it with the purpose 'batch'",
              file.purpose);
  }

  static void require_place(Transaction& transaction, const std::string& project_id) {
    const int64_t open = count_open_batches(transaction, project_id);
    if (open < kOpenBatchesMax) return;
    throw ApiError(
        400, "too_many_batches", "",
        fmt::format("The project has {} batches that have not ended, and may have {}; wait for the "
                    "end of some or cancel them.",
                    open, kOpenBatchesMax));
  }

  static Batch require_batch(Transaction& transaction, const Call& call) {
    const std::string& id = call.parameters[0];
    if (auto batch = batch_tables::find(transaction, call.caller.project_id, id)) return *std::move(batch);
    throw ApiError(404, "batch_not_found", "batch_id",
                   fmt::format("There is no batch '{}' in this project.", id));
  }

  database::Database& database_;
  const std::vector<std::string> endpoints_;
  const std::function<void()> changed_;
};

}  // namespace

std::vector<std::string> batch_endpoints(const Router& router) {
  std::vector<std::string> endpoints;
  for (const char* name : {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"}) {
    const bool there = std::any_of(router.routes().begin(), router.routes().end(), [&](const Route& route) {
      return route.method == "POST" && route.pattern == name;
    });
    if (there) endpoints.emplace_back(name);
  }
  return endpoints;
}

void add_batch_endpoints(Router& router, database::Database& database, std::function<void()> changed) {
  const auto endpoints =
      std::make_shared<const BatchEndpoints>(database, batch_endpoints(router), std::move(changed));
  const auto add = [&](const char* method, const char* pattern, auto handle) {
    router.add(method, pattern, accounts::Action::UseFiles,
               [endpoints, handle](Call& call) { return ((*endpoints).*handle)(call); });
  };
  add("POST", "/v1/batches", &BatchEndpoints::make);
  add("GET", "/v1/batches", &BatchEndpoints::list);
  add("GET", "/v1/batches/{batch_id}", &BatchEndpoints::find);
  add("POST", "/v1/batches/{batch_id}/cancel", &BatchEndpoints::cancel);
}

}  // namespace lockstep::server
