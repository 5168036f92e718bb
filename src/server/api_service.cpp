#include "server/api_service.h"

#include "server/api_error.h"
#include "server/chat/chat_endpoint.h"
#include "server/json_reply.h"
#include "server/model_endpoints.h"

namespace lockstep::server {

ApiService::ApiService(ServedModel model, const ApiOptions& options)
    : options_(options), observers_{metrics_, options.log}, inference_(std::move(model), options.inference) {
  add_health_endpoints();
  add_metrics_endpoint();
  add_model_endpoints(router_, inference_);
  add_chat_endpoint(router_, inference_);
}

void ApiService::add_health_endpoints() {
  const auto alive = [](Call&) { return json_reply({{"status", "ok"}}); };
  router_.add("GET", "/healthz", Access::Anyone, alive);
  router_.add("GET", "/health", Access::Anyone, alive);
  router_.add("GET", "/readyz", Access::Anyone, [this](Call&) {
    return json_reply({{"status", "ready"}, {"answers_running", inference_.answers_running()}});
  });
}

void ApiService::add_metrics_endpoint() {
  // What only the engine, the sockets or others know is asked for here, when it is wanted.
  metrics_.set_gauges([this] {
    return Gauges{.answers_running = inference_.answers_running(), .connections = options_.connections()};
  });
  router_.add("GET", "/metrics", options_.open_metrics ? Access::Anyone : Access::Read, [this](Call&) {
    return std::make_unique<http::WholeReply>(http::Head{200, kMetricsType}, metrics_.text());
  });
}

size_t ApiService::body_bytes_max(const http::Request& head, size_t usual) const {
  const bool upload = head.method == "POST" && api_path(http::Target(head.target).path) == "/v1/files";
  return upload ? options_.upload_bytes_max : usual;
}

std::unique_ptr<http::Reply> ApiService::answer(const http::Request& request, http::Wake wake) {
  const auto trace = std::make_shared<RequestTrace>(observers_, request);
  return traced(answer_traced(request, std::move(wake), trace), trace);
}

std::unique_ptr<http::Reply> ApiService::answer_traced(const http::Request& request, http::Wake wake,
                                                       const std::shared_ptr<RequestTrace>& trace) {
  const auto refuse = [&](const ApiError& error) {
    trace->refuse(error.status(), error.code());
    return error.reply();
  };
  try {
    Call call{request, http::Target(request.target), {}, std::move(wake), trace};
    const Route& route = router_.find(call);
    trace->set_endpoint(route.pattern);
    return route.handler(call);
  } catch (const ApiError& error) {
    return refuse(error);
  } catch (const Error& error) {
    return refuse(ApiError(error));
  } catch (const std::bad_alloc&) {
    return refuse(ApiError(503, "", "", "the server is out of memory"));
  } catch (const std::exception& error) {
    return refuse(ApiError(500, "", "", error.what()));
  }
}

std::unique_ptr<http::Reply> ApiService::refuse(const http::Request& request, unsigned status,
                                                std::string message) {
  const auto trace = std::make_shared<RequestTrace>(observers_, request);
  trace->refuse(status, "");
  return traced(ApiError(status, status == 413 ? "request_too_large" : "", "", message).reply(), trace);
}

}  // namespace lockstep::server
