// Stop strings in a stream of text: holds back what could still become one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep::engine {

class StopFilter {
 public:
  // Empty strings among `stops` are ignored.
  explicit StopFilter(std::vector<std::string> stops);

  // Adds text and returns what is safe to show. After a stop string has appeared, `stopped` is true, and the
  // text before it is the last that is returned.
  std::string push(std::string_view text);
  // What was held back, when the text ends without a stop string.
  std::string flush();

  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace lockstep::engine
