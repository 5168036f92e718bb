#include "server/inference.h"

#include <algorithm>
#include <span>

#include "server/api_error.h"
#include "server/generation_fields.h"
#include "server/prompt_fields.h"
#include "server/request_trace.h"

namespace lockstep::server {

namespace {

const constrain::CallFormat& format_of(const ServedModel& model) {
  const constrain::CallFormat* format =
      model.chat_template == nullptr ? nullptr : constrain::format_of_template(model.chat_template->source());
  return format == nullptr ? constrain::hermes_format() : *format;
}

// Tokens that an answer is thought to have where the request says no length: more counts when it has ended.
constexpr int64_t kAnswerTokensGuessed = 512;

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

const std::string& Inference::own_name(const std::string& id) const {
  const bool ours = std::find(model_.ids.begin(), model_.ids.end(), id) != model_.ids.end();
  return ours ? model_.ids.front() : id;
}

void Inference::check_biases(const numerics::SamplingParameters& sampling) const {
  for (const auto& [token, bias] : sampling.logit_bias) {
    check_vocabulary(std::span(&token, 1), model_.tokenizer, "logit_bias");
  }
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

accounts::TokensWanted Inference::tokens_wanted(const InferenceRequest& request) const {
  accounts::TokensWanted tokens(0);
  const int64_t length = request.generation.tokens_max;
  for (const std::vector<int32_t>& prompt : request.prompts) {
    const auto size = static_cast<int64_t>(prompt.size());
    const int64_t room = model_.context - size;
    tokens.asked += size;
    if (request.generation.embed || request.generation.prompt_only) continue;
    tokens.asked += request.choices * std::min(length, room);
    if (length == 0) tokens.guessed += request.choices * std::min(kAnswerTokensGuessed, room);
  }
  return tokens;
}

void Inference::take_places(const InferenceRequest& request, uint32_t answers, accounts::Tier tier) {
  if (answers > places_->request_max()) {
    const bool choices_only = request.prompts.size() <= places_->request_max();
    throw ApiError(400, "", choices_only ? "n" : request.prompt_field,
                   fmt::format("the request asks for {} answers at once; up to {} are possible", answers,
                               places_->request_max()));
  }
  if (tier != accounts::Tier::Flex) {
    if (places_->take(answers, tier == accounts::Tier::Batch)) return;
    throw ApiError(503, "", "",
                   fmt::format("{} is currently over capacity. Please try again and back off exponentially.",
                               request.model));
  }
  // Flex fails fast instead of waiting, as Groq's does.
  const engine::Load load = model_.engine.load();
  if (!load.short_of_memory && places_->take(answers, false, load.streams_max)) return;
  throw ApiError(
      498, "capacity_exceeded", "",
      fmt::format("{} has no free capacity for the service tier `flex`. Please try again later, or with "
                  "another tier.",
                  request.model));
}

std::unique_ptr<Answers> Inference::start(Call& call, InferenceRequest request) {
  call.counted.model = own_name(request.model);
  if (call.trace) call.trace->set_model(call.counted.model);
  engine::Request& generation = request.generation;
  const accounts::Tier tier = call.batch_id ? accounts::Tier::Batch : tier_named(request.service_tier);
  call.counted.tier = tier;
  if (tier == accounts::Tier::Performance && !call.caller.performance) {
    throw ApiError(
        403, "permission_denied", "service_tier",
        "'service_tier' : this project may not use 'performance'; an owner of the organization can "
        "allow it, and every other tier is open");
  }
  check_biases(generation.sampling);
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
  const auto answers = static_cast<uint32_t>(request.prompts.size()) * request.choices;
  take_places(request, answers, tier);
  const bool idle = tier == accounts::Tier::Batch;
  const auto listener = [places = places_, idle, wake = call.wake](bool finished) {
    if (finished) places->give_back(1, idle);
    wake();
  };
  std::vector<std::shared_ptr<engine::Ticket>> tickets;
  try {
    origin.settle = [record = accounting_.admit(call, tokens_wanted(request)), trace = call.trace](
                        Outcome outcome, Recorded recorded) mutable {
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
