#include "server/api_service.h"

#include "server/api_error.h"
#include "server/chat/chat_endpoint.h"
#include "server/console/console_endpoints.h"
#include "server/json_reply.h"
#include "server/model_endpoints.h"

namespace lockstep::server {

ApiService::ApiService(ServedModel model, const InferenceLimits& limits)
    : inference_(std::move(model), limits) {
  add_health_endpoints();
  add_model_endpoints(router_, inference_);
  add_chat_endpoint(router_, inference_);
  add_console_endpoints(router_);
}

void ApiService::add_health_endpoints() {
  const auto alive = [](Call&) { return json_reply({{"status", "ok"}}); };
  router_.add("GET", "/healthz", Access::Anyone, alive);
  router_.add("GET", "/health", Access::Anyone, alive);
  router_.add("GET", "/readyz", Access::Anyone, [this](Call&) {
    return json_reply({{"status", "ready"}, {"answers_running", inference_.answers_running()}});
  });
}

std::unique_ptr<http::Reply> ApiService::answer(const http::Request& request, http::Wake wake) {
  try {
    Call call{request, http::Target(request.target), {}, std::move(wake)};
    const Route& route = router_.find(call);
    return route.handler(call);
  } catch (const ApiError& error) {
    return error.reply();
  } catch (const Error& error) {
    return ApiError(error).reply();
  } catch (const std::bad_alloc&) {
    return ApiError(503, "", "", "the server is out of memory").reply();
  } catch (const std::exception& error) {
    return ApiError(500, "", "", error.what()).reply();
  }
}

std::unique_ptr<http::Reply> ApiService::refuse(const http::Request&, unsigned status, std::string message) {
  return ApiError(status, status == 413 ? "request_too_large" : "", "", message).reply();
}

}  // namespace lockstep::server
