#include "server/organization/log_export.h"

#include <boost/algorithm/string/replace.hpp>
#include <boost/asio/post.hpp>
#include <mutex>
#include <optional>
#include <string>

#include "server/organization/entity_json.h"

namespace lockstep::server {

namespace {

constexpr int64_t kPageRows = 500;

// A field of RFC 4180.
std::string csv_field(const ReplyJson& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return to_text(value);
  return '"' + boost::algorithm::replace_all_copy(value.get<std::string>(), "\"", "\"\"") + '"';
}

std::string csv_line(const ReplyJson& record, bool names) {
  std::string line;
  for (const auto& [name, value] : record.items()) {
    if (name == "object") continue;
    if (!line.empty()) line += ',';
    line += names ? name : csv_field(value);
  }
  return line + "\r\n";
}

std::string page_text(const accounts::UsagePage& page, LogFormat format) {
  std::string text;
  for (const accounts::UsageRecord& record : page.records) {
    const ReplyJson json = record_json(record);
    text += format == LogFormat::Csv ? csv_line(json, false) : to_text(json) + "\n";
  }
  return text;
}

// Between the thread that reads and the reply, either of which may be there longer.
class Export : public std::enable_shared_from_this<Export> {
 public:
  Export(accounts::Access access, accounts::UsageFilter filter, accounts::Access::Reach reach,
         LogFormat format, http::Wake wake)
      : access_(std::move(access)),
        filter_(std::move(filter)),
        reach_(reach),
        format_(format),
        wake_(std::move(wake)) {
    filter_.page_size = kPageRows;
  }

  // The next page of the database, to be taken by the reply.
  void read_page() {
    std::string text;
    bool failed = false;
    try {
      const accounts::UsagePage page = access_.search_log(filter_, reach_);
      text = page_text(page, format_);
      filter_.cursor = page.next_cursor;
    } catch (const std::exception&) {
      failed = true;
    }
    {
      const std::lock_guard lock(mutex_);
      if (failed) failed_ = true;
      text_ = std::move(text);
      last_ = failed || !filter_.cursor;
    }
    wake_();
  }

  struct Taken {
    std::string text;
    bool last = false;
    bool failed = false;
  };
  // Empty: the page is still being read.
  std::optional<Taken> take() {
    const std::lock_guard lock(mutex_);
    if (!text_) return std::nullopt;
    Taken taken{*std::move(text_), last_, failed_};
    text_.reset();
    return taken;
  }

 private:
  const accounts::Access access_;
  accounts::UsageFilter filter_;  // touched by the reading thread alone
  const accounts::Access::Reach reach_;
  const LogFormat format_;
  const http::Wake wake_;
  std::mutex mutex_;
  std::optional<std::string> text_;
  bool last_ = false;
  bool failed_ = false;
};

class ExportReply : public http::Reply {
 public:
  ExportReply(std::shared_ptr<Export> pages, LogFormat format, boost::asio::thread_pool& pool)
      : pages_(std::move(pages)), format_(format), pool_(pool) {}

  http::Piece next() override {
    http::Piece piece;
    std::optional<Export::Taken> taken = pages_->take();
    if (!taken) return piece;
    if (!begun_) begin(piece);
    piece.body += taken->text;
    // A file that is cut off in its middle says so; its status has been sent.
    if (taken->failed) piece.body += "error: the request log cannot be read; please export again\n";
    piece.last = taken->last;
    if (!piece.last) boost::asio::post(pool_, [pages = pages_] { pages->read_page(); });
    return piece;
  }

 private:
  void begin(http::Piece& piece) {
    begun_ = true;
    const bool csv = format_ == LogFormat::Csv;
    piece.head = http::Head{200,
                            csv ? "text/csv; charset=utf-8" : "application/jsonl",
                            {{"content-disposition", csv ? "attachment; filename=requests.csv"
                                                         : "attachment; filename=requests.jsonl"}}};
    if (csv) piece.body = csv_line(record_json({}), true);
  }

  const std::shared_ptr<Export> pages_;
  const LogFormat format_;
  boost::asio::thread_pool& pool_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<http::Reply> LogExporter::start(const accounts::Access& access, accounts::UsageFilter filter,
                                                accounts::Access::Reach reach, LogFormat format,
                                                http::Wake wake) {
  // A wrong filter is refused before there is a status.
  accounts::UsageFilter probe = filter;
  probe.page_size = 1;
  access.search_log(probe, reach);
  auto pages = std::make_shared<Export>(access, std::move(filter), reach, format, std::move(wake));
  boost::asio::post(pool_, [pages] { pages->read_page(); });
  return std::make_unique<ExportReply>(std::move(pages), format, pool_);
}

}  // namespace lockstep::server
