#include "import/checkpoint.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"

namespace lockstep::importer {
namespace {

Metadata sample() {
  Metadata metadata("model.gguf");
  metadata.insert("unsigned", uint64_t{7});
  metadata.insert("signed", int64_t{-7});
  metadata.insert("large", ~uint64_t{0});
  metadata.insert("number", 0.25);
  metadata.insert("flag", true);
  metadata.insert("text", std::string("abc"));
  metadata.insert("list", std::vector<uint64_t>{1, 2});
  metadata.insert("large list", std::vector<uint64_t>{1, ~uint64_t{0}});
  metadata.insert("texts", std::vector<std::string>{"x"});
  return metadata;
}

void expect_error(const std::function<void()>& call, std::string_view message) {
  try {
    call();
    ADD_FAILURE() << "accepted; wanted: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::User);
    EXPECT_EQ(error.what(), message);
  }
}

TEST(Metadata, KeepsTheFirstOfTwoValues) {
  Metadata metadata = sample();
  EXPECT_FALSE(metadata.insert("unsigned", uint64_t{8}));
  EXPECT_EQ(metadata.require_uint("unsigned"), 7u);
  EXPECT_TRUE(metadata.contains("flag"));
  EXPECT_FALSE(metadata.contains("flags"));
}

TEST(Metadata, ConvertsWhereNothingIsLost) {
  const Metadata metadata = sample();
  EXPECT_EQ(metadata.require_int("unsigned"), 7);
  EXPECT_EQ(metadata.require_float("signed"), -7.0);
  EXPECT_EQ(metadata.require_floats("list"), (std::vector<double>{1, 2}));
  EXPECT_EQ(metadata.require_ints("list"), (std::vector<int64_t>{1, 2}));
}

TEST(Metadata, MissingKeysAreNothingOrNamed) {
  const Metadata metadata = sample();
  EXPECT_EQ(metadata.find_uint("x"), std::nullopt);
  EXPECT_EQ(metadata.find_int("x"), std::nullopt);
  EXPECT_EQ(metadata.find_float("x"), std::nullopt);
  EXPECT_EQ(metadata.find_bool("x"), std::nullopt);
  EXPECT_EQ(metadata.find_string("x"), std::nullopt);
  EXPECT_EQ(metadata.find_ints("x"), std::nullopt);
  EXPECT_EQ(metadata.find_floats("x"), std::nullopt);
  EXPECT_EQ(metadata.find_bools("x"), std::nullopt);
  EXPECT_EQ(metadata.find_strings("x"), nullptr);
  const std::string message = "model.gguf: the metadata has no \"x\", which this model needs";
  expect_error([&] { metadata.require_uint("x"); }, message);
  expect_error([&] { metadata.require_strings("x"); }, message);
}

TEST(Metadata, OtherTypesAreNamed) {
  const Metadata metadata = sample();
  expect_error([&] { metadata.find_uint("text"); },
               "model.gguf: the metadata's \"text\" is a text; an integer is wanted");
  expect_error([&] { metadata.find_uint("signed"); },
               "model.gguf: the metadata's \"signed\" is -7; zero or more is wanted");
  expect_error([&] { metadata.find_int("large"); },
               "model.gguf: the metadata's \"large\" is 18446744073709551615; below 2^63 is wanted");
  expect_error([&] { metadata.find_ints("large list"); },
               "model.gguf: the metadata's \"large list\" holds 18446744073709551615; below 2^63 is wanted");
  expect_error([&] { metadata.find_float("flag"); },
               "model.gguf: the metadata's \"flag\" is a truth value; a number is wanted");
  expect_error([&] { metadata.find_strings("list"); },
               "model.gguf: the metadata's \"list\" is a list of integers; a list of texts is wanted");
  expect_error([&] { metadata.find_bool("number"); },
               "model.gguf: the metadata's \"number\" is a number; a truth value is wanted");
  expect_error([&] { metadata.find_string("texts"); },
               "model.gguf: the metadata's \"texts\" is a list of texts; a text is wanted");
}

}  // namespace
}  // namespace lockstep::importer
