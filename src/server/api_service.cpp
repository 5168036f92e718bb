#include "server/api_service.h"

#include <chrono>
#include <iterator>

#include "accounts/calendar.h"
#include "server/api_error.h"
#include "server/batches/batch_endpoints.h"
#include "server/chat/chat_endpoint.h"
#include "server/completions/completion_endpoint.h"
#include "server/console/console_endpoints.h"
#include "server/embeddings/embedding_endpoint.h"
#include "server/files/file_endpoints.h"
#include "server/json_reply.h"
#include "server/model_endpoints.h"
#include "server/ollama/ollama_endpoints.h"
#include "server/openapi/openapi_endpoint.h"
#include "server/organization/organization_endpoints.h"
#include "server/responses/response_endpoint.h"
#include "server/tokenize_endpoints.h"

namespace lockstep::server {

namespace {

constexpr std::chrono::minutes kHousekeepingPeriod{10};

// A reply with further headers.
class ReplyWithHeaders : public http::Reply {
 public:
  ReplyWithHeaders(std::unique_ptr<http::Reply> reply, http::Headers headers)
      : reply_(std::move(reply)), headers_(std::move(headers)) {}

  http::Piece next() override {
    http::Piece piece = reply_->next();
    if (piece.head) std::move(headers_.begin(), headers_.end(), std::back_inserter(piece.head->headers));
    return piece;
  }

 private:
  const std::unique_ptr<http::Reply> reply_;
  http::Headers headers_;
};

}  // namespace

ApiService::ApiService(ServedModel model, accounts::Accounts& accounts, accounts::Journal& journal,
                       ApiOptions options)
    : upload_bytes_max_(options.upload_bytes_max),
      gate_(accounts, options.open),
      accounting_(accounts, journal, options.prices),
      inference_(std::move(model), options.inference, accounting_) {
  add_health_endpoints();
  add_model_endpoints(router_, inference_);
  add_chat_endpoint(router_, inference_);
  add_console_endpoints(router_);
  add_organization_endpoints(router_, accounts, inference_, accounting_.latencies());
  add_completion_endpoint(router_, inference_);
  add_embedding_endpoint(router_, inference_);
  add_ollama_endpoints(router_, inference_);
  add_openapi_endpoint(router_, inference_.model());
  add_response_endpoint(router_, inference_);
  add_tokenize_endpoints(router_, inference_);
  add_files_and_batches(accounts.database(), journal,
                        options);  // the last: batches know what the others have
}

void ApiService::add_files_and_batches(database::Database& database, accounts::Journal& journal,
                                       const ApiOptions& options) {
  FileStore& files = files_.emplace(database, options.data_folder / "files", options.files);
  add_file_endpoints(router_, files);
  BatchRules rules{.endpoints = batch_endpoints(router_),
                   .require_model = [this](const std::string& model) { inference_.model(model); }};
  add_batch_endpoints(router_, database, [this] { batches_->look(); });
  batches_.emplace(
      BatchPlace{database, files, options.data_folder / "batches", std::move(rules)}, journal,
      [this](Call& call) { return answer_call(call); }, options.batch_lines);
}

void ApiService::start_housekeeping(database::Database& database) {
  const auto purge_log = [&database] {
    const auto some = [](database::Transaction& transaction) {
      return accounts::usage_tables::purge(transaction, accounts::now_ms());
    };
    while (database.write(some) != 0) {
    }
  };
  const auto purge_files = [this, &database] {
    const int64_t now_ms = accounts::now_ms();
    database.write([&](database::Transaction& transaction) { batch_tables::purge(transaction, now_ms); });
    files_->purge(now_ms);
  };
  housekeeping_.emplace(std::vector<Housekeeping::Task>{purge_log, purge_files}, kHousekeepingPeriod);
}

void ApiService::add_health_endpoints() {
  const auto alive = [](Call&) { return json_reply({{"status", "ok"}}); };
  router_.add("GET", "/healthz", kAnyone, alive);
  router_.add("GET", "/health", kAnyone, alive);
  router_.add("GET", "/readyz", kAnyone, [this](Call&) {
    return json_reply({{"status", "ready"}, {"answers_running", inference_.answers_running()}});
  });
}

size_t ApiService::body_bytes_max(const http::Request& head, size_t usual) const {
  const bool upload = head.method == "POST" && api_path(http::Target(head.target).path) == "/v1/files";
  return upload ? upload_bytes_max_ : usual;
}

std::unique_ptr<http::Reply> ApiService::answer(const http::Request& request, http::Wake wake) {
  Call call{.request = request, .target = http::Target(request.target), .wake = std::move(wake)};
  return answer_call(call);
}

std::unique_ptr<http::Reply> ApiService::answer_call(Call& call) {
  std::unique_ptr<http::Reply> reply;
  try {
    reply = handle(call);
  } catch (const ApiError& error) {
    reply = refuse_call(call, error);
  } catch (const accounts::AccessError& error) {
    reply = refuse_call(call, ApiError(error));
  } catch (const Error& error) {
    reply = refuse_call(call, ApiError(error));
  } catch (const std::bad_alloc&) {
    reply = ApiError(503, "", "", "the server is out of memory").reply();
  } catch (const std::exception& error) {
    reply = refuse_call(call, ApiError(500, "", "", error.what()));
  }
  if (call.reply_headers.empty()) return reply;
  return std::make_unique<ReplyWithHeaders>(std::move(reply), std::move(call.reply_headers));
}

std::unique_ptr<http::Reply> ApiService::handle(Call& call) {
  const Route& route = router_.find(call);
  if (route.needed.key && !call.batch_id) call.caller = gate_.admit(call.request, route.needed.action);
  return route.handler(call);
}

// What a known caller sent and was refused is in the log too.
std::unique_ptr<http::Reply> ApiService::refuse_call(const Call& call, const ApiError& error) {
  if (call.request.method == "POST" && !call.caller.organisation_id.empty()) {
    accounting_.note_refusal(call, error.status(), error.code());
  }
  return error.reply();
}

std::unique_ptr<http::Reply> ApiService::refuse(const http::Request&, unsigned status, std::string message) {
  return ApiError(status, status == 413 ? "request_too_large" : "", "", message).reply();
}

}  // namespace lockstep::server
