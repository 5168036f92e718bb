// Which handler a method and a path belong to.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/caller.h"
#include "accounts/usage.h"
#include "http/service.h"
#include "http/target.h"
#include "server/mode.h"

namespace lockstep::server {

class RequestTrace;

// What a request counts as, in limits, prices and the log.
struct Counted {
  std::string model = {};  // by its own name, whatever the client calls it; empty: none was found
  accounts::Tier tier = accounts::Tier::OnDemand;
  bool admitted = false;  // it counts against the limits
};

// A request on its way to its reply.
struct Call {
  const http::Request& request;
  http::Target target;
  std::vector<std::string> parameters = {};  // of the route's pattern, decoded
  http::Wake wake = {};
  std::shared_ptr<RequestTrace> trace = {};     // made where there is none
  accounts::Caller caller = {};                 // of nobody where the route needs no key
  std::optional<accounts::Action> action = {};  // that the route needs
  Counted counted = {};
  http::Headers reply_headers = {};  // what handlers add to whatever reply there will be
  Mode mode = Mode::Lenient;
  std::optional<std::string> batch_id = {};  // the request is a line of this batch
  // Takes the usage record of a line instead of the request log, for whoever commits the record and the
  // line's result together. Called by a thread that has the reply's next() or destructor, or answer_call.
  std::function<void(accounts::UsageRecord record)> take_record = {};
};

// What a caller must have: nothing, a key, or a key that allows an action.
struct Needed {
  constexpr Needed(accounts::Action allowed) : key(true), action(allowed) {}
  constexpr explicit Needed(bool any_key) : key(any_key) {}

  bool key;
  std::optional<accounts::Action> action = {};
};
inline constexpr Needed kAnyone{false};
inline constexpr Needed kAnyKey{true};

using Handler = std::function<std::unique_ptr<http::Reply>(Call& call)>;

struct Route {
  std::string method;
  std::string pattern;
  Needed needed;
  Handler handler;
  bool quick = false;  // the handler only looks: it keeps no other request waiting
};

// The target begins as Groq's do, and not OpenAI's.
bool is_groq_target(std::string_view target);
// "/openai/v1/..." as "/v1/...", which is the same; any other path as it is.
std::string_view api_path(std::string_view path);

class Router {
 public:
  // A pattern's parts between slashes are literal, or "{name}" for any one part, or at its end "{name...}"
  // for one or more. "/v1/..." is also "/openai/v1/...". What is given back may be changed until the next.
  Route& add(std::string method, std::string pattern, Needed needed, Handler handler);

  // The route of a request, whose parameters it puts into the call. Throws an ApiError for an unknown path,
  // and for a known one with another method, which it names.
  const Route& find(Call& call) const;

  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

}  // namespace lockstep::server
