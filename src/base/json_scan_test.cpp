#include "base/json_scan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace lockstep {
namespace {

// Every event as "kind depth what": an object's or array's bracket and place, or a name.
std::string events_of(std::string_view text) {
  std::string all;
  scan_json(text, [&](const JsonEvent& event) {
    using Kind = JsonEvent::Kind;
    const size_t bracket = event.position - (event.kind == Kind::End ? 1 : 0);
    all += event.kind == Kind::Name ? fmt::format("{}{} ", event.depth, event.name)
                                    : fmt::format("{}{}{} ", event.depth, text[bracket], bracket);
  });
  return all;
}

TEST(JsonScan, TellsBracketsAndNames) {
  EXPECT_EQ(events_of(R"({"a":[1,{"b":2}],"c\n":"{","d":{}})"),
            "0{0 1a 1[5 2{8 3b 2}14 1]15 1c\n 1d 1{31 1}32 0}33 ");
  EXPECT_EQ(events_of("[[12],[-3.5e1]]"), "0[0 1[1 1]4 1[6 1]13 0]14 ");
  EXPECT_EQ(events_of(" 1 "), "");
}

TEST(JsonScan, EndsWhereThereIsNoJson) {
  EXPECT_EQ(events_of(R"({"a":[}})"), "0{0 1a 1[5 ");
  EXPECT_EQ(events_of("[\"\xff\",[]]"), "0[0 ");
  EXPECT_EQ(events_of("[1e999,[]]"), "0[0 ");
  EXPECT_EQ(events_of(""), "");
}

TEST(JsonScan, WhoLooksMayThrow) {
  const auto refuse = [](const JsonEvent& event) {
    if (event.depth == 1) throw std::runtime_error("too deep");
  };
  EXPECT_THROW(scan_json("[[]]", refuse), std::runtime_error);
  EXPECT_NO_THROW(scan_json("[]", refuse));
}

}  // namespace
}  // namespace lockstep
