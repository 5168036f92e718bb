// The API: its endpoints, and what is the same for all of them.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/service.h"
#include "server/accounting.h"
#include "server/api_error.h"
#include "server/batches/batch_runner.h"
#include "server/files/file_store.h"
#include "server/gate.h"
#include "server/housekeeping.h"
#include "server/inference.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/request_trace.h"
#include "server/router.h"
#include "server/served_model.h"

namespace lockstep::server {

struct ApiOptions {
  InferenceLimits inference = {};
  accounts::PriceList prices = {};
  bool open = false;  // no keys are asked for
  // Refuses requests to a host of another name: a page whose name was made to mean this machine (DNS
  // rebinding) could read everything of a server that asks for no keys.
  bool local_names_only = false;
  size_t upload_bytes_max = size_t{200} << 20;  // of the body of POST /v1/files
  std::filesystem::path data_folder = {};       // of files and batches
  FileLimits files = {};
  uint32_t batch_lines = 16;  // of all batches, at once
  Mode mode = Mode::Lenient;
  bool open_metrics = false;  // GET /metrics needs no key
  Log* log = nullptr;         // where requests are written down; must outlive the service
  // How many connections are open.
  std::function<uint32_t()> connections = [] { return 0; };
};

// Every request goes through answer(): it finds the route, asks who calls, has it handled, and makes errors
// replies. THREAD: answer() and refuse() may be called by many threads.
class ApiService : public http::Service {
 public:
  // `accounts` and `journal` must outlive the service.
  ApiService(ServedModel model, accounts::Accounts& accounts, accounts::Journal& journal, ApiOptions options);

  // Who needs a key and has none, or asks for what is not there, is told so at once.
  http::Admission admit(const http::Request& head, size_t usual_bytes) override;
  // From now on /readyz says so, and only what reads is answered.
  void drain() override;
  std::unique_ptr<http::Reply> answer(const http::Request& request, http::Wake wake) override;
  std::unique_ptr<http::Reply> refuse(const http::Request& request, unsigned status,
                                      std::string message) override;

  // The same for a call that did not come over HTTP: one with a batch_id has its caller already.
  std::unique_ptr<http::Reply> answer_call(Call& call);
  const std::vector<Route>& routes() const { return router_.routes(); }

 private:
  static constexpr double kNotDrained = std::numeric_limits<double>::infinity();
  std::unique_ptr<http::Reply> handle(Call& call);
  std::unique_ptr<http::Reply> refuse_call(const Call& call, const ApiError& error);
  void log_failure(const std::string& where, const char* what);
  void add_health_endpoints();
  void add_files_and_batches(database::Database& database, accounts::Journal& journal);
  void start_housekeeping(database::Database& database);
  void add_metrics_endpoint();

  const ApiOptions options_;
  Metrics metrics_;
  const Observers observers_;
  const Gate gate_;
  Accounting accounting_;
  Inference inference_;
  std::atomic<double> drained_s_{kNotDrained};  // when, by the clock of http::Request::received_s
  Router router_;
  std::optional<FileStore> files_;
  std::optional<BatchRunner> batches_;  // calls answer_call() from its start on
  std::optional<Housekeeping> housekeeping_;
};

}  // namespace lockstep::server
