// The one way from a request to the engine, whatever format the request came in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "constrain/constraints.h"
#include "server/accounting.h"
#include "server/answer_places.h"
#include "server/answers.h"
#include "server/router.h"
#include "server/served_model.h"

namespace lockstep::server {

struct InferenceLimits {
  uint32_t answers_max = 4096;  // at once, those that wait among them
};

// What the engine is asked for.
struct InferenceRequest {
  std::string model;           // as the client named it
  engine::Request generation;  // with its prompt
  // Of a request with several; empty: it has the one in `generation`.
  std::vector<std::vector<int32_t>> prompts = {};
  const char* prompt_field = "messages";  // what the client calls them
  uint32_t choices = 1;                   // of each prompt
  std::string service_tier = {};          // as the client named it; empty: not asked for
};

// THREAD: any number at once.
class Inference {
 public:
  // `accounting` must outlive this.
  Inference(ServedModel model, const InferenceLimits& limits, Accounting& accounting);

  // The model that goes by this name. Throws an ApiError for any other.
  const ServedModel& model(const std::string& id) const;
  const ServedModel& model() const { return model_; }

  // The name by which a model counts in limits, prices and the log: its first. Any other name as it is.
  const std::string& own_name(const std::string& id) const;

  // Counts the request and hands it to the engine: an answer a choice, those of the first prompt first.
  // Throws an ApiError where a prompt is too long, a bias is for no token, the server has no room, or the
  // accounting refuses.
  std::unique_ptr<Answers> start(Call& call, InferenceRequest request);

  // Of the model's answers, in its format of calls.
  constrain::Constraints& constraints() { return constraints_; }
  const constrain::CallFormat& call_format() const { return constraints_.format(); }

  uint32_t answers_running() const { return places_->taken(); }

 private:
  void check_biases(const numerics::SamplingParameters& sampling) const;
  void check_length(const InferenceRequest& request, size_t tokens) const;
  accounts::TokensWanted tokens_wanted(const InferenceRequest& request) const;
  void take_places(const InferenceRequest& request, uint32_t answers, accounts::Tier tier);

  const ServedModel model_;
  constrain::Constraints constraints_;
  Accounting& accounting_;
  const std::shared_ptr<AnswerPlaces> places_;  // shared with the engine's listeners, which may outlive this
};

}  // namespace lockstep::server
