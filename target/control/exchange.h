// Exchange: what serve_http() and serve_https() have in common.
#pragma once

#include "target/control/http_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace target::control {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using HttpStream = beast::basic_stream<asio::generic::stream_protocol, asio::any_io_executor>;

// `Stream`: an HttpStream, or TLS over one.
template <class Stream>
class Exchange final : public HttpConnection,
                       public std::enable_shared_from_this<Exchange<Stream>> {
 public:
  // `stream_arguments`: what the stream is made of; `holds`: what it must not outlive.
  template <class... StreamArguments>
  Exchange(HttpVisit visit, const RouteTable& routes, std::shared_ptr<const void> holds,
           StreamArguments&&... stream_arguments)
      : holds_(std::move(holds)),
        stream_(std::forward<StreamArguments>(stream_arguments)...),
        caller_(std::move(visit.caller)),
        routes_(routes),
        limits_(visit.limits),
        slot_(std::move(visit.slot)),
        gatekeeper_(std::move(visit.gatekeeper)),
        patience_(stream_.get_executor()),
        buffer_(limits_.header_bytes + largest_read) {
    request_.caller = caller_;
  }

  void start() {
    if constexpr (is_tls) {
      lowest().expires_after(limits_.handshake_time);
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](beast::error_code error) {
                                self->hands_shaken(error);
                              });
    } else {
      read_header(limits_.request_time);
    }
  }

  void end() override { close(); }
  [[nodiscard]] const Caller& caller() const override { return request_.caller; }

 private:
  // Owned by whoever writes; the connection ends with it.
  class Chunks final : public OpenAnswer {
   public:
    explicit Chunks(std::weak_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
    ~Chunks() override { Chunks::close(); }

    bool write(std::string_view text) override {
      const auto exchange = exchange_.lock();
      return exchange && exchange->add_chunk(text);
    }
    [[nodiscard]] bool is_open() const override {
      const auto exchange = exchange_.lock();
      return exchange && !exchange->closed_;
    }
    void close() override {
      if (const auto exchange = exchange_.lock()) exchange->close();
    }

   private:
    // Waiting for the client's end keeps the exchange.
    const std::weak_ptr<Exchange> exchange_;
  };

  // A request's reply: one that comes late must not answer the connection's next request.
  class OneReply final : public Responder {
   public:
    explicit OneReply(const std::shared_ptr<Exchange>& exchange)
        : exchange_(exchange), serial_(exchange->serial_) {}

    void answer(Answer answer) override {
      const auto exchange = exchange_.lock();
      if (!exchange) return;
      asio::post(exchange->stream_.get_executor(),
                 [exchange, serial = serial_, answer = std::move(answer)]() mutable {
                   exchange->answer(serial, std::move(answer));
                 });
    }
    std::shared_ptr<OpenAnswer> open(const std::string& content_type) override {
      const auto exchange = exchange_.lock();
      return exchange ? exchange->open(serial_, content_type)
                      : std::make_shared<Chunks>(std::weak_ptr<Exchange>());
    }

   private:
    // Patience keeps the exchange until it is answered.
    const std::weak_ptr<Exchange> exchange_;
    const std::uint64_t serial_;
  };

  static constexpr bool is_tls = !std::is_same_v<Stream, HttpStream>;

  HttpStream& lowest() { return beast::get_lowest_layer(stream_); }

  void hands_shaken(beast::error_code error) {
    if (!error) {
      has_shaken_hands_ = true;
      return read_header(limits_.request_time);
    }
    if (gatekeeper_) gatekeeper_->handshake_failed(caller_);
    close();
  }

  void read_header(std::chrono::milliseconds time) {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
    parser_->body_limit(boost::none);  // said when it is known whom it is for
    lowest().expires_after(time);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = this->shared_from_this()](beast::error_code error, std::size_t) {
          self->header_read(error);
        });
  }

  void header_read(beast::error_code error) {
    if (error) return refuse_unread(error);
    ++serial_;
    answered_ = false;
    request_ = {};
    request_.caller = caller_;
    const auto& header = parser_->get();
    split_target({header.target().data(), header.target().size()}, request_);
    request_.if_match = unquoted(header[http::field::if_match]);
    is_head_ = header.method() == http::verb::head;
    const bool is_get = is_head_ || header.method() == http::verb::get;
    if (!is_get && header.method() != http::verb::post) {
      return finish_with(error_answer(405, "only GET and POST are known here"));
    }
    request_.method = is_get ? Method::get : Method::post;
    if (auto refusal = refusal_at_the_door()) return finish_with(std::move(*refusal));
    const auto match = routes_.find(request_.method, request_.path);
    if (match.route == nullptr && !match.other_methods.empty()) {
      return finish_with(
          error_answer(405, fmt::format("only {} is allowed here", match.other_methods)));
    }
    if (match.route == nullptr) {
      return finish_with(error_answer(404, "no such resource; known: " + known_paths()));
    }
    if (request_.caller.role < match.route->role) {
      return finish_with(gatekeeper_ ? gatekeeper_->refuse(request_, match.route->role)
                                     : error_answer(403, "this is not for you"));
    }
    route_ = match.route;
    request_.name = match.name;
    parser_->body_limit(route_->largest_body);
    if (parser_->content_length().value_or(0) > route_->largest_body) {
      return refuse_unread(http::error::body_limit);
    }
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](beast::error_code failed, std::size_t) {
                       if (failed) return self->refuse_unread(failed);
                       self->handle();
                     });
  }

  // Before anything else is said: who is not known hears nothing of what there is.
  std::optional<Answer> refusal_at_the_door() {
    if (!gatekeeper_) return std::nullopt;
    const auto& header = parser_->get();
    const auto field = header[http::field::authorization];
    return gatekeeper_->admit(request_.method, {field.data(), field.size()}, request_.caller);
  }

  void handle() {
    request_.body = std::move(parser_->get().body());
    lowest().expires_never();
    // Whichever comes first answers: who does it, or the end of patience.
    patience_.expires_after(route_->patience);
    patience_.async_wait(
        [self = this->shared_from_this(), serial = serial_](beast::error_code stopped) {
          if (!stopped) self->answer(serial, error_answer(504, self->late_text()));
        });
    const Reply reply = std::make_shared<OneReply>(this->shared_from_this());
    if (route_->handle(request_, reply)) return;
    answer(serial_, error_answer(400, "the body must be " + route_->body));
  }

  [[nodiscard]] std::string late_text() const {
    return route_->late.empty() ? "there is no answer yet; it may still be done"
                                : fmt::format(fmt::runtime(route_->late), request_.name);
  }

  // What was not read is not read any more: the connection ends with the answer.
  void refuse_unread(beast::error_code error) {
    if (error == http::error::body_limit) {
      return finish_with(error_answer(
          413, fmt::format("the body is too large; at most {} bytes", route_->largest_body)));
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return finish_with(
          error_answer(431, fmt::format("the request's header is too large; at most {} bytes",
                                        limits_.header_bytes)));
    }
    if (error.category() == beast::error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      return finish_with(error_answer(400, "this is not HTTP/1.1: " + error.message()));
    }
    close();  // it has gone, or its time has
  }

  void finish_with(Answer answer) {
    must_end_ = true;
    answered_ = false;
    this->answer(serial_, std::move(answer));
  }

  void answer(std::uint64_t serial, Answer answer) {
    if (answered_ || serial != serial_ || closed_) return;
    answered_ = true;
    patience_.cancel();
    const bool stays = limits_.keep_alive && !must_end_ && parser_->get().keep_alive();
    if (is_head_) {
      bodyless_ = {};
      prepare(bodyless_, answer, stays);
      bodyless_.content_length(answer.body.size());
      return send(bodyless_, stays);
    }
    response_ = {};
    prepare(response_, answer, stays);
    response_.body() = std::move(answer.body);
    response_.prepare_payload();
    send(response_, stays);
  }

  template <class Response>
  void prepare(Response& response, const Answer& answer, bool stays) {
    response.version(parser_->get().version() == 10 ? 10U : 11U);
    response.keep_alive(stays);
    response.set(http::field::content_type, answer.content_type);
    response.set(http::field::cache_control, "no-store");
    for (const auto& [name, value] : answer.headers) response.set(name, value);
    response.result(answer.status);
  }

  template <class Response>
  void send(const Response& response, bool stays) {
    lowest().expires_after(limits_.answer_time);
    http::async_write(
        stream_, response,
        [self = this->shared_from_this(), stays](beast::error_code error, std::size_t) {
          if (error || !stays) return self->close();
          self->read_header(self->limits_.idle_time);
        });
  }

  std::shared_ptr<OpenAnswer> open(std::uint64_t serial, const std::string& content_type) {
    auto chunks = std::make_shared<Chunks>(this->weak_from_this());
    if (answered_ || serial != serial_ || closed_) return chunks;
    answered_ = true;
    is_open_ = true;
    patience_.cancel();
    bodyless_ = {};
    prepare(bodyless_, {.content_type = content_type}, /*stays=*/false);
    writing_ = true;
    lowest().expires_never();
    await_end();
    lowest().expires_after(limits_.answer_time);  // of the write alone: a read is under way
    http::async_write(stream_, bodyless_,
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        self->chunks_written(error);
                      });
    return chunks;
  }

  // A client of an open answer says nothing more: whatever comes is its end.
  void await_end() {
    stream_.async_read_some(
        asio::buffer(&last_byte_, 1),
        [self = this->shared_from_this()](beast::error_code, std::size_t) { self->close(); });
  }

  bool add_chunk(std::string_view text) {
    if (closed_) return false;
    if (unsent_.size() + text.size() > limits_.unsent_bytes) {
      close();
      return false;
    }
    unsent_ += text;
    if (!writing_) write_chunks();
    return true;
  }

  void write_chunks() {
    writing_ = true;
    sending_ = std::exchange(unsent_, {});
    lowest().expires_after(limits_.answer_time);
    asio::async_write(stream_, asio::buffer(sending_),
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        self->chunks_written(error);
                      });
  }

  void chunks_written(beast::error_code error) {
    writing_ = false;
    if (error) return close();
    if (!closed_ && !unsent_.empty()) write_chunks();
  }

  void close() {
    if (closed_) return;
    closed_ = true;
    patience_.cancel();
    if constexpr (is_tls) {
      if (has_shaken_hands_ && !is_open_) return say_goodbye();
    }
    close_socket();
  }

  // Of TLS: without it the client cannot know that it has all.
  void say_goodbye() {
    if constexpr (is_tls) {
      lowest().expires_after(goodbye_time);
      stream_.async_shutdown(
          [self = this->shared_from_this()](beast::error_code) { self->close_socket(); });
    }
  }

  void close_socket() {
    beast::error_code ignored;
    lowest().socket().shutdown(asio::socket_base::shutdown_both, ignored);
    lowest().close();
  }

  // Of an entity tag.
  static std::string unquoted(beast::string_view tag) {
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') {
      tag = tag.substr(1, tag.size() - 2);
    }
    return {tag.data(), tag.size()};
  }

  [[nodiscard]] std::string known_paths() const {
    std::string out;
    for (const Route& route : routes_.all()) {
      if (out.find(route.pattern) == std::string::npos) {
        out += (out.empty() ? "" : ", ") + route.pattern;
      }
    }
    return out;
  }

  static constexpr std::size_t largest_read = 64 << 10;  // of a body at a time
  static constexpr std::chrono::seconds goodbye_time{2};

  const std::shared_ptr<const void> holds_;
  Stream stream_;
  const Caller caller_;
  const RouteTable& routes_;
  const HttpLimits limits_;
  const std::shared_ptr<void> slot_;
  const std::shared_ptr<Gatekeeper> gatekeeper_;  // null: the transport knows who it is
  asio::steady_timer patience_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  http::response<http::empty_body> bodyless_;
  // Of the request that is being answered.
  Request request_;
  const Route* route_ = nullptr;
  std::uint64_t serial_ = 0;
  bool is_head_ = false;
  bool answered_ = true;
  bool must_end_ = false;
  bool closed_ = false;
  bool has_shaken_hands_ = false;
  // Of an open answer.
  bool is_open_ = false;
  std::string unsent_;
  std::string sending_;
  bool writing_ = false;
  char last_byte_ = 0;
};

}  // namespace target::control
