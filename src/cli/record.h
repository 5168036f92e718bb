// The record of a request: everything that is needed to compute its answer again, and its digest.
#pragma once

#include <span>
#include <string>

#include "cli/answer.h"
#include "cli/options.h"

namespace lockstep::cli {

struct Record {
  std::string fingerprint;
  std::vector<int32_t> prompt;
  SamplingOptions sampling;
  std::vector<int32_t> tokens;
  std::string digest;
};

// Written whole or not at all, as JSON.
void write_record(const std::string& path, lockstep_model* model, std::span<const int32_t> prompt,
                  const SamplingOptions& sampling, const Answer& answer);

// Throws a user's error that names what is missing or of another type.
Record read_record(const std::string& path);

}  // namespace lockstep::cli
