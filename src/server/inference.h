// The one way from a request to the engine, whatever format the request came in.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "server/answers.h"
#include "server/router.h"
#include "server/served_model.h"

namespace lockstep::server {

struct InferenceLimits {
  uint32_t answers_max = 1024;  // at once, those that wait among them
};

// What the engine is asked for.
struct InferenceRequest {
  std::string model;           // as the client named it
  engine::Request generation;  // with its prompt
  uint32_t choices = 1;
  std::string service_tier = {};  // empty: not asked for
};

// THREAD: any number at once.
class Inference {
 public:
  Inference(ServedModel model, const InferenceLimits& limits);

  // The model that goes by this name. Throws an ApiError for any other.
  const ServedModel& model(const std::string& id) const;
  const ServedModel& model() const { return model_; }

  // Hands the request to the engine, an answer a choice. Throws an ApiError where the prompt is too long or
  // the server has no room.
  std::unique_ptr<Answers> start(const Call& call, InferenceRequest request);

  uint32_t answers_running() const { return answers_->load(); }

 private:
  const ServedModel model_;
  const InferenceLimits limits_;
  // Answers that the engine has not ended yet; shared with its listeners, which may outlive this.
  const std::shared_ptr<std::atomic<uint32_t>> answers_;
};

}  // namespace lockstep::server
