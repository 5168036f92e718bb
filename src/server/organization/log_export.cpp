#include "server/organization/log_export.h"

#include <boost/algorithm/string/replace.hpp>
#include <string>

#include "base/error.h"
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

// Reads the database page by page, as the client takes them.
class ExportReply : public http::Reply {
 public:
  ExportReply(accounts::Access access, accounts::UsageFilter filter, accounts::Access::Reach reach,
              LogFormat format)
      : access_(std::move(access)), filter_(std::move(filter)), reach_(reach), format_(format) {
    filter_.page_size = kPageRows;
  }

  http::Pace pace() override { return http::Pace::Waits; }

  http::Piece next() override {
    http::Piece piece;
    if (!begun_) begin(piece);
    try {
      const accounts::UsagePage page = access_.search_log(filter_, reach_);
      piece.body += page_text(page, format_);
      filter_.cursor = page.next_cursor;
      piece.last = !filter_.cursor;
    } catch (const Error&) {
      // A file that is cut off in its middle says so; its status has been sent.
      piece.body += "error: the request log cannot be read; please export again\n";
      piece.last = true;
    }
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

  const accounts::Access access_;
  accounts::UsageFilter filter_;
  const accounts::Access::Reach reach_;
  const LogFormat format_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<http::Reply> export_log(const accounts::Access& access, accounts::UsageFilter filter,
                                        accounts::Access::Reach reach, LogFormat format) {
  // A wrong filter is refused before there is a status.
  accounts::UsageFilter probe = filter;
  probe.page_size = 1;
  access.search_log(probe, reach);
  return std::make_unique<ExportReply>(access, std::move(filter), reach, format);
}

}  // namespace lockstep::server
