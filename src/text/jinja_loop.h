// The `loop` variable of a for loop and the items behind it.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "text/jinja_builtins.h"

namespace lockstep::text::jinja {

// Items are tested by the loop's `if` only when they are asked for, so that the loop's body can change what
// the test sees, as in Jinja2.
class LoopState : public Object {
 public:
  LoopState(std::vector<Value> items, std::function<bool(const Value&)> condition)
      : items_(std::move(items)), condition_(std::move(condition)) {}

  // Moves to the next item; false at the end.
  bool advance();
  const Value& item() const { return current_; }

  std::string type_name() const override { return "LoopContext"; }
  std::string print(Budget& budget, int depth) const override;
  std::optional<Value> attribute(CallContext& context, const std::string& name) override;
  std::optional<size_t> length() override { return static_cast<size_t>(count()); }
  // Forgets the items: the loop is over, and its variable may live on.
  void clear() override;

  Value cycle(Arguments& arguments) const;
  Value changed(CallContext& context, Arguments& arguments);

 private:
  // The next item that passes the condition, taken from the items; nothing at the end.
  std::optional<Value> pull();
  const std::optional<Value>& peek();
  int64_t count();

  std::vector<Value> items_;
  size_t position_ = 0;
  std::function<bool(const Value&)> condition_;
  std::vector<Value> queue_;  // pulled already, to find the length
  size_t queue_position_ = 0;
  bool peeked_ = false;
  std::optional<Value> next_;
  Value current_;
  Value previous_;
  std::optional<int64_t> count_;
  int64_t index_ = -1;
  std::optional<Value> last_changed_;
};

}  // namespace lockstep::text::jinja
