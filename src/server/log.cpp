#include "server/log.h"

#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>

namespace lockstep::server {

namespace {

constexpr size_t kLinesWaitingMax = 8192;
// A pipe that poll() calls ready takes this much at once without waiting: PIPE_BUF of pipe(7).
constexpr size_t kLineBytesMax = 4096;
constexpr int kPatience_ms = 500;  // with a reader who does not read; none at all until he reads again

// UTC; the event and its fields follow.
const char* pattern(Log::Format format) {
  return format == Log::Format::Json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",\"level\":\"%l\",%v}"
                                     : "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
}

spdlog::level::level_enum spdlog_level(Log::Level level) {
  switch (level) {
    case Log::Level::Debug:
      return spdlog::level::debug;
    case Log::Level::Info:
      return spdlog::level::info;
    case Log::Level::Warn:
      return spdlog::level::warn;
    case Log::Level::Off:
      break;
  }
  return spdlog::level::off;
}

std::string dump(const ReplyJson& json) {
  return json.dump(-1, ' ', true, ReplyJson::error_handler_t::replace);
}

bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return c > ' ' && c < '\x7f' && c != '"' && c != '='; });
}

}  // namespace

class Log::Sink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit Sink(int file_descriptor) : file_descriptor_(file_descriptor) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (line.size() > kLineBytesMax) return;
    pollfd ready{file_descriptor_, POLLOUT, 0};
    const bool read = ::poll(&ready, 1, patience_ms_) > 0 && (ready.revents & POLLOUT) != 0;
    patience_ms_ = read ? kPatience_ms : 0;
    if (read && ::write(file_descriptor_, line.data(), line.size()) < 0) patience_ms_ = 0;
  }
  void flush_() override {}

 private:
  const int file_descriptor_;
  int patience_ms_ = kPatience_ms;
};

struct Log::Queue {
  explicit Queue(int file_descriptor)
      : pool(std::make_shared<spdlog::details::thread_pool>(kLinesWaitingMax, 1)),
        logger(std::make_shared<spdlog::async_logger>("server", std::make_shared<Sink>(file_descriptor), pool,
                                                      spdlog::async_overflow_policy::overrun_oldest)) {}
  // Its end waits for the lines in the queue.
  const std::shared_ptr<spdlog::details::thread_pool> pool;
  const std::shared_ptr<spdlog::async_logger> logger;
};

Log::Log(Level level, Format format, int file_descriptor)
    : level_(level), format_(format), queue_(std::make_unique<Queue>(file_descriptor)) {
  queue_->logger->set_level(spdlog::level::debug);
  queue_->logger->set_pattern(pattern(format), spdlog::pattern_time_type::utc);
}

Log::~Log() = default;

void Log::write(Level level, std::string_view event, const ReplyJson& fields) {
  if (level < level_) return;
  std::string line;
  if (format_ == Format::Json) {
    ReplyJson all = {{"event", event}};
    all.update(fields);
    line = dump(all);
    line = line.substr(1, line.size() - 2);  // the pattern has the braces
  } else {
    line = event;
    for (const auto& [name, value] : fields.items()) {
      const bool plain = value.is_string() && is_plain(value.get_ref<const std::string&>());
      line += " " + name + "=" + (plain ? value.get<std::string>() : dump(value));
    }
  }
  queue_->logger->log(spdlog_level(level), line);
}

}  // namespace lockstep::server
