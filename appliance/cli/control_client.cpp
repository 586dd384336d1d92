#include "appliance/cli/control_client.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/src.hpp>
#include <string_view>

namespace cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Local = asio::local::stream_protocol;

namespace {

// Empty: it is connected.
std::string connect(Local::socket& stream, const std::string& socket) {
  boost::system::error_code error;
  stream.connect(Local::endpoint(socket), error);
  if (error == boost::system::errc::permission_denied) {
    return fmt::format(
        "{}: permission denied; use sudo, or join the group that control.group names", socket);
  }
  if (error) {
    return fmt::format("{}: {}; is forebayd running? (another socket: --socket PATH)", socket,
                       error.message());
  }
  return {};
}

// Sends the request and reads the answer, whatever it says.
template <class Body>
engine::Result<http::response<http::string_body>, std::string> raw_exchange(
    const std::string& socket, http::request<Body> request) {
  asio::io_context io;
  Local::socket stream(io);
  if (std::string refused = connect(stream, socket); !refused.empty()) return refused;
  boost::system::error_code error;
  request.set(http::field::host, "forebay");
  request.prepare_payload();
  // A daemon that does not want all of it has closed, and says why: its answer is what counts.
  http::write(stream, request, error);
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  http::read(stream, buffer, response, error);
  if (error) return fmt::format("{}: the daemon did not answer: {}", socket, error.message());
  return response;
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
    return fmt::format("{}: {} {}", socket, response.result_int(), response.body());
  }
  if (error) return fmt::format("{}: the answer is not JSON: {}", socket, error.message());
  return value;
}

}  // namespace

engine::Result<boost::json::value, std::string> get(const std::string& socket,
                                                    const std::string& resource) {
  return exchange(socket, http::request<http::empty_body>(http::verb::get, resource, 11));
}

engine::Result<boost::json::value, std::string> post(const std::string& socket,
                                                     const std::string& resource,
                                                     const boost::json::value& body) {
  http::request<http::string_body> request(http::verb::post, resource, 11);
  request.set(http::field::content_type, "application/json");
  request.body() = boost::json::serialize(body);
  return exchange(socket, std::move(request));
}

std::string follow_events(const std::string& socket, std::uint64_t since,
                          const std::function<void(const boost::json::value& event)>& take) {
  asio::io_context io;
  Local::socket stream(io);
  if (std::string refused = connect(stream, socket); !refused.empty()) return refused;
  boost::system::error_code error;
  asio::write(stream,
              asio::buffer(fmt::format(
                  "GET /v1/events/stream?since={} HTTP/1.1\r\nHost: forebay\r\n\r\n", since)),
              error);
  std::string buffer;
  bool is_answered = false;
  while (!error) {
    const std::size_t bytes = asio::read_until(stream, asio::dynamic_buffer(buffer), '\n', error);
    if (error) break;
    const std::string line = buffer.substr(0, bytes);
    buffer.erase(0, bytes);
    if (!is_answered && line.find(" 200 ") == std::string::npos) {
      return fmt::format("{}: {}", socket, line.substr(0, line.find('\r')));
    }
    is_answered = true;
    constexpr std::string_view data = "data: ";
    if (!line.starts_with(data)) continue;
    const auto event = boost::json::parse(line.substr(data.size()), error);
    if (!error) take(event);
  }
  return fmt::format("{}: {}", socket,
                     error == asio::error::eof ? "the daemon has ended" : error.message());
}

engine::Result<RawAnswer, std::string> post_text(const std::string& socket,
                                                 const std::string& resource, std::string text) {
  http::request<http::string_body> request(http::verb::post, resource, 11);
  request.set(http::field::content_type, "application/yaml");
  request.body() = std::move(text);
  TRY(const auto response, raw_exchange(socket, std::move(request)));
  boost::system::error_code error;
  auto value = boost::json::parse(response.body(), error);
  if (error) return fmt::format("{}: the answer is not JSON: {}", socket, error.message());
  return RawAnswer{.status = response.result_int(), .body = std::move(value)};
}

}  // namespace cli
