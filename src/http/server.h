// HTTP/1.1 on a socket, plain or under TLS: one thread moves all bytes, others have the service answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "http/service.h"

namespace lockstep::http {

// Times are those that a client may take; a connection that takes longer is closed.
struct Options {
  std::string host = "127.0.0.1";                    // an address or a name
  uint16_t port = 8080;                              // 0: a free one
  std::string certificate_file = "", key_file = "";  // in PEM; both: TLS, none: plain
  size_t body_bytes_max = size_t{4} << 20;           // where the service says nothing else
  size_t body_memory_bytes = size_t{1} << 30;        // of all bodies together that are read or waited for
  uint32_t header_bytes_max = 16 << 10;
  uint32_t connections_max = 1024;  // further ones wait
  uint32_t working_threads = 2;     // that work out answers
  uint32_t waiting_threads = 4;     // that wait for a disk or a database
  uint32_t idle_s = 75;             // between requests
  uint32_t header_s = 10;  // from a request's first byte to the end of its header; also for TLS to begin
  uint32_t body_s = 60;    // and a second more for each 256 KiB that came
  uint32_t write_s = 30;   // to take one piece of a reply
  uint32_t drain_s = 30;   // for what runs when the server is asked to stop
};

class Server {
 public:
  // Binds, so that a port in use is known before long work. Throws a user's error for that, and for files of
  // TLS that are not right.
  explicit Server(const Options& options);
  // What it gave out as Wake is no longer called by then.
  ~Server();

  // From here on clients can connect.
  void listen();
  std::string url() const;  // "http://127.0.0.1:8080"
  // Only this machine reaches it.
  bool is_local() const;
  // How many are open. THREAD: any.
  uint32_t connections() const;

  // Serves until SIGTERM or SIGINT. Then idle connections are closed, and what runs may end within drain_s;
  // new connections are let in until that has ended, for a request each, so that the service can say what
  // happens. A second signal ends it at once. Returns when all is closed.
  void run(Service& service);

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace lockstep::http
