#include "target/net/listener.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <future>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "engine/foundation/check.h"
#include "target/net/socket_address.h"
#include "target/net/tcp_stream.h"
#include "target/net/unique_fd.h"
#include "target/reactor/log.h"

namespace target {

namespace asio = boost::asio;
using engine::Result;

namespace {

// A connection that a vanished host left behind is noticed by the kernel; hosts with a keep-alive
// timeout are noticed earlier by it.
void watch_for_vanished_peers(int socket) {
  const int on = 1;
  const int idle_seconds = 60;
  const int interval_seconds = 10;
  const int probes = 6;
  // What was sent and is not acknowledged (keep-alive is silent then), or an idle peer that does
  // not answer probes. It must be longer than a network may be down without hurting anybody.
  const unsigned unacknowledged_ms = 120'000;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_seconds, sizeof(idle_seconds));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval_seconds, sizeof(interval_seconds));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms,
               sizeof(unacknowledged_ms));
}

// A listening socket, or errno. Accepted sockets inherit its options.
Result<UniqueFd, int> listen_on(const SocketAddress& address, int backlog) {
  UniqueFd socket(
      ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket) return errno;
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  watch_for_vanished_peers(socket.get());
  if (address.family() == AF_INET6) {
    const int only_ipv6 = address.every_address() ? 0 : 1;
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof(only_ipv6));
  }
  if (::bind(socket.get(), address.data(), address.size()) != 0) return errno;
  if (::listen(socket.get(), backlog) != 0) return errno;
  return socket;
}

ListenError listen_error(const ListenerOptions& options, const SocketAddress& address, int error) {
  const std::string what = "cannot listen on " + address.text() + ": ";
  const std::string where = "listeners." + options.name;
  switch (error) {
    case EADDRINUSE:
      return {ListenError::Kind::address_in_use,
              what + "another process has this port; stop it or change " + where + ".port"};
    case EACCES:
    case EPERM:
      return {ListenError::Kind::not_permitted,
              what + "no permission; grant CAP_NET_BIND_SERVICE or set " + where +
                  ".port to 1024 or above"};
    case EAFNOSUPPORT:
      return {ListenError::Kind::unsupported,
              what + "this machine has no IPv6; change " + where + ".address"};
    case EADDRNOTAVAIL:
    case ENODEV:
      return {ListenError::Kind::other,
              what + "no interface has this address; bring it up or change " + where + ".address"};
    default:
      return {ListenError::Kind::other, what + std::generic_category().message(error)};
  }
}

bool worth_waiting_for(int error) {
  return error == EADDRNOTAVAIL || error == ENODEV || error == EMFILE || error == ENFILE ||
         error == ENOBUFS || error == ENOMEM;
}

}  // namespace

// What accepts. Belongs to the first reactor's thread, except where it says otherwise; shared with
// waits under way.
class Listener::Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(ListenerOptions options, std::vector<Reactor*> reactors, Serve serve)
      : options_(std::move(options)),
        reactors_(std::move(reactors)),
        serve_(std::make_shared<const Serve>(std::move(serve))),
        limit_(std::make_shared<ConnectionLimit>(options_.max_connections)),
        again_([this] { try_again(); }),
        refusals_(/*burst=*/5, std::chrono::seconds(10)) {
    CHECK(!reactors_.empty());
  }

  [[nodiscard]] const ListenerOptions& options() const { return options_; }
  [[nodiscard]] Reactor& reactor() { return *reactors_.front(); }

  // Any thread, before anything else.
  Result<void, ListenError> open() {
    const auto address = SocketAddress::parse(options_.address, options_.port);
    if (!address) {
      return ListenError{ListenError::Kind::bad_address,
                         "listeners." + options_.name + ".address: \"" + options_.address +
                             "\" is no IP address; write it in numbers, or \"*\" for all"};
    }
    address_ = *address;
    auto socket = listen();
    if (!socket && !worth_waiting_for(socket.error())) {
      return listen_error(options_, address_, socket.error());
    }
    if (socket) {
      listening(socket.value().get());
      in_reactor([self = shared_from_this(), fd = std::move(socket.value())]() mutable {
        self->accept_from(std::move(fd));
      });
    } else {
      waiting(socket.error());
      in_reactor([self = shared_from_this()] { self->retry_later(); });
    }
    return engine::success();
  }

  void close() {
    closed_ = true;
    again_.disarm();
    listening_.reset();
    const std::lock_guard lock(status_mutex_);
    status_.state = ListenerState::closed;
    status_.reason.clear();
  }

  // Any thread.
  [[nodiscard]] ListenerStatus status() const {
    const std::lock_guard lock(status_mutex_);
    ListenerStatus status = status_;
    status.connections = limit_->open();
    status.evicted = limit_->evicted();
    return status;
  }

  // Any thread.
  template <class F>
  void in_reactor(F&& function) {
    if (Reactor::current() == &reactor()) {
      function();
    } else {
      reactor().post(std::forward<F>(function));
    }
  }

 private:
  static constexpr int accept_burst = 64;
  static constexpr engine::Duration exhausted_pause = std::chrono::milliseconds(100);

  Result<UniqueFd, int> listen() {
    auto socket = listen_on(address_, options_.backlog);
    if (!socket && socket.error() == EAFNOSUPPORT && address_.every_address()) {
      address_ = address_.only_ipv4();
      socket = listen_on(address_, options_.backlog);
    }
    return socket;
  }

  void listening(int socket) {
    const std::uint16_t port = SocketAddress::local_of(socket).port();
    const std::lock_guard lock(status_mutex_);
    status_.state = ListenerState::listening;
    status_.address = options_.address == "*" ? "*:" + std::to_string(port)
                                              : SocketAddress::local_of(socket).text();
    status_.reason.clear();
  }

  void waiting(int error) {
    const std::string reason = listen_error(options_, address_, error).text + "; trying again";
    {
      const std::lock_guard lock(status_mutex_);
      if (status_.reason == reason) return;
      status_.state = ListenerState::waiting;
      status_.address = address_.text();
      status_.reason = reason;
    }
    if (options_.tell_waiting) options_.tell_waiting(reason);
  }

  void retry_later() {
    if (!closed_) reactor().expire_after(again_, options_.retry_interval);
  }

  // The timer's: either the address was missing, or descriptors were.
  void try_again() {
    if (closed_) return;
    if (listening_ != nullptr) return accept_all();
    auto socket = listen();
    if (!socket) {
      waiting(socket.error());
      return retry_later();
    }
    listening(socket.value().get());
    log_info("listener {} listens on {}", options_.name, status().address);
    accept_from(std::move(socket.value()));
  }

  void accept_from(UniqueFd socket) {
    if (closed_) return;
    listening_ = std::make_unique<asio::posix::stream_descriptor>(reactor().context());
    listening_->assign(socket.release());
    wait();
  }

  void wait() {
    listening_->async_wait(asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this()](const boost::system::error_code& error) {
                             if (!error && !self->closed_) self->accept_all();
                           });
  }

  void accept_all() {
    for (int i = 0; i < accept_burst; ++i) {
      UniqueFd socket(
          ::accept4(listening_->native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (socket) {
        take(std::move(socket));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        break;
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The connection stays in the kernel's queue: asking again at once would find it again.
        const int error = errno;
        if (refusals_.allows(reactor().now())) {
          log_error("listener {} cannot accept: {}; raise LimitNOFILE or the memory", options_.name,
                    std::generic_category().message(error));
        }
        return reactor().expire_after(again_, exhausted_pause);
      }
      // Anything else concerns a connection that is gone already.
    }
    wait();
  }

  void take(UniqueFd socket) {
    auto place = ConnectionLimit::take(limit_);
    count(place ? &ListenerStatus::accepted : &ListenerStatus::turned_away);
    if (!place) {
      if (refusals_.allows(reactor().now())) {
        log_warn("listener {} turns {} away: {} hosts are connected (max_connections), more={}",
                 options_.name, SocketAddress::peer_of(socket.get()).text(), limit_->most(),
                 refusals_.suppressed());
      }
      return;
    }
    Reactor& chosen = *reactors_[next_reactor_++ % reactors_.size()];
    auto hand_over = [serve = serve_, &chosen, fd = std::move(socket),
                      place = std::move(*place)]() mutable {
      (*serve)(chosen, std::make_unique<TcpStream>(chosen, std::move(fd), std::move(place)));
    };
    if (&chosen == Reactor::current()) {
      hand_over();
    } else {
      chosen.post(std::move(hand_over));
    }
  }

  void count(std::uint64_t ListenerStatus::*counter) {
    const std::lock_guard lock(status_mutex_);
    ++(status_.*counter);
  }

  const ListenerOptions options_;
  const std::vector<Reactor*> reactors_;
  const std::shared_ptr<const Serve> serve_;
  const std::shared_ptr<ConnectionLimit> limit_;
  SocketAddress address_;
  std::unique_ptr<asio::posix::stream_descriptor> listening_;
  Timer again_;
  LogLimit refusals_;
  std::size_t next_reactor_ = 0;
  bool closed_ = false;

  mutable std::mutex status_mutex_;  // guards status_; a leaf
  ListenerStatus status_;
};

Listener::Listener(ListenerOptions options, std::vector<Reactor*> reactors, Serve serve)
    : acceptor_(
          std::make_shared<Acceptor>(std::move(options), std::move(reactors), std::move(serve))) {}

Listener::~Listener() { close(); }

Result<void, ListenError> Listener::probe(const ListenerOptions& options) {
  const auto address = SocketAddress::parse(options.address, options.port);
  if (!address) {
    return ListenError{ListenError::Kind::bad_address,
                       "listeners." + options.name + ".address: no IP address"};
  }
  const auto socket = listen_on(*address, 1);
  if (!socket && !worth_waiting_for(socket.error())) {
    return listen_error(options, *address, socket.error());
  }
  return engine::success();
}

Result<void, ListenError> Listener::open() { return acceptor_->open(); }

void Listener::close() {
  if (acceptor_->status().state == ListenerState::closed) return;
  if (Reactor::current() == &acceptor_->reactor()) return acceptor_->close();
  std::promise<void> closed;
  acceptor_->reactor().post([this, &closed] {
    acceptor_->close();
    closed.set_value();
  });
  closed.get_future().wait();
}

ListenerStatus Listener::status() const { return acceptor_->status(); }

const ListenerOptions& Listener::options() const { return acceptor_->options(); }

}  // namespace target
