// The engine on a small model: streams, stops, cancels, reuses what the state holds. Also run under the
// thread sanitizer.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include "engine/evaluate.h"
#include "graph/interpreter.h"
#include "numerics/float32.h"
#include "small_model.h"
#include "targets/host/host_target.h"

namespace lockstep::tests {
namespace {

using engine::Event;
using engine::FinishReason;
using engine::Request;

// Polls to the end; `text` collects what was streamed.
Event finish(engine::Ticket& ticket, std::string* text = nullptr) {
  while (true) {
    std::optional<Event> event = ticket.poll(std::chrono::milliseconds(10000));
    if (!event) {
      ADD_FAILURE() << "the engine is silent";
      return {};
    }
    if (text != nullptr) *text += event->text;
    if (event->finished) return *event;
  }
}

class EngineTest : public testing::Test {
 protected:
  EngineTest()
      : model_(make_small_model()),
        target_(targets::host::load(model_->compiled.program, {"", 2, 96})),
        engine_(*target_, *model_->tokenizer, model_->graph.vocabulary) {}

  static Request request(uint32_t tokens_max, uint32_t prompt = 12) {
    Request r;
    r.prompt = small_tokens(prompt);
    r.tokens_max = tokens_max;
    r.ignore_end = true;
    return r;
  }

  std::unique_ptr<SmallModel> model_;
  std::unique_ptr<targets::host::HostTarget> target_;
  engine::Engine engine_;
};

TEST_F(EngineTest, SameRequestSameAnswerWhateverCameBefore) {
  const Event first = finish(*engine_.submit(request(20)));
  EXPECT_EQ(first.reason, FinishReason::Length);
  EXPECT_EQ(first.tokens.size(), 20u);
  finish(*engine_.submit(request(5, 30)));
  for (uint32_t chunk : {1u, 5u, 64u}) {
    Request again = request(20);
    again.chunk = chunk;
    const Event event = finish(*engine_.submit(std::move(again)));
    EXPECT_EQ(event.tokens, first.tokens);
    EXPECT_EQ(event.digest, first.digest);
  }
}

TEST_F(EngineTest, SamplingDependsOnSeedAndPosition) {
  auto sampled = [&](uint64_t seed) {
    Request r = request(30);
    r.sampling.temperature = 1.5f;
    r.sampling.seed = seed;
    return finish(*engine_.submit(std::move(r))).tokens;
  };
  EXPECT_EQ(sampled(1), sampled(1));
  EXPECT_NE(sampled(1), sampled(2));
}

TEST_F(EngineTest, ContinuingAConversationGivesTheBitsOfAFreshOne) {
  const Event first = finish(*engine_.submit(request(10)));
  Request longer = request(10);
  longer.prompt.insert(longer.prompt.end(), first.tokens.begin(), first.tokens.end());
  longer.prompt.push_back(65);
  const Event reused = finish(*engine_.submit(longer));
  const auto other_target = targets::host::load(model_->compiled.program, {"scalar", 1, 96});
  engine::Engine other(*other_target, *model_->tokenizer, model_->graph.vocabulary);
  EXPECT_EQ(finish(*other.submit(longer)).digest, reused.digest);
}

TEST_F(EngineTest, StopsBeforeAStopString) {
  std::string all;
  finish(*engine_.submit(request(24)), &all);
  ASSERT_GT(all.size(), 12u);
  // A piece from the middle that does not occur earlier.
  size_t at = all.size() / 2;
  while (at < all.size() && (static_cast<unsigned char>(all[at]) & 0xc0) == 0x80) ++at;
  const std::string stop = all.substr(at, 6);
  Request r = request(24);
  r.stop = {stop};
  std::string text;
  const Event event = finish(*engine_.submit(std::move(r)), &text);
  EXPECT_EQ(event.reason, FinishReason::Stop);
  EXPECT_EQ(text, all.substr(0, all.find(stop)));
}

// The last event; all events' log-probabilities are added to `told`.
Event last_event(engine::Ticket& ticket, std::vector<engine::TokenLogprob>& told) {
  while (true) {
    const Event event = ticket.poll(std::chrono::milliseconds(10000)).value();
    told.insert(told.end(), event.logprobs.begin(), event.logprobs.end());
    if (event.finished) return event;
  }
}

TEST_F(EngineTest, TellsLogProbabilitiesOfTheRawLogits) {
  Request r = request(6);
  r.top_logprobs = 3;
  r.sampling.temperature = 1.5f;
  const auto ticket = engine_.submit(r);
  std::vector<engine::TokenLogprob> told;
  const Event event = last_event(*ticket, told);
  ASSERT_EQ(told.size(), 6u);
  std::vector<int32_t> tokens = r.prompt;
  tokens.insert(tokens.end(), event.tokens.begin(), event.tokens.end());
  const auto other = targets::host::load(model_->compiled.program, {"scalar", 1, 96});
  engine::evaluate(*other, tokens, 0, [&](uint32_t position, std::span<const float> logits) {
    if (position + 1 < r.prompt.size() || position + 1 == tokens.size()) return;
    const engine::TokenLogprob& one = told[position + 1 - r.prompt.size()];
    std::vector<float> expected(logits.size());
    numerics::log_probabilities(logits, expected);
    EXPECT_EQ(one.token, tokens[position + 1]);
    EXPECT_EQ(one.logprob, expected[static_cast<size_t>(one.token)]);
    ASSERT_EQ(one.top.size(), 3u);
    EXPECT_EQ(one.top[0].first, numerics::argmax(logits));
    for (auto [token, logprob] : one.top) EXPECT_EQ(logprob, expected[static_cast<size_t>(token)]);
    EXPECT_GE(one.top[0].second, one.top[1].second);
    EXPECT_GE(one.top[1].second, one.top[2].second);
  });
}

TEST_F(EngineTest, AStopStringsTokensHaveNoLogProbabilities) {
  Request r = request(24);
  std::string all;
  const std::vector<int32_t> tokens = finish(*engine_.submit(r), &all).tokens;
  std::vector<size_t> begins;  // of each token's text
  text::StreamDecoder decoder(*model_->tokenizer);
  size_t decoded = 0;
  for (int32_t token : tokens) {
    begins.push_back(decoded);
    decoded += decoder.push(token).size();
  }
  r.top_logprobs = 0;
  for (size_t first : {6u, 9u, 12u}) {
    r.stop = {all.substr(begins[first], begins[first + 3] - begins[first])};
    if (r.stop[0].empty()) continue;
    const auto shown = static_cast<size_t>(all.find(r.stop[0]));
    const auto ticket = engine_.submit(r);
    std::vector<engine::TokenLogprob> told;
    const Event event = last_event(*ticket, told);
    EXPECT_EQ(event.reason, FinishReason::Stop);
    const auto begun = std::count_if(begins.begin(), begins.end(), [&](size_t at) { return at < shown; });
    EXPECT_EQ(told.size(), static_cast<size_t>(begun)) << "stops at '" << r.stop[0] << "' of '" << all << "'";
    EXPECT_LT(told.size(), event.tokens.size());
  }
}

TEST_F(EngineTest, AListenerHearsOfEveryEvent) {
  struct Heard {
    std::atomic<uint32_t> events{0}, ends{0};
  };
  const auto heard = std::make_shared<Heard>();
  const auto ticket = engine_.submit(request(20), [heard](bool finished) {
    ++heard->events;
    heard->ends += finished ? 1 : 0;
  });
  uint32_t events = 1;
  while (!ticket->poll(std::chrono::milliseconds(10000)).value().finished) ++events;
  const Stopwatch watch;
  while (heard->ends == 0 && watch.seconds() < 10) std::this_thread::yield();
  EXPECT_EQ(heard->events, events);
  EXPECT_EQ(heard->ends, 1u);
}

TEST_F(EngineTest, EndsAtTheContextsEnd) {
  const Event event = finish(*engine_.submit(request(0, 90)));
  EXPECT_EQ(event.reason, FinishReason::ContextFull);
  EXPECT_EQ(event.tokens.size(), 7u);  // 96 positions hold 90 + 6, and the last logits give one more
  EXPECT_THROW(engine_.submit(request(0, 97)), Error);
}

TEST_F(EngineTest, CancelsAtOnceAndGoesOn) {
  auto ticket = engine_.submit(request(0, 2));
  ticket->cancel();
  EXPECT_EQ(finish(*ticket).reason, FinishReason::Cancelled);
  EXPECT_EQ(finish(*engine_.submit(request(3))).tokens.size(), 3u);
}

TEST_F(EngineTest, RefusesWhatIsOutOfRange) {
  auto refused = [&](auto change) {
    Request r = request(1);
    change(r);
    EXPECT_THROW(engine_.submit(r), Error);
  };
  refused([](Request& r) { r.prompt.clear(); });
  refused([](Request& r) { r.prompt[0] = 260; });
  refused([](Request& r) { r.prompt[0] = -1; });
  refused([](Request& r) { r.sampling.temperature = -1; });
  refused([](Request& r) { r.sampling.temperature = std::numeric_limits<float>::quiet_NaN(); });
  refused([](Request& r) { r.sampling.top_p = 1.5f; });
  refused([](Request& r) { r.sampling.logit_bias = {{1000, 1.0f}}; });
}

TEST_F(EngineTest, TellsItsLoad) {
  const engine::Load before = engine_.load();
  EXPECT_EQ(before.steps, 0u);
  EXPECT_EQ(before.pages_total, target_->pages());
  std::vector<std::shared_ptr<engine::Ticket>> tickets;
  for (uint32_t i = 0; i < 3; ++i) {
    Request r = request(8, 12 + i);
    r.service = engine::ServiceClass::Flex;
    tickets.push_back(engine_.submit(std::move(r)));
  }
  uint32_t tokens = 0;
  for (const auto& ticket : tickets) {
    // Whoever has the last event finds its tokens counted, and itself no more.
    tokens += static_cast<uint32_t>(finish(*ticket).tokens.size());
    EXPECT_GE(engine_.load().answer_tokens, tokens);
  }
  const engine::Load load = engine_.load();
  EXPECT_EQ(load.running, (std::array<uint32_t, 4>{}));
  EXPECT_EQ(load.waiting, (std::array<uint32_t, 4>{}));
  EXPECT_EQ(load.answer_tokens, 24u);
  EXPECT_EQ(load.prompt_tokens + load.prompt_tokens_reused, 12u + 13 + 14);
  EXPECT_EQ(load.steps, target_->counters().steps);
  EXPECT_EQ(load.rows, target_->counters().rows);
  EXPECT_EQ(load.pages_used, 0u);
}

TEST_F(EngineTest, ManyOwnersAtOnce) {
  const Event alone = finish(*engine_.submit(request(15)));
  std::vector<std::jthread> owners;
  for (int i = 0; i < 4; ++i) {
    owners.emplace_back([&] { EXPECT_EQ(finish(*engine_.submit(request(15))).digest, alone.digest); });
  }
}

// Requests of many kinds: lengths, openings in common, sampling, chunks.
std::vector<Request> mixed_requests(uint32_t count) {
  std::vector<Request> requests;
  for (uint32_t i = 0; i < count; ++i) {
    Request r;
    r.prompt = small_tokens(1 + i * 13 % 70);
    if (i % 3 == 1) r.prompt.back() = static_cast<int32_t>(i % 256);
    if (i % 4 == 2) r.prompt.insert(r.prompt.begin(), static_cast<int32_t>(i % 7));
    r.tokens_max = 1 + i * 5 % 24;
    r.ignore_end = true;
    r.chunk = i % 5;
    if (i % 2 == 1) r.sampling.temperature = 1.2f;
    r.sampling.seed = i / 2;
    r.choice = i % 2;
    r.service = static_cast<engine::ServiceClass>(i % engine::kServiceClasses);
    r.embed = i % 7 == 4;
    requests.push_back(std::move(r));
  }
  return requests;
}

// What the interpreter says of the text's last token, by the contract's own words.
std::vector<float> reference_embedding(const graph::Graph& graph, std::span<const int32_t> tokens) {
  graph::Interpreter interpreter(graph);
  const graph::ValueId head_input = graph.nodes[graph.logits].inputs[0];
  std::vector<int16_t> hidden;
  interpreter.probe = [&](graph::ValueId id, const graph::Value& value) {
    if (id == head_input) hidden = value.a;
  };
  for (size_t i = 0; i < tokens.size(); ++i) interpreter.step(tokens[i], i + 1 == tokens.size());
  int64_t total = 0;
  for (int64_t element : hidden) total += element * element;
  const float inverse = 1.0f / numerics::sqrt32(numerics::f32(total));
  std::vector<float> embedding;
  for (int16_t element : hidden) embedding.push_back(numerics::f32(element) * inverse);
  return embedding;
}

TEST(Embeddings, AreTheInterpretersBitForBit) {
  for (const graph::NumericOptions& options :
       {graph::NumericOptions{}, graph::NumericOptions{numerics::WeightVariant::Int8, 8}}) {
    const auto model = make_small_model(options);
    for (uint32_t size : {1u, 7u, 90u}) {
      Request request;
      request.prompt = small_tokens(size);
      request.embed = true;
      const std::vector<float> expected = reference_embedding(model->graph, request.prompt);
      double length = 0;
      for (double element : expected) length += element * element;
      EXPECT_NEAR(length, 1, 1e-6);
      for (const std::string& isa : targets::host::available_isas()) {
        for (uint32_t workers : {1u, 3u}) {
          for (uint32_t chunk : {0u, 1u, 5u}) {
            const auto target = targets::host::load(model->compiled.program, {isa, workers, 96});
            engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary);
            request.chunk = chunk;
            const Event event = finish(*engine.submit(request));
            EXPECT_EQ(event.reason, FinishReason::Embedded);
            EXPECT_EQ(event.embedding, expected) << size << " tokens on " << isa << " in chunks of " << chunk;
            EXPECT_TRUE(event.tokens.empty());
          }
        }
      }
    }
  }
}

TEST(Embeddings, AreMadeTogetherAndBesideAnswers) {
  const auto model = make_small_model();
  const auto target = targets::host::load(model->compiled.program, {"", 2, 96, 64 * 128});
  engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary);
  std::vector<std::shared_ptr<engine::Ticket>> tickets;
  std::vector<Request> requests;
  for (uint32_t i = 0; i < 24; ++i) {
    Request request;
    request.prompt = small_tokens(1 + i * 11 % 40);
    request.prompt.front() = static_cast<int32_t>(i);
    request.embed = i % 4 != 3;
    request.tokens_max = 5;
    request.ignore_end = true;
    requests.push_back(request);
    tickets.push_back(engine.submit(request));
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    const Event event = finish(*tickets[i]);
    if (!requests[i].embed) {
      EXPECT_EQ(event.tokens.size(), 5u);
      continue;
    }
    EXPECT_EQ(event.embedding, reference_embedding(model->graph, requests[i].prompt)) << i;
  }
}

TEST(Embeddings, TakeWhatIsThereButTheLastToken) {
  const auto model = make_small_model();
  const auto target = targets::host::load(model->compiled.program, {"", 2, 96});
  engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary);
  Request answer;
  answer.prompt = small_tokens(70);
  answer.tokens_max = 3;
  answer.ignore_end = true;
  finish(*engine.submit(answer));
  Request request;
  request.prompt = small_tokens(70);
  request.embed = true;
  for (int round = 0; round < 2; ++round) {
    const uint64_t before = target->counters().rows;
    const Event event = finish(*engine.submit(request));
    EXPECT_EQ(event.prompt_tokens_reused, 69u);
    EXPECT_EQ(target->counters().rows - before, 1u);
    EXPECT_EQ(event.embedding, reference_embedding(model->graph, request.prompt));
  }
}

TEST(EngineBatch, AnAnswerIsTheSameAloneAndAmong64) {
  const auto model = make_small_model();
  const std::vector<Request> requests = mixed_requests(64);
  std::vector<std::string> alone;
  {
    const auto target = targets::host::load(model->compiled.program, {"", 1, 96});
    for (const Request& request : requests) {
      engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary);
      alone.push_back(finish(*engine.submit(request)).digest);
    }
  }
  // Pools from more than enough to a single context, where sequences give way to older ones all the time.
  for (uint64_t kv_positions : {64u * 128u, 8u * 128u, 128u}) {
    const auto target = targets::host::load(model->compiled.program, {"", 2, 96, kv_positions});
    engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary,
                          {.prefill_rows = 48, .mixed_rows = 8, .streams_max = 64});
    std::vector<std::shared_ptr<engine::Ticket>> tickets;
    for (const Request& request : requests) tickets.push_back(engine.submit(request));
    for (size_t i = 0; i < tickets.size(); ++i) {
      const Event event = finish(*tickets[i]);
      EXPECT_EQ(event.reason, requests[i].embed ? FinishReason::Embedded : FinishReason::Length) << i;
      EXPECT_EQ(event.digest, alone[i]) << i << " of " << kv_positions;
    }
  }
}

TEST(EngineBatch, RequestsJoinAndLeaveBetweenSteps) {
  const auto model = make_small_model();
  const auto target = targets::host::load(model->compiled.program, {"", 2, 256, 2048});
  engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary);
  const std::vector<Request> requests = mixed_requests(24);
  std::vector<std::string> alone;
  for (const Request& request : requests) alone.push_back(finish(*engine.submit(request)).digest);
  std::vector<std::jthread> owners;
  for (size_t owner = 0; owner < 4; ++owner) {
    owners.emplace_back([&, owner] {
      for (size_t i = owner; i < requests.size(); i += 4) {
        Request endless = requests[i];
        endless.tokens_max = 0;
        endless.embed = false;
        auto cancelled = engine.submit(std::move(endless));
        auto kept = engine.submit(requests[i]);
        cancelled->poll(std::chrono::milliseconds(10000));
        cancelled->cancel();
        EXPECT_EQ(finish(*kept).digest, alone[i]);
        EXPECT_NE(finish(*cancelled).reason, FinishReason::Failed);
      }
    });
  }
}

TEST(EngineBatch, APromptInCommonIsComputedOnce) {
  const auto model = make_small_model();
  const auto target = targets::host::load(model->compiled.program, {"", 2, 256, 1024});
  engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary);
  Request request;
  request.prompt = small_tokens(200);
  request.tokens_max = 4;
  request.ignore_end = true;
  EXPECT_EQ(finish(*engine.submit(request)).prompt_tokens_reused, 0u);
  EXPECT_EQ(finish(*engine.submit(request)).prompt_tokens_reused, 199u);
  request.prompt[130] ^= 1;
  EXPECT_EQ(finish(*engine.submit(request)).prompt_tokens_reused, 130u);
  const uint64_t before = target->counters().rows;
  request.choice = 1;
  finish(*engine.submit(request));
  EXPECT_EQ(target->counters().rows - before, 4u);
}

TEST(EngineBatch, ARefusedValueEndsItsRequestAlone) {
  // With this gain some prompts leave the numerics' range and others do not.
  const auto model = make_small_model({}, 0x1.6p14f);
  const std::vector<Request> requests = mixed_requests(40);
  std::vector<Event> alone;
  uint32_t failed = 0;
  for (const Request& request : requests) {
    const auto target = targets::host::load(model->compiled.program, {"", 1, 96});
    engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary);
    alone.push_back(finish(*engine.submit(request)));
    if (alone.back().reason == FinishReason::Failed) ++failed;
  }
  ASSERT_GT(failed, 0u);
  ASSERT_LT(failed, requests.size());
  const auto target = targets::host::load(model->compiled.program, {"", 2, 96, 40 * 128});
  engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary);
  std::vector<std::shared_ptr<engine::Ticket>> tickets;
  for (const Request& request : requests) tickets.push_back(engine.submit(request));
  for (size_t i = 0; i < tickets.size(); ++i) {
    const Event event = finish(*tickets[i]);
    EXPECT_EQ(event.digest, alone[i].digest) << i;
    ASSERT_EQ(event.error.has_value(), alone[i].error.has_value()) << i;
    if (!event.error) continue;
    EXPECT_EQ(event.error->kind(), ErrorKind::User);
    EXPECT_STREQ(event.error->what(), alone[i].error->what());
  }
}

TEST(EngineBatch, SpeculationChangesNoText) {
  const auto model = make_small_model();
  // A sequence that repeats itself, so that drafts are found.
  Request request;
  for (uint32_t i = 0; i < 60; ++i) request.prompt.push_back(static_cast<int32_t>(i % 6));
  request.tokens_max = 120;
  request.ignore_end = true;
  for (float temperature : {0.0f, 0.5f, 1.5f}) {
    request.sampling.temperature = temperature;
    const auto plain_target = targets::host::load(model->compiled.program, {"", 2, 256});
    engine::Engine plain(*plain_target, *model->tokenizer, model->graph.vocabulary, {.drafts_max = 0});
    const Event expected = finish(*plain.submit(request));
    EXPECT_EQ(expected.drafts_tried, 0u);

    const auto draft_target = targets::host::load(model->compiled.program, {"", 1, 256});
    engine::DraftModel draft_model(*draft_target);
    for (engine::DraftModel* drafts : {static_cast<engine::DraftModel*>(nullptr), &draft_model}) {
      const auto target = targets::host::load(model->compiled.program, {"", 2, 256});
      engine::Engine engine(*target, *model->tokenizer, model->graph.vocabulary,
                            {.drafts_fixed = 5, .draft_model = drafts});
      for (uint32_t round = 0; round < 3; ++round) {
        const Event event = finish(*engine.submit(request));
        EXPECT_EQ(event.digest, expected.digest) << temperature;
        EXPECT_EQ(event.timing.token_s.size(), 119u);
        // The same model with the same seed guesses right; copies are right sometimes.
        EXPECT_GT(event.drafts_tried, 0u) << temperature;
        if (drafts != nullptr) {
          EXPECT_EQ(event.drafts_taken, event.drafts_tried);
        }
      }
    }
  }
}

}  // namespace
}  // namespace lockstep::tests
