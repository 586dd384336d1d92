#include "appliance/cli/wire.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <utility>

#include "appliance/cli/tls_wire.h"

namespace cli {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

constexpr const char* default_port = "9931";

template <class Socket>
class PlainWire final : public Wire {
 public:
  PlainWire(std::unique_ptr<asio::io_context> io, Socket socket)
      : io_(std::move(io)), socket_(std::move(socket)) {}

 private:
  std::size_t read(asio::mutable_buffer space, Error& error) override {
    return socket_.read_some(space, error);
  }
  std::size_t write(asio::const_buffer bytes, Error& error) override {
    return socket_.write_some(bytes, error);
  }

  std::unique_ptr<asio::io_context> io_;
  Socket socket_;
};

// An address that does not answer is given up after some 7 s, not after two minutes.
boost::system::error_code connect_soon(Tcp::socket& socket,
                                       const Tcp::resolver::results_type& addresses) {
  constexpr int tries = 2;
  boost::system::error_code error = asio::error::host_not_found;
  for (const auto& address : addresses) {
    socket = Tcp::socket(socket.get_executor());
    socket.open(address.endpoint().protocol(), error);
    if (error) continue;
    (void)::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_SYNCNT, &tries, sizeof(tries));
    socket.connect(address.endpoint(), error);
    if (!error) break;
  }
  return error;
}

}  // namespace

engine::Result<Server, std::string> parse_server(const std::string& url) {
  Server server{.name = url};
  const auto refused = [&url]() -> engine::Result<Server, std::string> {
    return fmt::format("--server {}: write it as https://HOST:PORT", url);
  };
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return refused();
  server.has_tls = url.starts_with("https://");
  if (!server.has_tls && !url.starts_with("http://")) return refused();
  std::string rest = url.substr(scheme + 3);
  if (rest.ends_with('/')) rest.pop_back();
  const std::size_t bracket = rest.find(']');
  const std::size_t colon = rest.find(':', bracket == std::string::npos ? 0 : bracket);
  server.host = rest.substr(0, colon);
  server.port = colon == std::string::npos ? default_port : rest.substr(colon + 1);
  if (server.host.starts_with('[') && server.host.ends_with(']')) {
    server.host = server.host.substr(1, server.host.size() - 2);
  }
  const bool has_port =
      !server.port.empty() && server.port.find_first_not_of("0123456789") == std::string::npos;
  if (server.host.empty() || !has_port || rest.find_first_of("/?#@ \r\n") != std::string::npos) {
    return refused();
  }
  return server;
}

WireResult connect_socket(const std::string& path) {
  auto io = std::make_unique<asio::io_context>();
  Local::socket socket(*io);
  boost::system::error_code error;
  socket.connect(Local::endpoint(path), error);
  if (error == boost::system::errc::permission_denied) {
    return fmt::format(
        "{}: permission denied; use sudo, or join the group that control.group names", path);
  }
  if (error) {
    return fmt::format("{}: {}; is forebayd running? (another socket: --socket PATH)", path,
                       error.message());
  }
  return std::unique_ptr<Wire>(
      std::make_unique<PlainWire<Local::socket>>(std::move(io), std::move(socket)));
}

WireResult connect_server(const Server& server) {
  auto io = std::make_unique<asio::io_context>();
  boost::system::error_code error;
  const auto addresses = Tcp::resolver(*io).resolve(server.host, server.port, error);
  if (error) {
    return fmt::format("{}: {}: no such host; {}", server.name, server.host, error.message());
  }
  Tcp::socket socket(*io);
  error = connect_soon(socket, addresses);
  if (error) {
    return fmt::format("{}: {}; is forebayd running, and does control.listen name this address?",
                       server.name, error.message());
  }
  if (server.has_tls) return secure(std::move(io), std::move(socket), server);
  if (!socket.remote_endpoint(error).address().is_loopback()) {
    return fmt::format("{}: everybody on the way could read the token; use https://", server.name);
  }
  return std::unique_ptr<Wire>(
      std::make_unique<PlainWire<Tcp::socket>>(std::move(io), std::move(socket)));
}

}  // namespace cli
