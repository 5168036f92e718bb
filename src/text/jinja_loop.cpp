#include "text/jinja_loop.h"

namespace lockstep::text::jinja {
namespace {

class LoopMethod : public Object {
 public:
  LoopMethod(std::shared_ptr<Object> keeper, LoopState& loop, bool cycles)
      : keeper_(std::move(keeper)), loop_(loop), cycles_(cycles) {}
  std::string type_name() const override { return "method"; }
  bool callable() const override { return true; }
  Value call(CallContext& context, Arguments& arguments) override {
    return cycles_ ? loop_.cycle(arguments) : loop_.changed(context, arguments);
  }

 private:
  std::shared_ptr<Object> keeper_;  // keeps the loop alive
  LoopState& loop_;
  bool cycles_;
};

}  // namespace

std::optional<Value> LoopState::pull() {
  if (queue_position_ < queue_.size()) return queue_[queue_position_++];
  while (position_ < items_.size()) {
    const Value& item = items_[position_++];
    if (!condition_ || condition_(item)) return item;
  }
  return std::nullopt;
}

const std::optional<Value>& LoopState::peek() {
  if (!peeked_) {
    next_ = pull();
    peeked_ = true;
  }
  return next_;
}

bool LoopState::advance() {
  std::optional<Value> next = peek();
  peeked_ = false;
  next_.reset();
  if (!next) return false;
  previous_ = std::move(current_);
  current_ = std::move(*next);
  ++index_;
  return true;
}

int64_t LoopState::count() {
  if (count_) return *count_;
  if (!condition_) {
    count_ = static_cast<int64_t>(items_.size());
  } else {
    bool waiting = peeked_ && next_.has_value();
    std::vector<Value> rest;
    while (std::optional<Value> item = pull()) rest.push_back(std::move(*item));
    queue_ = std::move(rest);
    queue_position_ = 0;
    count_ = static_cast<int64_t>(queue_.size()) + index_ + 1 + (waiting ? 1 : 0);
  }
  return *count_;
}

std::string LoopState::print(Budget&, int) const {
  return fmt::format("<LoopContext {}/{}>", index_ + 1, count_.value_or(static_cast<int64_t>(items_.size())));
}

std::optional<Value> LoopState::attribute(CallContext&, const std::string& name) {
  if (name == "index") return Value::integer(index_ + 1);
  if (name == "index0") return Value::integer(index_);
  if (name == "first") return Value::boolean(index_ == 0);
  if (name == "last") return Value::boolean(!peek().has_value());
  if (name == "length") return Value::integer(count());
  if (name == "revindex") return Value::integer(count() - index_);
  if (name == "revindex0") return Value::integer(count() - index_ - 1);
  if (name == "depth") return Value::integer(1);
  if (name == "depth0") return Value::integer(0);
  if (name == "previtem") return index_ == 0 ? Value::undefined("there is no previous item") : previous_;
  if (name == "nextitem") return peek().value_or(Value::undefined("there is no next item"));
  if (name != "cycle" && name != "changed") return std::nullopt;
  return Value::object(std::make_shared<LoopMethod>(shared_from_this(), *this, name == "cycle"));
}

Value LoopState::cycle(Arguments& arguments) const {
  if (arguments.positional.empty() || !arguments.keywords.empty())
    fail("loop.cycle() needs values, by place");
  auto size = static_cast<int64_t>(arguments.positional.size());
  return arguments.positional[static_cast<size_t>(std::max<int64_t>(index_, 0) % size)];
}

Value LoopState::changed(CallContext& context, Arguments& arguments) {
  if (!arguments.keywords.empty()) fail("loop.changed() takes values by place only");
  Value values = Value::tuple(arguments.positional);
  if (last_changed_ && equals(context, *last_changed_, values)) return Value::boolean(false);
  last_changed_ = std::move(values);
  return Value::boolean(true);
}

void LoopState::clear() {
  count_ = count_.value_or(static_cast<int64_t>(items_.size()));
  items_.clear();
  queue_.clear();
  position_ = queue_position_ = 0;
  condition_ = nullptr;
  current_ = previous_ = Value();
  next_.reset();
  last_changed_.reset();
}

}  // namespace lockstep::text::jinja
