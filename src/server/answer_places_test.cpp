#include "server/answer_places.h"

#include <gtest/gtest.h>

namespace lockstep::server {
namespace {

TEST(AnswerPlaces, BatchesHaveAnEighth) {
  AnswerPlaces places(64);
  EXPECT_TRUE(places.take(8, true));
  EXPECT_FALSE(places.take(1, true));
  EXPECT_TRUE(places.take(32, false));
  EXPECT_TRUE(places.take(24, false));
  EXPECT_FALSE(places.take(1, false));
  places.give_back(8, true);
  EXPECT_EQ(places.taken(), 56u);
  EXPECT_TRUE(places.take(8, false));
  EXPECT_FALSE(places.take(1, true));
}

TEST(AnswerPlaces, ALargeRequestOfABatchRunsAlone) {
  AnswerPlaces places(64);
  EXPECT_TRUE(places.take(1, true));
  EXPECT_FALSE(places.take(32, true));
  places.give_back(1, true);
  EXPECT_TRUE(places.take(32, true));
  EXPECT_FALSE(places.take(1, true));
  EXPECT_TRUE(places.take(32, false));
}

TEST(AnswerPlaces, WhoDoesNotWaitTakesNoMoreThanRun) {
  AnswerPlaces places(64);
  EXPECT_TRUE(places.take(4, true));
  EXPECT_TRUE(places.take(6, false));
  EXPECT_FALSE(places.take(3, false, 8));
  EXPECT_TRUE(places.take(2, false, 8));
  EXPECT_FALSE(places.take(1, false, 8));
  EXPECT_TRUE(places.take(1, false));
}

TEST(AnswerPlaces, OneRequestHasHalf) {
  EXPECT_EQ(AnswerPlaces(4096).request_max(), 2048u);  // as many inputs as an embedding may have
  EXPECT_EQ(AnswerPlaces(1).request_max(), 1u);
  AnswerPlaces least(1);
  EXPECT_TRUE(least.take(1, true));
  EXPECT_FALSE(least.take(1, false));
}

}  // namespace
}  // namespace lockstep::server
