// The global functions: Jinja2's and those that Hugging Face's chat templates find.
#include <algorithm>
#include <ctime>

#include "text/jinja_builtins.h"

namespace lockstep::text::jinja {
namespace {

class NativeFunction : public Object {
 public:
  NativeFunction(std::string name, GlobalFunction function) : name_(std::move(name)), function_(function) {}
  std::string type_name() const override { return "function"; }
  std::string print(Budget&, int) const override { return fmt::format("<function {}>", name_); }
  bool callable() const override { return true; }
  Value call(CallContext& context, Arguments& arguments) override { return function_(context, arguments); }

 private:
  std::string name_;
  GlobalFunction function_;
};

int depth_of(const std::vector<Value>& items) {
  int depth = 1;
  for (const Value& item : items) depth = std::max(depth, item.depth() + 1);
  if (depth > kMaximumNesting) fail("values are nested more than {} levels deep", kMaximumNesting);
  return depth;
}

// cycler(a, b, ...): next() gives them in turn, for ever.
class Cycler : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)), depth_(depth_of(items_)) {}
  std::string type_name() const override { return "Cycler"; }
  int depth() const override { return depth_; }
  std::optional<Value> attribute(CallContext& context, const std::string& name) override;
  Value next() {
    Value item = items_[position_];
    position_ = (position_ + 1) % items_.size();
    return item;
  }
  void reset() { position_ = 0; }

 private:
  std::vector<Value> items_;
  size_t position_ = 0;
  int depth_;
};

class CyclerMethod : public Object {
 public:
  CyclerMethod(Cycler& cycler, Value keeper, bool resets)
      : cycler_(cycler), keeper_(std::move(keeper)), resets_(resets) {}
  std::string type_name() const override { return "method"; }
  bool callable() const override { return true; }
  int depth() const override { return keeper_.depth() + 1; }
  Value call(CallContext&, Arguments& arguments) override {
    Bound bound(arguments, "a method of a cycler", {}, 0);
    if (!resets_) return cycler_.next();
    cycler_.reset();
    return Value();
  }

 private:
  Cycler& cycler_;
  Value keeper_;  // keeps the cycler alive
  bool resets_;
};

// joiner(separator): nothing at the first call, the separator from then on.
class Joiner : public Object {
 public:
  explicit Joiner(std::string separator) : separator_(std::move(separator)) {}
  std::string type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Value call(CallContext& context, Arguments& arguments) override {
    Bound bound(arguments, "a joiner", {}, 0);
    bool first = !used_;
    used_ = true;
    return make_string(context, first ? "" : separator_);
  }

 private:
  std::string separator_;
  bool used_ = false;
};

std::optional<Value> Cycler::attribute(CallContext&, const std::string& name) {
  if (name == "current") return items_[position_];
  if (name != "next" && name != "reset") return std::nullopt;
  return Value::object(
      std::make_shared<CyclerMethod>(*this, Value::object(shared_from_this()), name == "reset"));
}

Value make_range(CallContext& context, Arguments& arguments) {
  Bound bound(arguments, "range()", {"", "", ""}, 1);
  bool from_zero = !bound.given(1);
  WideInteger start = from_zero ? 0 : bound.integer(0);
  WideInteger stop = bound.integer(from_zero ? 0 : 1);
  WideInteger step = bound.integer_or(2, 1);
  if (step == 0) fail("the step of range() cannot be zero");
  WideInteger distance = step > 0 ? stop - start : start - stop;
  WideInteger stride = step > 0 ? step : -step;
  WideInteger count = distance > 0 ? (distance - 1) / stride + 1 : 0;
  if (count > kMaximumRangeItems) fail("range() gives at most {} numbers", kMaximumRangeItems);
  context.budget.spend(static_cast<uint64_t>(count));
  std::vector<Value> items;
  items.reserve(static_cast<size_t>(count));
  for (WideInteger i = 0; i < count; ++i) items.push_back(Value::integer(start + i * step));
  std::string text = step == 1 ? fmt::format("range({}, {})", start, stop)
                               : fmt::format("range({}, {}, {})", start, stop, step);
  return Value::sequence(SequenceKind::Range, std::move(items), std::move(text));
}

// The entries that dict() and namespace() are made from: a dict or a list of pairs, then keyword arguments.
Dict entries_of(CallContext& context, Arguments& arguments, const char* what) {
  if (arguments.positional.size() > 1) fail("{} takes at most one value by place", what);
  Dict entries;
  for (const Value& source : arguments.positional) {
    if (source.kind() == Kind::Dict) {
      context.budget.spend(source.as_dict().entries().size());
      for (const auto& [key, value] : source.as_dict().entries()) entries.set(key, value);
      continue;
    }
    for (const Value& pair : iterate(context, source)) {
      std::vector<Value> parts = iterate(context, pair);
      if (parts.size() != 2) fail("{} needs pairs of a key and a value", what);
      entries.set(parts[0], parts[1]);
    }
  }
  for (const auto& [name, value] : arguments.keywords) entries.set(Value::string(name), value);
  return entries;
}

Value make_dict(CallContext& context, Arguments& arguments) {
  return Value::dict(entries_of(context, arguments, "dict()"));
}

Value make_namespace(CallContext& context, Arguments& arguments) {
  auto space = std::make_shared<Namespace>();
  Dict entries = entries_of(context, arguments, "namespace()");
  for (const auto& [key, value] : entries.entries()) {
    if (!key.is_string()) fail("namespace() needs names for its values");
    space->set(key.as_string(), value);
  }
  context.retained.push_back(space);
  return Value::object(std::move(space));
}

Value make_cycler(CallContext&, Arguments& arguments) {
  if (arguments.positional.empty() || !arguments.keywords.empty())
    fail("cycler() needs at least one value, by place");
  return Value::object(std::make_shared<Cycler>(arguments.positional));
}

Value make_joiner(CallContext&, Arguments& arguments) {
  Bound bound(arguments, "joiner()", {"sep"}, 0);
  return Value::object(std::make_shared<Joiner>(bound.given(0) ? bound.text(0) : ", "));
}

Value raise_exception(CallContext& context, Arguments& arguments) {
  Bound bound(arguments, "raise_exception()", {"message"}, 1);
  fail("the template refuses this conversation: {}", to_text(bound[0], context.budget));
}

Value strftime_now(CallContext& context, Arguments& arguments) {
  Bound bound(arguments, "strftime_now()", {"format"}, 1);
  const std::string& format = bound.text(0);
  if (format.empty()) return Value::string("");
  if (format.size() > 256) fail("strftime_now() takes a format of at most 256 bytes");
  std::tm now = {};
  if (context.now) {
    now = *context.now;
  } else {
    std::time_t seconds = std::time(nullptr);
    localtime_r(&seconds, &now);
  }
  char buffer[8192];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  size_t size = std::strftime(buffer, sizeof(buffer), format.c_str(), &now);
#pragma GCC diagnostic pop
  return make_string(context, std::string(buffer, size));
}

}  // namespace

std::optional<Value> find_global(const std::string& name) {
  static const FunctionTable<GlobalFunction> table = {
      {"range", make_range},          {"dict", make_dict},     {"namespace", make_namespace},
      {"cycler", make_cycler},        {"joiner", make_joiner}, {"raise_exception", raise_exception},
      {"strftime_now", strftime_now},
  };
  auto found = table.find(name);
  if (found == table.end()) return std::nullopt;
  return Value::object(std::make_shared<NativeFunction>(name, found->second));
}

}  // namespace lockstep::text::jinja
