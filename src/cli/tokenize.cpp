// lockstep tokenize: text to token ids and back.
#include <fmt/ranges.h>

#include <memory>

#include "api/model_assets.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/options.h"
#include "import/gguf.h"
#include "program/encode.h"
#include "text/utf8.h"

namespace lockstep::cli {

namespace {

struct TokenizeOptions {
  std::string model, text, file;
  bool special = false, decode = false, json = false;
};

// The tokenizer alone: nothing is compiled.
text::Tokenizer open_tokenizer(const std::string& path) {
  MappedFile file(path);
  if (program::looks_like_program(file.bytes()))
    return api::load_tokenizer(program::decode(file.bytes(), path));
  return text::Tokenizer(api::import_vocabulary(importer::read_gguf(path).metadata));
}

void run(const TokenizeOptions& options) {
  ModelOptions model;
  model.model = options.model;
  const text::Tokenizer tokenizer = open_tokenizer(model.path());
  if (options.decode) {
    const std::vector<int32_t> ids = read_token_file(options.file.empty() ? "-" : options.file);
    const std::string text = tokenizer.decode(ids, {.show_control = options.special});
    return options.json ? print_json({{"text", text}}) : print_text(text + "\n");
  }
  const std::string text = read_prompt(options.text, options.file);
  if (const auto offset = text::find_invalid_utf8(text))
    user_error("the text is not valid UTF-8 at byte {}", *offset);
  const std::vector<int32_t> ids =
      tokenizer.encode(text, options.special ? text::SpecialTokens::Parse : text::SpecialTokens::Plain);
  if (options.json) {
    nlohmann::ordered_json json;
    json["tokens"] = ids;
    return print_text(json.dump() + "\n");
  }
  for (int32_t id : ids) {
    print_text(fmt::format("{:>7}  {}\n", id,
                           nlohmann::json(tokenizer.token_bytes(id))
                               .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  }
}

}  // namespace

void add_tokenize(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tokenize", "Turn text into token ids, or back");
  auto options = std::make_shared<TokenizeOptions>();
  command->add_option("-m,--model", options->model,
                      "GGUF file or compiled program (default: SmolLM2-135M-Instruct)");
  command->add_option("text", options->text, "the text; standard input when neither it nor -f is given");
  command->add_option("-f,--file", options->file, "read the text from a file; with --decode, the ids")
      ->type_name("FILE");
  command->add_flag("--special", options->special,
                    "read special tokens that the text spells, or show them when decoding");
  command->add_flag("--decode", options->decode, "token ids (a JSON list) to text");
  command->add_flag("--json", options->json, "print JSON: {\"tokens\": [...]} or {\"text\": ...}");
  command->footer("\nExample:\n  lockstep tokenize \"Why is the sky blue?\"");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
