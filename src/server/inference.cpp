#include "server/inference.h"

#include <algorithm>
#include <numeric>

#include "server/api_error.h"
#include "server/request_trace.h"

namespace lockstep::server {

namespace {

engine::ServiceClass service_class(accounts::Tier tier) {
  switch (tier) {
    case accounts::Tier::Performance:
      return engine::ServiceClass::Performance;
    case accounts::Tier::OnDemand:
      return engine::ServiceClass::OnDemand;
    case accounts::Tier::Flex:
      return engine::ServiceClass::Flex;
    case accounts::Tier::Batch:
      return engine::ServiceClass::Idle;
  }
  return engine::ServiceClass::OnDemand;
}

}  // namespace

Inference::Inference(ServedModel model, const InferenceLimits& limits, Accounting& accounting)
    : model_(std::move(model)),
      limits_(limits),
      accounting_(accounting),
      answers_(std::make_shared<std::atomic<uint32_t>>(0)) {}

const ServedModel& Inference::model(const std::string& id) const {
  if (std::find(model_.ids.begin(), model_.ids.end(), id) != model_.ids.end()) return model_;
  throw ApiError(404, "model_not_found", "model",
                 fmt::format("The model `{}` does not exist or you do not have access to it.", id));
}

// Flex fails fast instead of waiting (API.md section 8 of Groq's tiers: 498).
void Inference::require_free_capacity(const std::string& model) const {
  const engine::Load load = model_.engine.load();
  const bool waits =
      std::any_of(load.waiting.begin(), load.waiting.end() - 1, [](auto count) { return count != 0; });
  const auto running = std::accumulate(load.running.begin(), load.running.end() - 1, size_t{0});
  if (!waits && running < load.streams_max) return;
  throw ApiError(
      498, "capacity_exceeded", "",
      fmt::format("{} has no free capacity for the service tier `flex`. Please try again later, or with "
                  "another tier.",
                  model));
}

// Tokens that the request may cost at the most.
int64_t Inference::tokens_max(const InferenceRequest& request) const {
  const auto prompt = static_cast<int64_t>(request.generation.prompt.size());
  const int64_t room = model_.context - prompt;
  const int64_t wanted = request.generation.tokens_max;
  return prompt + request.choices * (wanted == 0 ? room : std::min(wanted, room));
}

std::unique_ptr<Answers> Inference::start(Call& call, InferenceRequest request) {
  if (call.trace) call.trace->set_model(request.model);
  engine::Request& generation = request.generation;
  generation.chunk = model_.chunk;
  if (call.batch_id) request.tier = accounts::Tier::Batch;
  generation.service = service_class(request.tier);
  if (request.tier == accounts::Tier::Flex) require_free_capacity(request.model);
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
  std::vector<std::shared_ptr<engine::Ticket>> tickets;
  try {
    Settle record = accounting_.admit(call, {request.model, request.tier, tokens_max(request)});
    Settle settle = [record = std::move(record), trace = call.trace](Outcome outcome, Recorded recorded) {
      if (trace) trace->settle(outcome);
      record(std::move(outcome), std::move(recorded));
    };
    const auto listener = [count = answers_, wake = call.wake](bool finished) {
      if (finished) count->fetch_sub(1);
      wake();
    };
    for (uint32_t choice = 0; choice < request.choices; ++choice) {
      generation.choice = choice;
      tickets.push_back(model_.engine.submit(generation, listener));
    }
    return std::make_unique<Answers>(std::move(tickets), AnswersOrigin{.prompt_tokens = prompt_tokens,
                                                                       .received_s = call.request.received_s,
                                                                       .keep_texts = call.caller.store_bodies,
                                                                       .wake = call.wake,
                                                                       .settle = std::move(settle)});
  } catch (...) {
    answers_->fetch_sub(request.choices - static_cast<uint32_t>(tickets.size()));
    for (const auto& ticket : tickets) ticket->cancel();
    throw;
  }
}

}  // namespace lockstep::server
