#include "server/generation_fields.h"

#include <charconv>
#include <limits>

#include "base/identifiers.h"
#include "server/api_error.h"

namespace lockstep::server {

namespace {

std::vector<std::pair<int32_t, float>> read_logit_bias(JsonFields& fields) {
  const RequestJson* map = fields.find("logit_bias");
  if (map == nullptr) return {};
  if (!map->is_object()) bad_field("logit_bias", "value must be an object of token ids and numbers");
  if (map->size() > kBiasesMax) {
    bad_field("logit_bias", "{} tokens were given; up to {} are possible", map->size(), kBiasesMax);
  }
  std::vector<std::pair<int32_t, float>> list;
  for (const auto& [key, value] : map->items()) {
    int32_t token = 0;
    const auto parsed = std::from_chars(key.data(), key.data() + key.size(), token);
    if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size() || token < 0) {
      bad_field("logit_bias", "every name must be a token id, such as \"42\"");
    }
    const bool good = value.is_number() && value.get<double>() >= -100 && value.get<double>() <= 100;
    if (!good) bad_field("logit_bias", "the bias of token {} must be a number from -100 to 100", token);
    list.emplace_back(token, value.get<float>());
  }
  return list;
}

}  // namespace

std::vector<std::string> read_stop(JsonFields& fields) {
  const RequestJson* stop = fields.find("stop");
  if (stop == nullptr) return {};
  const std::string path = fields.path("stop");
  std::vector<std::string> list;
  auto add = [&](const RequestJson& item) {
    if (!item.is_string() || item.get_ref<const std::string&>().empty()) {
      bad_field(path, "value must be a string that is not empty, or an array of such strings");
    }
    list.push_back(item.get<std::string>());
    if (list.back().size() > kStopBytesMax) {
      bad_field(path, "a string has {} bytes; up to {} are possible", list.back().size(), kStopBytesMax);
    }
  };
  if (!stop->is_array()) {
    add(*stop);
  } else if (stop->size() > kStopsMax) {
    bad_field(path, "{} strings were given; up to {} are possible", stop->size(), kStopsMax);
  } else {
    for (const RequestJson& item : *stop) add(item);
  }
  return list;
}

std::optional<uint64_t> read_seed(JsonFields& fields) {
  const RequestJson* seed = fields.find("seed");
  if (seed == nullptr) return std::nullopt;
  if (!seed->is_number_integer()) bad_field(fields.path("seed"), "value must be an integer");
  return seed->is_number_unsigned() ? seed->get<uint64_t>() : static_cast<uint64_t>(seed->get<int64_t>());
}

void read_sampling_fields(JsonFields& fields, engine::Request& generation) {
  generation.stop = read_stop(fields);
  auto& sampling = generation.sampling;
  auto number = [&](const char* name, double least, double most, double otherwise) {
    return static_cast<float>(fields.number(name, least, most).value_or(otherwise));
  };
  sampling.temperature = number("temperature", 0, 2, 1);
  sampling.top_p = number("top_p", 0, 1, 1);
  sampling.frequency_penalty = number("frequency_penalty", -2, 2, 0);
  sampling.presence_penalty = number("presence_penalty", -2, 2, 0);
  sampling.seed = read_seed(fields).value_or(new_seed());
  sampling.logit_bias = read_logit_bias(fields);
  // What local servers have beside OpenAI's fields.
  sampling.top_k =
      static_cast<int32_t>(fields.integer("top_k", 0, std::numeric_limits<int32_t>::max()).value_or(0));
  sampling.min_p = number("min_p", 0, 1, 0);
  sampling.repetition_penalty = number("repetition_penalty", 0.01, 100, 1);
  generation.ignore_end = fields.boolean("ignore_eos").value_or(false);
}

std::optional<uint32_t> read_tokens_max(JsonFields& fields, uint32_t least) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  const std::optional<int64_t> older = fields.integer("max_tokens", least, kMost);
  const std::optional<int64_t> newer = fields.integer("max_completion_tokens", least, kMost);
  return newer ? newer : older;
}

void read_generation_fields(JsonFields& fields, engine::Request& generation) {
  generation.tokens_max = read_tokens_max(fields, 1).value_or(0);
  read_sampling_fields(fields, generation);
}

void read_asides(JsonFields& fields) {
  fields.text("safety_identifier");
  fields.text("prompt_cache_key");
  const std::string retention = fields.text("prompt_cache_retention").value_or("24h");
  if (retention != "24h" && retention != "in_memory" && retention != "in-memory") {
    bad_field("prompt_cache_retention", "value must be 'in_memory' or '24h'");
  }
}

void read_keep_alive(JsonFields& fields) {
  const RequestJson* time = fields.find("keep_alive");
  if (time != nullptr && !time->is_string() && !time->is_number()) {
    bad_field("keep_alive", "value must be a number of seconds or a duration such as \"5m\"");
  }
}

std::string read_service_tier(JsonFields& fields) {
  std::string name = fields.text("service_tier").value_or("");
  tier_named(name);
  return name;
}

StreamFields read_stream_fields(JsonFields& fields) {
  StreamFields wanted;
  wanted.stream = fields.boolean("stream").value_or(false);
  const RequestJson* options = fields.find("stream_options");
  if (options == nullptr) return wanted;
  if (!wanted.stream) bad_field("stream_options", "it needs 'stream' to be true");
  JsonFields inside(*options, "stream_options");
  wanted.usage_at_end = inside.boolean("include_usage").value_or(false);
  wanted.usage_always = inside.boolean("continuous_usage_stats").value_or(false);
  inside.finish();
  return wanted;
}

accounts::Tier tier_named(std::string_view name) {
  using accounts::Tier;
  if (name.empty() || name == "auto" || name == "default" || name == "on_demand") return Tier::OnDemand;
  if (name == "performance") return Tier::Performance;
  if (name == "flex") return Tier::Flex;
  bad_field("service_tier", "value must be 'auto', 'default', 'on_demand', 'flex' or 'performance'");
}

}  // namespace lockstep::server
