// What every ByteStream promises, tried on the kernel's sockets and on the simulated ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "target/net/socket_address.h"
#include "target/net/tcp_stream.h"
#include "tests/sim/sim_stream.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target {
namespace {

using Bytes = std::vector<std::byte>;

Bytes numbered(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7 + (i >> 8));
  return bytes;
}

// A stream and the other end of it.
class Ends {
 public:
  virtual ~Ends() = default;
  virtual ByteStream& stream() = 0;
  virtual void peer_writes(const Bytes& bytes) = 0;
  // What has arrived at the peer up to now, at most `most` bytes.
  virtual Bytes peer_reads(std::size_t most) = 0;
  virtual bool peer_sees_end() = 0;
  virtual void peer_closes() = 0;
  virtual void peer_resets() = 0;
  // Gives callbacks a chance; as often as needed.
  virtual void turn() = 0;
};

class TcpEnds final : public Ends {
 public:
  TcpEnds() {
    const UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto any = SocketAddress::parse("127.0.0.1", 0);
    CHECK(::bind(listening.get(), any->data(), any->size()) == 0);
    CHECK(::listen(listening.get(), 1) == 0);
    const auto address = SocketAddress::local_of(listening.get());
    peer_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK(::connect(peer_.get(), address.data(), address.size()) == 0);
    UniqueFd accepted(::accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    stream_ = std::make_unique<TcpStream>(reactor_.get(), std::move(accepted));
  }
  ByteStream& stream() override { return *stream_; }
  void peer_writes(const Bytes& bytes) override {
    CHECK(::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
  }
  Bytes peer_reads(std::size_t most) override {
    Bytes bytes(most);
    const ssize_t got = ::recv(peer_.get(), bytes.data(), most, MSG_DONTWAIT);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }
  bool peer_sees_end() override {
    char byte = 0;
    return ::recv(peer_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  }
  void peer_closes() override { ::shutdown(peer_.get(), SHUT_WR); }
  void peer_resets() override {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(peer_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    peer_.reset();
  }
  void turn() override { reactor_.get().run_turn(); }

 private:
  nvmf::TestReactor reactor_;
  UniqueFd peer_;
  std::unique_ptr<TcpStream> stream_;
};

class SimEnds final : public Ends {
 public:
  SimEnds() { wire_->room = 100'000; }
  ByteStream& stream() override { return stream_; }
  void peer_writes(const Bytes& bytes) override {
    wire_->to_target.insert(wire_->to_target.end(), bytes.begin(), bytes.end());
  }
  Bytes peer_reads(std::size_t most) override {
    const auto count = static_cast<std::ptrdiff_t>(std::min(most, wire_->to_host.size()));
    Bytes bytes(wire_->to_host.begin(), wire_->to_host.begin() + count);
    wire_->to_host.erase(wire_->to_host.begin(), wire_->to_host.begin() + count);
    return bytes;
  }
  bool peer_sees_end() override {
    return wire_->to_host.empty() && (wire_->target_finished || wire_->target_closed);
  }
  void peer_closes() override { wire_->host_closed = true; }
  void peer_resets() override { wire_->broken = true; }
  void turn() override { notify(*wire_); }

 private:
  std::shared_ptr<SimWire> wire_ = std::make_shared<SimWire>();
  SimStream stream_{wire_};
};

template <class E>
class ByteStreamContract : public testing::Test {
 protected:
  static constexpr int most_turns = 100'000;

  template <class Condition>
  bool turns_until(Condition&& condition) {
    for (int i = 0; i < most_turns; ++i) {
      if (condition()) return true;
      ends.turn();
    }
    return false;
  }
  engine::Result<std::size_t, StreamError> read(std::span<std::byte> into) {
    const iovec piece{.iov_base = into.data(), .iov_len = into.size()};
    return stream.read({&piece, 1});
  }
  engine::Result<std::size_t, StreamError> write(const Bytes& bytes) {
    const iovec piece{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
    return stream.write({&piece, 1});
  }

  E ends;
  ByteStream& stream = ends.stream();
};

using Streams = testing::Types<TcpEnds, SimEnds>;
TYPED_TEST_SUITE(ByteStreamContract, Streams);

TYPED_TEST(ByteStreamContract, NothingToReadIsNotTheEnd) {
  Bytes space(10);
  EXPECT_EQ(this->read(space).error(), StreamError::would_block);
}

TYPED_TEST(ByteStreamContract, ReadsAcrossItsPieces) {
  const Bytes sent = numbered(1000);
  this->ends.peer_writes(sent);
  Bytes got(1000);
  const iovec pieces[] = {{.iov_base = got.data(), .iov_len = 300},
                          {.iov_base = got.data() + 300, .iov_len = 700}};
  EXPECT_EQ(this->stream.read(pieces).value(), 1000U);
  EXPECT_EQ(got, sent);
}

TYPED_TEST(ByteStreamContract, WritesGathered) {
  Bytes first = numbered(100);
  Bytes second = numbered(5000);
  const iovec pieces[] = {{.iov_base = first.data(), .iov_len = first.size()},
                          {.iov_base = second.data(), .iov_len = second.size()}};
  EXPECT_EQ(this->stream.write(pieces).value(), 5100U);
  Bytes got;
  EXPECT_TRUE(this->turns_until([&] {
    const Bytes part = this->ends.peer_reads(10'000);
    got.insert(got.end(), part.begin(), part.end());
    return got.size() == 5100;
  }));
  EXPECT_TRUE(std::ranges::equal(std::span(got).first(100), first));
  EXPECT_TRUE(std::ranges::equal(std::span(got).subspan(100), second));
}

TYPED_TEST(ByteStreamContract, TellsOnceThatThereIsSomethingToRead) {
  int told = 0;
  this->stream.when_readable([&] { ++told; });
  for (int i = 0; i < 10; ++i) this->ends.turn();
  EXPECT_EQ(told, 0);
  this->ends.peer_writes(numbered(1));
  EXPECT_TRUE(this->turns_until([&] { return told != 0; }));
  this->ends.peer_writes(numbered(1));
  for (int i = 0; i < 10; ++i) this->ends.turn();
  EXPECT_EQ(told, 1);
}

TYPED_TEST(ByteStreamContract, TellsOfBytesThatWereThereBeforeItWasAsked) {
  this->ends.peer_writes(numbered(10));
  Bytes space(5);
  EXPECT_EQ(this->read(space).value(), 5U);
  bool told = false;
  this->stream.when_readable([&] { told = true; });
  EXPECT_TRUE(this->turns_until([&] { return told; }));
}

TYPED_TEST(ByteStreamContract, FullStreamBlocksAndTellsWhenThereIsRoom) {
  const Bytes block = numbered(64 * 1024);
  std::size_t written = 0;
  for (;;) {
    const auto part = this->write(block);
    if (!part) {
      EXPECT_EQ(part.error(), StreamError::would_block);
      break;
    }
    written += part.value();
  }
  bool told = false;
  this->stream.when_writable([&] { told = true; });
  for (int i = 0; i < 10; ++i) this->ends.turn();
  EXPECT_FALSE(told);
  std::size_t taken = 0;
  EXPECT_TRUE(this->turns_until([&] {
    taken += this->ends.peer_reads(1U << 20).size();
    return told && taken == written;
  }));
  EXPECT_TRUE(this->write(block));
}

TYPED_TEST(ByteStreamContract, EndOfThePeerIsReadBehindItsBytes) {
  this->ends.peer_writes(numbered(10));
  this->ends.peer_closes();
  bool told = false;
  this->stream.when_readable([&] { told = true; });
  EXPECT_TRUE(this->turns_until([&] { return told; }));
  Bytes space(100);
  EXPECT_EQ(this->read(space).value(), 10U);
  EXPECT_EQ(this->read(space).error(), StreamError::closed);
}

TYPED_TEST(ByteStreamContract, ResetIsToldAndBreaksTheStream) {
  bool told = false;
  this->stream.when_readable([&] { told = true; });
  this->ends.peer_resets();
  EXPECT_TRUE(this->turns_until([&] { return told; }));
  Bytes space(100);
  EXPECT_EQ(this->read(space).error(), StreamError::broken);
}

TYPED_TEST(ByteStreamContract, FinishedWriterStillReads) {
  EXPECT_TRUE(this->write(numbered(3)));
  this->stream.finish_writing();
  Bytes got;
  EXPECT_TRUE(this->turns_until([&] {
    const Bytes part = this->ends.peer_reads(10);
    got.insert(got.end(), part.begin(), part.end());
    return got.size() == 3 && this->ends.peer_sees_end();
  }));
  this->ends.peer_writes(numbered(5));
  Bytes space(10);
  EXPECT_EQ(this->read(space).value(), 5U);
}

TYPED_TEST(ByteStreamContract, ClosedStreamCallsNobodyAndMayBeClosedAgain) {
  int told = 0;
  this->stream.when_readable([&] { ++told; });
  this->ends.peer_writes(numbered(5));
  this->stream.close();
  this->stream.close();
  for (int i = 0; i < 10; ++i) this->ends.turn();
  EXPECT_EQ(told, 0);
  Bytes space(10);
  EXPECT_EQ(this->read(space).error(), StreamError::broken);
  EXPECT_EQ(this->write(space).error(), StreamError::broken);
  EXPECT_FALSE(this->stream.peer_address().empty());
}

// A file that was cut off below its mapping stands for memory that has gone bad.
TEST(TcpStream, WhatTheKernelCannotReadIsAnErrorOfItsOwn) {
  constexpr std::size_t page = 4096;
  const UniqueFd file(::memfd_create("cut-off", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), 2 * page), 0);
  void* const mapped = ::mmap(nullptr, 2 * page, PROT_READ, MAP_SHARED, file.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  ASSERT_EQ(::ftruncate(file.get(), page), 0);
  {
    TcpEnds ends;
    const iovec there{.iov_base = mapped, .iov_len = page};
    EXPECT_TRUE(ends.stream().write({&there, 1}));
    const iovec gone{.iov_base = static_cast<std::byte*>(mapped) + page, .iov_len = page};
    const auto written = ends.stream().write({&gone, 1});
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error(), StreamError::unreadable);
  }
  ::munmap(mapped, 2 * page);
}

TYPED_TEST(ByteStreamContract, MayBeClosedFromInsideItsCallback) {
  int told = 0;
  this->stream.when_readable([&] {
    ++told;
    this->stream.close();
  });
  this->ends.peer_writes(numbered(5));
  EXPECT_TRUE(this->turns_until([&] { return told != 0; }));
  for (int i = 0; i < 10; ++i) this->ends.turn();
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace target
