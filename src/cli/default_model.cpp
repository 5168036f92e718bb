#include "cli/default_model.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.h"
#include "store/cache.h"

namespace lockstep::cli {

std::filesystem::path default_model_place() {
  const store::CacheSettings settings = store::cache_settings_from_environment();
  return settings.root.empty() ? std::filesystem::path() : settings.root / "models" / kDefaultModelName;
}

std::string default_model_path() {
  const std::filesystem::path place = default_model_place();
  if (!place.empty() && std::filesystem::exists(place)) return place.string();
  const char* home = std::getenv("LOCKSTEP_HOME");
  const std::filesystem::path script = home == nullptr
                                           ? std::filesystem::path()
                                           : std::filesystem::path(home) / "scripts" / "fetch-default-model";
  if (home == nullptr || !std::filesystem::exists(script)) {
    user_error(
        "the default model is not there yet: start ./lockstep, which fetches it, or name a GGUF file with "
        "-m");
  }
  // The script prints the model's path on standard output, which is ours: send it to standard error.
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, 2, 1);
  std::string program = script.string();
  char* arguments[] = {program.data(), nullptr};
  pid_t child = 0;
  const int code = ::posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (code != 0) machine_error("{}: cannot be started: {}", program, errno_text(code));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !std::filesystem::exists(place)) {
    machine_error("the default model could not be fetched; name a GGUF file with -m, or try again");
  }
  return place.string();
}

}  // namespace lockstep::cli
