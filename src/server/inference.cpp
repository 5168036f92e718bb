#include "server/inference.h"

#include <algorithm>
#include <numeric>

#include "server/api_error.h"
#include "server/generation_fields.h"
#include "server/request_trace.h"

namespace lockstep::server {

namespace {

const constrain::CallFormat& format_of(const ServedModel& model) {
  const constrain::CallFormat* format =
      model.chat_template == nullptr ? nullptr : constrain::format_of_template(model.chat_template->source());
  return format == nullptr ? constrain::hermes_format() : *format;
}

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
      constraints_(model_.tokenizer, format_of(model_)),
      accounting_(accounting),
      places_(std::make_shared<AnswerPlaces>(limits.answers_max)) {}

const ServedModel& Inference::model(const std::string& id) const {
  if (std::find(model_.ids.begin(), model_.ids.end(), id) != model_.ids.end()) return model_;
  throw ApiError(404, "model_not_found", "model",
                 fmt::format("The model `{}` does not exist or you do not have access to it.", id));
}

void Inference::check_length(const InferenceRequest& request, size_t tokens) const {
  if (tokens <= model_.context) return;
  throw ApiError(
      400, "context_length_exceeded", request.prompt_field,
      fmt::format(
          "Please reduce the length of the {0} or completion. This model's maximum context length is {2} "
          "tokens, and '{0}' has {1}.",
          request.prompt_field, tokens, model_.context));
}

// Flex fails fast instead of waiting, as Groq's does.
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
  int64_t tokens = 0;
  for (const std::vector<int32_t>& prompt : request.prompts) {
    const auto size = static_cast<int64_t>(prompt.size());
    const int64_t room = model_.context - size;
    const int64_t wanted = request.generation.tokens_max;
    const int64_t answer = request.generation.embed ? 0 : wanted == 0 ? room : std::min(wanted, room);
    tokens += size + request.choices * answer;
  }
  return tokens;
}

void Inference::take_places(const InferenceRequest& request, uint32_t answers, bool idle) {
  if (answers > places_->request_max()) {
    throw ApiError(400, "", request.prompt_field,
                   fmt::format("the request asks for {} answers at once; up to {} are possible", answers,
                               places_->request_max()));
  }
  if (places_->take(answers, idle)) return;
  throw ApiError(503, "", "",
                 fmt::format("{} is currently over capacity. Please try again and back off exponentially.",
                             request.model));
}

std::unique_ptr<Answers> Inference::start(Call& call, InferenceRequest request) {
  if (call.trace) call.trace->set_model(request.model);
  engine::Request& generation = request.generation;
  const accounts::Tier tier = call.batch_id ? accounts::Tier::Batch : tier_named(request.service_tier);
  generation.chunk = model_.chunk;
  generation.service = service_class(tier);
  if (request.prompts.empty()) request.prompts.push_back(std::move(generation.prompt));
  AnswersOrigin origin = {.choices = request.choices,
                          .received_s = call.request.received_s,
                          .keep_texts = call.caller.store_bodies,
                          .wake = call.wake};
  for (const std::vector<int32_t>& prompt : request.prompts) {
    check_length(request, prompt.size());
    origin.prompt_tokens += static_cast<uint32_t>(prompt.size());
  }
  if (tier == accounts::Tier::Flex) require_free_capacity(request.model);
  const auto answers = static_cast<uint32_t>(request.prompts.size()) * request.choices;
  const bool idle = generation.service == engine::ServiceClass::Idle;
  take_places(request, answers, idle);
  const auto listener = [places = places_, idle, wake = call.wake](bool finished) {
    if (finished) places->give_back(1, idle);
    wake();
  };
  std::vector<std::shared_ptr<engine::Ticket>> tickets;
  try {
    origin.settle = [record = accounting_.admit(call, {request.model, tier, tokens_max(request)}),
                     trace = call.trace](Outcome outcome, Recorded recorded) mutable {
      if (trace) trace->settle(outcome);
      record(std::move(outcome), std::move(recorded));
    };
    for (std::vector<int32_t>& prompt : request.prompts) {
      generation.prompt = std::move(prompt);
      for (generation.choice = 0; generation.choice < request.choices; ++generation.choice) {
        tickets.push_back(model_.engine.submit(generation, listener));
      }
    }
    return std::make_unique<Answers>(std::move(tickets), std::move(origin));
  } catch (...) {
    places_->give_back(answers - static_cast<uint32_t>(tickets.size()), idle);
    for (const auto& ticket : tickets) ticket->cancel();
    throw;
  }
}

}  // namespace lockstep::server
