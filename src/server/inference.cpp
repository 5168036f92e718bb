#include "server/inference.h"

#include <algorithm>

#include "server/api_error.h"
#include "server/request_trace.h"

namespace lockstep::server {

Inference::Inference(ServedModel model, const InferenceLimits& limits)
    : model_(std::move(model)), limits_(limits), answers_(std::make_shared<std::atomic<uint32_t>>(0)) {}

const ServedModel& Inference::model(const std::string& id) const {
  if (std::find(model_.ids.begin(), model_.ids.end(), id) != model_.ids.end()) return model_;
  throw ApiError(404, "model_not_found", "model",
                 fmt::format("The model `{}` does not exist or you do not have access to it.", id));
}

std::unique_ptr<Answers> Inference::start(const Call& call, InferenceRequest request) {
  if (call.trace) call.trace->set_model(request.model);
  engine::Request& generation = request.generation;
  generation.chunk = model_.chunk;
  const auto prompt_tokens = static_cast<uint32_t>(generation.prompt.size());
  if (generation.prompt.size() > model_.context) {
    throw ApiError(400, "context_length_exceeded", "messages",
                   fmt::format("Please reduce the length of the messages or completion: the messages have {} "
                               "tokens and the context holds {}.",
                               prompt_tokens, model_.context));
  }
  if (answers_->fetch_add(request.choices) + request.choices > limits_.answers_max) {
    answers_->fetch_sub(request.choices);
    throw ApiError(503, "", "",
                   fmt::format("{} is currently over capacity. Please try again and back off exponentially.",
                               request.model));
  }
  const auto listener = [count = answers_, wake = call.wake](bool finished) {
    if (finished) count->fetch_sub(1);
    wake();
  };
  std::vector<std::shared_ptr<engine::Ticket>> tickets;
  try {
    for (uint32_t choice = 0; choice < request.choices; ++choice) {
      generation.choice = choice;
      tickets.push_back(model_.engine.submit(generation, listener));
    }
  } catch (...) {
    answers_->fetch_sub(request.choices - static_cast<uint32_t>(tickets.size()));
    for (const auto& ticket : tickets) ticket->cancel();
    throw;
  }
  return std::make_unique<Answers>(std::move(tickets), prompt_tokens, call.wake, Settle{}, call.trace);
}

}  // namespace lockstep::server
