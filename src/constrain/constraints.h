// The constraints of a model's answers.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "constrain/answer_grammar.h"
#include "constrain/call_format.h"
#include "constrain/mask_worker.h"
#include "engine/token_constraint.h"
#include "text/tokenizer.h"

namespace lockstep::constrain {

// Keeps what was made for the last kinds of answers. THREAD: any. What it made may outlive it.
class Constraints {
 public:
  // The tokenizer must outlive all constraints.
  Constraints(const text::Tokenizer& tokenizer, const CallFormat& format);

  const CallFormat& format() const { return format_; }

  // Lets an answer be what the rules say, and makes it end there. Throws a SchemaError.
  engine::ConstraintMaker maker(const AnswerRules& rules);

 private:
  std::shared_ptr<SharedMasks> shared_masks(const AnswerRules& rules);

  const text::Tokenizer& tokenizer_;
  const CallFormat& format_;
  const std::shared_ptr<const TokenTable> tokens_;
  const std::shared_ptr<MaskWorker> worker_;
  std::mutex mutex_;
  // By what the rules say; the last used first.
  std::list<std::pair<std::string, std::shared_ptr<SharedMasks>>> kept_;
};

}  // namespace lockstep::constrain
