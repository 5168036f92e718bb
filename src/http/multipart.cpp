#include "http/multipart.h"

#include <algorithm>

#include "base/error.h"

namespace lockstep::http {

namespace {

constexpr size_t kBoundaryBytesMax = 70;  // RFC 2046, 5.1.1
constexpr std::string_view kLineEnd = "\r\n";

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// RFC 9110, 5.6.2.
bool is_token_character(char c) {
  return is_letter_or_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

bool take(std::string_view& text, std::string_view wanted) {
  if (!text.starts_with(wanted)) return false;
  text.remove_prefix(wanted.size());
  return true;
}

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

std::string_view take_token(std::string_view& text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_token_character);
  const std::string_view token = text.substr(0, static_cast<size_t>(end - text.begin()));
  text.remove_prefix(token.size());
  return token;
}

// A header's value such as `form-data; name="file"; filename="a.jsonl"`, one parameter after another.
class Parameters {
 public:
  // `where` is named in errors.
  Parameters(std::string_view value, std::string_view where) : rest_(value), where_(where) {
    first_ = rest_.substr(0, rest_.find(';'));
    rest_.remove_prefix(first_.size());
    while (!first_.empty() && (first_.back() == ' ' || first_.back() == '\t')) first_.remove_suffix(1);
  }

  // What stands before the parameters.
  std::string_view first() const { return first_; }

  struct Parameter {
    std::string_view name;
    std::string value;
  };

  // Nothing after the last.
  std::optional<Parameter> next() {
    skip_blanks(rest_);
    if (rest_.empty()) return std::nullopt;
    if (!take(rest_, ";")) fail();
    skip_blanks(rest_);
    if (rest_.empty()) return std::nullopt;
    Parameter parameter{take_token(rest_), {}};
    if (parameter.name.empty() || !take(rest_, "=")) fail();
    parameter.value = rest_.starts_with('"') ? take_quoted() : std::string(take_token(rest_));
    return parameter;
  }

 private:
  // Browsers write a quotation mark as %22, RFC 9110 as \"; a backslash before anything else is one, as in
  // the paths that old browsers send.
  std::string take_quoted() {
    std::string value;
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return value;
      }
      const bool escape =
          rest_[i] == '\\' && i + 1 < rest_.size() && (rest_[i + 1] == '"' || rest_[i + 1] == '\\');
      if (escape) ++i;
      value += rest_[i];
    }
    fail();
  }

  [[noreturn]] void fail() const {
    user_error("{}: after the type NAME=VALUE is wanted, or NAME=\"VALUE\", each after a semicolon", where_);
  }

  std::string_view rest_, where_, first_;
};

std::string boundary_of(std::string_view content_type) {
  Parameters parameters(content_type, "the header content-type");
  if (!equal_ignoring_case(parameters.first(), "multipart/form-data")) {
    user_error(
        "the header content-type must be multipart/form-data with a boundary, as a form with a file has");
  }
  std::optional<std::string> boundary;
  while (auto parameter = parameters.next()) {
    if (!equal_ignoring_case(parameter->name, "boundary")) continue;
    if (boundary) user_error("the header content-type has two boundaries; one is wanted");
    boundary = std::move(parameter->value);
  }
  const auto is_good = [](char c) {
    return is_letter_or_digit(c) || std::string_view("'()+_,-./:=? ").find(c) != std::string_view::npos;
  };
  if (!boundary || boundary->empty() || boundary->size() > kBoundaryBytesMax || boundary->back() == ' ' ||
      !std::all_of(boundary->begin(), boundary->end(), is_good)) {
    user_error("the header content-type needs a boundary of 1 to {} characters, as RFC 2046 has them",
               kBoundaryBytesMax);
  }
  return *boundary;
}

void read_disposition(std::string_view value, Part& part, size_t number) {
  const std::string where = fmt::format("content-disposition of part {} of the form", number);
  Parameters parameters(value, where);
  if (!equal_ignoring_case(parameters.first(), "form-data")) user_error("{}: form-data is wanted", where);
  bool named = false;
  while (auto parameter = parameters.next()) {
    if (parameter->name == "name" && !named) {
      named = true;
      part.name = std::move(parameter->value);
    } else if (parameter->name == "filename" && !part.file_name) {
      part.file_name = std::move(parameter->value);
    } else if (parameter->name == "name" || parameter->name == "filename") {
      user_error("{}: {} stands there twice", where, parameter->name);
    }
  }
  if (part.name.empty()) user_error("{}: the field has no name", where);
}

// `lines` are all header lines, each with its end.
Part read_header(std::string_view lines, size_t number) {
  Part part;
  while (!lines.empty()) {
    std::string_view line = lines.substr(0, lines.find(kLineEnd));
    lines.remove_prefix(line.size() + kLineEnd.size());
    const std::string_view name = take_token(line);
    const bool good = !name.empty() && take(line, ":") &&
                      line.find_first_of(std::string_view("\0\r\n", 3)) == std::string_view::npos;
    if (!good) user_error("part {} of the form has a header line that is not NAME: VALUE", number);
    skip_blanks(line);
    if (equal_ignoring_case(name, "content-disposition")) {
      if (!part.name.empty()) user_error("part {} of the form has two lines content-disposition", number);
      read_disposition(line, part, number);
    } else if (equal_ignoring_case(name, "content-type")) {
      part.content_type = line;
    }
  }
  if (part.name.empty())
    user_error("part {} of the form has no line content-disposition with a name", number);
  return part;
}

}  // namespace

std::vector<Part> parse_multipart(std::string_view content_type, std::string_view body) {
  const std::string delimiter = "\r\n--" + boundary_of(content_type);
  std::vector<Part> parts;
  if (!take(body, std::string_view(delimiter).substr(kLineEnd.size())) && !take(body, delimiter)) {
    user_error("the body does not begin with the boundary that the header content-type names");
  }
  while (!take(body, "--")) {
    const size_t number = parts.size() + 1;
    if (number > kPartsMax) user_error("the form has more than {} parts", kPartsMax);
    skip_blanks(body);
    if (!take(body, kLineEnd))
      user_error("no line end follows the boundary before part {} of the form", number);
    // The header ends with an empty line; a part without one would begin with it.
    const size_t header_end =
        body.starts_with(kLineEnd) ? 0 : body.substr(0, kPartHeaderBytesMax).find("\r\n\r\n");
    if (header_end == std::string_view::npos) {
      user_error("the header of part {} of the form does not end within {} bytes", number,
                 kPartHeaderBytesMax);
    }
    const size_t header_size = header_end == 0 ? 0 : header_end + kLineEnd.size();
    Part part = read_header(body.substr(0, header_size), number);
    body.remove_prefix(header_size + kLineEnd.size());
    const size_t end = body.find(delimiter);
    if (end == std::string_view::npos) {
      user_error("the body ends within part {} of the form: the boundary is missing after it", number);
    }
    part.body = body.substr(0, end);
    body.remove_prefix(end + delimiter.size());
    parts.push_back(std::move(part));
  }
  skip_blanks(body);
  take(body, kLineEnd);
  if (!body.empty()) user_error("{} bytes follow the last boundary of the form; nothing may", body.size());
  return parts;
}

const Part* find_part(const std::vector<Part>& parts, std::string_view name) {
  const auto part =
      std::find_if(parts.begin(), parts.end(), [&](const Part& one) { return one.name == name; });
  return part == parts.end() ? nullptr : &*part;
}

}  // namespace lockstep::http
