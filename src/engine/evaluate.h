// The likelihood of a text under a model.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "numerics/digest.h"
#include "targets/target.h"

namespace lockstep::engine {

struct Evaluation {
  uint32_t tokens = 0;
  double nll = 0;         // mean negative log-likelihood of tokens 2..n given those before, nats a token
  double perplexity = 0;  // exp(nll)
  std::string digest;     // of all tokens and all positions' logits
};

// Runs the tokens from position 0 in chunks (0: of a size that suits), with the logits of every position.
// `row` is given each position's logits in order. Throws a user's error for an empty list or one longer than
// the context.
Evaluation evaluate(targets::Target& target, std::span<const int32_t> tokens, uint32_t chunk,
                    const std::function<void(uint32_t position, std::span<const float> logits)>& row);

// The same sums and digest from logits that somebody else computes, position by position.
class Evaluator {
 public:
  explicit Evaluator(std::span<const int32_t> tokens) : tokens_(tokens) {}
  // REQUIRES: called for position 0, 1, ... in order.
  void add(uint32_t position, std::span<const float> logits);
  Evaluation result() const;

 private:
  std::span<const int32_t> tokens_;
  double total_ = 0;
  uint32_t counted_ = 0;
  std::vector<float> log_probabilities_;
  numerics::Digest digest_;
};

}  // namespace lockstep::engine
