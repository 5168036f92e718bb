#include "http/target.h"

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>

namespace lockstep::http {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decode_form(std::string_view text) {
  std::string with_spaces(text);
  std::replace(with_spaces.begin(), with_spaces.end(), '+', ' ');
  return decode_percent(with_spaces);
}

}  // namespace

std::string decode_percent(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool code =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    result += code ? static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])) : text[i];
    if (code) i += 2;
  }
  return result;
}

std::optional<AbsoluteTarget> absolute_target(std::string_view target) {
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return std::nullopt;
  const std::string_view name = target.substr(0, scheme);
  if (!boost::algorithm::iequals(name, "http") && !boost::algorithm::iequals(name, "https"))
    return std::nullopt;
  target.remove_prefix(scheme + 3);
  const std::string_view host = target.substr(0, target.find_first_of("/?"));
  if (host.empty() || host.find('@') != std::string_view::npos) return std::nullopt;
  target.remove_prefix(host.size());
  return AbsoluteTarget{std::string(host),
                        target.starts_with('/') ? std::string(target) : "/" + std::string(target)};
}

Target::Target(std::string_view target) : path(target.substr(0, target.find('?'))) {
  if (path.size() < target.size()) query = target.substr(path.size() + 1);
}

std::vector<std::pair<std::string, std::string>> Target::fields() const {
  std::vector<std::pair<std::string, std::string>> fields;
  for (std::string_view rest = query; !rest.empty();) {
    const std::string_view field = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), field.size() + 1));
    if (field.empty()) continue;
    const std::string_view name = field.substr(0, field.find('='));
    const std::string_view value = field.substr(std::min(field.size(), name.size() + 1));
    fields.emplace_back(decode_form(name), decode_form(value));
  }
  return fields;
}

std::vector<std::string> Target::find_all(std::string_view name) const {
  std::vector<std::string> values;
  for (auto& [field, value] : fields()) {
    if (field == name) values.push_back(std::move(value));
  }
  return values;
}

std::optional<std::string> Target::find(std::string_view name) const {
  std::vector<std::string> values = find_all(name);
  if (values.empty()) return std::nullopt;
  return std::move(values.front());
}

}  // namespace lockstep::http
