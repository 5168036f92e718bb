#include "http/event_reader.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace lockstep::http {
namespace {

std::string shown(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) text += event.type + "(" + event.data + ")";
  return text;
}

std::string read(std::string_view stream, size_t piece = std::string_view::npos) {
  EventReader reader;
  std::vector<Event> events;
  for (; !stream.empty(); stream.remove_prefix(std::min(piece, stream.size()))) {
    reader.push(stream.substr(0, piece), events);
  }
  return shown(events);
}

TEST(EventReader, Events) {
  EXPECT_EQ("(a)(b)", read("data: a\n\ndata:b\n\n"));
  EXPECT_EQ("error({\"x\":1})(a)", read("event: error\ndata: {\"x\":1}\n\ndata: a\n\n"));
  EXPECT_EQ("(a\nb\n\nc)", read("data: a\ndata: b\ndata\ndata: c\n\n"));
  EXPECT_EQ("( a)", read("data:  a\n\n"));
  EXPECT_EQ("()", read("data:\n\n"));
}

TEST(EventReader, WhatIsNoEvent) {
  EXPECT_EQ("", read(": keep-alive\n\n"));
  EXPECT_EQ("", read("event: ping\n\n\n\n"));
  EXPECT_EQ("(a)", read("event: ping\n\nid: 3\nretry: 10\ndataset: x\n: data: y\ndata: a\n\n"));
  EXPECT_EQ("", read("data: its end has not come\n"));
  EXPECT_EQ("(a)", read("data: a\n\ndata: b"));
}

TEST(EventReader, LineEnds) {
  EXPECT_EQ("(a\nb)(c)", read("data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n"));
  EXPECT_EQ("(a\nb)(c)", read("data: a\rdata: b\r\rdata: c\r\r"));
  EXPECT_EQ("(a)(c)", read("data: a\n\r\ndata: c\r\n\n"));
}

TEST(EventReader, ByteOrderMarkAtTheBeginningAlone) {
  EXPECT_EQ("(a)", read("\xef\xbb\xbf"
                        "data: a\n\n"));
  EXPECT_EQ("(a)", read("data: a\n\n\xef\xbb\xbf"
                        "data: b\n\n"));
}

TEST(EventReader, AnyCutGivesTheSame) {
  const std::string stream =
      "\xef\xbb\xbf: hello\r\n\r\nevent: one\r\ndata: a\r\ndata: "
      "\xc3\xa4\r\n\r\ndata:b\n\n\revent:two\rdata: "
      "c\r\r\n"
      "data: [DONE]\n\n";
  const std::string whole = read(stream);
  EXPECT_EQ("one(a\n\xc3\xa4)(b)two(c)([DONE])", whole);
  EXPECT_EQ(whole, read(stream, 1));
  for (size_t cut = 1; cut < stream.size(); ++cut) {
    EventReader reader;
    std::vector<Event> events;
    reader.push(std::string_view(stream).substr(0, cut), events);
    reader.push(std::string_view(stream).substr(cut), events);
    EXPECT_EQ(whole, shown(events)) << cut;
  }
}

TEST(EventReader, SizeIsBounded) {
  EventReader reader;
  std::vector<Event> events;
  const std::string line = "data: " + std::string(EventReader::kEventBytesMax / 2, 'x') + "\n";
  reader.push(line, events);
  EXPECT_THROW(reader.push(line, events), Error);
}

}  // namespace
}  // namespace lockstep::http
