#include "http/session.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <iterator>
#include <sstream>

#include "base/identifiers.h"
#include "http/target.h"

namespace lockstep::http {

namespace asio = boost::asio;
namespace protocol = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::chrono::seconds kLinger{2};  // for a refused client to read why
constexpr size_t kReadBytes = 4096;
constexpr int kSendBytes = 64 << 10;              // that the system holds for a client that does not read
constexpr size_t kWriteBytes = size_t{64} << 10;  // for which a client has Options::write_s
constexpr size_t kBufferBytes = size_t{64} << 10;
constexpr size_t kBodyBytesPerSecond = size_t{256} << 10;

Clock::time_point in(uint32_t seconds) {
  return Clock::now() + std::chrono::seconds(seconds);
}

std::string lower_case(std::string_view name) {
  std::string text(name);
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// The parser takes a body in any other encoding for none: what follows would be read as further requests.
bool is_encoding_known(const protocol::request_parser<protocol::string_body>& parser) {
  const auto& message = parser.get();
  const auto [begin, end] = message.equal_range(protocol::field::transfer_encoding);
  if (begin == end) return true;
  return message.version() >= 11 && std::next(begin) == end &&
         boost::beast::iequals(begin->value(), "chunked");
}

// As RFC 9110, section 5.6.7 wants it.
std::string date_now() {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(std::time(nullptr)));
}

// Nothing: out of memory, and nothing can be said any more.
std::optional<Piece> next_of(Reply& reply) {
  try {
    return reply.next();
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::string too_large(size_t limit) {
  return fmt::format("the body is larger than {} bytes", limit);
}

}  // namespace

Session::Session(Shared& shared, tcp::socket socket)
    : shared_(shared),
      stream_(std::move(socket), shared.tls ? &*shared.tls : nullptr),
      buffer_(kBufferBytes),
      late_(shared.draining) {
  if (late_) ++shared_.late;
}

Session::~Session() {
  give_back_body_room();
}

void Session::start() {
  error_code ignored;
  client_ = stream_.socket().remote_endpoint(ignored).address().to_string();
  stream_.socket().set_option(tcp::no_delay(true), ignored);
  stream_.socket().set_option(tcp::socket::send_buffer_size(kSendBytes), ignored);
  if (!stream_.is_tls()) return wait_for_request();
  deadline_ = in(shared_.options.header_s);
  stream_.async_handshake(Stream::Side::server, [self = shared_from_this()](error_code error) {
    if (self->state_ == State::Closed) return;
    if (error) return self->close();
    self->wait_for_request();
  });
}

void Session::close() {
  if (state_ == State::Closed) return;
  state_ = State::Closed;
  reply_.reset();
  error_code ignored;
  stream_.socket().close(ignored);
  const auto self = shared_from_this();
  shared_.sessions.erase(this);
  if (late_) --shared_.late;
  shared_.connections = static_cast<uint32_t>(shared_.sessions.size());
  shared_.session_ended();
}

void Session::stop() {
  if (reply_) return reply_->stop();
  if (state_ != State::Answering) close();
}

void Session::wait_for_request() {
  state_ = State::Idle;
  reply_.reset();
  if (shared_.draining && !late_) return close();
  parser_.emplace();
  parser_->header_limit(shared_.options.header_bytes_max);
  parser_->body_limit(boost::none);  // told once the head is there
  request_ = {};
  head_only_ = false;
  deadline_ = in(shared_.options.idle_s);
  if (buffer_.size() == 0) return read_some();
  if (!reading_) return read_header();
  // The next request has begun to come; what waits for more of it makes way for the parser.
  error_code ignored;
  stream_.socket().cancel(ignored);
}

// Reads what the client sends next: a request, or while it is being answered the news that it has gone.
void Session::read_some() {
  if (reading_) return;
  reading_ = true;
  const size_t wanted = state_ == State::Lingering ? kBufferBytes : kReadBytes;
  stream_.async_read_some(buffer_.prepare(wanted),
                          [self = shared_from_this()](error_code error, size_t count) {
                            self->reading_ = false;
                            self->take_read(error, count);
                          });
}

void Session::take_read(error_code error, size_t count) {
  if (state_ == State::Closed) return;
  const bool made_way = error == asio::error::operation_aborted && state_ == State::Idle;
  if (error && !made_way) return close();
  if (state_ == State::Lingering) return read_some();  // nobody wants it
  buffer_.commit(count);
  if (state_ == State::Idle) return read_header();
  // A request that comes before the last one's answer waits in the buffer, and then in the socket.
  if (buffer_.size() + kReadBytes <= kBufferBytes) read_some();
}

void Session::read_header() {
  state_ = State::Reading;
  request_.id = "req_" + new_ulid();
  request_.client = client_;
  request_.received_s = clock_s();
  deadline_ = in(shared_.options.header_s);
  protocol::async_read_header(stream_, buffer_, *parser_,
                              [self = shared_from_this()](error_code error, size_t) {
                                if (self->state_ == State::Closed) return;
                                if (error) return self->refuse(error);
                                self->read_body();
                              });
}

// What the head allows is asked before a byte of the body is read.
void Session::read_body() {
  take_head();
  if (!is_encoding_known(*parser_)) {
    return say_no(400, "the header transfer-encoding may say 'chunked' in HTTP/1.1, and nothing else");
  }
  Admission admission = shared_.service->admit(request_, shared_.options.body_bytes_max);
  const uint64_t length = parser_->content_length().value_or(0);
  if (admission.refusal) {
    if (parser_->chunked() || length > 0) return say_no(std::move(admission.refusal));
    state_ = State::Answering;
    return set_reply(std::move(admission.refusal));
  }
  pace_ = admission.pace;
  const size_t limit = admission.body_bytes_max;
  if (length > limit) return say_no(413, too_large(limit));
  parser_->body_limit(limit);
  // Room for large bodies is taken at once, for others as they come.
  const size_t announced = parser_->chunked() ? limit : length;
  if (announced > shared_.options.body_bytes_max && !take_body_room(announced)) return say_no_room();
  body_limit_ = limit;
  body_began_ = Clock::now();
  const auto expect = parser_->get().find(protocol::field::expect);
  if (expect != parser_->get().end() && boost::beast::iequals(expect->value(), "100-continue")) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    deadline_ = in(shared_.options.body_s);
    asio::async_write(stream_, asio::buffer(kContinue),
                      [self = shared_from_this()](error_code error, size_t) {
                        if (self->state_ == State::Closed) return;
                        if (error) return self->close();
                        self->read_rest();
                      });
    return;
  }
  read_rest();
}

void Session::take_head() {
  auto& message = parser_->get();
  keep_alive_ = message.keep_alive();
  chunks_ = message.version() >= 11;
  head_only_ = message.method() == protocol::verb::head;
  request_.method = head_only_ ? "GET" : std::string(message.method_string());
  request_.target = std::string(message.target());
  for (const auto& field : message) {
    request_.headers.emplace_back(lower_case(field.name_string()), std::string(field.value()));
  }
  if (auto absolute = absolute_target(request_.target)) {  // its host counts, and no header's
    std::erase_if(request_.headers, [](const auto& header) { return header.first == "host"; });
    request_.headers.emplace_back("host", std::move(absolute->host));
    request_.target = std::move(absolute->target);
  }
}

// Makes the room that is taken for the body so large, if there is any. Large bodies leave some to those of
// the usual size.
bool Session::take_body_room(size_t bytes) {
  if (bytes <= body_room_bytes_) return true;
  const size_t more = bytes - body_room_bytes_;
  const size_t kept = bytes > shared_.options.body_bytes_max ? shared_.options.body_memory_bytes / 4 : 0;
  if (more + kept > shared_.body_room_bytes) return false;
  shared_.body_room_bytes -= more;
  body_room_bytes_ = bytes;
  return true;
}

void Session::say_no_room() {
  say_no(503, "the server is reading as many large requests as it has memory for; send this one again");
}

void Session::give_back_body_room() {
  shared_.body_room_bytes += std::exchange(body_room_bytes_, 0);
}

void Session::read_rest() {
  if (!take_body_room(parser_->get().body().size())) return say_no_room();
  if (parser_->is_done()) return answer();
  // A larger body may take longer, as far as it comes.
  const auto earned = std::chrono::seconds(parser_->get().body().size() / kBodyBytesPerSecond);
  deadline_ = body_began_ + std::chrono::seconds(shared_.options.body_s) + earned;
  protocol::async_read_some(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, size_t) {
                              if (self->state_ == State::Closed) return;
                              if (error) return self->refuse(error);
                              self->read_rest();
                            });
}

// The parser's errors become a reply, after which the connection ends; the socket's end it at once.
void Session::refuse(error_code error) {
  static const error_code kBody = protocol::make_error_code(protocol::error::body_limit);
  static const error_code kHeader = protocol::make_error_code(protocol::error::header_limit);
  static const error_code kEnd = protocol::make_error_code(protocol::error::end_of_stream);
  static const error_code kPartial = protocol::make_error_code(protocol::error::partial_message);
  if (error.category() != kBody.category() || error == kEnd || error == kPartial) return close();
  if (error == kBody) {
    say_no(413, too_large(body_limit_));
  } else if (error == kHeader) {
    say_no(431, fmt::format("the header is larger than {} bytes", shared_.options.header_bytes_max));
  } else {
    say_no(400, fmt::format("this is no HTTP/1.1 request: {}", error.message()));
  }
}

void Session::say_no(unsigned status, std::string message) {
  say_no(shared_.service->refuse(request_, status, std::move(message)));
}

void Session::say_no(std::shared_ptr<Reply> reply) {
  state_ = State::Answering;
  keep_alive_ = false;
  lingers_ = true;
  set_reply(std::move(reply));
}

void Session::answer() {
  state_ = State::Answering;
  deadline_ = kNever;
  request_.body = std::move(parser_->get().body());
  if (buffer_.size() + kReadBytes <= kBufferBytes) read_some();
  // The wake may come from any thread at any time: it holds nothing but a way to find the session again.
  Wake wake = [bell = std::make_shared<std::atomic<bool>>(false), &io = shared_.io, weak = weak_from_this()] {
    if (bell->exchange(true)) return;
    asio::post(io, [bell, weak] {
      *bell = false;
      if (const auto session = weak.lock()) session->write_next();
    });
  };
  if (pace_ == Pace::Quick) {
    give_back_body_room();
    return set_reply(shared_.service->answer(request_, std::move(wake)));
  }
  asio::post(shared_.pool_of(pace_),
             [self = shared_from_this(), &shared = shared_, wake = std::move(wake)]() mutable {
               std::shared_ptr<Reply> reply = shared.service->answer(self->request_, std::move(wake));
               self->request_.body = {};  // nobody needs it while the answer grows
               asio::post(shared.io, [self = std::move(self), reply = std::move(reply)]() mutable {
                 self->give_back_body_room();
                 if (self->state_ == State::Answering) self->set_reply(std::move(reply));
               });
             });
}

void Session::set_reply(std::shared_ptr<Reply> reply) {
  reply_ = std::move(reply);
  if (shared_.stopping) reply_->stop();
  head_sent_ = false;
  write_next();
}

// Writes the reply's next piece, if there is one and the one before it is written.
void Session::write_next() {
  if (reply_ == nullptr) return;
  woken_ = writing_;
  if (writing_) return;
  writing_ = true;
  const Pace pace = reply_->pace();
  if (pace == Pace::Quick) return take_piece(next_of(*reply_));
  // The session itself ends in the thread that moves bytes.
  asio::post(shared_.pool_of(pace), [self = shared_from_this(), &io = shared_.io, reply = reply_]() mutable {
    std::optional<Piece> piece = next_of(*reply);
    asio::post(io, [self = std::move(self), reply = std::move(reply), piece = std::move(piece)]() mutable {
      if (self->reply_ == reply) self->take_piece(std::move(piece));
    });
  });
}

void Session::take_piece(std::optional<Piece> piece) {
  if (!piece) return close();
  if (!piece->head && piece->body.empty() && !piece->last) {
    writing_ = false;
    return woken_ ? write_next() : void();
  }
  out_.clear();
  if (!head_sent_) append_head(*piece);
  if (!head_only_) append_body(*piece);
  written_bytes_ = 0;
  write_out(piece->last);
}

// A client has its time for each part of a large piece.
void Session::write_out(bool last) {
  deadline_ = in(shared_.options.write_s);
  const asio::const_buffer left = asio::buffer(out_) + written_bytes_;
  asio::async_write(stream_, asio::buffer(left, kWriteBytes),
                    [self = shared_from_this(), last](error_code error, size_t count) {
                      self->written_bytes_ += count;
                      if (!error && self->written_bytes_ < self->out_.size()) return self->write_out(last);
                      self->writing_ = false;
                      self->take_written(error, last);
                    });
}

void Session::take_written(error_code error, bool last) {
  if (state_ == State::Closed) return;
  if (error) return close();
  deadline_ = kNever;
  if (!last) return write_next();
  reply_.reset();
  if (keep_alive_) return wait_for_request();
  if (!lingers_ && !stream_.is_tls()) return close();
  say_goodbye();
}

// Ends what is sent, and reads on until the client ends its side: one that is still sending would lose the
// reply if its bytes met a closed socket, and under TLS the end has to be told.
void Session::say_goodbye() {
  state_ = State::Lingering;
  deadline_ = Clock::now() + kLinger;
  buffer_.clear();
  read_some();
  if (stream_.is_tls()) {
    stream_.async_shutdown([self = shared_from_this()](error_code) {});
  } else {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  }
}

void Session::append_head(const Piece& piece) {
  head_sent_ = true;
  whole_ = piece.last;
  if (shared_.draining || (!whole_ && !chunks_)) keep_alive_ = false;
  const Head head = piece.head.value_or(Head{});
  protocol::response<protocol::empty_body> response;
  response.version(chunks_ ? 11 : 10);
  response.result(head.status);
  if (head.status == 498) response.reason("Capacity Exceeded");  // GroqCloud's; no standard has it
  response.set(protocol::field::date, date_now());
  response.set(protocol::field::content_type, head.content_type);
  response.set(protocol::field::cache_control, "no-store");
  response.set("x-request-id", request_.id);
  for (const auto& [name, value] : head.headers) response.set(name, value);
  response.keep_alive(keep_alive_);
  if (whole_) {
    response.content_length(piece.body.size());
  } else if (chunks_) {
    response.chunked(true);
  }
  std::ostringstream text;
  text << response.base();
  out_ += text.str();
}

void Session::append_body(const Piece& piece) {
  if (whole_ || !chunks_) {
    out_ += piece.body;
    return;
  }
  if (!piece.body.empty()) append_buffers(protocol::make_chunk(asio::buffer(piece.body)));
  if (piece.last) append_buffers(protocol::make_chunk_last());
}

template <class Buffers>
void Session::append_buffers(const Buffers& buffers) {
  for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers); ++it) {
    const asio::const_buffer one = *it;
    out_.append(static_cast<const char*>(one.data()), one.size());
  }
}

}  // namespace lockstep::http
