#include "grammar/formats.h"

#include <fmt/format.h>

#include <map>

namespace lockstep::grammar {

namespace {

// Days that every year has, and February 29 of leap years: those that 4 divides, of centuries those that 400
// does. There is no year 0000 for many readers.
const std::string kDate =
    "(?:"
    "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-"
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|"
    "02-(?:0[1-9]|1[0-9]|2[0-8]))|"
    "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)";
const std::string kHourMinute = "(?:[01][0-9]|2[0-3]):[0-5][0-9]";
const std::string kTime = kHourMinute + ":[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-]" + kHourMinute + ")";
const std::string kDuration = [] {
  const std::string days = "[0-9]{1,4}D";
  const std::string months = "[0-9]{1,4}M(?:" + days + ")?";
  const std::string years = "[0-9]{1,4}Y(?:" + months + ")?";
  const std::string seconds = "[0-9]{1,4}S";
  const std::string minutes = "[0-9]{1,4}M(?:" + seconds + ")?";
  const std::string hours = "[0-9]{1,4}H(?:" + minutes + ")?";
  const std::string time = fmt::format("T(?:{}|{}|{})", hours, minutes, seconds);
  return fmt::format("P(?:(?:{}|{}|{})(?:{})?|{}|[0-9]{{1,4}}W)", years, months, days, time, time);
}();

std::string uuid(std::string_view version, std::string_view variant) {
  return fmt::format(
      "[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-{}[0-9a-fA-F]{{3}}-{}[0-9a-fA-F]{{3}}-[0-9a-fA-F]{{12}}", version,
      variant);
}

const std::string kIpv4 = [] {
  const std::string byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  return fmt::format("{0}\\.{0}\\.{0}\\.{0}", byte);
}();

// Eight groups, or `::` for two or more of them.
const std::string kIpv6 = [] {
  const std::string group = "[0-9a-fA-F]{1,4}";
  std::string pattern = fmt::format("(?:{0}(?::{0}){{7}}", group);
  for (int before = 0; before <= 6; ++before) {
    pattern += before == 0 ? "|" : fmt::format("|{0}(?::{0}){{{1}}}", group, before - 1);
    pattern += "::";
    if (before < 6) pattern += fmt::format("(?:{0}(?::{0}){{0,{1}}})?", group, 5 - before);
  }
  return pattern + ")";
}();

// Letters and digits with single hyphens between them, so many at the most; the last label begins with a
// letter, so that no address of numbers is meant.
std::string label(std::string_view first, int most) {
  return fmt::format("{}(?:-?[0-9A-Za-z]){{0,{}}}", first, (most - 1) / 2);
}
// 4 labels of 61: 247 of DNS's 253 characters.
const std::string kHost = fmt::format("(?:{}\\.){{0,3}}{}", label("[0-9A-Za-z]", 61), label("[A-Za-z]", 61));
// RFC 5321 lets 64 characters stand before the `@`, and 254 in all: here 63 and 211.
const std::string kEmail = fmt::format(
    "[0-9A-Za-z_+](?:[.-]?[0-9A-Za-z_+]){{0,31}}@(?:{}\\.){{1,3}}[A-Za-z]{{2,20}}", label("[0-9A-Za-z]", 41));
const std::string kUri = [] {
  const std::string character = "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
  const std::string host = "(?:[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*\\.)*[A-Za-z][0-9A-Za-z]*(?:-[0-9A-Za-z]+)*";
  return fmt::format(
      "[A-Za-z][A-Za-z0-9+.-]*://{0}(?::[1-9][0-9]{{0,3}})?(?:/{1}*)*(?:\\?(?:{1}|[/?])*)?(?:#(?:{1}|[/"
      "?])*)?",
      host, character);
}();
// The bits that fill the last character up are 0.
std::string base64(std::string_view characters, std::string_view padding_1, std::string_view padding_2) {
  return fmt::format("(?:[{0}]{{4}})*(?:[{0}][AQgw]{2}|[{0}]{{2}}[AEIMQUYcgkosw048]{1})?", characters,
                     padding_1, padding_2);
}

const std::map<std::string, std::string, std::less<>> kFormats = [] {
  const std::string any = "[0-9a-fA-F]";
  const std::string variant = "[89abAB]";
  const std::string any_text = "[\\0-\\u{10FFFF}]*";
  std::map<std::string, std::string, std::less<>> formats = {
      {"date", kDate},
      {"time", kTime},
      {"date-time", kDate + "T" + kTime},
      {"duration", kDuration},
      {"uuid", uuid(any, any)},
      {"ipv4", kIpv4},
      {"ipv6", kIpv6},
      {"hostname", kHost},
      {"email", kEmail},
      {"ipvanyaddress", "(?:" + kIpv4 + "|" + kIpv6 + ")"},
      {"uri", kUri},
      {"base64", base64("A-Za-z0-9+/", "=", "==")},
      {"base64url", base64("A-Za-z0-9_-", "=", "==")},
      {"binary", any_text},
      {"password", any_text},
      {"path", any_text}};
  for (const char* version : {"1", "2", "3", "4", "5", "6", "7", "8"})
    formats.emplace(std::string("uuid") + version, uuid(version, variant));
  for (auto& [name, pattern] : formats) pattern = "^(?:" + pattern + ")$";
  return formats;
}();

}  // namespace

const std::string* format_pattern(std::string_view format) {
  const auto found = kFormats.find(format);
  return found == kFormats.end() ? nullptr : &found->second;
}

const std::string& format_names() {
  static const std::string names = [] {
    std::string list;
    for (const auto& [name, pattern] : kFormats) list += (list.empty() ? "" : ", ") + name;
    return list;
  }();
  return names;
}

}  // namespace lockstep::grammar
