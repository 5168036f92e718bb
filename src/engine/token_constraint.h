// Which tokens an answer may go on with.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

namespace lockstep::engine {

// The rules of one answer, and how far it has come in them. THREAD: one thread at a time.
class TokenConstraint {
 public:
  virtual ~TokenConstraint() = default;

  // Told before a step that may bring the answer's next tokens, those of `draft` perhaps among them: what
  // allowed() will be asked for can be worked out by another thread while the step runs.
  virtual void prepare(std::span<const int32_t> draft) = 0;

  // allowed() knows its answer; waits up to `patience` for that, and works out only what is quick.
  virtual bool ready(std::chrono::microseconds patience) = 0;

  // Bit id % 64 of word id / 64 says that token `id` may come next; ids beyond the words may not. No bit at
  // all: the answer can not go on. Waits where ready() was not true before. Valid until the next call.
  virtual std::span<const uint64_t> allowed() = 0;

  // The answer goes on with a token. REQUIRES: it is allowed and does not end the answer.
  virtual void accept(int32_t token) = 0;

  // Tokens that spell what must follow, perhaps none: a draft, for another spelling may be sampled. Valid
  // until the next call.
  virtual std::span<const int32_t> forced() = 0;

  // The answer is at a place where it may be any text, so that stop strings count.
  virtual bool is_free() const = 0;
};

// Makes the constraint of an answer at its beginning. THREAD: any.
using ConstraintMaker = std::function<std::unique_ptr<TokenConstraint>()>;

}  // namespace lockstep::engine
