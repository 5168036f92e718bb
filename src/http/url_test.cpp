#include "http/url.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace lockstep::http {
namespace {

TEST(Url, Parts) {
  const Url plain = parse_url("http://127.0.0.1:8080");
  EXPECT_FALSE(plain.is_tls);
  EXPECT_EQ("127.0.0.1", plain.host);
  EXPECT_EQ(8080, plain.port);
  EXPECT_EQ("", plain.path);
  EXPECT_EQ("http://127.0.0.1:8080", plain.origin());

  const Url groq = parse_url("https://api.groq.com/openai/v1/");
  EXPECT_TRUE(groq.is_tls);
  EXPECT_EQ(443, groq.port);
  EXPECT_EQ("/openai/v1", groq.path);
  EXPECT_EQ("api.groq.com", groq.authority());
  EXPECT_EQ("https://api.groq.com", groq.origin());

  const Url six = parse_url("HTTP://[::1]:80/");
  EXPECT_EQ("::1", six.host);
  EXPECT_EQ("", six.path);
  EXPECT_EQ("http://[::1]", six.origin());
}

TEST(Url, WhatIsNone) {
  for (const char* text :
       {"", "127.0.0.1:8080", "localhost:8080", "ftp://host", "http://", "http:///v1", "http://a b",
        "http://host:0", "http://host:99999", "http://host:x", "http://host:80x", "http://user:secret@host",
        "http://host/v1?key=x", "http://host/#x", "http://host\r\nx: y"}) {
    EXPECT_THROW(parse_url(text), Error) << text;
  }
}

}  // namespace
}  // namespace lockstep::http
