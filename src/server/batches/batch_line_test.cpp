#include "server/batches/batch_line.h"

#include <gtest/gtest.h>

#include <fstream>

#include "accounts/calendar.h"
#include "server/api_error.h"
#include "server/batches/batch_input.h"
#include "server/batches/batch_request.h"
#include "store/test_processes.h"

namespace lockstep::server {
namespace {

using accounts::kDay_ms;
using accounts::kHour_ms;

// ------------------------------------------------------------------------------------- input

BatchInput input_of(const std::string& content) {
  static const store::TemporaryFolder folder;
  std::ofstream(folder / "input", std::ios::binary) << content;
  return BatchInput(folder / "input");
}

TEST(BatchInput, LinesAndTheirNumbers) {
  BatchInput input = input_of("a\r\n\n  \t\nbc d\n\n\ne");
  ASSERT_EQ(input.size(), 3u);
  EXPECT_EQ(input.text(2), "e");
  EXPECT_EQ(input.text(0), "a\r");  // white space, to JSON
  EXPECT_EQ(input.text(1), "bc d");
  EXPECT_EQ(input.number(0), 1);
  EXPECT_EQ(input.number(1), 4);
  EXPECT_EQ(input.number(2), 7);
  EXPECT_EQ(input.index_of(4), 1u);
  EXPECT_EQ(input.index_of(5), 3u);
  EXPECT_EQ(input.index_of(99), 3u);
}

TEST(BatchInput, Empty) {
  EXPECT_EQ(input_of("").size(), 0u);
  EXPECT_EQ(input_of("\n\n \r\n").size(), 0u);
}

TEST(BatchInput, AcrossBlocks) {
  const std::string first((1 << 20) - 2, 'x'), second(5, 'y'), third(3 << 20, 'z');
  BatchInput input = input_of(first + "\n" + second + "\n" + third + "\n");
  ASSERT_EQ(input.size(), 3u);
  EXPECT_EQ(input.text(0), first);
  EXPECT_EQ(input.text(1), second);
  EXPECT_EQ(input.text(2), third);
  EXPECT_EQ(input.bytes(2), third.size());
}

TEST(BatchInput, EndsBeyondTheMost) {
  std::string content;
  for (size_t i = 0; i < kBatchLinesMax; ++i) content += "x\n";
  EXPECT_EQ(input_of(content).size(), kBatchLinesMax);
  EXPECT_EQ(input_of(content + "x").size(), kBatchLinesMax + 1);
  EXPECT_EQ(input_of(content + "x\nx\nx").size(), kBatchLinesMax + 1);
}

// ------------------------------------------------------------------------------------- lines

BatchRules rules() {
  return {.endpoints = {"/v1/chat/completions", "/v1/embeddings"},
          .require_model =
              [](const std::string& model) {
                if (model != "known") throw ApiError(404, "model_not_found", "model", "no such model");
              },
          .line_bytes_max = 300};
}

std::string line(const std::string& custom_id, const std::string& more = "") {
  return R"({"custom_id":")" + custom_id +
         R"(","method":"POST","url":"/v1/chat/completions","body":{"model":"known")" + more + "}}";
}

TEST(BatchLine, Parsed) {
  const BatchLine parsed = parse_batch_line(line("one", R"(,"x":[1.5,null])"), rules());
  EXPECT_EQ(parsed.custom_id, "one");
  EXPECT_EQ(parsed.url, "/v1/chat/completions");
  EXPECT_EQ(parsed.body, R"({"model":"known","x":[1.5,null]})");
}

TEST(BatchLine, TheBodyIsAsItWasWritten) {
  const auto body_of = [](const std::string& text) { return parse_batch_line(text, {}).body; };
  const std::string start = R"({ "custom_id":"a","method":"POST","url":"/x" , "body" : )";
  for (const std::string body :
       {R"({"model":"m","z":{"y":1.50,"b":{}},"a":[{"d":1e2,"c":2},{"body":{}}]})",
        "{ \"model\" :\t\"m\\u00e9}\\\"{\", \"schema\":{\"reasoning\":{},\"answer\":{}} }"}) {
    EXPECT_EQ(body_of(start + body + "}"), body);
    EXPECT_EQ(body_of(start + body + " } "), body);
    EXPECT_EQ(body_of(start + R"({"model":"first"},"body":)" + body + "}"), body);  // the last one counts
  }
}

TEST(BatchLine, WhatIsWrongIsSaid) {
  struct Case {
    std::string text, code, param;
  };
  const std::string url = R"("url":"/v1/chat/completions")", post = R"("method":"POST")",
                    id = R"("custom_id":"a")", body = R"("body":{"model":"known"})";
  const auto object = [](std::initializer_list<std::string> fields) {
    return fmt::format("{{{}}}", fmt::join(fields, ","));
  };
  const std::vector<Case> cases = {
      {"{", "invalid_json_line", ""},
      {"[1]", "invalid_json_line", ""},
      {"\"\xff\"", "invalid_json_line", ""},
      {std::string(301, ' '), "line_too_long", ""},
      {object({post, url, body}), "invalid_custom_id", "custom_id"},
      {object({post, url, body, R"("custom_id":"")"}), "invalid_custom_id", "custom_id"},
      {object({post, url, body, R"("custom_id":7)"}), "invalid_custom_id", "custom_id"},
      {object({id, url, body}), "invalid_method", "method"},
      {object({id, url, body, R"("method":"GET")"}), "invalid_method", "method"},
      {object({id, post, body}), "invalid_url", "url"},
      {object({id, post, body, R"("url":"/v1/files")"}), "invalid_url", "url"},
      {object({id, post, url}), "invalid_body", "body"},
      {object({id, post, url, R"("body":"x")"}), "invalid_body", "body"},
      {object({id, post, url, R"("body":{})"}), "invalid_body", "body.model"},
      {object({id, post, url, R"("body":{"model":"other"})"}), "model_not_found", "model"},
      {line("a", R"(,"stream":true)"), "invalid_body", "body.stream"},
      {object({id, post, url, body, R"("priority":1)"}), "invalid_request", "priority"},
  };
  for (const Case& one : cases) {
    try {
      parse_batch_line(one.text, rules());
      ADD_FAILURE() << one.text;
    } catch (const ApiError& error) {
      EXPECT_EQ(error.code(), one.code) << one.text;
      EXPECT_EQ(error.param(), one.param) << one.text;
    }
  }
  EXPECT_NO_THROW(parse_batch_line(line("a", R"(,"stream":false)"), rules()));
}

TEST(BatchValidator, ErrorsHaveTheirLines) {
  BatchValidator validator(rules());
  validator.check_count(3);
  validator.check(line("a"), 1);
  validator.check(line("b"), 3);
  validator.check(line("a"), 4);
  validator.check("nonsense", 9);
  ASSERT_EQ(validator.errors().size(), 2u);
  EXPECT_EQ(validator.errors()[0].code, "duplicate_custom_id");
  EXPECT_EQ(validator.errors()[0].line, 4);
  EXPECT_EQ(validator.errors()[1].code, "invalid_json_line");
  EXPECT_EQ(validator.errors()[1].line, 9);
  for (int i = 0; i < 1000; ++i) validator.check("nonsense", i);
  EXPECT_TRUE(validator.full());
  EXPECT_EQ(validator.errors().size(), kBatchErrorsMax);
}

TEST(BatchValidator, Counts) {
  const auto codes = [](size_t lines) {
    BatchValidator validator(rules());
    validator.check_count(lines);
    return validator.errors().empty() ? "" : validator.errors().front().code;
  };
  EXPECT_EQ(codes(0), "empty_file");
  EXPECT_EQ(codes(1), "");
  EXPECT_EQ(codes(kBatchLinesMax), "");
  EXPECT_EQ(codes(kBatchLinesMax + 1), "too_many_lines");
}

TEST(BatchLine, Results) {
  const std::string request_id = batch_request_id("batch_01abc", 17);
  EXPECT_EQ(request_id, "req_01abc_17");
  const BatchResult good = answered_line(17, "mine", request_id, 200, R"({"z":1,"a":2})");
  EXPECT_FALSE(good.failed);
  const ReplyJson json = ReplyJson::parse(good.text);
  EXPECT_TRUE(json["id"].get<std::string>().starts_with("batch_req_out_"));
  EXPECT_EQ(json["custom_id"], "mine");
  EXPECT_EQ(json["response"].dump(),
            R"({"status_code":200,"request_id":"req_01abc_17","body":{"z":1,"a":2}})");
  EXPECT_TRUE(json["error"].is_null());
  EXPECT_TRUE(answered_line(1, "x", "y", 400, "{}").failed);
  EXPECT_EQ(ReplyJson::parse(expired_line("mine"))["error"]["code"], "batch_expired");
}

// ------------------------------------------------------------------------------------ batches

Batch request(const std::string& window, const std::string& more = "") {
  return parse_batch_request(
      R"({"input_file_id":"file_1","endpoint":"/v1/embeddings","completion_window":")" + window + "\"" +
          more + "}",
      rules().endpoints, 5000);
}

TEST(BatchRequest, Windows) {
  EXPECT_EQ(request("24h").expires_at_ms, 5000 + kDay_ms);
  EXPECT_EQ(request("25h").expires_at_ms, 5000 + 25 * kHour_ms);
  EXPECT_EQ(request("1d").expires_at_ms, 5000 + kDay_ms);
  EXPECT_EQ(request("7d").expires_at_ms, 5000 + 7 * kDay_ms);
  EXPECT_EQ(request("168h").expires_at_ms, 5000 + 7 * kDay_ms);
  for (const char* bad :
       {"23h", "8d", "169h", "", "h", "24", "24m", "24hh", " 24h", "-1d", "99999999999999999999h"}) {
    EXPECT_THROW(request(bad), ApiError) << bad;
  }
}

TEST(BatchRequest, Metadata) {
  EXPECT_EQ(request("24h").metadata, std::nullopt);
  EXPECT_EQ(request("24h", R"(,"metadata":{"a":"b"})").metadata, R"({"a":"b"})");
  for (const char* bad : {R"("x")", R"({"a":1})", R"({"a":{"b":"c"}})"}) {
    EXPECT_THROW(request("24h", std::string(R"(,"metadata":)") + bad), ApiError) << bad;
  }
  EXPECT_THROW(request("24h", R"(,"output_expires_after":{"seconds":3600})"), ApiError);
}

TEST(Batch, JsonIsThatOfTheReference) {
  Batch batch = request("24h");
  batch.id = "batch_1";
  batch.errors = {{"c", "m", "p", 3}, {"c", "m"}};
  batch.enter(BatchStatus::Failed, 9999);
  batch.total = 4;
  EXPECT_EQ(
      batch_json(batch).dump(),
      R"({"id":"batch_1","object":"batch","endpoint":"/v1/embeddings",)"
      R"("errors":{"object":"list","data":[{"code":"c","message":"m","param":"p","line":3},)"
      R"({"code":"c","message":"m","param":null,"line":null}]},)"
      R"("input_file_id":"file_1","completion_window":"24h","status":"failed","output_file_id":null,)"
      R"("error_file_id":null,"finalizing_at":null,"failed_at":9,"expired_at":null,"cancelled_at":null,)"
      R"("request_counts":{"total":4,"completed":0,"failed":0},"metadata":null,"created_at":5,)"
      R"("expires_at":86405,"cancelling_at":null,"completed_at":null,"in_progress_at":null})");
}

TEST(Batch, StatusesAndNames) {
  for (const BatchStatus status : kBatchStatuses) {
    EXPECT_EQ(batch_status_named(batch_status_name(status)), status);
  }
  EXPECT_EQ(open_statuses_sql(), "('validating', 'in_progress', 'finalizing', 'cancelling')");
}

}  // namespace
}  // namespace lockstep::server
