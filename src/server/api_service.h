// The API: its endpoints, and what is the same for all of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "http/service.h"
#include "server/inference.h"
#include "server/router.h"
#include "server/served_model.h"

namespace lockstep::server {

// Every request goes through answer(): it finds the route, has it handled, and makes errors replies.
// THREAD: answer() and refuse() may be called by many threads.
class ApiService : public http::Service {
 public:
  ApiService(ServedModel model, const InferenceLimits& limits);

  std::unique_ptr<http::Reply> answer(const http::Request& request, http::Wake wake) override;
  std::unique_ptr<http::Reply> refuse(const http::Request& request, unsigned status,
                                      std::string message) override;

  const std::vector<Route>& routes() const { return router_.routes(); }

 private:
  void add_health_endpoints();

  Inference inference_;
  Router router_;
};

}  // namespace lockstep::server
