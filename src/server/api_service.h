// The API: its endpoints, and what is the same for all of them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "http/service.h"
#include "server/inference.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/request_trace.h"
#include "server/router.h"
#include "server/served_model.h"

namespace lockstep::server {

struct ApiOptions {
  InferenceLimits inference;
  size_t upload_bytes_max = size_t{200} << 20;  // of the body of POST /v1/files
  bool open_metrics = false;                    // GET /metrics needs no key
  Log* log = nullptr;                           // where requests are written down; must outlive the service
  // How many connections are open.
  std::function<uint32_t()> connections = [] { return 0; };
};

// Every request goes through answer(): it finds the route, has it handled, and makes errors replies.
// THREAD: answer() and refuse() may be called by many threads.
class ApiService : public http::Service {
 public:
  ApiService(ServedModel model, const ApiOptions& options);

  size_t body_bytes_max(const http::Request& head, size_t usual) const override;
  std::unique_ptr<http::Reply> answer(const http::Request& request, http::Wake wake) override;
  std::unique_ptr<http::Reply> refuse(const http::Request& request, unsigned status,
                                      std::string message) override;

 private:
  std::unique_ptr<http::Reply> answer_traced(const http::Request& request, http::Wake wake,
                                             const std::shared_ptr<RequestTrace>& trace);
  void add_health_endpoints();
  void add_metrics_endpoint();

  const ApiOptions options_;
  Metrics metrics_;
  const Observers observers_;
  Inference inference_;
  Router router_;
};

}  // namespace lockstep::server
