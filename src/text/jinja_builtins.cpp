#include "text/jinja_builtins.h"

#include <algorithm>

namespace lockstep::text::jinja {

Bound::Bound(Arguments& arguments, std::string_view what, std::initializer_list<std::string_view> names,
             size_t required)
    : what_(what), values_(names.size()) {
  if (arguments.positional.size() > names.size()) {
    fail("{} takes at most {} arguments, not {}", what_, names.size(), arguments.positional.size());
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = arguments.positional[i];
  for (const auto& [name, value] : arguments.keywords) {
    const auto* found = std::find(names.begin(), names.end(), name);
    if (found == names.end() || name.empty()) fail("{} has no argument named '{}'", what_, name);
    auto index = static_cast<size_t>(found - names.begin());
    if (values_[index]) fail("{} is given its argument '{}' twice", what_, name);
    values_[index] = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!values_[i]) fail("{} needs at least {} arguments", what_, required);
  }
}

const std::string& Bound::text(size_t index) const {
  const Value& value = *values_[index];
  if (!value.is_string()) fail("{} needs a string, not a value of type {}", what_, value.type_name());
  return value.as_string();
}

int64_t Bound::integer(size_t index) const {
  const Value& value = *values_[index];
  if (!value.is_integral()) fail("{} needs an integer, not a value of type {}", what_, value.type_name());
  constexpr WideInteger bound = WideInteger{1} << 60;
  return static_cast<int64_t>(std::clamp(value.as_integer(), -bound, bound));
}

Generator::Generator(std::vector<Value> items) : items_(std::move(items)) {
  for (const Value& item : items_) depth_ = std::max(depth_, item.depth() + 1);
}

Value make_generator(std::vector<Value> items) {
  auto generator = std::make_shared<Generator>(std::move(items));
  if (generator->depth() > kMaximumNesting)
    fail("values are nested more than {} levels deep", kMaximumNesting);
  return Value::object(std::move(generator));
}

std::vector<Value> Generator::take_items(CallContext& context) {
  context.budget.spend(items_.size() - next_);
  std::vector<Value> rest(items_.begin() + static_cast<std::ptrdiff_t>(next_), items_.end());
  next_ = items_.size();
  return rest;
}

std::optional<Value> Generator::take_one() {
  if (next_ == items_.size()) return std::nullopt;
  return items_[next_++];
}

std::string Namespace::print(Budget& budget, int depth) const {
  std::string text = "<Namespace {";
  for (const auto& [key, value] : entries_.entries()) {
    if (text.back() != '{') text += ", ";
    text += to_repr(key, budget, depth + 1) + ": " + to_repr(value, budget, depth + 1);
    budget.spend_string(text.size());
  }
  return text + "}>";
}

std::optional<Value> Namespace::attribute(CallContext&, const std::string& name) {
  const Value* found = entries_.find(name);
  return found ? std::optional<Value>(*found) : std::nullopt;
}

void Namespace::set(const std::string& name, Value value) {
  entries_.set(Value::string(name), std::move(value));
}

namespace {

const FilterFunction* find_filter(std::string_view name) {
  for (const auto* table : {&text_filters(), &sequence_filters()}) {
    auto found = table->find(name);
    if (found != table->end()) return &found->second;
  }
  return nullptr;
}

}  // namespace

bool has_filter(std::string_view name) {
  return find_filter(name) != nullptr;
}

Value apply_filter(CallContext& context, const std::string& name, const Value& operand,
                   Arguments& arguments) {
  const FilterFunction* function = find_filter(name);
  if (!function) fail("there is no filter named '{}'", name);
  context.budget.spend(1);
  return (*function)(context, operand, arguments);
}

}  // namespace lockstep::text::jinja
