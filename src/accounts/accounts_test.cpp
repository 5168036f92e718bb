#include "accounts/accounts.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "accounts/secret.h"
#include "accounts/test_accounts.h"

namespace lockstep::accounts {
namespace {

using database::Transaction;
using store::contains;

// -------------------------------------------------------------------------------- permissions

// What each role may do, as a table for people; a key needs the scope besides.
TEST(Permissions, AreThoseOfTheTable) {
  struct Expected {
    Action action;
    Scope scope;
    bool reader, developer, owner;
  };
  const std::vector<Expected> table = {
      {Action::Infer, Scope::Inference, false, true, true},
      {Action::UseFiles, Scope::Files, false, true, true},
      {Action::ReadUsage, Scope::Read, true, true, true},
      {Action::ReadOrganisation, Scope::Admin, true, true, true},
      {Action::ManageKeys, Scope::Admin, false, true, true},
      {Action::ManageProjects, Scope::Admin, false, true, true},
      {Action::ManageMembers, Scope::Admin, false, false, true},
      {Action::ManageLimits, Scope::Admin, false, false, true},
  };
  ASSERT_EQ(table.size(), kActions.size());
  for (const Expected& row : table) {
    for (unsigned bits = 0; bits < 16; ++bits) {
      Scopes scopes;
      for (const Scope scope : kScopes) {
        if ((bits >> static_cast<unsigned>(scope)) & 1) scopes.add(scope);
      }
      const bool has = scopes.has(row.scope);
      EXPECT_EQ(permitted(Role::Reader, scopes, row.action), has && row.reader) << action_name(row.action);
      EXPECT_EQ(permitted(Role::Developer, scopes, row.action), has && row.developer)
          << action_name(row.action);
      EXPECT_EQ(permitted(Role::Owner, scopes, row.action), has && row.owner) << action_name(row.action);
    }
  }
}

TEST(Permissions, NamesAreReadAsTheyAreWritten) {
  for (const Role role : kRoles) EXPECT_EQ(role_named(role_name(role)), role);
  for (const Scope scope : kScopes) EXPECT_EQ(scope_named(scope_name(scope)), scope);
  EXPECT_EQ(Scopes::all().text(), "inference,files,read,admin");
  EXPECT_EQ(Scopes::parse("admin,files")->text(), "files,admin");
  EXPECT_EQ(Scopes::parse(""), Scopes{});
  for (const char* text : {"admi", "read,,files", "read ,files", "all"})
    EXPECT_FALSE(Scopes::parse(text)) << text;
  EXPECT_FALSE(role_named("Owner"));
}

TEST(Secret, IsRandomAndOfItsForm) {
  std::set<std::string> prefixes;
  for (int i = 0; i < 100; ++i) {
    const Secret secret = new_secret();
    EXPECT_EQ(secret.text.size(), 56u);
    EXPECT_EQ(secret_prefix(secret.text), secret.prefix);
    prefixes.insert(secret.prefix);
  }
  EXPECT_EQ(prefixes.size(), 100u);
  EXPECT_FALSE(secret_prefix("lsk_short"));
  EXPECT_FALSE(secret_prefix("gsk_" + new_secret().text.substr(4)));
}

// ------------------------------------------------------------------------------------ accounts

class AccountsTest : public AccountsFixture {};
INSTANTIATE_TEST_SUITE_P(Both, AccountsTest, database::both_dialects(), database::dialect_name);

TEST_P(AccountsTest, TheFirstStartMakesAnOwnersKeyOnce) {
  const auto made = accounts().first_start();
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->key.id.starts_with("key_"));
  const auto caller = accounts().authenticate(made->secret, now_ms());
  ASSERT_TRUE(caller);
  EXPECT_TRUE(caller->organisation_id.starts_with("org_"));
  EXPECT_TRUE(caller->project_id.starts_with("proj_"));
  EXPECT_TRUE(caller->member_id.starts_with("member_"));
  EXPECT_EQ(caller->key_id, made->key.id);
  EXPECT_EQ(caller->role, Role::Owner);
  EXPECT_EQ(caller->scopes, Scopes::all());
  EXPECT_FALSE(accounts().first_start());
  // A second server, and one after a restart.
  Accounts other(database_);
  EXPECT_FALSE(other.first_start());
  EXPECT_TRUE(other.authenticate(made->secret, now_ms()));
}

// A server that asked for no keys told none: the first one that does has one.
TEST_P(AccountsTest, TheFirstKeyIsThatOfTheFirstStartWithKeys) {
  EXPECT_FALSE(accounts().first_start(false));
  EXPECT_FALSE(accounts().first_start(false));
  const Caller open = accounts().first_owner();
  const auto made = accounts().first_start();
  ASSERT_TRUE(made);
  const auto caller = accounts().authenticate(made->secret, now_ms());
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->organisation_id, open.organisation_id);
  EXPECT_EQ(caller->member_id, open.member_id);
  Access(accounts(), *caller).revoke_key(made->key.id);
  EXPECT_FALSE(accounts().first_start());
}

TEST_P(AccountsTest, ServersThatStartTogetherMakeOneKey) {
  database::Database second(place_.place());
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (database::Database* database : {&database_, &second, &database_}) {
    threads.emplace_back([&made, database] {
      Accounts starting(*database);
      if (starting.first_start()) ++made;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
}

TEST_P(AccountsTest, OnlyTheWholeSecretIsAKey) {
  const std::string secret = accounts().first_start()->secret;
  for (size_t i = 0; i < secret.size(); ++i) {
    std::string other = secret;
    other[i] = other[i] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(accounts().authenticate(other, now_ms())) << i;
  }
  EXPECT_FALSE(accounts().authenticate("", now_ms()));
  EXPECT_FALSE(accounts().authenticate(secret + "x", now_ms()));
  EXPECT_FALSE(accounts().authenticate(secret.substr(0, secret.size() - 1), now_ms()));
  EXPECT_FALSE(accounts().authenticate(new_secret().text, now_ms()));
}

TEST_P(AccountsTest, TheSecretIsNotStored) {
  const auto made = accounts().first_start();
  const std::string proof = made->secret.substr(16);
  const auto rows = database_.execute("SELECT id, name, prefix, hash, scopes, made_by FROM keys").rows;
  ASSERT_EQ(rows.size(), 1u);
  for (size_t column = 0; column < rows[0].size(); ++column)
    EXPECT_FALSE(contains(rows[0].text(column), proof));
}

TEST_P(AccountsTest, KeysEndAtOnce) {
  Access owner = new_owner();
  KeyRequest request;
  request.name = "short";
  request.scopes = {Scope::Inference};
  request.expires_at_ms = now_ms() + kHour_ms;
  const NewKey key = owner.make_key(request);
  const auto caller = accounts().authenticate(key.secret, *request.expires_at_ms - 1);
  ASSERT_TRUE(caller);
  EXPECT_TRUE(caller->may(Action::Infer));
  EXPECT_FALSE(caller->may(Action::ManageKeys));
  EXPECT_EQ(caller->member_id, owner.caller().member_id);
  EXPECT_EQ(key.key.made_by, owner.caller().key_id);
  EXPECT_FALSE(accounts().authenticate(key.secret, *request.expires_at_ms));

  EXPECT_TRUE(accounts().authenticate(key.secret, now_ms()));
  owner.revoke_key(key.key.id);
  EXPECT_FALSE(accounts().authenticate(key.secret, now_ms()));
  owner.revoke_key(key.key.id);
  EXPECT_TRUE(owner.key(key.key.id).revoked_at_ms);
}

TEST_P(AccountsTest, AnotherServersChangesAreSeenWithinSeconds) {
  Access owner = new_owner();
  database::Database second(place_.place());
  Accounts other(second);
  KeyRequest request;
  request.name = "shared";
  request.scopes = {Scope::Inference};
  const NewKey key = owner.make_key(request);
  const auto eventually = [&](bool known) {
    for (int tries = 0; tries < 500; ++tries) {
      if (other.authenticate(key.secret, now_ms()).has_value() == known) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  };
  EXPECT_TRUE(eventually(true));
  owner.revoke_key(key.key.id);
  EXPECT_TRUE(eventually(false));
  EXPECT_TRUE(other.database_reachable());
}

TEST_P(AccountsTest, TheRoleOfAMemberIsThatOfItsKeys) {
  Access owner = new_owner();
  const Member member = owner.add_member("Ada", Role::Developer);
  KeyRequest request;
  request.name = "Ada's";
  request.scopes = Scopes::all();
  request.member_id = member.id;
  const NewKey key = owner.make_key(request);
  EXPECT_EQ(accounts().authenticate(key.secret, now_ms())->role, Role::Developer);
  // A key that Ada's key made is Ada's too.
  Access ada(accounts(), *accounts().authenticate(key.secret, now_ms()));
  request.member_id.reset();
  const NewKey second = ada.make_key(request);
  EXPECT_EQ(second.key.member_id, member.id);
  owner.change_member(member.id, Role::Reader);
  EXPECT_EQ(accounts().authenticate(second.secret, now_ms())->role, Role::Reader);
  EXPECT_EQ(reason_of([&] {
              Access(accounts(), *accounts().authenticate(key.secret, now_ms())).make_key(request);
            }),
            Reason::Forbidden);
  owner.remove_member(member.id);
  EXPECT_FALSE(accounts().authenticate(key.secret, now_ms()));
  EXPECT_FALSE(accounts().authenticate(second.secret, now_ms()));
  EXPECT_EQ(owner.members().size(), 1u);
  EXPECT_EQ(reason_of([&] { owner.change_member(member.id, Role::Owner); }), Reason::NotFound);
}

TEST_P(AccountsTest, AKeyGivesNoMoreThanItHas) {
  Access owner = new_owner();
  KeyRequest request;
  request.name = "narrow";
  request.scopes = {Scope::Admin, Scope::Read};
  request.expires_at_ms = now_ms() + kHour_ms;
  Access narrow(accounts(), *accounts().authenticate(owner.make_key(request).secret, now_ms()));
  EXPECT_EQ(reason_of([&] { narrow.make_key(request); }), std::nullopt);
  KeyRequest wider = request;
  wider.scopes.add(Scope::Inference);
  EXPECT_EQ(reason_of([&] { narrow.make_key(wider); }), Reason::Forbidden);
  KeyRequest longer = request;
  longer.expires_at_ms = *request.expires_at_ms + 1;
  EXPECT_EQ(reason_of([&] { narrow.make_key(longer); }), Reason::Forbidden);
  longer.expires_at_ms.reset();
  EXPECT_EQ(reason_of([&] { narrow.make_key(longer); }), Reason::Forbidden);

  const Member developer = owner.add_member("developer", Role::Developer);
  KeyRequest for_developer;
  for_developer.name = "developer's";
  for_developer.scopes = Scopes::all();
  for_developer.member_id = developer.id;
  Access developing(accounts(), *accounts().authenticate(owner.make_key(for_developer).secret, now_ms()));
  for_developer.member_id = owner.caller().member_id;
  EXPECT_EQ(reason_of([&] { developing.make_key(for_developer); }), Reason::Forbidden);
  EXPECT_EQ(reason_of([&] { developing.revoke_key(owner.caller().key_id); }), Reason::Forbidden);
  EXPECT_TRUE(accounts().authenticate(owner.make_key(request).secret, now_ms()));
}

TEST_P(AccountsTest, AKeyHandsItsLimitsOn) {
  Access owner = new_owner();
  KeyRequest request;
  request.name = "limited";
  request.scopes = Scopes::all();
  request.limits = {{"*", {10, {}, 1000, {}, {}}}, {"m", {5, {}, {}, {}, {}}}};
  Access limited(accounts(), *accounts().authenticate(owner.make_key(request).secret, now_ms()));
  const auto limits_of = [&](const Key& key) {
    std::map<std::string, LimitValues> limits;
    for (const Limit& limit : owner.limits()) {
      if (limit.subject_id == key.id) limits[limit.model] = limit.values;
    }
    return limits;
  };
  request.limits = {};
  const Key heir = limited.make_key(request).key;
  EXPECT_EQ(limits_of(heir), limits_of(owner.key(limited.caller().key_id)));
  request.limits = {{"*", {3, {}, {}, 7, {}}}, {"n", {100, {}, {}, {}, {}}}};
  auto limits = limits_of(limited.make_key(request).key);
  EXPECT_EQ(limits["*"], (LimitValues{3, {}, 1000, 7, {}}));
  EXPECT_EQ(limits["m"].requests_per_minute, 5);
  EXPECT_EQ(limits["n"].requests_per_minute, 100);
  request.limits = {{"*", {11, {}, {}, {}, {}}}};
  EXPECT_EQ(reason_of([&] { limited.make_key(request); }), Reason::Forbidden);
  // A key that is revoked needs none any longer.
  owner.revoke_key(heir.id);
  EXPECT_TRUE(limits_of(heir).empty());
}

TEST_P(AccountsTest, AKeyForAnotherProjectNeedsAnOwner) {
  Access owner = new_owner();
  const Project other = owner.make_project({.name = "other"});
  const Member member = owner.add_member("developer", Role::Developer);
  KeyRequest request;
  request.name = "developer's";
  request.scopes = Scopes::all();
  request.member_id = member.id;
  Access developer(accounts(), *accounts().authenticate(owner.make_key(request).secret, now_ms()));
  request.member_id.reset();
  request.project_id = developer.caller().project_id;
  EXPECT_EQ(reason_of([&] { developer.make_key(request); }), std::nullopt);
  request.project_id = other.id;
  EXPECT_EQ(reason_of([&] { developer.make_key(request); }), Reason::Forbidden);
  EXPECT_EQ(reason_of([&] { owner.make_key(request); }), std::nullopt);
  // Nor may it allow the first class of service.
  EXPECT_EQ(reason_of([&] { developer.make_project({.name = "fast", .performance = true}); }),
            Reason::Forbidden);
  EXPECT_EQ(reason_of([&] { developer.change_project(other.id, {.performance = true}); }), Reason::Forbidden);
  EXPECT_EQ(reason_of([&] { developer.change_project(other.id, {.store_bodies = true}); }), std::nullopt);
}

// The change is committed; that the tables cannot be read now takes nothing of it back.
TEST_P(AccountsTest, AKeyIsToldThoughTheNextLookFails) {
  Access owner = new_owner();
  KeyRequest request;
  request.name = "key";
  request.scopes = Scopes::all();
  database_.execute("ALTER TABLE spend_caps RENAME TO spend_caps_elsewhere");
  const NewKey key = owner.make_key(request);
  EXPECT_THROW(accounts().refresh(), Error);
  database_.execute("ALTER TABLE spend_caps_elsewhere RENAME TO spend_caps");
  accounts().refresh();
  EXPECT_TRUE(accounts().authenticate(key.secret, now_ms()));
}

TEST_P(AccountsTest, TheFirstOwnerIsKnownWithoutTheDatabase) {
  EXPECT_EQ(reason_of([&] { accounts().first_owner(); }), Reason::NotFound);
  Access owner = new_owner();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));  // later, not only after
  new_owner("second");
  owner.change_project(owner.caller().project_id, {.store_bodies = true});
  database_.execute("ALTER TABLE organisations RENAME TO organisations_elsewhere");
  const Caller first = accounts().first_owner();
  EXPECT_EQ(first.organisation_id, owner.caller().organisation_id);
  EXPECT_EQ(first.member_id, owner.caller().member_id);
  EXPECT_TRUE(first.store_bodies);
  EXPECT_TRUE(first.key_id.empty());
  EXPECT_EQ(first.scopes, Scopes::all());
}

TEST_P(AccountsTest, BadValuesAreRefused) {
  Access owner = new_owner();
  KeyRequest key;
  key.name = "key";
  EXPECT_EQ(reason_of([&] { owner.make_key(key); }), Reason::Invalid);  // no scopes
  key.scopes = {Scope::Read};
  key.expires_at_ms = now_ms() - 1;
  EXPECT_EQ(reason_of([&] { owner.make_key(key); }), Reason::Invalid);
  key.expires_at_ms.reset();
  for (const std::string& name : {std::string(), std::string(201, 'x'), std::string("a\nb"),
                                  std::string("a\0b", 3), std::string("caf\xe9")}) {
    key.name = name;
    EXPECT_EQ(reason_of([&] { owner.make_key(key); }), Reason::Invalid) << name;
    ProjectSettings project;
    project.name = name;
    EXPECT_EQ(reason_of([&] { owner.make_project(project); }), Reason::Invalid) << name;
    EXPECT_EQ(reason_of([&] { owner.add_member(name, Role::Reader); }), Reason::Invalid) << name;
    EXPECT_EQ(reason_of([&] { accounts().make_organisation(name); }), Reason::Invalid) << name;
  }
  ProjectSettings project;
  project.name = "p";
  project.body_days = 0;
  EXPECT_EQ(reason_of([&] { owner.make_project(project); }), Reason::Invalid);
  project.body_days = 5;
  project.log_days = 4000;
  EXPECT_EQ(reason_of([&] { owner.make_project(project); }), Reason::Invalid);
  const std::string id = owner.caller().organisation_id;
  EXPECT_EQ(reason_of([&] {
              owner.set_limit({Subject::Organisation, id, "m", {-1, {}, {}, {}, {}}});
            }),
            Reason::Invalid);
  EXPECT_EQ(reason_of([&] {
              owner.set_limit({Subject::Organisation, id, "m", {kLargestLimit + 1, {}, {}, {}, {}}});
            }),
            Reason::Invalid);
  EXPECT_EQ(reason_of([&] {
              owner.set_limit({Subject::Organisation, id, "", {1, {}, {}, {}, {}}});
            }),
            Reason::Invalid);
  EXPECT_EQ(reason_of([&] { owner.set_spend_cap(Subject::Organisation, id, -1); }), Reason::Invalid);
  EXPECT_EQ(reason_of([&] { owner.set_spend_cap(Subject::Key, owner.caller().key_id, 1); }), Reason::Invalid);
}

TEST_P(AccountsTest, ProjectsAreMadeChangedAndArchived) {
  Access owner = new_owner();
  ProjectSettings settings;
  settings.name = "prod";
  const Project project = owner.make_project(settings);
  EXPECT_EQ(reason_of([&] { owner.make_project(settings); }), Reason::Conflict);
  EXPECT_EQ(owner.projects().size(), 2u);
  // Only what is said changes, so that two changes at once both count.
  owner.change_project(project.id, {.store_bodies = true, .body_days = 3});
  owner.change_project(project.id, {.name = "production"});
  owner.change_project(project.id, {.performance = true});
  const ProjectSettings changed = owner.project(project.id).settings;
  EXPECT_EQ(changed.name, "production");
  EXPECT_EQ(changed.body_days, 3);
  EXPECT_EQ(changed.log_days, settings.log_days);
  EXPECT_TRUE(changed.store_bodies);
  EXPECT_TRUE(changed.performance);
  EXPECT_EQ(reason_of([&] { owner.change_project(project.id, {.name = "default"}); }), Reason::Conflict);

  KeyRequest request;
  request.name = "prod key";
  request.scopes = {Scope::Inference, Scope::Read};
  request.project_id = project.id;
  const NewKey key = owner.make_key(request);
  const auto caller = accounts().authenticate(key.secret, now_ms());
  EXPECT_EQ(caller->project_id, project.id);
  EXPECT_TRUE(caller->store_bodies);
  EXPECT_EQ(Access(accounts(), *caller).own_project().settings.name, "production");
  owner.archive_project(project.id);
  EXPECT_FALSE(accounts().authenticate(key.secret, now_ms()));
  EXPECT_TRUE(owner.project(project.id).archived_at_ms);
  EXPECT_EQ(reason_of([&] { owner.make_key(request); }), Reason::Conflict);
  EXPECT_EQ(reason_of([&] { owner.archive_project(owner.caller().project_id); }), Reason::Conflict);
  settings.name = "prod";
  EXPECT_EQ(reason_of([&] { owner.make_project(settings); }), std::nullopt);
}

TEST_P(AccountsTest, TheLastOwnerStays) {
  Access owner = new_owner();
  const std::string own = owner.caller().member_id;
  EXPECT_EQ(reason_of([&] { owner.change_member(own, Role::Developer); }), Reason::Conflict);
  EXPECT_EQ(reason_of([&] { owner.remove_member(own); }), Reason::Conflict);
  const Member second = owner.add_member("second", Role::Owner);
  EXPECT_EQ(reason_of([&] { owner.change_member(own, Role::Developer); }), std::nullopt);
  EXPECT_EQ(accounts().owner_of(owner.caller().organisation_id).member_id, second.id);
  EXPECT_EQ(reason_of([&] { accounts().owner_of("org_none"); }), Reason::NotFound);
}

TEST_P(AccountsTest, LimitsReachTheLimiter) {
  Access owner = new_owner();
  const Caller& caller = owner.caller();
  LimitValues values;
  values.requests_per_day = 2;
  const Limit limit{Subject::Organisation, caller.organisation_id, "m", values};
  owner.set_limit(limit);
  EXPECT_EQ(owner.limits(), std::vector<Limit>{limit});
  EXPECT_EQ(accounts().limiter().headers(caller, "m", now_ms()).requests_per_day->limit, 2);
  // A project or key may have less, not more.
  values.requests_per_day = 3;
  for (const auto& [subject, id] :
       {std::pair(Subject::Project, caller.project_id), std::pair(Subject::Key, caller.key_id)}) {
    EXPECT_EQ(reason_of([&, subject = subject, id = id] {
                owner.set_limit({subject, id, "m", values});
              }),
              Reason::Invalid);
  }
  values.requests_per_day = 1;
  owner.set_limit({Subject::Key, caller.key_id, "m", values});
  EXPECT_EQ(accounts().limiter().headers(caller, "m", now_ms()).requests_per_day->limit, 1);
  owner.set_limit({Subject::Key, caller.key_id, "m", {}});
  owner.set_limit({Subject::Organisation, caller.organisation_id, "m", {}});
  EXPECT_TRUE(owner.limits().empty());
  EXPECT_FALSE(accounts().limiter().headers(caller, "m", now_ms()).requests_per_day);

  KeyRequest request;
  request.name = "limited";
  request.scopes = {Scope::Inference};
  request.limits = {{"*", values}};
  const NewKey key = owner.make_key(request);
  const auto limited = accounts().authenticate(key.secret, now_ms());
  EXPECT_EQ(accounts().limiter().headers(*limited, "any", now_ms()).requests_per_day->limit, 1);
}

TEST_P(AccountsTest, SpendCapsReachTheChecks) {
  Access owner = new_owner();
  const Caller& caller = owner.caller();
  owner.set_spend_cap(Subject::Project, caller.project_id, 0);
  EXPECT_EQ(owner.spend_caps(), (std::vector<SpendCap>{{Subject::Project, caller.project_id, 0}}));
  EXPECT_TRUE(accounts().spending().check(caller, now_ms()));
  owner.set_spend_cap(Subject::Project, caller.project_id, 5);
  EXPECT_FALSE(accounts().spending().check(caller, now_ms()));
  owner.set_spend_cap(Subject::Project, caller.project_id, std::nullopt);
  EXPECT_TRUE(owner.spend_caps().empty());
}

// ---------------------------------------------------------------------------- all of Access

// Every function of Access with what it needs, called with ids of the organisation `things` belong to.
struct Things {
  std::string organisation_id, project_id, member_id, key_id, request_id;
};
struct Call {
  std::string name;
  Action action;
  bool names_a_thing;  // takes the id of something that may be another's
  std::function<void(Access&, const Things&)> call;
};

std::vector<Call> calls() {
  KeyRequest key;
  key.name = "made";
  key.scopes = {Scope::Admin};
  LimitValues values;
  values.concurrent = 5;
  const auto settings = [](const Things& things) {
    ProjectSettings result;
    result.name = "p of " + things.project_id;
    return result;
  };
  return {
      {"own_project", Action::ReadUsage, false, [](Access& a, const Things&) { a.own_project(); }},
      {"organisation", Action::ReadOrganisation, false, [](Access& a, const Things&) { a.organisation(); }},
      {"projects", Action::ReadOrganisation, false, [](Access& a, const Things&) { a.projects(); }},
      {"project", Action::ReadOrganisation, true,
       [](Access& a, const Things& t) { a.project(t.project_id); }},
      {"members", Action::ReadOrganisation, false, [](Access& a, const Things&) { a.members(); }},
      {"keys", Action::ReadOrganisation, false, [](Access& a, const Things&) { a.keys(); }},
      {"key", Action::ReadOrganisation, true, [](Access& a, const Things& t) { a.key(t.key_id); }},
      {"limits", Action::ReadOrganisation, false, [](Access& a, const Things&) { a.limits(); }},
      {"spend_caps", Action::ReadOrganisation, false, [](Access& a, const Things&) { a.spend_caps(); }},
      {"make_project", Action::ManageProjects, false,
       [](Access& a, const Things&) {
         static int number = 0;
         ProjectSettings made;
         made.name = "made " + std::to_string(++number);
         a.make_project(made);
       }},
      {"change_project", Action::ManageProjects, true,
       [settings](Access& a, const Things& t) {
         a.change_project(t.project_id, {.name = settings(t).name});
       }},
      {"add_member", Action::ManageMembers, false,
       [](Access& a, const Things&) { a.add_member("new", Role::Reader); }},
      {"change_member", Action::ManageMembers, true,
       [](Access& a, const Things& t) { a.change_member(t.member_id, Role::Reader); }},
      {"make_key", Action::ManageKeys, false, [key](Access& a, const Things&) { a.make_key(key); }},
      {"make_key in project", Action::ManageMembers, true,
       [key](Access& a, const Things& t) {
         KeyRequest request = key;
         request.project_id = t.project_id;
         a.make_key(request);
       }},
      {"make_key for member", Action::ManageMembers, true,
       [key](Access& a, const Things& t) {
         KeyRequest request = key;
         request.member_id = t.member_id;
         a.make_key(request);
       }},
      {"set_limit of organisation", Action::ManageLimits, true,
       [values](Access& a, const Things& t) {
         a.set_limit({Subject::Organisation, t.organisation_id, "m", values});
       }},
      {"set_limit of project", Action::ManageLimits, true,
       [values](Access& a, const Things& t) {
         a.set_limit({Subject::Project, t.project_id, "m", values});
       }},
      {"set_limit of key", Action::ManageLimits, true,
       [values](Access& a, const Things& t) {
         a.set_limit({Subject::Key, t.key_id, "m", values});
       }},
      {"set_spend_cap of organisation", Action::ManageLimits, true,
       [](Access& a, const Things& t) { a.set_spend_cap(Subject::Organisation, t.organisation_id, 7); }},
      {"set_spend_cap of project", Action::ManageLimits, true,
       [](Access& a, const Things& t) { a.set_spend_cap(Subject::Project, t.project_id, 7); }},
      {"search_log", Action::ReadUsage, false, [](Access& a, const Things&) { a.search_log({}); }},
      {"search_log of organisation", Action::ReadOrganisation, false,
       [](Access& a, const Things&) { a.search_log({}, Access::Reach::Organisation); }},
      {"log_record", Action::ReadUsage, true, [](Access& a, const Things& t) { a.log_record(t.request_id); }},
      {"usage", Action::ReadUsage, false,
       [](Access& a, const Things&) { a.usage(Period::Day, GroupBy::Model, now_ms() - kDay_ms, now_ms()); }},
      {"usage of organisation", Action::ReadOrganisation, false,
       [](Access& a, const Things&) {
         a.usage(Period::Day, GroupBy::Key, now_ms() - kDay_ms, now_ms(), Access::Reach::Organisation);
       }},
      {"revoke_key", Action::ManageKeys, true, [](Access& a, const Things& t) { a.revoke_key(t.key_id); }},
      {"archive_project", Action::ManageProjects, true,
       [](Access& a, const Things& t) { a.archive_project(t.project_id); }},
      {"remove_member", Action::ManageMembers, true,
       [](Access& a, const Things& t) { a.remove_member(t.member_id); }},
  };
}

// Something of each kind beside what the organisation has from its start, and a request in the owner's
// project.
Things make_things(Access& owner, database::Database& database) {
  Things things;
  things.organisation_id = owner.caller().organisation_id;
  ProjectSettings settings;
  settings.name = "other";
  things.project_id = owner.make_project(settings).id;
  things.member_id = owner.add_member("other", Role::Developer).id;
  KeyRequest request;
  request.name = "other";
  request.scopes = {Scope::Read};
  request.member_id = things.member_id;
  things.key_id = owner.make_key(request).key.id;
  UsageRecord record;
  record.request_id = "req_" + things.project_id;
  record.time_ms = now_ms();
  record.organisation_id = things.organisation_id;
  record.project_id = owner.caller().project_id;
  record.key_id = things.key_id;
  things.request_id = record.request_id;
  database.write([&](Transaction& transaction) { usage_tables::insert(transaction, {&record}); });
  return things;
}

// Every function x every role x all scopes or all but the needed one.
TEST_P(AccountsTest, EveryFunctionAsksForItsPermission) {
  for (const Role role : kRoles) {
    for (const Call& call : calls()) {
      Access owner = new_owner();
      const Things things = make_things(owner, database_);
      Caller caller = owner.caller();
      caller.role = role;
      Access access(accounts(), caller);
      const bool allowed = role >= need(call.action).role;
      EXPECT_EQ(reason_of([&] { call.call(access, things); }),
                allowed ? std::nullopt : std::optional(Reason::Forbidden))
          << call.name << " by " << role_name(role);
      caller.scopes = {};
      for (const Scope scope : kScopes) {
        if (scope != need(call.action).scope) caller.scopes.add(scope);
      }
      Access narrow(accounts(), caller);
      EXPECT_EQ(reason_of([&] { call.call(narrow, things); }), Reason::Forbidden) << call.name;
    }
  }
}

// What is an owner's of another organisation: not found, and as it was.
TEST_P(AccountsTest, NoFunctionReachesAnotherOrganisation) {
  Access owner = new_owner("mine");
  const Things things = make_things(owner, database_);
  LimitValues values;
  values.requests_per_day = 9;
  owner.set_limit({Subject::Project, things.project_id, "m", values});
  owner.set_spend_cap(Subject::Project, things.project_id, 99);
  Access stranger = new_owner("theirs");
  const auto snapshot = [&] {
    std::string text = owner.organisation().name;
    for (const Project& p : owner.projects()) text += p.id + p.settings.name + (p.archived_at_ms ? "x" : "");
    for (const Member& m : owner.members()) text += m.id + std::string(role_name(m.role));
    for (const Key& k : owner.keys()) text += k.id + (k.revoked_at_ms ? "x" : "");
    for (const Limit& l : owner.limits())
      text += l.subject_id + l.model + std::to_string(*l.values.requests_per_day);
    for (const SpendCap& c : owner.spend_caps()) text += c.subject_id + std::to_string(c.month_cap);
    return text;
  };
  const std::string before = snapshot();
  for (const Call& call : calls()) {
    EXPECT_EQ(reason_of([&] { call.call(stranger, things); }),
              call.names_a_thing ? std::optional(Reason::NotFound) : std::nullopt)
        << call.name;
  }
  EXPECT_EQ(snapshot(), before);
  EXPECT_TRUE(stranger.search_log({}, Access::Reach::Organisation).records.empty());
  EXPECT_EQ(owner.search_log({}).records.size(), 1u);
  for (const Project& project : stranger.projects()) EXPECT_NE(project.id, things.project_id);
  for (const Key& key : stranger.keys()) EXPECT_NE(key.id, things.key_id);
}

}  // namespace
}  // namespace lockstep::accounts
