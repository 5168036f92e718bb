// Limits and spend caps.
#include <algorithm>

#include "accounts/access.h"
#include "accounts/calendar.h"
#include "server/api_error.h"
#include "server/organization/entity_json.h"
#include "server/organization/list_reply.h"
#include "server/organization/organization_endpoints.h"

namespace lockstep::server {

namespace {

using accounts::Access;
using accounts::Action;
using accounts::Subject;

struct SubjectFields {
  Subject subject;
  std::string id;
};

// "subject" and "subject_id"; without the id it is the caller's own.
SubjectFields read_subject(JsonFields& fields, const accounts::Caller& caller) {
  const std::string name = fields.required_text("subject");
  const auto found = std::find_if(accounts::kSubjects.begin(), accounts::kSubjects.end(),
                                  [&](Subject one) { return subject_name(one) == name; });
  if (found == accounts::kSubjects.end()) {
    bad_field("subject", "value must be one of organization, project, key");
  }
  const auto own_id = [&] {
    switch (*found) {
      case Subject::Organisation:
        return caller.organisation_id;
      case Subject::Project:
        return caller.project_id;
      case Subject::Key:
        break;
    }
    return caller.key_id;
  };
  const std::optional<std::string> given = fields.text("subject_id");
  return {*found, given ? *given : own_id()};
}

std::unique_ptr<http::Reply> set_limit(Access access, const Inference& inference, std::string_view body) {
  const RequestJson json = parse_object(body);
  JsonFields fields(json, "");
  const SubjectFields subject = read_subject(fields, access.caller());
  accounts::Limit limit{subject.subject, subject.id,
                        inference.own_name(fields.text("model").value_or(std::string(accounts::kAllModels))),
                        read_limit_values(fields)};
  fields.finish();
  access.set_limit(limit);
  return json_reply(limit_json(limit));
}

// A cap with what is spent of it.
ReplyJson cap_json(const accounts::Spending& spending, Subject subject, const std::string& id,
                   std::optional<accounts::NanoUsd> month_cap) {
  const int64_t now_ms = accounts::now_ms();
  return {{"id", id},
          {"object", "organization.spend_cap"},
          {"subject", subject_name(subject)},
          {"subject_id", id},
          {"usd_per_month", month_cap ? ReplyJson(accounts::format_usd(*month_cap)) : ReplyJson(nullptr)},
          {"usd_spent", accounts::format_usd(spending.spent(id, now_ms))},
          {"resets_at", unix_seconds_of(accounts::month_start_ms(accounts::month_of(now_ms) + 1))}};
}

std::unique_ptr<http::Reply> set_spend_cap(accounts::Accounts& accounts, Access access,
                                           std::string_view body) {
  const RequestJson json = parse_object(body);
  JsonFields fields(json, "");
  const SubjectFields subject = read_subject(fields, access.caller());
  const std::optional<std::string> text = fields.text("usd_per_month");
  fields.finish();
  std::optional<accounts::NanoUsd> cap;
  try {
    if (text) cap = accounts::parse_usd(*text, "'usd_per_month' : the cap");
  } catch (const Error& error) {
    throw ApiError(400, "", "usd_per_month", error.what());
  }
  access.set_spend_cap(subject.subject, subject.id, cap);
  return json_reply(cap_json(accounts.spending(), subject.subject, subject.id, cap));
}

}  // namespace

void add_limit_endpoints(Router& router, accounts::Accounts& accounts, const Inference& inference) {
  const std::string limits = "/v1/organization/limits", caps = "/v1/organization/spend_caps";
  router.add("GET", limits, Action::ReadOrganisation, [&](Call& call) {
    QueryFields query(call.target);
    return list_reply(query, Access(accounts, call.caller).limits(), limit_json);
  });
  router.add("POST", limits, Action::ManageLimits, [&](Call& call) {
    return set_limit(Access(accounts, call.caller), inference, call.request.body);
  });
  router.add("GET", caps, Action::ReadOrganisation, [&](Call& call) {
    QueryFields query(call.target);
    return list_reply(query, Access(accounts, call.caller).spend_caps(), [&](const accounts::SpendCap& cap) {
      return cap_json(accounts.spending(), cap.subject, cap.subject_id, cap.month_cap);
    });
  });
  router.add("POST", caps, Action::ManageLimits, [&](Call& call) {
    return set_spend_cap(accounts, Access(accounts, call.caller), call.request.body);
  });
}

}  // namespace lockstep::server
