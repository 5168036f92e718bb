// The endpoints: which path does what.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "server/http.h"
#include "server/served_model.h"

namespace lockstep::server {

struct ApiLimits {
  uint32_t answers_max = 1024;  // at once, those that wait among them
};

// GET /healthz, /health, /readyz; under /v1 and /openai/v1: GET /models, GET /models/ID,
// POST /chat/completions. THREAD: answer() may be called by many threads.
class ApiService : public HttpService {
 public:
  ApiService(ServedModel model, const ApiLimits& limits);

  std::unique_ptr<HttpReply> answer(const HttpRequest& request, Wake wake) override;

 private:
  std::unique_ptr<HttpReply> route(const HttpRequest& request, Wake wake);
  std::unique_ptr<HttpReply> list_models() const;
  std::unique_ptr<HttpReply> show_model(const std::string& id) const;
  std::unique_ptr<HttpReply> complete_chat(const HttpRequest& request, Wake wake);
  void require_model(const std::string& id) const;

  const ServedModel model_;
  const ApiLimits limits_;
  const int64_t created_;
  // Answers that the engine has not ended yet; shared with its listeners, which may outlive this.
  const std::shared_ptr<std::atomic<uint32_t>> answers_;
};

}  // namespace lockstep::server
