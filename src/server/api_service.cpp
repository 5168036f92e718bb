#include "server/api_service.h"

#include <chrono>

#include "accounts/calendar.h"
#include "base/printable.h"
#include "http/local_name.h"
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
#include "server/ollama/ollama_reply.h"
#include "server/openapi/openapi_endpoint.h"
#include "server/organization/organization_endpoints.h"
#include "server/reply_headers.h"
#include "server/responses/response_endpoint.h"
#include "server/tokenize_endpoints.h"

namespace lockstep::server {

namespace {

constexpr std::chrono::minutes kHousekeepingPeriod{10};
constexpr size_t kIdleBodyBytes = 1024;  // of what needs no key and reads no body

// What is no inference reads the database or files.
http::Pace pace_of(const Route& route) {
  if (route.quick) return http::Pace::Quick;
  const bool waits = route.needed.action && *route.needed.action != accounts::Action::Infer;
  return waits ? http::Pace::Waits : http::Pace::Works;
}

// The error as the clients of that path read it.
std::unique_ptr<http::Reply> error_reply(const http::Request& request, const ApiError& error) {
  return request.target.starts_with("/api/") ? ollama_error_reply(error) : error.reply();
}

}  // namespace

ApiService::ApiService(ServedModel model, accounts::Accounts& accounts, accounts::Journal& journal,
                       ApiOptions options)
    : options_(std::move(options)),
      observers_{metrics_, options_.log},
      gate_(accounts, options_.open),
      accounting_(accounts, journal, options_.prices),
      inference_(std::move(model), options_.inference, accounting_) {
  add_health_endpoints();
  add_metrics_endpoint();
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
  add_files_and_batches(accounts.database(), journal);  // the last: batches know what the others have
  start_housekeeping(accounts.database());
}

void ApiService::add_files_and_batches(database::Database& database, accounts::Journal& journal) {
  FileStore& files = files_.emplace(database, options_.data_folder / "files", options_.files);
  add_file_endpoints(router_, files);
  BatchRules rules{.endpoints = batch_endpoints(router_),
                   .require_model = [this](const std::string& model) { inference_.model(model); }};
  add_batch_endpoints(router_, database, [this] { batches_->look(); });
  batches_.emplace(
      BatchPlace{database, files, options_.data_folder / "batches", std::move(rules)}, journal,
      [this](Call& call) { return answer_call(call); }, options_.batch_lines);
}

void ApiService::start_housekeeping(database::Database& database) {
  const auto purge_log = [&database] {
    return database.write([](database::Transaction& transaction) {
      return accounts::usage_tables::purge(transaction, accounts::now_ms());
    }) != 0;
  };
  const auto purge_files = [this, &database] {
    const int64_t now_ms = accounts::now_ms();
    database.write([&](database::Transaction& transaction) { batch_tables::purge(transaction, now_ms); });
    files_->purge(now_ms);
    return false;
  };
  housekeeping_.emplace(std::vector<Housekeeping::Task>{purge_log, purge_files}, kHousekeepingPeriod,
                        [this](const char* what) { log_failure("housekeeping", what); });
}

void ApiService::add_health_endpoints() {
  const auto alive = [](Call&) { return json_reply({{"status", "ok"}}); };
  router_.add("GET", "/healthz", kAnyone, alive).quick = true;
  router_.add("GET", "/health", kAnyone, alive).quick = true;
  Route& ready = router_.add("GET", "/readyz", kAnyone, [this](Call& call) {
    const bool draining = drained_s_ != kNotDrained;
    if (draining) call.trace->refuse(503, kDraining);
    const ReplyJson state = {{"status", draining ? "draining" : "ready"},
                             {"answers_running", inference_.answers_running()}};
    return std::make_unique<http::WholeReply>(http::Head{draining ? 503u : 200u}, to_text(state));
  });
  ready.quick = true;
}

void ApiService::add_metrics_endpoint() {
  metrics_.set_state([this] {
    return ServerState{inference_.model().engine.load(), options_.connections()};
  });
  const Needed needed = options_.open_metrics ? kAnyone : Needed(accounts::Action::ReadUsage);
  router_.add("GET", "/metrics", needed, [this](Call&) {
    return std::make_unique<http::WholeReply>(http::Head{200, kMetricsType}, metrics_.text());
  });
}

http::Admission ApiService::admit(const http::Request& head, size_t usual_bytes) {
  Call call{.request = head, .target = http::Target(head.target)};
  const Route* route = nullptr;
  try {
    if (options_.local_names_only && !http::is_local_name(head.header("host"))) {
      throw ApiError(
          403, "host_not_allowed", "",
          fmt::format("A server without keys answers to localhost and addresses alone, not to '{}'.",
                      printable(head.header("host"))));
    }
    route = &router_.find(call);
    if (!route->needed.key) return {kIdleBodyBytes, pace_of(*route)};
    gate_.require_key(head);
    const bool upload = route->method == "POST" && route->pattern == "/v1/files";
    return {upload ? options_.upload_bytes_max : usual_bytes, pace_of(*route)};
  } catch (const ApiError& error) {
    const auto trace = std::make_shared<RequestTrace>(observers_, head);
    if (route != nullptr) trace->set_endpoint(route->pattern);
    trace->refuse(error.status(), error.code());
    return {0, http::Pace::Works, traced(error_reply(head, error), trace)};
  }
}

void ApiService::drain() {
  drained_s_ = http::clock_s();
  if (options_.log == nullptr) return;
  options_.log->write(Log::Level::Info, "drain", {{"answers_running", inference_.answers_running()}});
}

std::unique_ptr<http::Reply> ApiService::answer(const http::Request& request, http::Wake wake) {
  Call call{.request = request, .target = http::Target(request.target), .wake = std::move(wake)};
  return answer_call(call);
}

std::unique_ptr<http::Reply> ApiService::answer_call(Call& call) {
  call.mode = options_.mode;
  if (!call.trace) call.trace = std::make_shared<RequestTrace>(observers_, call.request);
  std::unique_ptr<http::Reply> reply;
  try {
    reply = handle(call);
  } catch (const ApiError& error) {
    reply = refuse_call(call, error);
  } catch (const accounts::AccessError& error) {
    reply = refuse_call(call, ApiError(error));
  } catch (const std::bad_alloc&) {
    reply = refuse_call(call, ApiError(503, "", "", "the server is out of memory"));
  } catch (const std::exception& error) {
    const auto* ours = dynamic_cast<const Error*>(&error);
    if (ours != nullptr && ours->kind() == ErrorKind::User) {
      reply = refuse_call(call, ApiError(*ours));
    } else {
      // What is wrong with the machine or the server is for those who run it.
      log_failure(call.request.id, error.what());
      reply =
          refuse_call(call, ApiError(ours != nullptr && ours->kind() == ErrorKind::Machine ? 503 : 500, "",
                                     "", "the server failed, and its log says why; send the request again"));
    }
  }
  if (call.action == accounts::Action::Infer && !call.batch_id) {
    const std::string& model = call.counted.model;
    accounting_.add_headers(call, model.empty() ? inference_.model().ids.front() : model);
  }
  return traced(with_headers(std::move(reply), std::move(call.reply_headers)), call.trace);
}

std::unique_ptr<http::Reply> ApiService::handle(Call& call) {
  const Route& route = router_.find(call);
  call.trace->set_endpoint(route.pattern);
  if (call.request.received_s > drained_s_ && route.method != "GET" && !call.batch_id) {
    throw draining_error();
  }
  if (route.needed.key && !call.batch_id) call.caller = gate_.admit(call.request, route.needed.action);
  call.action = route.needed.action;
  call.trace->set_key(call.caller.key_id);
  return route.handler(call);
}

void ApiService::log_failure(const std::string& where, const char* what) {
  if (options_.log == nullptr) return;
  options_.log->write(Log::Level::Warn, "failure", {{"at", where}, {"message", what}});
}

// What a known caller asked a model and was refused is in the request log too.
std::unique_ptr<http::Reply> ApiService::refuse_call(const Call& call, const ApiError& error) {
  if (call.action == accounts::Action::Infer && call.request.method == "POST") {
    accounting_.note_refusal(call, error.status(), error.code());
  }
  call.trace->refuse(error.status(), error.code());
  return error_reply(call.request, error);
}

std::unique_ptr<http::Reply> ApiService::refuse(const http::Request& request, unsigned status,
                                                std::string message) {
  const auto trace = std::make_shared<RequestTrace>(observers_, request);
  trace->refuse(status, "");
  const ApiError error(status, status == 413 ? "request_too_large" : "", "", message);
  return traced(error_reply(request, error), trace);
}

}  // namespace lockstep::server
