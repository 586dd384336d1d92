#include "appliance/cli/control_client.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/src.hpp>
#include <optional>
#include <string_view>
#include <utility>

namespace cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr std::uint64_t largest_answer = 256 << 20;  // of a thousand volumes with all their disks

// What use_server() has said; the program has one thread.
std::optional<Server>& chosen_server() {
  static std::optional<Server> server;
  return server;
}

WireResult connect(const std::string& socket) {
  const auto& server = chosen_server();
  return server ? connect_server(*server) : connect_socket(socket);
}

// How messages call who is asked.
std::string asked(const std::string& socket) {
  const auto& server = chosen_server();
  return server ? server->name : socket;
}

std::string host_field() {
  const auto& server = chosen_server();
  if (!server) return "forebay";
  const bool is_ipv6 = server->host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", server->host, is_ipv6 ? "]" : "",
                     server->port);
}

// Empty: none is shown.
std::string authorization() {
  const auto& server = chosen_server();
  return server && !server->token.empty() ? "Bearer " + server->token : std::string();
}

// Sends the request and reads the answer, whatever it says.
template <class Body>
engine::Result<http::response<http::string_body>, std::string> raw_exchange(
    const std::string& socket, http::request<Body> request) {
  TRY(const std::unique_ptr<Wire> wire, connect(socket));
  boost::system::error_code error;
  request.set(http::field::host, host_field());
  request.set(http::field::connection, "close");
  if (const std::string field = authorization(); !field.empty()) {
    request.set(http::field::authorization, field);
  }
  request.prepare_payload();
  // A daemon that does not want all of it has closed, and says why: its answer is what counts.
  http::write(*wire, request, error);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(largest_answer);
  http::read(*wire, buffer, parser, error);
  if (error) {
    return fmt::format("{}: the daemon did not answer: {}", asked(socket), error.message());
  }
  return parser.release();
}

// The error also for an answer that says no.
template <class Body>
engine::Result<boost::json::value, std::string> exchange(const std::string& socket,
                                                         http::request<Body> request) {
  TRY(const auto response, raw_exchange(socket, std::move(request)));
  boost::system::error_code error;
  auto value = boost::json::parse(response.body(), error);
  if (response.result() != http::status::ok) {
    const auto* object = error ? nullptr : value.if_object();
    const auto* reason = object == nullptr ? nullptr : object->if_contains("error");
    if (reason != nullptr && reason->is_string()) {
      return std::string(reason->as_string().data(), reason->as_string().size());
    }
    return fmt::format("{}: {} {}", asked(socket), response.result_int(), response.body());
  }
  if (error) return fmt::format("{}: the answer is not JSON: {}", asked(socket), error.message());
  return value;
}

}  // namespace

void use_server(Server server) { chosen_server() = std::move(server); }

engine::Result<boost::json::value, std::string> get(const std::string& socket,
                                                    const std::string& resource) {
  return exchange(socket, http::request<http::empty_body>(http::verb::get, resource, 11));
}

engine::Result<boost::json::value, std::string> post(const std::string& socket,
                                                     const std::string& resource,
                                                     const boost::json::value& body,
                                                     const std::string& if_match) {
  http::request<http::string_body> request(http::verb::post, resource, 11);
  request.set(http::field::content_type, "application/json");
  if (!if_match.empty()) request.set(http::field::if_match, '"' + if_match + '"');
  request.body() = boost::json::serialize(body);
  return exchange(socket, std::move(request));
}

std::string follow_events(const std::string& socket, std::uint64_t since,
                          const std::function<void(const boost::json::value& event)>& take) {
  auto connected = connect(socket);
  if (!connected) return connected.error();
  Wire& stream = *connected.value();
  boost::system::error_code error;
  std::string fields = fmt::format("Host: {}\r\n", host_field());
  if (const std::string field = authorization(); !field.empty()) {
    fields += fmt::format("Authorization: {}\r\n", field);
  }
  asio::write(
      stream,
      asio::buffer(fmt::format("GET /v1/events/stream?since={} HTTP/1.1\r\n{}\r\n", since, fields)),
      error);
  std::string buffer;
  bool is_answered = false;
  while (!error) {
    const std::size_t bytes = asio::read_until(stream, asio::dynamic_buffer(buffer), '\n', error);
    if (error) break;
    const std::string line = buffer.substr(0, bytes);
    buffer.erase(0, bytes);
    if (!is_answered && line.find(" 200 ") == std::string::npos) {
      return fmt::format("{}: {}", asked(socket), line.substr(0, line.find('\r')));
    }
    is_answered = true;
    constexpr std::string_view data = "data: ";
    if (!line.starts_with(data)) continue;
    const auto event = boost::json::parse(line.substr(data.size()), error);
    if (!error) take(event);
  }
  return fmt::format("{}: {}", asked(socket),
                     error == asio::error::eof ? "the daemon has ended" : error.message());
}

engine::Result<RawAnswer, std::string> post_text(const std::string& socket,
                                                 const std::string& resource, std::string text,
                                                 const std::string& if_match) {
  http::request<http::string_body> request(http::verb::post, resource, 11);
  request.set(http::field::content_type, "application/yaml");
  if (!if_match.empty()) request.set(http::field::if_match, '"' + if_match + '"');
  request.body() = std::move(text);
  TRY(const auto response, raw_exchange(socket, std::move(request)));
  boost::system::error_code error;
  auto value = boost::json::parse(response.body(), error);
  if (error) return fmt::format("{}: the answer is not JSON: {}", asked(socket), error.message());
  return RawAnswer{.status = response.result_int(), .body = std::move(value)};
}

}  // namespace cli
