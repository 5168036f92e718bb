// lockstep verify: everything that can be proved of a program without running it.
#include "program/verify.h"

#include <memory>

#include "base/file.h"
#include "cli/command.h"
#include "cli/console.h"
#include "program/encode.h"
#include "targets/host/host_target.h"

namespace lockstep::cli {

namespace {

struct VerifyOptions {
  std::string path;
  bool json = false;
};

void run(const VerifyOptions& options) {
  const MappedFile file(options.path);
  if (!program::looks_like_program(file.bytes())) {
    user_error("{}: not a Lockstep program; 'lockstep compile' makes one of a GGUF file", options.path);
  }
  const program::Program program = program::decode(file.bytes(), options.path);
  program::check_leaves(file.bytes(), options.path, targets::host::default_workers());
  program::verify_flow(program, options.path);
  program::verify_weights(program, options.path);
  const std::string hash = hex(program::program_hash(file.bytes()));
  if (options.json) {
    return print_json({{"ok", true}, {"fingerprint", hex(program.fingerprint)}, {"program", hash}});
  }
  print_text(fmt::format("{}: sound\nfingerprint  {}\nprogram      {}\n", options.path,
                         hex(program.fingerprint), hash));
}

}  // namespace

void add_verify(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "verify", "Check a program file: hashes, structure, data flow, bounds of all weights");
  auto options = std::make_shared<VerifyOptions>();
  command->add_option("program", options->path, "the program file")->required();
  command->add_flag("--json", options->json, "print JSON");
  command->footer("\nExample:\n  lockstep verify model.lockstep");
  command->callback([options] { run(*options); });
}

}  // namespace lockstep::cli
