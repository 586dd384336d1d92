#include "target/control/http_port.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "target/net/unique_fd.h"
#include "target/reactor/log.h"

namespace target::control {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// A socket that has a port, and does not let anybody connect.
UniqueFd bound_socket(std::uint16_t& port) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  socklen_t bytes = sizeof(address);
  EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  port = ntohs(address.sin_port);
  return socket;
}

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    connected_ =
        ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  [[nodiscard]] bool connected() const { return connected_; }
  void send(const std::string& text) const {
    EXPECT_EQ(::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // Until `end` has come, or the other end has closed.
  std::string read_to(const std::string& end) const {
    std::string got;
    char letter = 0;
    while (!got.ends_with(end) && ::recv(socket_.get(), &letter, 1, 0) == 1) got += letter;
    return got;
  }
  std::string read_all() const { return read_to("no such text"); }

 private:
  UniqueFd socket_;
  bool connected_ = false;
};

class HttpPortTest : public testing::Test {
 protected:
  HttpPortTest() {
    capture_log([this](LogLevel, std::string_view line) {
      if (line.find("cannot listen") != std::string_view::npos) has_told = true;
    });
    thread = std::thread([this] {
      const auto work = boost::asio::make_work_guard(context);
      context.run();
    });
  }
  ~HttpPortTest() override {
    served.reset();
    context.stop();
    thread.join();
    capture_log(nullptr);
  }

  void open(std::uint16_t number, std::size_t most_clients = 16) {
    std::vector<Route> routes;
    routes.push_back({.pattern = "/page",
                      .role = Role::anyone,
                      .handle = [](const Request&, const Reply& reply) {
                        reply->answer({.body = "the page\n", .content_type = "text/plain"});
                        return true;
                      }});
    served = HttpPort::open(context,
                            {.name = "test",
                             .address = *SocketAddress::parse("127.0.0.1", number),
                             .most_clients = most_clients},
                            std::move(routes));
  }
  // It is opened on the context's thread.
  static std::unique_ptr<Client> connect(std::uint16_t number) {
    for (;;) {
      auto client = std::make_unique<Client>(number);
      if (client->connected()) return client;
      std::this_thread::yield();
    }
  }
  std::uint16_t free_port() {
    std::uint16_t number = 0;
    bound_socket(number).reset();
    return number;
  }

  boost::asio::io_context context{1};
  std::atomic<bool> has_told{false};  // that the port is taken
  std::thread thread;
  std::unique_ptr<HttpPort> served;
};

const std::string get_page = "GET /page HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(HttpPortTest, OneConnectionAsksAgainAndAgain) {
  const std::uint16_t number = free_port();
  open(number);
  const auto client = connect(number);
  for (int i = 0; i < 3; ++i) {
    client->send(get_page);
    const std::string answer = client->read_to("the page\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain\r\n"));
  }
}

TEST_F(HttpPortTest, AHeadIsToldTheLengthAndNoMore) {
  const std::uint16_t number = free_port();
  open(number);
  const auto client = connect(number);
  client->send("HEAD /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = client->read_all();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 9\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(HttpPortTest, WhatIsNotThereOrNotHttpIsToldSo) {
  const std::uint16_t number = free_port();
  open(number);
  connect(number);
  for (const auto& [request, answer] :
       {std::pair{"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"},
        std::pair{"DELETE /page HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405"},
        std::pair{"nonsense\r\n\r\n", "HTTP/1.1 400"}}) {
    const auto client = connect(number);
    client->send(request);
    EXPECT_THAT(client->read_all(), StartsWith(answer));
  }
  const auto client = connect(number);
  client->send("GET /page HTTP/1.1\r\nX: " + std::string(60'000, 'x') + "\r\n\r\n");
  EXPECT_THAT(client->read_all(), StartsWith("HTTP/1.1 431"));
}

TEST_F(HttpPortTest, MoreClientsThanThereMayBeWaitAndAreServedLater) {
  const std::uint16_t number = free_port();
  open(number, 1);
  auto first = connect(number);
  first->send(get_page);
  first->read_to("the page\n");
  const auto second = connect(number);
  second->send(get_page);
  first.reset();
  EXPECT_THAT(second->read_to("the page\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpPortTest, ATakenPortIsTriedAgainUntilItIsFree) {
  std::uint16_t number = 0;
  UniqueFd taken = bound_socket(number);
  open(number);
  while (!has_told) std::this_thread::yield();
  taken.reset();
  const auto client = connect(number);
  client->send(get_page);
  EXPECT_THAT(client->read_to("the page\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpPortTest, ClosedItAcceptsNobody) {
  const std::uint16_t number = free_port();
  open(number);
  connect(number);
  served.reset();
  while (Client(number).connected()) std::this_thread::yield();
}

}  // namespace
}  // namespace target::control
