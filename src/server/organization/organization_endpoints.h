// What an organisation sees and changes of itself: /v1/organization and all under it, in the shapes of
// OpenAI's administration API where that has them. docs/server.md lists them.
#pragma once

#include "accounts/accounts.h"
#include "server/inference.h"
#include "server/latencies.h"
#include "server/router.h"

namespace lockstep::server {

// What is given must outlive the router.
void add_organization_endpoints(Router& router, accounts::Accounts& accounts, const Inference& inference,
                                const Latencies& latencies);

// Its parts.
void add_project_endpoints(Router& router, accounts::Accounts& accounts);
void add_member_endpoints(Router& router, accounts::Accounts& accounts);
void add_key_endpoints(Router& router, accounts::Accounts& accounts, const Inference& inference);
void add_limit_endpoints(Router& router, accounts::Accounts& accounts, const Inference& inference);
void add_usage_endpoint(Router& router, accounts::Accounts& accounts);
void add_log_endpoints(Router& router, accounts::Accounts& accounts, const Inference& inference);
void add_live_endpoint(Router& router, const Inference& inference, const Latencies& latencies);

}  // namespace lockstep::server
