#include "engine/evaluate.h"

#include <algorithm>
#include <cmath>

#include "numerics/sampling.h"
#include "targets/sole_sequence.h"

namespace lockstep::engine {

// Of a step, where no number is asked for; each gives a row of logits.
constexpr uint32_t kEvaluateRows = 64;

void Evaluator::add(uint32_t position, std::span<const float> logits) {
  digest_.token(tokens_[position]);
  digest_.logits(logits);
  if (position + 1 >= tokens_.size()) return;
  log_probabilities_.resize(logits.size());
  numerics::log_probabilities(logits, log_probabilities_);
  total_ -= log_probabilities_[static_cast<size_t>(tokens_[position + 1])];
  ++counted_;
}

Evaluation Evaluator::result() const {
  Evaluation result;
  result.tokens = static_cast<uint32_t>(tokens_.size());
  result.nll = counted_ == 0 ? 0 : total_ / counted_;
  result.perplexity = std::exp(result.nll);
  result.digest = digest_.text();
  return result;
}

Evaluation evaluate(targets::Target& target, std::span<const int32_t> tokens, uint32_t chunk,
                    const std::function<void(uint32_t, std::span<const float>)>& row) {
  if (tokens.empty()) user_error("there are no tokens to evaluate");
  if (tokens.size() > target.context()) {
    user_error("the text has {} tokens and the context holds {}: shorten it or raise --context",
               tokens.size(), target.context());
  }
  Evaluator evaluator(tokens);
  targets::SoleSequence sequence(target);
  chunk = std::min(chunk == 0 ? kEvaluateRows : chunk, target.rows_max());
  std::vector<int32_t> wanted(chunk);
  for (uint32_t i = 0; i < chunk; ++i) wanted[i] = static_cast<int32_t>(i);
  for (uint32_t position = 0; position < tokens.size(); position += chunk) {
    const uint32_t count = std::min(chunk, static_cast<uint32_t>(tokens.size()) - position);
    sequence.step(tokens.subspan(position, count), position, std::span(wanted).first(count));
    for (uint32_t i = 0; i < count; ++i) {
      evaluator.add(position + i, target.logits(i));
      if (row) row(position + i, target.logits(i));
    }
  }
  return evaluator.result();
}

}  // namespace lockstep::engine
