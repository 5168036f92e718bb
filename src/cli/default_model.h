// The model that is used when none is named: SmolLM2-135M-Instruct, fetched once into the user's cache.
#pragma once

#include <filesystem>
#include <string>

namespace lockstep::cli {

inline constexpr const char* kDefaultModelName = "SmolLM2-135M-Instruct.Q4_1.gguf";

// Where the default model is or would be; empty without a cache folder.
std::filesystem::path default_model_place();

// The default model's path. Runs scripts/fetch-default-model of the Lockstep folder ($LOCKSTEP_HOME) when the
// model is not there. Throws a user's error when there is no such script, a machine's when it fails.
std::string default_model_path();

}  // namespace lockstep::cli
