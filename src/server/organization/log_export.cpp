#include "server/organization/log_export.h"

#include <boost/algorithm/string/replace.hpp>
#include <memory>
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

// Reads the log page by page.
class Pages {
 public:
  Pages(accounts::Access access, accounts::UsageFilter filter, accounts::Access::Reach reach,
        LogFormat format)
      : access_(std::move(access)), filter_(std::move(filter)), reach_(reach), format_(format) {
    filter_.page_size = kPageRows;
  }

  ReadAhead::Portion next() {
    ReadAhead::Portion portion;
    if (format_ == LogFormat::Csv && !filter_.cursor) portion.bytes = csv_line(record_json({}), true);
    try {
      const accounts::UsagePage page = access_.search_log(filter_, reach_);
      for (const accounts::UsageRecord& record : page.records) {
        const ReplyJson json = record_json(record);
        portion.bytes += format_ == LogFormat::Csv ? csv_line(json, false) : to_text(json) + "\n";
      }
      filter_.cursor = page.next_cursor;
      portion.last = !filter_.cursor;
    } catch (const std::exception&) {
      // A file that is cut off in its middle says so; its status has been sent.
      portion.bytes += "error: the request log cannot be read; please export again\n";
      portion.last = true;
    }
    return portion;
  }

 private:
  const accounts::Access access_;
  accounts::UsageFilter filter_;
  const accounts::Access::Reach reach_;
  const LogFormat format_;
};

http::Head head_of(LogFormat format) {
  const bool csv = format == LogFormat::Csv;
  return {200,
          csv ? "text/csv; charset=utf-8" : "application/jsonl",
          {{"content-disposition",
            csv ? "attachment; filename=requests.csv" : "attachment; filename=requests.jsonl"}}};
}

}  // namespace

std::unique_ptr<http::Reply> LogExporter::start(const accounts::Access& access, accounts::UsageFilter filter,
                                                accounts::Access::Reach reach, LogFormat format,
                                                http::Wake wake) {
  // A wrong filter is refused before there is a status.
  accounts::UsageFilter probe = filter;
  probe.page_size = 1;
  access.search_log(probe, reach);
  const auto pages = std::make_shared<Pages>(access, std::move(filter), reach, format);
  return reader_.reply(
      head_of(format), [pages] { return pages->next(); }, std::move(wake));
}

}  // namespace lockstep::server
