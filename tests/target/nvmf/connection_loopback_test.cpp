// Connections over real sockets: reactor, listener and stream together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "target/net/connection_registry.h"
#include "target/net/listener.h"
#include "target/net/socket_address.h"
#include "target/net/unique_fd.h"
#include "target/nvmf/connection.h"
#include "target/reactor/log.h"
#include "tests/protocol/nvme_tcp/host_pdus.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target::nvmf {
namespace {

using protocol::nvme_tcp::Bytes;
using protocol::nvme_tcp::NegotiatedLink;
namespace host = protocol::nvme_tcp;
namespace status = protocol::nvme::status;
using namespace std::chrono_literals;

// Accepts Connect; a read gives bytes of its identifier, a write is taken.
class MemoryExecutor final : public CommandExecutor {
 public:
  explicit MemoryExecutor(CommandPort& port) : port_(port) {}
  block::BlockVolume* volume_of(const Command&) override { return nullptr; }
  protocol::nvme::Status try_later(const Command&) override { return status::command_interrupted; }
  void execute(CommandPermit permit) override {
    const Command& command = permit.command();
    const std::uint32_t length = command.entry.data_pointer.length;
    switch (command.entry.opcode) {
      case 0x7f:
        port_.bind({.qid = 1, .entries = 128});
        return permit.respond(status::success);
      case 0x02:
        return permit.lease_for_host(length);
      default:
        return permit.receive_from_host(length);
    }
  }
  void data_ready(CommandPermit permit) override {
    Command& command = permit.command();
    if (command.entry.opcode != 0x02) return permit.respond(status::success);
    const std::uint32_t length = command.entry.data_pointer.length;
    std::memset(command.buffer.bytes().data(), command.entry.command_id & 0xff, length);
    permit.respond_with_data(length);
  }
  void connection_ended(EndReason) override {}

 private:
  CommandPort& port_;
};

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * 4096;
}

Bytes loopback_capsule(const NegotiatedLink& link, std::uint16_t command_id, std::uint8_t opcode,
                       std::uint32_t length, std::span<const std::byte> data = {}) {
  Bytes header(72);
  host::put(header, 0, 0x04, 1);
  host::put(header, 2, 72, 1);
  host::put(header, 8, opcode, 1);
  host::put(header, 10, command_id, 2);
  host::put(header, 40, length, 4);
  host::put(header, 47, data.empty() ? 0x5a : 0x01, 1);
  return host::with_data(header, link, data);
}

// A blocking host.
class Host {
 public:
  Host(const std::string& address, std::uint16_t port) {
    const auto target = SocketAddress::parse(address, port);
    socket_ = UniqueFd(::socket(target->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(socket_.get(), target->data(), target->size()), 0);
    const timeval patience{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  void send(const Bytes& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t part =
          ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      ASSERT_GT(part, 0);
      sent += static_cast<std::size_t>(part);
    }
  }
  // The next PDU; empty at the end of the stream.
  Bytes receive() {
    Bytes pdu(8);
    if (!fill(pdu, 0)) return {};
    std::uint32_t plen = 0;
    std::memcpy(&plen, pdu.data() + 4, 4);
    pdu.resize(plen);
    return fill(pdu, 8) ? pdu : Bytes{};
  }
  void connect(const NegotiatedLink& link) {
    const unsigned dgst = (link.hdgst ? 1U : 0U) | (link.ddgst ? 2U : 0U);
    send(host::ic_req(0, 0, static_cast<std::uint8_t>(dgst), 0));
    EXPECT_EQ(receive().size(), 128U);
    send(loopback_capsule(link, 0, 0x7f, 0));
    EXPECT_FALSE(receive().empty());
  }

 private:
  bool fill(Bytes& bytes, std::size_t have) {
    while (have < bytes.size()) {
      const ssize_t got = ::recv(socket_.get(), bytes.data() + have, bytes.size() - have, 0);
      if (got <= 0) return false;
      have += static_cast<std::size_t>(got);
    }
    return true;
  }
  UniqueFd socket_;
};

// The system's, from which a test may cut time away. Any thread.
class SkippingClock final : public engine::Clock {
 public:
  void skip(engine::Duration time) { skipped_ns_ += time.count(); }
  [[nodiscard]] engine::Instant now() const override {
    return system_.now() + engine::Duration(skipped_ns_.load());
  }
  [[nodiscard]] std::chrono::milliseconds wall() const override { return system_.wall(); }

 private:
  engine::SystemClock system_;
  std::atomic<std::int64_t> skipped_ns_{0};
};

class ConnectionLoopback : public testing::Test {
 protected:
  ConnectionLoopback() {
    capture_log([](LogLevel, std::string_view) {});
    CHECK(reactor.start());
    registry = std::make_unique<ConnectionRegistry>(reactor, budget, all_counters);
    listener = std::make_unique<Listener>(
        ListenerOptions{.name = "san-a", .address = "*", .port = 0},
        std::vector<Reactor*>{&reactor}, [this](Reactor&, std::unique_ptr<ByteStream> stream) {
          Connection::open(*registry, std::move(stream), options,
                           [](CommandPort& p) { return std::make_unique<MemoryExecutor>(p); });
        });
    CHECK(listener->open());
    const std::string address = listener->status().address;
    port = static_cast<std::uint16_t>(std::stoul(address.substr(address.rfind(':') + 1)));
  }
  ~ConnectionLoopback() override {
    listener->close();
    reactor.post([this] { registry->end(EndReason::stopping); });
    EXPECT_TRUE(reactor.stop(60s));
    EXPECT_EQ(counters.opened, counters.closed);
    capture_log(nullptr);
  }

  // Returns when `work` is done, in a turn of the reactor.
  void on_reactor(const std::function<void()>& work) {
    std::promise<void> done;
    reactor.post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  // Returns when the reactor has found nothing to do any more.
  void await_sleep() {
    std::uint64_t before = 0;
    on_reactor([&] { before = reactor.usage().sleeps; });
    while (reactor.usage().sleeps == before) std::this_thread::yield();
  }

  SkippingClock clock;
  engine::MemoryBudget budget{engine::ByteCount{256U << 20}};
  CountersByProtocol all_counters;
  ConnectionCounters& counters = all_counters.nvme_tcp;
  Reactor reactor{{},
                  [this]() -> engine::Result<std::unique_ptr<engine::IoLane>, std::string> {
                    return std::unique_ptr<engine::IoLane>(std::make_unique<MemoryLane>(budget));
                  },
                  clock};
  ConnectionOptions options;
  std::unique_ptr<ConnectionRegistry> registry;
  std::unique_ptr<Listener> listener;
  std::uint16_t port = 0;
};

TEST_F(ConnectionLoopback, ReadsAndWritesOverBothFamiliesWithAndWithoutDigests) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    for (const bool digests : {false, true}) {
      const NegotiatedLink link{.hdgst = digests, .ddgst = digests};
      Host peer(address, port);
      peer.connect(link);
      for (std::uint16_t id = 1; id <= 32; ++id) {
        peer.send(loopback_capsule(link, id, 0x02, 4096));
        peer.send(
            loopback_capsule(link, static_cast<std::uint16_t>(100 + id), 0x01, 8192, Bytes(8192)));
      }
      int reads = 0;
      int completions = 0;
      while (completions < 64) {
        const Bytes pdu = peer.receive();
        ASSERT_FALSE(pdu.empty());
        if (pdu[0] == std::byte{7}) {
          ++reads;
          std::uint16_t id = 0;
          std::memcpy(&id, pdu.data() + 8, 2);
          const auto offset = static_cast<std::size_t>(pdu[3]);
          EXPECT_EQ(pdu[offset], static_cast<std::byte>(id));
          EXPECT_EQ(pdu[offset + 4095], static_cast<std::byte>(id));
        } else {
          EXPECT_EQ(pdu[0], std::byte{5});
          ++completions;
        }
      }
      EXPECT_EQ(reads, 32);
    }
  }
}

TEST_F(ConnectionLoopback, AThousandSilentConnectionsCostLittleAndDisturbNobody) {
  constexpr std::size_t silent = 1000;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);

  Host good("127.0.0.1", port);
  good.connect({});
  const auto works = [&](std::uint16_t id) {
    good.send(loopback_capsule({}, id, 0x02, 4096));
    return good.receive().size() == 24 + 4096 && good.receive().size() == 24;
  };
  ASSERT_TRUE(works(1));
  const std::size_t before = resident_bytes();
  std::vector<std::unique_ptr<Host>> peers;
  const Bytes request = host::ic_req();
  for (std::size_t i = 0; i < silent; ++i) {
    peers.push_back(std::make_unique<Host>(i % 2 == 0 ? "127.0.0.1" : "::1", port));
    // Some say nothing at all, some half of an ICReq, some go as far as ICResp.
    if (i % 3 == 1) peers.back()->send(Bytes(request.begin(), request.begin() + 64));
    if (i % 3 == 2) peers.back()->send(request);
    if (i % 100 == 0) {
      EXPECT_TRUE(works(static_cast<std::uint16_t>(i)));
    }
  }
  while (counters.opened < silent + 1) std::this_thread::yield();
  EXPECT_TRUE(works(7));
  const std::size_t grown = resident_bytes() - std::min(before, resident_bytes());
  RecordProperty("bytes_per_silent_connection", static_cast<int>(grown / silent));
  EXPECT_LE(grown / silent, 64U << 10);
  EXPECT_LE(grown, 64U << 20);

  // The reactor sleeps although they are all open.
  const ReactorUsage quiet = reactor.usage();
  std::promise<void> over;
  Timer half([&] { over.set_value(); });
  reactor.post([&] { reactor.expire_after(half, 500ms); });
  over.get_future().wait();
  EXPECT_LE(reactor.usage().turns - quiet.turns, 20'000U);
}

// The stall timeout counts from the byte that woke the reactor, not from when it fell asleep.
TEST_F(ConnectionLoopback, HalfAPduAfterALongSilenceIsNotAStall) {
  options.limits.stall_timeout = 1h;
  Host peer("127.0.0.1", port);
  peer.connect({});
  await_sleep();
  clock.skip(2h);
  const Bytes read = loopback_capsule({}, 5, 0x02, 4096);
  const std::uint64_t before = counters.bytes_received;
  peer.send(Bytes(read.begin(), read.begin() + 40));
  while (counters.bytes_received < before + 40) std::this_thread::yield();
  // By the second turn a time-out that had passed would have ended the connection.
  on_reactor([] {});
  on_reactor([] {});
  peer.send(Bytes(read.begin() + 40, read.end()));
  EXPECT_EQ(peer.receive().size(), 24U + 4096);
}

TEST_F(ConnectionLoopback, BadPduIsAnsweredAndTheStreamEnds) {
  Host peer("::1", port);
  Bytes bad = host::ic_req(/*pfv=*/9);
  peer.send(bad);
  const Bytes answer = peer.receive();
  ASSERT_EQ(answer.size(), 24U + 128);
  EXPECT_EQ(answer[0], std::byte{3});
  EXPECT_TRUE(peer.receive().empty());  // the end of the stream comes at once, not after a linger
}

}  // namespace
}  // namespace target::nvmf
