// The API: its endpoints, and what is the same for all of them.
#pragma once

#include <memory>
#include <string>

#include "http/service.h"
#include "server/inference.h"
#include "server/router.h"
#include "server/served_model.h"

namespace lockstep::server {

struct ApiOptions {
  InferenceLimits inference;
  size_t upload_bytes_max = size_t{200} << 20;  // of the body of POST /v1/files
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
  void add_health_endpoints();

  const ApiOptions options_;
  Inference inference_;
  Router router_;
};

}  // namespace lockstep::server
