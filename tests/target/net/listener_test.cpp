// Listener and TcpStream over the kernel's loopback.
#include "target/net/listener.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "target/net/socket_address.h"
#include "target/net/unique_fd.h"
#include "target/reactor/log.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

// Connected and blocking; empty if it did not work.
UniqueFd connect_to(const std::string& address, std::uint16_t port) {
  const auto target = SocketAddress::parse(address, port);
  UniqueFd socket(::socket(target->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), target->data(), target->size()) != 0) return {};
  const timeval patience{.tv_sec = 30, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return socket;
}

std::string exchange(int socket, const std::string& message) {
  EXPECT_EQ(::send(socket, message.data(), message.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(message.size()));
  std::string answer(message.size(), '\0');
  std::size_t have = 0;
  while (have < answer.size()) {
    const ssize_t got = ::recv(socket, answer.data() + have, answer.size() - have, 0);
    if (got <= 0) return "connection ended";
    have += static_cast<std::size_t>(got);
  }
  return answer;
}

// Sends everything back, and never blocks.
class Echo : public std::enable_shared_from_this<Echo> {
 public:
  explicit Echo(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)) {}
  void start() { wait(); }

 private:
  void wait() {
    stream_->when_readable([self = shared_from_this()] { self->run(); });
  }
  void run() {
    for (;;) {
      if (pending_.empty()) {
        const iovec into{.iov_base = space_.data(), .iov_len = space_.size()};
        const auto got = stream_->read({&into, 1});
        if (!got) {
          if (got.error() == StreamError::would_block) wait();
          return;  // or the end of it
        }
        stream_->settle();  // who says something is a host
        pending_ = std::span(space_).first(got.value());
      }
      const iovec from{.iov_base = pending_.data(), .iov_len = pending_.size()};
      const auto sent = stream_->write({&from, 1});
      if (!sent) {
        if (sent.error() != StreamError::would_block) return;
        stream_->when_writable([self = shared_from_this()] { self->run(); });
        return;
      }
      pending_ = pending_.subspan(sent.value());
    }
  }
  std::unique_ptr<ByteStream> stream_;
  std::array<std::byte, 4096> space_;
  std::span<std::byte> pending_;
};

class ListenerTest : public testing::Test {
 protected:
  explicit ListenerTest(std::size_t count = 2) {
    capture_log([](LogLevel, std::string_view) {});
    for (std::size_t i = 0; i < count; ++i) {
      reactors.push_back(std::make_unique<Reactor>(
          ReactorOptions{},
          [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
            return std::unique_ptr<engine::IoLane>(std::make_unique<nvmf::MemoryLane>(budget));
          },
          clock));
      CHECK(reactors.back()->start());
    }
  }
  ~ListenerTest() override {
    listeners.clear();
    for (auto& reactor : reactors) EXPECT_TRUE(reactor->stop(30s));
    capture_log(nullptr);
  }

  Listener& listener(const ListenerOptions& options) {
    std::vector<Reactor*> all;
    for (auto& reactor : reactors) all.push_back(reactor.get());
    listeners.push_back(std::make_unique<Listener>(
        options, all, [this](Reactor& reactor, std::unique_ptr<ByteStream> stream) {
          EXPECT_EQ(Reactor::current(), &reactor);
          {
            const std::lock_guard lock(mutex);
            ++served[&reactor];
            peers.insert(stream->peer_address());
            locals.insert(stream->local_address());
          }
          std::make_shared<Echo>(std::move(stream))->start();
        }));
    return *listeners.back();
  }
  // Opened on a port of the kernel's choice.
  std::uint16_t open(Listener& made) {
    const auto opened = made.open();
    EXPECT_TRUE(opened) << (opened ? "" : opened.error().text);
    const std::string address = made.status().address;
    return static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
  }

  engine::MemoryBudget budget{engine::ByteCount{1U << 20}};
  engine::SystemClock clock;
  std::vector<std::unique_ptr<Reactor>> reactors;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::mutex mutex;
  std::map<Reactor*, int> served;
  std::set<std::string> peers;
  std::set<std::string> locals;
};

TEST_F(ListenerTest, BothFamiliesReachAWildcardListener) {
  const std::uint16_t port = open(listener({.name = "san-a", .address = "*", .port = 0}));
  for (const char* address : {"127.0.0.1", "::1"}) {
    const UniqueFd socket = connect_to(address, port);
    ASSERT_TRUE(socket) << address;
    EXPECT_EQ(exchange(socket.get(), "hello"), "hello");
  }
  const std::lock_guard lock(mutex);
  // A mapped address is shown as what it is.
  EXPECT_EQ(locals, (std::set<std::string>{"127.0.0.1:" + std::to_string(port),
                                           "[::1]:" + std::to_string(port)}));
}

TEST_F(ListenerTest, ExplicitFamiliesDoNotTakeEachOthersPort) {
  const std::uint16_t port = open(listener({.name = "san-a", .address = "::", .port = 0}));
  Listener& ipv4 = listener({.name = "san-a", .address = "0.0.0.0", .port = port});
  EXPECT_TRUE(ipv4.open());
  EXPECT_EQ(exchange(connect_to("127.0.0.1", port).get(), "4"), "4");
  EXPECT_EQ(exchange(connect_to("::1", port).get(), "6"), "6");
}

TEST_F(ListenerTest, ConnectionsAreDealtOutInTurn) {
  const std::uint16_t port = open(listener({.name = "san-a", .address = "127.0.0.1", .port = 0}));
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < 50; ++i) {
    sockets.push_back(connect_to("127.0.0.1", port));
    EXPECT_EQ(exchange(sockets.back().get(), "x"), "x");
  }
  const std::lock_guard lock(mutex);
  EXPECT_EQ(served[reactors[0].get()], 25);
  EXPECT_EQ(served[reactors[1].get()], 25);
}

TEST_F(ListenerTest, LargeMessagesSurviveFullSocketBuffers) {
  const std::uint16_t port = open(listener({.name = "san-a", .address = "127.0.0.1", .port = 0}));
  const UniqueFd socket = connect_to("127.0.0.1", port);
  std::string message(20U << 20, '\0');
  for (std::size_t i = 0; i < message.size(); ++i) message[i] = static_cast<char>(i * 31 >> 8);
  auto answer = std::async(std::launch::async, [&] {
    std::string all(message.size(), '\0');
    std::size_t have = 0;
    while (have < all.size()) {
      const ssize_t got = ::recv(socket.get(), all.data() + have, all.size() - have, 0);
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    return all;
  });
  std::size_t sent = 0;
  while (sent < message.size()) {
    const ssize_t part = ::send(socket.get(), message.data() + sent, message.size() - sent, 0);
    ASSERT_GT(part, 0);
    sent += static_cast<std::size_t>(part);
  }
  EXPECT_TRUE(answer.get() == message);
}

TEST_F(ListenerTest, PortInUseSaysWhatToChange) {
  const std::uint16_t port = open(listener({.name = "san-a", .address = "127.0.0.1", .port = 0}));
  const auto second = listener({.name = "san-a", .address = "127.0.0.1", .port = port}).open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ListenError::Kind::address_in_use);
  EXPECT_EQ(second.error().text, "cannot listen on 127.0.0.1:" + std::to_string(port) +
                                     ": another process has this port; stop it or change "
                                     "listeners.san-a.port");
}

TEST_F(ListenerTest, WhatIsNoAddressIsRefused) {
  const auto opened = listener({.name = "san-a", .address = "store1.example", .port = 0}).open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ListenError::Kind::bad_address);
}

TEST_F(ListenerTest, AddressThatIsNotUpYetIsWaitedForVisibly) {
  // TEST-NET-1: no interface of this machine has it.
  Listener& late =
      listener({.name = "san-a", .address = "192.0.2.77", .port = 4420, .retry_interval = 5ms});
  ASSERT_TRUE(late.open());
  EXPECT_EQ(late.status().state, ListenerState::waiting);
  EXPECT_THAT(late.status().reason, HasSubstr("no interface has this address"));
  EXPECT_EQ(late.status().address, "192.0.2.77:4420");
}

TEST_F(ListenerTest, WhatCouldNotBeOpenedAtOnceIsOpenedLater) {
  Listener& late =
      listener({.name = "san-a", .address = "127.0.0.1", .port = 0, .retry_interval = 5ms});
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_TRUE(late.open());
  EXPECT_EQ(late.status().state, ListenerState::waiting);
  ::setrlimit(RLIMIT_NOFILE, &before);
  while (late.status().state == ListenerState::waiting) std::this_thread::yield();
  EXPECT_EQ(late.status().reason, "");
  const std::string address = late.status().address;
  const auto port = static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
  EXPECT_EQ(exchange(connect_to("127.0.0.1", port).get(), "up"), "up");
}

TEST_F(ListenerTest, MoreConnectionsThanAllowedAreTurnedAwayAndPlacesComeBack) {
  Listener& small =
      listener({.name = "san-a", .address = "127.0.0.1", .port = 0, .max_connections = 3});
  const std::uint16_t port = open(small);
  std::vector<UniqueFd> sockets;
  for (int i = 0; i < 3; ++i) {
    sockets.push_back(connect_to("127.0.0.1", port));
    EXPECT_EQ(exchange(sockets.back().get(), "in"), "in");
  }
  const UniqueFd refused = connect_to("127.0.0.1", port);
  char byte = 0;
  EXPECT_LE(::recv(refused.get(), &byte, 1, 0), 0);
  EXPECT_EQ(small.status().turned_away, 1U);
  EXPECT_EQ(small.status().connections, 3U);
  sockets.pop_back();
  while (small.status().connections == 3) std::this_thread::yield();
  EXPECT_EQ(exchange(connect_to("127.0.0.1", port).get(), "again"), "again");
}

// Who says nothing cannot keep the others out, however many they are.
TEST_F(ListenerTest, SilentConnectionsMakeRoomForNewOnesTheOldestFirst) {
  Listener& small =
      listener({.name = "san-a", .address = "127.0.0.1", .port = 0, .max_connections = 3});
  const std::uint16_t port = open(small);
  const UniqueFd host = connect_to("127.0.0.1", port);
  EXPECT_EQ(exchange(host.get(), "a host"), "a host");
  std::vector<UniqueFd> silent;
  for (std::uint64_t i = 0; i < 20; ++i) {
    silent.push_back(connect_to("127.0.0.1", port));
    while (small.status().accepted < 2 + i) std::this_thread::yield();
  }
  char byte = 0;
  for (std::size_t i = 0; i < 18; ++i) EXPECT_LE(::recv(silent[i].get(), &byte, 1, 0), 0);
  EXPECT_EQ(exchange(silent[18].get(), "b"), "b");
  EXPECT_EQ(exchange(silent[19].get(), "c"), "c");
  EXPECT_EQ(exchange(host.get(), "still here"), "still here");
  EXPECT_EQ(small.status().evicted, 18U);
  EXPECT_EQ(small.status().connections, 3U);
  EXPECT_LE(::recv(connect_to("127.0.0.1", port).get(), &byte, 1, 0), 0) << "all are hosts";
  EXPECT_EQ(small.status().turned_away, 1U);
}

// A peer that has vanished is noticed whether it was idle or owed us acknowledgements.
TEST_F(ListenerTest, AcceptedSocketsWatchForVanishedPeers) {
  const std::uint16_t port = open(listener({.name = "san-a", .address = "127.0.0.1", .port = 0}));
  const UniqueFd client = connect_to("127.0.0.1", port);
  EXPECT_EQ(exchange(client.get(), "a"), "a");
  const std::uint16_t ours = SocketAddress::local_of(client.get()).port();
  int accepted = -1;
  for (int fd = 0; fd < 1024; ++fd) {
    if (SocketAddress::peer_of(fd).port() == ours && fd != client.get()) accepted = fd;
  }
  ASSERT_GE(accepted, 0);
  const auto option = [accepted](int level, int name) {
    int value = -1;
    socklen_t size = sizeof(value);
    EXPECT_EQ(::getsockopt(accepted, level, name, &value, &size), 0);
    return value;
  };
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 60);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 120'000);
}

TEST_F(ListenerTest, NothingIsAcceptedAfterClose) {
  Listener& made = listener({.name = "san-a", .address = "127.0.0.1", .port = 0});
  const std::uint16_t port = open(made);
  const UniqueFd before = connect_to("127.0.0.1", port);
  EXPECT_EQ(exchange(before.get(), "a"), "a");
  made.close();
  EXPECT_FALSE(connect_to("127.0.0.1", port));
  EXPECT_EQ(exchange(before.get(), "b"), "b");  // connections that are open stay
  EXPECT_EQ(made.status().state, ListenerState::closed);
  made.close();
}

TEST_F(ListenerTest, OutOfDescriptorsItWaitsWithoutSpinningAndGoesOn) {
  const std::uint16_t port = open(listener({.name = "san-a", .address = "127.0.0.1", .port = 0}));
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  }
  // Armed first: while there are no descriptors, sanitizers can not check types they have not met.
  std::promise<void> armed;
  std::promise<void> over;
  Timer half([&] { over.set_value(); });
  reactors[1]->post([&] {
    reactors[1]->expire_after(half, 500ms);
    armed.set_value();
  });
  armed.get_future().wait();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit tight{.rlim_cur = static_cast<rlim_t>(clients.back().get()) + 1,
                     .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  const std::uint64_t turns = reactors[0]->usage().turns;
  const auto address = SocketAddress::parse("127.0.0.1", port);
  for (const UniqueFd& client : clients) {
    EXPECT_EQ(::connect(client.get(), address->data(), address->size()), 0);
  }
  // The kernel has accepted them; the process cannot. It looks a few times a second, not always.
  over.get_future().wait();
  EXPECT_LE(reactors[0]->usage().turns - turns, 20'000U);
  EXPECT_EQ(listeners[0]->status().accepted, 0U);
  ::setrlimit(RLIMIT_NOFILE, &before);
  for (const UniqueFd& client : clients) EXPECT_EQ(exchange(client.get(), "late"), "late");
}

}  // namespace
}  // namespace target
