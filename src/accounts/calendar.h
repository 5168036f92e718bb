// Times as numbers: milliseconds since 1970, and the months of UTC.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep::accounts {

inline constexpr int64_t kSecond_ms = 1000;
inline constexpr int64_t kMinute_ms = 60 * kSecond_ms;
inline constexpr int64_t kHour_ms = 60 * kMinute_ms;
inline constexpr int64_t kDay_ms = 24 * kHour_ms;

// The latest time that a client may name, in seconds: the end of the year 9999.
inline constexpr int64_t kTime_s_max = 253'402'300'799;

// The system's clock.
int64_t now_ms();
// The same when the process began, and from then on what has passed: never goes back, whatever is done to the
// system's clock.
int64_t steady_now_ms();

// Months since January of year 0, UTC.
int64_t month_of(int64_t time_ms);
// When a month begins.
int64_t month_start_ms(int64_t month);
// "2026-11".
std::string month_name(int64_t month);

}  // namespace lockstep::accounts
