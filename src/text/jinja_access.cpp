// Attributes, items and slices of values.
#include <algorithm>

#include "text/jinja_builtins.h"
#include "text/jinja_operators.h"
#include "text/jinja_unicode.h"

namespace lockstep::text::jinja {
namespace {

std::string object_name(const Value& value) {
  return value.is_none() ? "None" : fmt::format("{} object", value.type_name());
}

Value no_attribute(const Value& object, const std::string& name) {
  return Value::undefined(fmt::format("'{}' has no attribute '{}'", object_name(object), name));
}

// A method or attribute that is not an entry of a dict.
std::optional<Value> own_attribute(CallContext& context, const Value& object, const std::string& name) {
  if (object.kind() == Kind::Object) return object.as_object()->attribute(context, name);
  if (object.is_sequence(SequenceKind::Group) && (name == "grouper" || name == "list")) {
    return object.as_sequence().items[name == "grouper" ? 0 : 1];
  }
  return find_method(object, name);
}

// Python's slice indices for a sequence of `size` items: where it starts, how many items, the step.
struct SliceExtent {
  int64_t start = 0;
  int64_t count = 0;
  int64_t step = 1;
};

// Whatever lies beyond 2^60 means the same as 2^60 to a sequence that fits in memory.
int64_t slice_part(const Value& value, int64_t otherwise) {
  if (value.is_none()) return otherwise;
  if (!value.is_integral()) fail("the parts of a slice must be integers, not {}", value.type_name());
  constexpr WideInteger bound = WideInteger{1} << 60;
  return static_cast<int64_t>(std::clamp(value.as_integer(), -bound, bound));
}

SliceExtent resolve_slice(int64_t size, const Value& start, const Value& stop, const Value& step) {
  SliceExtent extent;
  extent.step = slice_part(step, 1);
  if (extent.step == 0) fail("the step of a slice cannot be zero");
  bool forward = extent.step > 0;
  int64_t lowest = forward ? 0 : -1;
  int64_t highest = forward ? size : size - 1;
  auto resolve = [&](const Value& part, int64_t otherwise) {
    if (part.is_none()) return otherwise;
    int64_t index = slice_part(part, 0);
    return std::clamp(index < 0 ? index + size : index, lowest, highest);
  };
  extent.start = resolve(start, forward ? lowest : highest);
  int64_t end = resolve(stop, forward ? highest : lowest);
  int64_t distance = forward ? end - extent.start : extent.start - end;
  int64_t stride = forward ? extent.step : -extent.step;
  extent.count = distance > 0 ? (distance - 1) / stride + 1 : 0;
  return extent;
}

template <class Items>
Items pick(const Items& items, const SliceExtent& extent) {
  Items result;
  result.reserve(static_cast<size_t>(extent.count));
  for (int64_t i = 0; i < extent.count; ++i) {
    result.push_back(items[static_cast<size_t>(extent.start + i * extent.step)]);
  }
  return result;
}

// How a part of a range prints: from its items, since a range knows no more than they tell.
std::string range_text(const std::vector<Value>& items) {
  if (items.empty()) return "range(0, 0)";
  WideInteger first = items.front().as_integer();
  WideInteger step = items.size() > 1 ? items[1].as_integer() - first : 1;
  WideInteger end = items.back().as_integer() + step;
  if (step == 1) return fmt::format("range({}, {})", first, end);
  return fmt::format("range({}, {}, {})", first, end, step);
}

}  // namespace

Value get_attribute(CallContext& context, const Value& object, const std::string& name) {
  if (object.is_undefined()) fail("{}", object.undefined_message());
  if (std::optional<Value> found = own_attribute(context, object, name)) return *found;
  if (object.kind() == Kind::Dict) {
    if (const Value* entry = object.as_dict().find(name)) return *entry;
  }
  return no_attribute(object, name);
}

Value get_item(CallContext& context, const Value& object, const Value& key) {
  if (object.is_undefined()) fail("{}", object.undefined_message());
  bool has_order = object.is_string() || object.is_sequence(SequenceKind::List) ||
                   object.is_sequence(SequenceKind::Tuple) || object.is_sequence(SequenceKind::Group) ||
                   object.is_sequence(SequenceKind::Range);
  if (has_order && key.is_integral()) {
    std::u32string points;
    if (object.is_string()) {
      context.budget.spend(1 + object.as_string().size() / 32);
      points = decode(object.as_string());
    }
    WideInteger size =
        static_cast<WideInteger>(object.is_string() ? points.size() : object.as_sequence().items.size());
    WideInteger index = key.as_integer();
    if (index < 0) index += size;
    if (index >= 0 && index < size) {
      auto place = static_cast<size_t>(index);
      return object.is_string() ? Value::string(encode(points[place])) : object.as_sequence().items[place];
    }
  } else if (object.kind() == Kind::Dict && key.depth() == 0) {
    if (const Value* entry = object.as_dict().find(key)) return *entry;
  } else if (object.kind() == Kind::Dict && key.is_sequence(SequenceKind::Tuple)) {
    if (const Value* entry = object.as_dict().find(key)) return *entry;
  }
  if (key.is_string()) {
    if (std::optional<Value> found = own_attribute(context, object, key.as_string())) return *found;
    return no_attribute(object, key.as_string());
  }
  return Value::undefined(
      fmt::format("{} has no element {}", object_name(object), to_repr(key, context.budget)));
}

Value get_slice(CallContext& context, const Value& object, const Value& start, const Value& stop,
                const Value& step) {
  if (object.is_undefined()) fail("{}", object.undefined_message());
  if (object.is_string()) {
    context.budget.spend(1 + object.as_string().size() / 32);
    std::u32string points = decode(object.as_string());
    SliceExtent extent = resolve_slice(static_cast<int64_t>(points.size()), start, stop, step);
    return make_string(context, encode(pick(points, extent)));
  }
  if (object.kind() != Kind::Sequence) fail("a value of type {} cannot be sliced", object.type_name());
  const Sequence& sequence = object.as_sequence();
  if (sequence.kind == SequenceKind::DictItems || sequence.kind == SequenceKind::DictKeys ||
      sequence.kind == SequenceKind::DictValues) {
    fail("a value of type {} cannot be sliced; make a list of it first", object.type_name());
  }
  SliceExtent extent = resolve_slice(static_cast<int64_t>(sequence.items.size()), start, stop, step);
  context.budget.spend(static_cast<uint64_t>(extent.count));
  SequenceKind kind = sequence.kind == SequenceKind::Group ? SequenceKind::Tuple : sequence.kind;
  std::vector<Value> items = pick(sequence.items, extent);
  std::string text = kind == SequenceKind::Range ? range_text(items) : "";
  return Value::sequence(kind, std::move(items), std::move(text));
}

}  // namespace lockstep::text::jinja
