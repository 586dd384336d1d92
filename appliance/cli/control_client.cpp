#include "appliance/cli/control_client.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/src.hpp>

namespace cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Local = asio::local::stream_protocol;

namespace {

// Sends the request and reads the answer; the error also for an answer that says no.
template <class Body>
engine::Result<boost::json::value, std::string> exchange(const std::string& socket,
                                                         http::request<Body> request) {
  asio::io_context io;
  Local::socket stream(io);
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
  request.set(http::field::host, "forebay");
  request.prepare_payload();
  http::write(stream, request, error);
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  if (!error) http::read(stream, buffer, response, error);
  if (error) return fmt::format("{}: the daemon did not answer: {}", socket, error.message());
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

}  // namespace cli
