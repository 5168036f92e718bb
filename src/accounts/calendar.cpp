#include "accounts/calendar.h"

#include <fmt/format.h>

#include <chrono>

namespace lockstep::accounts {

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

int64_t steady_now_ms() {
  using namespace std::chrono;
  const auto steady_ms = [] {
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
  };
  static const int64_t ahead_ms = now_ms() - steady_ms();
  return ahead_ms + steady_ms();
}

int64_t month_of(int64_t time_ms) {
  using namespace std::chrono;
  const year_month_day date(floor<days>(sys_time<milliseconds>(milliseconds(time_ms))));
  return int64_t{int{date.year()}} * 12 + unsigned{date.month()} - 1;
}

int64_t month_start_ms(int64_t month) {
  using namespace std::chrono;
  const sys_days day(year(static_cast<int>(month / 12)) /
                     std::chrono::month(static_cast<unsigned>(month % 12) + 1) / 1);
  return duration_cast<milliseconds>(day.time_since_epoch()).count();
}

std::string month_name(int64_t month) {
  return fmt::format("{:04}-{:02}", month / 12, month % 12 + 1);
}

}  // namespace lockstep::accounts
