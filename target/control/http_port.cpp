#include "target/control/http_port.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <system_error>
#include <utility>

#include "target/control/http_exchange.h"
#include "target/net/unique_fd.h"
#include "target/reactor/log.h"

namespace target::control {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

constexpr std::chrono::seconds retry_period{1};

std::string network_of(const SocketAddress& address) {
  if (address.family() != AF_INET6) {
    const std::string text = address.text();
    return text.substr(0, text.rfind(':'));
  }
  sockaddr_in6 wide{};
  std::memcpy(&wide, address.data(), sizeof(wide));
  std::string network;
  for (std::size_t i = 0; i < 8; ++i) network += fmt::format("{:02x}", wide.sin6_addr.s6_addr[i]);
  return network + "/64";
}

// What accepts; its exchanges keep it until the last of them is over.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(asio::io_context& context, HttpPortOptions options, std::vector<Route> routes)
      : options_(std::move(options)),
        routes_(std::move(routes)),
        acceptor_(context),
        retry_(context) {}

  // Whoever opens it, once: from then on there is a backlog. go_on() follows.
  void open() {
    const int error = listen();
    if (error == 0) return log_info("{} on {}", options_.name, options_.address.text());
    if (std::exchange(told_, true)) return;
    log_warn("{} cannot listen on {}: {}; it is tried again every second", options_.name,
             options_.address.text(), std::generic_category().message(error));
  }

  // The rest on the context's thread.
  void go_on() {
    if (closed_) return;
    if (acceptor_.is_open()) return accept();
    try_later();
  }

  // Any thread: nothing is begun any more.
  void stop() { closed_ = true; }

  void close() {
    retry_.cancel();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    if (options_.gatekeeper) end_clients([](const Caller&) { return true; });
  }

  void take(std::shared_ptr<const TlsIdentity> identity) {
    options_.identity = std::move(identity);
  }

  void end_clients(const std::function<bool(const Caller&)>& is_meant) {
    const auto connections = connections_;
    for (const auto& one : connections) {
      const auto connection = one.lock();
      if (connection && is_meant(connection->caller())) connection->end();
    }
  }

 private:
  [[nodiscard]] int listen() {
    const SocketAddress& address = options_.address;
    const UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return errno;
    constexpr int on = 1;
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.family() == AF_INET6) {
      const int only_v6 = address.every_address() ? 0 : 1;
      (void)::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6));
    }
    if (::bind(socket.get(), address.data(), address.size()) != 0) return errno;
    if (::listen(socket.get(), SOMAXCONN) != 0) return errno;
    const int duplicate = ::dup(socket.get());  // asio closes what it is given
    if (duplicate < 0) return errno;
    boost::system::error_code error;
    acceptor_.assign(address.family() == AF_INET6 ? Tcp::v6() : Tcp::v4(), duplicate, error);
    if (error) ::close(duplicate);
    return error.value();
  }

  void try_later() {
    retry_.expires_after(retry_period);
    retry_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->closed_) return;
      if (!self->acceptor_.is_open()) self->open();
      self->go_on();
    });
  }

  void accept() {
    if (closed_) return;
    acceptor_.async_accept(
        [self = shared_from_this()](const boost::system::error_code& error, Tcp::socket socket) {
          self->accepted(error, std::move(socket));
        });
  }

  void accepted(const boost::system::error_code& error, Tcp::socket socket) {
    if (closed_ || error == asio::error::operation_aborted) return;
    if (error) return try_later();  // out of descriptors, say
    serve(std::move(socket));
    if (clients_ < options_.most_clients) accept();
  }

  void serve(Tcp::socket socket) {
    const SocketAddress peer = SocketAddress::peer_of(socket.native_handle());
    Caller caller{.uid = {}, .name = peer.text(), .network = network_of(peer)};
    std::size_t& of_network = by_network_[caller.network];
    if (options_.most_of_network != 0 && of_network >= options_.most_of_network) return;
    ++of_network;
    ++clients_;
    const std::shared_ptr<void> slot(nullptr, [self = shared_from_this(), network = caller.network](
                                                  void*) { self->one_less(network); });
    HttpVisit visit{.caller = std::move(caller),
                    .limits = {.keep_alive = true},
                    .slot = slot,
                    .gatekeeper = options_.gatekeeper};
    std::erase_if(connections_, [](const auto& connection) { return connection.expired(); });
    connections_.push_back(
        options_.identity ? serve_https(HttpSocket(std::move(socket)), std::move(visit), routes_,
                                        options_.identity)
                          : serve_http(HttpSocket(std::move(socket)), std::move(visit), routes_));
  }

  void one_less(const std::string& network) {
    const auto of_network = by_network_.find(network);
    if (--of_network->second == 0) by_network_.erase(of_network);
    if (clients_-- == options_.most_clients) accept();
  }

  HttpPortOptions options_;  // the identity changes
  const RouteTable routes_;
  Tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::size_t clients_ = 0;
  std::map<std::string, std::size_t> by_network_;
  std::vector<std::weak_ptr<HttpConnection>> connections_;
  bool told_ = false;
  std::atomic<bool> closed_{false};
};

class TcpPort final : public HttpPort {
 public:
  TcpPort(asio::io_context& context, HttpPortOptions options, std::vector<Route> routes)
      : context_(context),
        acceptor_(std::make_shared<Acceptor>(context, std::move(options), std::move(routes))) {
    acceptor_->open();
    asio::post(context_, [acceptor = acceptor_] { acceptor->go_on(); });
  }
  ~TcpPort() override {
    acceptor_->stop();
    asio::post(context_, [acceptor = std::move(acceptor_)] { acceptor->close(); });
  }

  void take(std::shared_ptr<const TlsIdentity> identity) override {
    acceptor_->take(std::move(identity));
  }
  void end_clients(const std::function<bool(const Caller&)>& is_meant) override {
    acceptor_->end_clients(is_meant);
  }

 private:
  asio::io_context& context_;
  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

std::unique_ptr<HttpPort> HttpPort::open(asio::io_context& context, HttpPortOptions options,
                                         std::vector<Route> routes) {
  return std::make_unique<TcpPort>(context, std::move(options), std::move(routes));
}

}  // namespace target::control
