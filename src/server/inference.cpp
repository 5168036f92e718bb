#include "server/inference.h"

#include <algorithm>

#include "server/api_error.h"

namespace lockstep::server {

Inference::Inference(ServedModel model, const InferenceLimits& limits)
    : model_(std::move(model)), limits_(limits), answers_(std::make_shared<std::atomic<uint32_t>>(0)) {}

const ServedModel& Inference::model(const std::string& id) const {
  if (std::find(model_.ids.begin(), model_.ids.end(), id) != model_.ids.end()) return model_;
  throw ApiError(404, "model_not_found", "model",
                 fmt::format("The model `{}` does not exist or you do not have access to it.", id));
}

void Inference::check_length(const InferenceRequest& request, size_t tokens) const {
  if (tokens <= model_.context) return;
  throw ApiError(
      400, "context_length_exceeded", request.prompt_field,
      fmt::format("Please reduce the length of the {0} or completion: '{0}' has {1} tokens and the "
                  "context holds {2}.",
                  request.prompt_field, tokens, model_.context));
}

void Inference::take_places(const InferenceRequest& request, uint32_t answers) {
  if (answers > limits_.answers_max) {
    throw ApiError(400, "", request.prompt_field,
                   fmt::format("the request asks for {} answers at once; up to {} are possible", answers,
                               limits_.answers_max));
  }
  if (answers_->fetch_add(answers) + answers <= limits_.answers_max) return;
  answers_->fetch_sub(answers);
  throw ApiError(503, "", "",
                 fmt::format("{} is currently over capacity. Please try again and back off exponentially.",
                             request.model));
}

std::unique_ptr<Answers> Inference::start(const Call& call, InferenceRequest request) {
  engine::Request& generation = request.generation;
  generation.chunk = model_.chunk;
  if (request.prompts.empty()) request.prompts.push_back(std::move(generation.prompt));
  uint32_t prompt_tokens = 0;
  for (const std::vector<int32_t>& prompt : request.prompts) {
    check_length(request, prompt.size());
    prompt_tokens += static_cast<uint32_t>(prompt.size());
  }
  const auto answers = static_cast<uint32_t>(request.prompts.size()) * request.choices;
  take_places(request, answers);
  const auto listener = [count = answers_, wake = call.wake](bool finished) {
    if (finished) count->fetch_sub(1);
    wake();
  };
  std::vector<std::shared_ptr<engine::Ticket>> tickets;
  try {
    for (std::vector<int32_t>& prompt : request.prompts) {
      generation.prompt = std::move(prompt);
      for (generation.choice = 0; generation.choice < request.choices; ++generation.choice) {
        tickets.push_back(model_.engine.submit(generation, listener));
      }
    }
  } catch (...) {
    answers_->fetch_sub(answers - static_cast<uint32_t>(tickets.size()));
    for (const auto& ticket : tickets) ticket->cancel();
    throw;
  }
  return std::make_unique<Answers>(std::move(tickets), request.choices, prompt_tokens, call.wake, Settle{});
}

}  // namespace lockstep::server
