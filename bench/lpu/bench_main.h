// How these benchmarks start: words in, lines of JSON out, one sentence and exit code 2 for bad input.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>

#include "base/error.h"

namespace lockstep::bench {

using Json = nlohmann::ordered_json;

inline void print_line(const Json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

// `run` takes the words after the program's name, from `fewest` to `most` of them.
template <class Run>
int bench_main(int count, char** words, const char* usage, int fewest, int most, Run run) {
  if (count - 1 < fewest || count - 1 > most) {
    std::fprintf(stderr, "%s\n", usage);
    return 2;
  }
  try {
    run(std::span(words + 1, words + count));
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}

}  // namespace lockstep::bench
