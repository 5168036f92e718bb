// Who gets rows when: the classes of service on a target that notes what each step ran.
#include "engine/batch.h"

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/token_target.h"
#include "text/test_vocabularies.h"

namespace lockstep::engine {
namespace {

// An allocator of one object, always in the same place.
template <class T>
struct OnePlace {
  using value_type = T;
  OnePlace() = default;
  template <class Other>
  OnePlace(const OnePlace<Other>&) {}
  T* allocate(size_t count) {
    alignas(64) static std::byte place[sizeof(Sequence) + 256];
    LOCKSTEP_CHECK(count * sizeof(T) <= sizeof place);
    return reinterpret_cast<T*>(place);
  }
  void deallocate(T*, size_t) {}
  bool operator==(const OnePlace&) const = default;
};

using Rows = std::vector<TokenTarget::SequenceRows>;

constexpr ServiceClass kAll[] = {ServiceClass::Performance, ServiceClass::OnDemand, ServiceClass::Flex,
                                 ServiceClass::Idle};

// A batch with a clock that stands still unless it is told.
class Room {
 public:
  explicit Room(BatchOptions options = {}, uint32_t pages = 64)
      : target(64, pages), batch(target, with_clock(without_drafts(options))) {}
  static Room with_drafts(BatchOptions options, uint32_t pages) { return {options, pages, Drafts{}}; }

  // A request whose prompt is `prompt` times the token `name`.
  std::shared_ptr<Sequence> add(int32_t name, ServiceClass service, uint32_t prompt = 1,
                                uint32_t answer = 4) {
    return add(request(name, service, prompt, answer));
  }
  std::shared_ptr<Sequence> add(Request request) {
    return add_at(std::allocator<Sequence>(), std::move(request));
  }
  // Made where the allocator puts it.
  template <class Allocator>
  std::shared_ptr<Sequence> add_at(const Allocator& allocator, Request request) {
    auto sequence =
        std::allocate_shared<Sequence>(allocator, tokenizer_, std::move(request), target.context());
    batch.add(sequence);
    return sequence;
  }
  static Request request(int32_t name, ServiceClass service, uint32_t prompt, uint32_t answer) {
    Request request;
    request.prompt.assign(prompt, name);
    request.tokens_max = answer;
    request.ignore_end = true;
    request.service = service;
    return request;
  }

  Rows step() {
    target.last_step.clear();
    batch.step([](Sequence&) {});
    return target.last_step;
  }
  void finish() {
    for (int i = 0; i < 2000 && !batch.idle(); ++i) step();
    EXPECT_TRUE(batch.idle());
  }

  TokenTarget target;
  double now_s = 0;
  Batch batch;

 private:
  struct Drafts {};
  Room(BatchOptions options, uint32_t pages, Drafts)
      : target(64, pages), batch(target, with_clock(std::move(options))) {}
  static BatchOptions without_drafts(BatchOptions options) {
    options.drafts_max = 0;
    return options;
  }
  BatchOptions with_clock(BatchOptions options) {
    options.clock_s = [this] { return now_s; };
    return options;
  }
  const text::Tokenizer tokenizer_{text::make_bpe_vocabulary("gpt-2", {})};
};

// The names of the sequences in the order in which they first had rows.
std::vector<int32_t> order_of_starts(Room& room) {
  std::vector<int32_t> order;
  for (int i = 0; i < 2000 && !room.batch.idle(); ++i) {
    for (const auto& rows : room.step()) {
      if (std::find(order.begin(), order.end(), rows.name) == order.end()) order.push_back(rows.name);
    }
  }
  return order;
}

std::vector<int32_t> answer_of(const Sequence& sequence) {
  return {sequence.generation.answer().begin(), sequence.generation.answer().end()};
}

TEST(Request, ABiasIsForATokenOfTheVocabulary) {
  Request request;
  request.prompt = {1};
  request.sampling.logit_bias = {{999999999, 1.0f}};
  try {
    check_request(request, 100, 10);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ("token 999999999 of a logit bias is not in the vocabulary of 100 tokens", error.what());
  }
  request.sampling.logit_bias = {{99, 1.0f}};
  check_request(request, 100, 10);
}

TEST(Request, LogProbabilitiesOfThePromptComeWithThoseOfAnAnswer) {
  Request request;
  request.prompt = {1};
  request.prompt_logprobs = true;
  EXPECT_THROW(check_request(request, 100, 10), Error);
  request.top_logprobs = 0;
  check_request(request, 100, 10);
  request.embed = true;
  EXPECT_THROW(check_request(request, 100, 10), Error);
}

TEST(Batch, StartsByClassThenInOrderOfComing) {
  Room room({.streams_max = 1});
  for (int32_t name = 0; name < 8; ++name) room.add(name, kAll[3 - name % 4]);
  EXPECT_EQ(order_of_starts(room), (std::vector<int32_t>{3, 7, 2, 6, 1, 5, 0, 4}));
}

TEST(Batch, PromptsGetTheirRowsByClass) {
  Room room({.prefill_rows = 8});
  room.add(1, ServiceClass::Flex, 16);
  room.add(2, ServiceClass::OnDemand, 12);
  room.add(3, ServiceClass::Performance, 8);
  EXPECT_EQ(room.step(), (Rows{{3, 8}}));
  room.batch.end_all([](Sequence& s) { s.generation.cancel(); }, [](Sequence&) {});

  room.add(1, ServiceClass::Flex, 16);
  room.add(2, ServiceClass::OnDemand, 12);
  EXPECT_EQ(room.step(), (Rows{{2, 8}}));
  EXPECT_EQ(room.step(), (Rows{{2, 4}, {1, 4}}));
}

TEST(Batch, ALowerClassStartsAfterATimeHoweverManyComeBeforeIt) {
  Room room({.streams_max = 1, .promote_s = 5});
  const auto flex = room.add(0, ServiceClass::Flex);
  const auto idle = room.add(1, ServiceClass::Idle);
  // One second a step, and always somebody else who waits.
  uint32_t steps = 0;
  for (int32_t name = 2; !flex->generation.finished() && steps < 100; ++steps) {
    while (room.batch.load().waiting[0] < 2) room.add(name++ % 40 + 2, ServiceClass::Performance);
    room.step();
    room.now_s += 1;
  }
  // Ten steps until it is in the highest class, four of the one that runs, and its own four.
  EXPECT_GE(steps, 14u);
  EXPECT_LE(steps, 18u);
  EXPECT_EQ(idle->computed, 0u);
  room.finish();
  EXPECT_EQ(answer_of(*idle).size(), 4u);

  // Without the time it waits until the others have had theirs.
  const auto late = room.add(0, ServiceClass::Flex);
  for (int32_t name = 2; name < 40; ++name) room.add(name, ServiceClass::Performance);
  for (steps = 0; !late->generation.finished(); ++steps) room.step();
  EXPECT_EQ(steps, 39u * 4);
}

TEST(Batch, ARunningSequenceThatHasItsRowsDoesNotMoveUp) {
  Room room({.promote_s = 5});
  const auto sequence = room.add(1, ServiceClass::Flex, 1, 8);
  for (int step = 0; step < 6; ++step) {
    room.step();
    room.now_s += 100;
  }
  EXPECT_EQ(sequence->rank, ServiceClass::Flex);
}

TEST(Batch, IdleOnesCostNobodyARow) {
  // What the steps of a few requests run where they are alone.
  auto interactive = [](Room& room) {
    std::vector<Rows> steps;
    room.add(1, ServiceClass::OnDemand, 20, 6);
    steps.push_back(room.step());
    room.add(2, ServiceClass::Flex, 9, 12);
    while (room.batch.load().running[1] + room.batch.load().running[2] != 0) steps.push_back(room.step());
    return steps;
  };
  const BatchOptions options = {.prefill_rows = 8, .mixed_rows = 4};
  Room alone(options);
  const std::vector<Rows> expected = interactive(alone);

  Room room(options);
  std::vector<std::shared_ptr<Sequence>> idle;
  for (int32_t name = 10; name < 14; ++name) idle.push_back(room.add(name, ServiceClass::Idle, 6, 10));
  for (int step = 0; step < 8; ++step) room.step();
  const uint32_t used = room.batch.load().pages_used;
  ASSERT_GT(used, 0u);
  ASSERT_EQ(room.batch.load().running[3], 4u);
  EXPECT_EQ(interactive(room), expected);
  EXPECT_EQ(room.batch.load().pages_used, used) << "their pages stay";
  EXPECT_EQ(room.batch.load().gave_way, 0u);
  room.finish();

  Room later(options);
  for (int32_t name = 10; name < 14; ++name) {
    const auto sequence = later.add(name, ServiceClass::OnDemand, 6, 10);
    later.finish();
    EXPECT_EQ(answer_of(*idle[static_cast<size_t>(name) - 10]), answer_of(*sequence));
  }
}

TEST(Batch, WhoComesWhileIdleOnesRunWaitsForAShortStep) {
  Room room({.prefill_rows = 16, .mixed_rows = 4});
  room.add(1, ServiceClass::Idle, 30);
  EXPECT_EQ(room.step(), (Rows{{1, 4}}));
  room.add(2, ServiceClass::OnDemand, 30);
  EXPECT_EQ(room.step(), (Rows{{2, 16}}));
}

TEST(Batch, IdleOnesStartWhereNobodyElseIsAndNotTooMany) {
  Room room({.streams_max = 8, .idle_max = 2});
  for (int32_t name = 10; name < 15; ++name) room.add(name, ServiceClass::Idle);
  const auto other = room.add(1, ServiceClass::OnDemand);
  while (!other->generation.finished()) {
    room.step();
    EXPECT_EQ(room.batch.load().running[3], 0u);
  }
  room.step();
  EXPECT_EQ(room.batch.load().running[3], 2u);
  EXPECT_EQ(room.batch.load().waiting[3], 3u);
  room.finish();
}

TEST(Batch, IdleOnesGiveWayFirstThenFlexTheNewestFirst) {
  // 12 pages of 8 positions. Everybody grows until all memory is gone.
  Room room({.idle_max = 2}, 12);
  const auto idle = room.add(1, ServiceClass::Idle, 17, 30);
  room.step();
  std::vector<std::shared_ptr<Sequence>> others;
  for (int32_t name = 2; name < 6; ++name) {
    others.push_back(room.add(name, name < 4 ? ServiceClass::Flex : ServiceClass::OnDemand, 9, 40));
  }
  std::vector<int32_t> gone;
  auto note = [&](const Sequence& sequence, int32_t name) {
    if (!sequence.held.pages.empty() || !sequence.started || sequence.generation.finished()) return;
    if (std::find(gone.begin(), gone.end(), name) == gone.end()) gone.push_back(name);
  };
  while (!room.batch.idle()) {
    room.step();
    note(*idle, 1);
    for (int32_t name = 2; name < 6; ++name) note(*others[static_cast<size_t>(name) - 2], name);
  }
  EXPECT_EQ(gone, (std::vector<int32_t>{1, 3, 2}));
  EXPECT_GE(room.batch.load().gave_way, 3u);

  for (int32_t name = 1; name < 6; ++name) {
    const Sequence& sequence = name == 1 ? *idle : *others[static_cast<size_t>(name) - 2];
    Room alone;
    const auto expected = alone.add(name, ServiceClass::OnDemand, sequence.generation.prompt_size(),
                                    sequence.generation.request().tokens_max);
    alone.finish();
    EXPECT_EQ(answer_of(sequence), answer_of(*expected)) << name;
  }
}

TEST(Batch, IdleOnesLeaveMemoryToWhoStarts) {
  Room room({}, 8);
  room.add(1, ServiceClass::Idle, 30, 10);
  room.add(2, ServiceClass::Idle, 20, 10);
  for (int step = 0; step < 6; ++step) room.step();
  ASSERT_GE(room.batch.load().pages_used, 7u);
  room.add(3, ServiceClass::OnDemand, 8, 8);
  room.add(4, ServiceClass::OnDemand, 8, 8);
  room.step();
  EXPECT_EQ(room.batch.load().running[1], 2u);
  EXPECT_EQ(room.batch.load().gave_way, 1u);
  EXPECT_EQ(room.batch.load().waiting[3], 1u) << "the newer one";
  room.finish();
}

TEST(Batch, EmbeddingsWantATargetThatHasThem) {
  TokenTarget target(64, 8);
  const text::Tokenizer tokenizer(text::make_bpe_vocabulary("gpt-2", {}));
  Engine engine(target, tokenizer, kTokenVocabulary);
  Request request;
  request.prompt = {1};
  request.embed = true;
  try {
    engine.submit(request);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
  }
}

TEST(Batch, CountsWhatItDoes) {
  Room room({.prefill_rows = 8, .streams_max = 2});
  for (int32_t name = 1; name < 4; ++name) room.add(name, ServiceClass::OnDemand, 8, 3);
  Load load = room.batch.load();
  EXPECT_EQ(load.waiting, (std::array<uint32_t, 4>{0, 3, 0, 0}));
  EXPECT_EQ(load.streams_max, 2u);
  EXPECT_EQ(load.pages_total, 64u);
  EXPECT_EQ(load.page_positions, 8u);
  room.step();
  load = room.batch.load();
  EXPECT_EQ(load.running, (std::array<uint32_t, 4>{0, 2, 0, 0}));
  EXPECT_EQ(load.waiting, (std::array<uint32_t, 4>{0, 1, 0, 0}));
  EXPECT_EQ(load.last_step.rows, 8u);
  EXPECT_GT(load.last_step.seconds, 0);
  EXPECT_EQ(load.pages_used, 1u + 1u);
  room.finish();
  load = room.batch.load();
  EXPECT_EQ(load.running, (std::array<uint32_t, 4>{}));
  EXPECT_EQ(load.waiting, (std::array<uint32_t, 4>{}));
  EXPECT_EQ(load.prompt_tokens, 24u);
  EXPECT_EQ(load.answer_tokens, 9u);
  EXPECT_EQ(load.rows, 24u + 3 * 2);
  EXPECT_EQ(load.steps, room.target.counters().steps);
  EXPECT_EQ(load.rows, room.target.counters().rows);
  EXPECT_EQ(load.pages_used, 0u);
  EXPECT_GE(load.steps_s, load.last_step.seconds);
  const auto cancelled = room.add(9, ServiceClass::Flex);
  cancelled->cancelled = true;
  room.step();
  EXPECT_EQ(room.batch.load().waiting[2], 0u);
}

std::vector<TokenLogprob> expected_logprobs(std::span<const int32_t> tokens) {
  std::vector<TokenLogprob> expected;
  for (size_t i = 1; i < tokens.size(); ++i) {
    std::vector<float> all(kTokenVocabulary);
    numerics::log_probabilities(logits_after(tokens.first(i)), all);
    const float best = *std::max_element(all.begin(), all.end());
    const auto id = static_cast<int32_t>(std::find(all.begin(), all.end(), best) - all.begin());
    expected.push_back({tokens[i], all[static_cast<size_t>(tokens[i])], {{id, best}}});
  }
  return expected;
}

// In any chunks, with rows of others beside them, where the pool has the prompt's state already, and where
// they have to make room in the middle.
TEST(Batch, LogProbabilitiesOfAPromptAreThoseOfEachOfItsTokens) {
  uint64_t gave_way = 0;
  for (const uint32_t chunk : {0u, 1u, 3u, 8u}) {
    for (const uint32_t size : {1u, 2u, 9u, 30u}) {
      for (const bool prompt_only : {false, true}) {
        Room room = Room::with_drafts({.prefill_rows = 12, .mixed_rows = 5}, 9);
        Request request = Room::request(0, ServiceClass::OnDemand, size, 6);
        for (size_t i = 0; i < size; ++i) request.prompt[i] = static_cast<int32_t>(i * i % kTokenVocabulary);
        const auto plain = room.add(request);
        room.finish();
        const uint64_t rows_before = room.target.counters().rows;
        request.chunk = chunk;
        request.top_logprobs = 1;
        request.prompt_logprobs = true;
        request.prompt_only = prompt_only;
        const auto oldest = room.add(3, ServiceClass::OnDemand, 6, 50);
        const auto scored = room.add(request);
        room.finish();
        gave_way += room.batch.load().gave_way;
        EXPECT_EQ(scored->reused, 0u);
        EXPECT_EQ(scored->generation.finish_reason(), FinishReason::Length);
        EXPECT_EQ(answer_of(*scored), prompt_only ? std::vector<int32_t>() : answer_of(*plain));
        EXPECT_GE(room.target.counters().rows - rows_before, size);
        const std::vector<TokenLogprob> told = scored->generation.take_logprobs();
        const std::vector<TokenLogprob> expected = expected_logprobs(scored->generation.tokens());
        ASSERT_EQ(told.size(), expected.size()) << "chunk " << chunk << ", " << size << " tokens";
        for (size_t i = 0; i < told.size(); ++i) {
          EXPECT_EQ(told[i].token, expected[i].token);
          EXPECT_EQ(told[i].logprob, expected[i].logprob) << "of token " << i + 1;
          EXPECT_EQ(told[i].top, expected[i].top);
        }
        EXPECT_GT(scored->timing.prefill_s, 0);
      }
    }
  }
  EXPECT_GT(gave_way, 0u);
}

TEST(Batch, ANewSequenceInThePlaceOfOneThatWasTurnedAwayIsLookedAt) {
  Room room({}, 8);
  room.add(1, ServiceClass::OnDemand, 30, 30);
  room.step();
  OnePlace<Sequence> place;
  auto large = room.add_at(place, Room::request(2, ServiceClass::OnDemand, 60, 1));
  const Sequence* const address = large.get();
  room.step();
  ASSERT_FALSE(large->started);
  large->cancelled = true;
  large.reset();
  room.step();
  const auto small = room.add_at(place, Room::request(3, ServiceClass::OnDemand, 2, 2));
  ASSERT_EQ(small.get(), address);
  room.step();
  EXPECT_TRUE(small->started);
}

TEST(Batch, OnlyWhatHasStartedHasADrafter) {
  Room room = Room::with_drafts({.streams_max = 1}, 64);
  const auto first = room.add(1, ServiceClass::OnDemand);
  const auto second = room.add(2, ServiceClass::OnDemand);
  EXPECT_EQ(first->drafter, nullptr);
  room.step();
  EXPECT_NE(first->drafter, nullptr);
  EXPECT_EQ(second->drafter, nullptr);
  room.finish();
  EXPECT_EQ(first->drafter, nullptr);
}

// The target checks what a step has. Answers that repeat themselves have long drafts.
TEST(Batch, NoStepHasMoreRowsThanTheTargetTakes) {
  std::mt19937 random(3);
  uint64_t gave_way = 0, drafted = 0;
  for (int round = 0; round < 300; ++round) {
    const auto mixed_rows = static_cast<uint32_t>(1 + random() % 4);
    Room room = Room::with_drafts({.prefill_rows = 16, .mixed_rows = mixed_rows, .drafts_fixed = 7},
                                  8 + random() % 4);
    for (int step = 0; step < 2000 && (step < 60 || !room.batch.idle()); ++step) {
      if (step < 60 && random() % 6 == 0) {
        const auto name = static_cast<int32_t>(random() % 5);
        Request request = Room::request(name, kAll[random() % 4], 1 + random() % 30, 1 + random() % 30);
        request.sampling.logit_bias = {{name, 100.0f}};
        room.add(std::move(request));
      }
      room.step();
      ASSERT_FALSE(testing::Test::HasFailure()) << round;
    }
    ASSERT_TRUE(room.batch.idle());
    gave_way += room.batch.load().gave_way;
    drafted += room.batch.load().drafts_tried;
  }
  EXPECT_GT(gave_way, 300u);
  EXPECT_GT(drafted, 3000u);
}

// Rules that allow everything, and do as they are told.
class Told : public TokenConstraint {
 public:
  struct Orders {
    std::mutex mutex;
    std::condition_variable changed;
    bool known = true;               // what may come next
    uint32_t fails_at = 1000;        // the token for which accept() throws
    std::atomic<uint32_t> asked{0};  // times that ready() was
  };
  explicit Told(std::shared_ptr<Orders> orders) : orders_(std::move(orders)) {}

  void prepare(std::span<const int32_t>) override {}
  bool ready(std::chrono::microseconds patience) override {
    ++orders_->asked;
    std::unique_lock lock(orders_->mutex);
    return orders_->changed.wait_for(lock, patience, [this] { return orders_->known; });
  }
  std::span<const uint64_t> allowed() override { return words_; }
  void accept(int32_t) override {
    if (++accepted_ == orders_->fails_at) throw std::bad_alloc();
  }
  std::span<const int32_t> forced() override { return {}; }
  bool is_free() const override { return true; }

 private:
  const std::shared_ptr<Orders> orders_;
  const std::vector<uint64_t> words_ = {~uint64_t{0}};
  uint32_t accepted_ = 0;
};

class EngineOfTokens : public testing::Test {
 protected:
  std::shared_ptr<Ticket> submit(int32_t name, uint32_t answer, std::shared_ptr<Told::Orders> orders = {}) {
    Request request = Room::request(name, ServiceClass::OnDemand, 3, answer);
    if (orders) {
      request.ignore_end = false;
      request.constraint = [orders] { return std::make_unique<Told>(orders); };
    }
    return engine_->submit(std::move(request));
  }
  static Event last_event(Ticket& ticket) {
    while (true) {
      std::optional<Event> event = ticket.poll(std::chrono::seconds(10));
      if (!event) {
        ADD_FAILURE() << "the engine is silent";
        return {};
      }
      if (event->finished) return *event;
    }
  }

  TokenTarget target_{64, 64};
  const text::Tokenizer tokenizer_{text::make_bpe_vocabulary("gpt-2", {})};
  std::unique_ptr<Engine> engine_ = std::make_unique<Engine>(target_, tokenizer_, kTokenVocabulary);
};

TEST_F(EngineOfTokens, RulesThatAreNeverKnownStopNobodyElse) {
  const auto never = std::make_shared<Told::Orders>();
  never->known = false;
  const auto first = submit(1, 5, never);
  while (never->asked < 3) std::this_thread::yield();
  // It is alone, and is waited for without rows.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(engine_->load().steps, 0u) << "the step that waits is not over";
  EXPECT_EQ(last_event(*submit(2, 5)).tokens.size(), 5u);
  const uint64_t steps = engine_->load().steps;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_LE(engine_->load().steps, steps + 1);
  const auto second = submit(3, 5, never);
  first->cancel();
  EXPECT_EQ(last_event(*first).reason, FinishReason::Cancelled);
  {
    const std::lock_guard lock(never->mutex);
    never->known = true;
  }
  never->changed.notify_all();
  EXPECT_EQ(last_event(*second).tokens.size(), 5u);
}

TEST_F(EngineOfTokens, StopsWhileItWaitsForRules) {
  const auto never = std::make_shared<Told::Orders>();
  never->known = false;
  const auto ticket = submit(1, 5, never);
  while (never->asked < 3) std::this_thread::yield();
  engine_.reset();
  EXPECT_EQ(last_event(*ticket).reason, FinishReason::Cancelled);
}

TEST_F(EngineOfTokens, WhatGoesWrongWithOneAnswerEndsThatOne) {
  const auto good = std::make_shared<Told::Orders>(), bad = std::make_shared<Told::Orders>();
  bad->fails_at = 4;
  for (int round = 0; round < 20; ++round) {
    const auto ends = submit(1, 4, good), fails = submit(2, 9, bad), goes_on = submit(3, 9);
    const Event failed = last_event(*fails);
    EXPECT_EQ(failed.reason, FinishReason::Failed);
    EXPECT_TRUE(failed.error);
    EXPECT_EQ(last_event(*ends).tokens.size(), 4u);
    EXPECT_EQ(last_event(*goes_on).tokens.size(), 9u);
  }
  EXPECT_EQ(engine_->load().pages_used, 0u);
}

// A step that fails in the middle of telling: what has ended is told once, everything else fails.
TEST_F(EngineOfTokens, AStepThatFailsEndsNobodyTwice) {
  for (uint32_t round = 0; round < 30; ++round) {
    std::atomic<uint32_t> events{0}, last{0};
    const auto ends = submit(1, 3 + round % 3);
    const auto fails = engine_->submit(Room::request(2, ServiceClass::OnDemand, 3, 9), [&](bool finished) {
      last += finished;
      if (++events == 4) throw std::bad_alloc();
    });
    EXPECT_EQ(last_event(*fails).reason, FinishReason::Failed);
    EXPECT_NE(last_event(*ends).reason, FinishReason::None);
    EXPECT_EQ(last_event(*submit(3, 5)).tokens.size(), 5u);
    EXPECT_EQ(last, 1u);
  }
}

}  // namespace
}  // namespace lockstep::engine
