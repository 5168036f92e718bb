#include "cli/record.h"

#include "base/file.h"
#include "store/atomic_file.h"

namespace lockstep::cli {

void write_record(const std::string& path, lockstep_model* model, std::span<const int32_t> prompt,
                  const SamplingOptions& sampling, const Answer& answer) {
  lockstep_model_info info{};
  lockstep_describe(model, &info);
  nlohmann::ordered_json json;
  json["lockstep_record"] = 1;
  json["model"] = info.name;
  json["fingerprint"] = info.fingerprint;
  json["prompt"] = std::vector<int32_t>(prompt.begin(), prompt.end());
  json["sampling"] = {{"tokens", sampling.tokens_max},
                      {"temperature", sampling.temperature},
                      {"top_k", sampling.top_k},
                      {"top_p", sampling.top_p},
                      {"min_p", sampling.min_p},
                      {"repetition_penalty", sampling.repetition_penalty},
                      {"frequency_penalty", sampling.frequency_penalty},
                      {"presence_penalty", sampling.presence_penalty},
                      {"seed", sampling.seed},
                      {"ignore_eos", sampling.ignore_end},
                      {"stop", sampling.stop},
                      {"logit_bias", sampling.logit_bias}};
  json["tokens"] = answer.tokens;
  json["finish_reason"] = answer.finish_reason;
  json["digest"] = answer.digest;
  store::write_file(path, lockstep::as_bytes(json.dump(2) + "\n"));
}

Record read_record(const std::string& path) {
  const nlohmann::ordered_json json = nlohmann::ordered_json::parse(read_text_file(path), nullptr, false);
  if (!json.is_object() || !json.contains("lockstep_record")) {
    user_error("{}: no record; 'lockstep run --record FILE' writes one", path);
  }
  if (json["lockstep_record"] != 1)
    user_error("{}: a record of a version that this Lockstep does not read", path);
  Record record;
  try {
    record.fingerprint = json.at("fingerprint").get<std::string>();
    record.prompt = json.at("prompt").get<std::vector<int32_t>>();
    record.tokens = json.at("tokens").get<std::vector<int32_t>>();
    record.digest = json.at("digest").get<std::string>();
    const nlohmann::ordered_json& sampling = json.at("sampling");
    sampling.at("tokens").get_to(record.sampling.tokens_max);
    sampling.at("temperature").get_to(record.sampling.temperature);
    sampling.at("top_k").get_to(record.sampling.top_k);
    sampling.at("top_p").get_to(record.sampling.top_p);
    sampling.at("min_p").get_to(record.sampling.min_p);
    sampling.at("repetition_penalty").get_to(record.sampling.repetition_penalty);
    sampling.at("frequency_penalty").get_to(record.sampling.frequency_penalty);
    sampling.at("presence_penalty").get_to(record.sampling.presence_penalty);
    sampling.at("seed").get_to(record.sampling.seed);
    sampling.at("ignore_eos").get_to(record.sampling.ignore_end);
    sampling.at("stop").get_to(record.sampling.stop);
    sampling.at("logit_bias").get_to(record.sampling.logit_bias);
  } catch (const nlohmann::ordered_json::exception& error) {
    user_error("{}: a damaged record: {}", path, error.what());
  }
  return record;
}

}  // namespace lockstep::cli
