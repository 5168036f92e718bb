#include "base/json_scan.h"

#include <iterator>
#include <nlohmann/json.hpp>

namespace lockstep {

namespace {

// Reads a text, and tells how far the parser has read: behind a bracket, when that is told.
struct Reader {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  reference operator*() const { return *at; }
  Reader& operator++() {
    *position = ++at;
    return *this;
  }
  Reader operator++(int) {
    Reader before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Reader& other) const { return at == other.at; }

  const char* at;
  const char** position;
};

class Scan : public nlohmann::json_sax<nlohmann::json> {
 public:
  Scan(std::string_view text, const std::function<void(const JsonEvent&)>& look)
      : text_(text), look_(look), position_(text.data()) {}

  void run() {
    nlohmann::json::sax_parse(Reader{text_.data(), &position_},
                              Reader{text_.data() + text_.size(), &position_}, this);
  }

  bool start_object(size_t) override { return begin(); }
  bool start_array(size_t) override { return begin(); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool key(std::string& name) override {
    look_({JsonEvent::Kind::Name, depth_, offset(), name});
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(nlohmann::json::binary_t&) override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  bool begin() {
    look_({JsonEvent::Kind::Begin, depth_++, offset() - 1, {}});
    return true;
  }
  bool end() {
    look_({JsonEvent::Kind::End, --depth_, offset(), {}});
    return true;
  }
  size_t offset() const { return static_cast<size_t>(position_ - text_.data()); }

  const std::string_view text_;
  const std::function<void(const JsonEvent&)>& look_;
  const char* position_;
  uint32_t depth_ = 0;
};

}  // namespace

void scan_json(std::string_view text, const std::function<void(const JsonEvent&)>& look) {
  Scan(text, look).run();
}

}  // namespace lockstep
