// Which pages of other origins may use the API: https://fetch.spec.whatwg.org/#http-cors-protocol
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "http/service.h"

namespace lockstep::server {

// Throws a user's error for what is no origin as browsers send it ("https://app.example") and not "*", any.
void check_origin(const std::string& origin);

// Answers what browsers ask before they let a page send a request, and tells them who may read a reply. A
// page of the server's own origin needs none of this.
class Cors : public http::Service {
 public:
  // `origins` are those that check_origin takes. `service` must outlive this.
  Cors(http::Service& service, std::vector<std::string> origins);

  http::Admission admit(const http::Request& head, size_t usual_bytes) override;
  void drain() override { service_.drain(); }
  std::unique_ptr<http::Reply> answer(const http::Request& request, http::Wake wake) override;
  std::unique_ptr<http::Reply> refuse(const http::Request& request, unsigned status,
                                      std::string message) override;

 private:
  static bool asks_first(const http::Request& request);
  bool allowed(std::string_view origin) const;
  std::unique_ptr<http::Reply> preflight(const http::Request& request) const;
  std::unique_ptr<http::Reply> share(const http::Request& request, std::unique_ptr<http::Reply> reply) const;

  http::Service& service_;
  const std::vector<std::string> origins_;
  const bool any_;
};

}  // namespace lockstep::server
