#include "target/control/control_server.h"

#include <fmt/format.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <thread>

#include "target/control/http_exchange.h"
#include "target/control/user_name.h"

namespace target::control {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;

// Command lines and a page that follows events: more wait in the backlog.
constexpr std::size_t most_clients = 64;

Caller caller_of(Local::socket& socket) {
  ucred peer{};
  socklen_t bytes = sizeof(peer);
  if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) return {};
  return {.uid = peer.uid, .name = user_name(peer.uid), .role = Role::admin};
}

class UnixControlServer final : public ControlServer {
 public:
  UnixControlServer(std::string path, std::vector<Route> routes)
      : path_(std::move(path)), routes_(std::move(routes)), acceptor_(io_) {}

  ~UnixControlServer() override {
    UnixControlServer::stop();
    if (bound_) ::unlink(path_.c_str());
  }

  void stop() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    stopping_ = true;
  }

  engine::Result<void, std::string> open(const std::string& group) {
    if (path_.size() >= sizeof(sockaddr_un::sun_path)) {
      return fmt::format(
          "control socket {}: the path is longer than {} bytes; choose a shorter one", path_,
          sizeof(sockaddr_un::sun_path) - 1);
    }
    boost::system::error_code error;
    Local::socket probe(io_);
    probe.connect(Local::endpoint(path_), error);
    if (!error)
      return fmt::format("control socket {}: another forebayd answers on it; stop that one first",
                         path_);
    if (error != boost::system::errc::no_such_file_or_directory) ::unlink(path_.c_str());

    acceptor_.open(Local(), error);
    if (!error) acceptor_.bind(Local::endpoint(path_), error);
    if (error)
      return fmt::format(
          "control socket {}: {}; does its folder exist, and may this user write there?", path_,
          error.message());
    bound_ = true;
    if (::chmod(path_.c_str(), group.empty() ? 0600 : 0660) != 0) {
      return fmt::format("control socket {}: {}", path_, std::strerror(errno));
    }
    if (!group.empty()) {
      const struct group* entry = ::getgrnam(group.c_str());
      if (entry == nullptr)
        return fmt::format(
            "control.group: no group \"{}\" on this machine; create it, or leave the key out",
            group);
      if (::chown(path_.c_str(), static_cast<uid_t>(-1), entry->gr_gid) != 0) {
        return fmt::format("control socket {}: cannot be given to group {}: {}", path_, group,
                           std::strerror(errno));
      }
    }
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return fmt::format("control socket {}: {}", path_, error.message());
    accept();
    thread_ = std::thread([this] {
      const auto work = asio::make_work_guard(io_);
      io_.run();
    });
    return engine::success();
  }

  asio::io_context& context() override { return io_; }

  void post(std::function<void()> task) override { asio::post(io_, std::move(task)); }

  void every(std::chrono::milliseconds period, std::function<void()> task) override {
    auto chore = std::make_shared<Chore>(Chore{asio::steady_timer(io_), period, std::move(task)});
    asio::post(io_, [chore] { repeat(chore); });
  }

 private:
  struct Chore {
    asio::steady_timer timer;
    std::chrono::milliseconds period;
    std::function<void()> task;
  };

  static void repeat(const std::shared_ptr<Chore>& chore) {
    chore->task();
    chore->timer.expires_after(chore->period);
    chore->timer.async_wait([chore](const boost::system::error_code& error) {
      if (!error) repeat(chore);
    });
  }

  // Serves one client; a place is free again when nothing is left of it.
  void serve(Local::socket socket) {
    Caller caller = caller_of(socket);
    ++clients_;
    const std::shared_ptr<void> slot(nullptr, [this](void*) {
      if (clients_-- == most_clients && !stopping_) accept();
    });
    (void)serve_http(HttpSocket(std::move(socket)), {.caller = std::move(caller), .slot = slot},
                     routes_);
  }

  void accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, Local::socket socket) {
      if (!error) serve(std::move(socket));
      if (!error && clients_ < most_clients) return accept();
      if (!error) return;
      if (error == asio::error::operation_aborted) return;
      retry_.expires_after(std::chrono::milliseconds(200));  // out of descriptors, say
      retry_.async_wait([this](const boost::system::error_code& stopped) {
        if (!stopped) accept();
      });
    });
  }

  const std::string path_;
  const RouteTable routes_;
  // Control thread, but for the end.
  std::size_t clients_ = 0;
  bool stopping_ = false;
  asio::io_context io_{1};
  Local::acceptor acceptor_;
  asio::steady_timer retry_{io_};
  bool bound_ = false;
  std::thread thread_;
};

}  // namespace

engine::Result<std::unique_ptr<ControlServer>, std::string> ControlServer::start(
    const std::string& path, const std::string& group, std::vector<Route> routes) {
  auto server = std::make_unique<UnixControlServer>(path, std::move(routes));
  if (auto opened = server->open(group); !opened) return opened.error();
  return std::unique_ptr<ControlServer>(std::move(server));
}

}  // namespace target::control
