// Lines of a batch's input and of its output.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "server/batches/batch.h"
#include "server/batches/batch_store.h"

namespace lockstep::server {

// What lines may ask for.
struct BatchRules {
  std::vector<std::string> endpoints = {};  // "/v1/chat/completions"; empty: not looked at
  std::function<void(const std::string& model)> require_model = {};  // throws an ApiError; empty: any
  size_t line_bytes_max = size_t{4} << 20;
};

// {"custom_id","method":"POST","url","body"}
struct BatchLine {
  std::string custom_id, url;
  std::string body;  // JSON, as it stands in the line: a schema's properties have an order
};

// Throws an ApiError, with a code, for what is wrong with it by itself; the body's fields but `model` and
// `stream` are looked at when it is sent.
BatchLine parse_batch_line(std::string_view text, const BatchRules& rules);

// Checks an input's lines one after another.
class BatchValidator {
 public:
  explicit BatchValidator(BatchRules rules) : rules_(std::move(rules)) {}

  // `number` is the line's in the file. Nothing after so many errors as are told.
  void check(std::string_view text, int64_t number);
  // The input as a whole.
  void check_count(size_t lines);

  bool full() const { return errors_.size() >= kBatchErrorsMax; }
  const std::vector<BatchError>& errors() const { return errors_; }

 private:
  const BatchRules rules_;
  std::unordered_set<std::string> custom_ids_;
  std::vector<BatchError> errors_;
};

// The request of a line, always the same, so that what is recorded of it is recorded once.
std::string batch_request_id(const std::string& batch_id, int64_t line);

// The result of a line that was answered; `body` is the reply's.
BatchResult answered_line(int64_t line, const std::string& custom_id, const std::string& request_id,
                          unsigned status, std::string_view body);
// The text in the error file of a line that had no time.
std::string expired_line(const std::string& custom_id);

}  // namespace lockstep::server
