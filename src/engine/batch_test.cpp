// Who gets rows when: the classes of service on a target that notes what each step ran.
#include "engine/batch.h"

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/token_target.h"
#include "text/test_vocabularies.h"

namespace lockstep::engine {
namespace {

using Rows = std::vector<TokenTarget::SequenceRows>;

constexpr ServiceClass kAll[] = {ServiceClass::Performance, ServiceClass::OnDemand, ServiceClass::Flex,
                                 ServiceClass::Idle};

// A batch with a clock that stands still unless it is told.
class Room {
 public:
  explicit Room(BatchOptions options = {}, uint32_t pages = 64)
      : target(64, pages), batch(target, with_clock(options)) {}

  // A request whose prompt is `prompt` times the token `name`.
  std::shared_ptr<Sequence> add(int32_t name, ServiceClass service, uint32_t prompt = 1,
                                uint32_t answer = 4) {
    Request request;
    request.prompt.assign(prompt, name);
    request.tokens_max = answer;
    request.ignore_end = true;
    request.service = service;
    auto sequence = std::make_shared<Sequence>(tokenizer_, std::move(request), target.context());
    batch.add(sequence);
    return sequence;
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
  BatchOptions with_clock(BatchOptions options) {
    options.drafts_max = 0;
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

}  // namespace
}  // namespace lockstep::engine
