// lockstep accounts: organisations and keys in a server's database, for whoever has the database itself.
#include "accounts/accounts.h"

#include <memory>

#include "accounts/access.h"
#include "accounts/calendar.h"
#include "cli/command.h"
#include "cli/console.h"
#include "cli/database_options.h"

namespace lockstep::cli {

namespace {

using accounts::Access;

struct AccountsOptions {
  DatabaseOptions database;
  bool json = false;
  std::string organisation;  // an id, or a name; empty: the first
  std::string name, project, scopes = accounts::Scopes::all().text(), key_id;
  uint32_t days = 0;  // that a key lasts; 0: no end

  void add(CLI::App& command) { database.add(command); }
};

// Runs with the accounts of the database that the options name, which must be there.
template <class Function>
void with_accounts(const AccountsOptions& options, Function&& function) {
  const std::unique_ptr<database::Database> database = options.database.open_existing();
  accounts::Accounts accounts(*database);
  function(accounts);
}

accounts::Organisation find_organisation(accounts::Accounts& accounts, const std::string& wanted) {
  const std::vector<accounts::Organisation> all = accounts.organisations();
  if (all.empty())
    user_error("there is no organisation yet; 'lockstep serve' or 'organisation add' makes one");
  if (wanted.empty()) return all.front();
  std::vector<accounts::Organisation> found;
  for (const accounts::Organisation& one : all) {
    if (one.id == wanted || one.name == wanted) found.push_back(one);
  }
  if (found.empty()) user_error("there is no organisation '{}'; 'lockstep accounts list' shows all", wanted);
  if (found.size() > 1) user_error("{} organisations are called '{}'; say the id", found.size(), wanted);
  return found.front();
}

const char* state_of(const accounts::Key& key) {
  if (key.revoked_at_ms) return "revoked";
  if (key.expires_at_ms && *key.expires_at_ms <= accounts::now_ms()) return "expired";
  return "in force";
}

void list_organisations(accounts::Accounts& accounts, bool json_wanted) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const accounts::Organisation& organisation : accounts.organisations()) {
    const Access access(accounts, accounts.owner_of(organisation.id));
    nlohmann::ordered_json entry = {{"id", organisation.id}, {"name", organisation.name}};
    std::string text = fmt::format("{}  {}\n", organisation.id, organisation.name);
    for (const accounts::Project& project : access.projects()) {
      entry["projects"].push_back({{"id", project.id}, {"name", project.settings.name}});
      text += fmt::format("  project {}  {}{}\n", project.id, project.settings.name,
                          project.archived_at_ms ? "  (archived)" : "");
    }
    for (const accounts::Member& member : access.members()) {
      entry["members"].push_back(
          {{"id", member.id}, {"name", member.name}, {"role", accounts::role_name(member.role)}});
      text += fmt::format("  member  {}  {}  {}\n", member.id, accounts::role_name(member.role), member.name);
    }
    for (const accounts::Key& key : access.keys()) {
      entry["keys"].push_back({{"id", key.id},
                               {"name", key.name},
                               {"prefix", key.prefix},
                               {"project_id", key.project_id},
                               {"scopes", key.scopes.text()},
                               {"state", state_of(key)}});
      text += fmt::format("  key     {}  {}...  {}  {}  {}\n", key.id, key.prefix, state_of(key),
                          key.scopes.text(), key.name);
    }
    json.push_back(std::move(entry));
    if (!json_wanted) print_text(text);
  }
  if (json_wanted) return print_json(json);
  if (json.empty()) print_text("no organisations\n");
}

void show_key(const accounts::NewKey& key) {
  print_text(fmt::format("{}\nkey, shown only now: {}\n", key.key.id, key.secret));
}

// The first one may come before any server: its database is made.
void add_organisation(const AccountsOptions& options) {
  const std::unique_ptr<database::Database> database = options.database.open();
  accounts::Accounts accounts(*database);
  const accounts::NewOrganisation made = accounts.make_organisation(options.name);
  print_text(fmt::format("{}\n", made.organisation.id));
  show_key(made.key);
}

void add_key(accounts::Accounts& accounts, const AccountsOptions& options) {
  const auto scopes = accounts::Scopes::parse(options.scopes);
  if (!scopes) {
    user_error("--scopes {}: possible are {}, with commas between", options.scopes,
               accounts::Scopes::all().text());
  }
  Access access(accounts, accounts.owner_of(find_organisation(accounts, options.organisation).id));
  accounts::KeyRequest request;
  request.name = options.name;
  request.scopes = *scopes;
  if (!options.project.empty()) request.project_id = options.project;
  if (options.days != 0) request.expires_at_ms = accounts::now_ms() + options.days * accounts::kDay_ms;
  show_key(access.make_key(request));
}

void revoke_key(accounts::Accounts& accounts, const AccountsOptions& options) {
  for (const accounts::Organisation& organisation : accounts.organisations()) {
    Access access(accounts, accounts.owner_of(organisation.id));
    for (const accounts::Key& key : access.keys()) {
      if (key.id != options.key_id) continue;
      access.revoke_key(key.id);
      return print_text(fmt::format("revoked {}\n", key.id));
    }
  }
  user_error("there is no key '{}'; 'lockstep accounts list' shows all", options.key_id);
}

}  // namespace

void add_accounts(CLI::App& app) {
  CLI::App* command = app.add_subcommand("accounts", "Organisations and keys in a server's database");
  command->require_subcommand(1);
  command->footer(
      "\nExamples:\n  lockstep accounts list\n  lockstep accounts organisation add acme\n"
      "  lockstep accounts key add --name laptop --scopes inference,read\n  lockstep accounts key revoke "
      "key_...\n\nA server that runs knows what was changed within a second.");
  auto options = std::make_shared<AccountsOptions>();

  CLI::App* list_command =
      command->add_subcommand("list", "Organisations with their projects, members and keys");
  options->add(*list_command);
  list_command->add_flag("--json", options->json, "print JSON");
  list_command->callback([options] {
    with_accounts(*options,
                  [&](accounts::Accounts& accounts) { list_organisations(accounts, options->json); });
  });

  CLI::App* organisation = command->add_subcommand("organisation", "Make an organisation");
  organisation->require_subcommand(1);
  CLI::App* add = organisation->add_subcommand("add", "Make one, with a project, an owner and a key");
  options->add(*add);
  add->add_option("name", options->name, "its name")->required();
  add->callback([options] { add_organisation(*options); });

  CLI::App* key = command->add_subcommand("key", "Make and revoke keys");
  key->require_subcommand(1);
  CLI::App* add_key_command = key->add_subcommand("add", "Make a key that acts for the first owner");
  options->add(*add_key_command);
  add_key_command->add_option("--organisation", options->organisation, "its id or name (default: the first)");
  add_key_command->add_option("--project", options->project, "a project's id (default: the first)");
  add_key_command->add_option("--name", options->name, "the key's name")->required();
  add_key_command->add_option("--scopes", options->scopes, "what it is for, with commas between")
      ->capture_default_str();
  add_key_command->add_option("--days", options->days, "how long it lasts (default: no end)")
      ->check(CLI::Range(1u, 36500u));
  add_key_command->callback([options] {
    with_accounts(*options, [&](accounts::Accounts& accounts) { add_key(accounts, *options); });
  });
  CLI::App* revoke = key->add_subcommand("revoke", "Revoke a key");
  options->add(*revoke);
  revoke->add_option("id", options->key_id, "key_...")->required();
  revoke->callback([options] {
    with_accounts(*options, [&](accounts::Accounts& accounts) { revoke_key(accounts, *options); });
  });
}

}  // namespace lockstep::cli
