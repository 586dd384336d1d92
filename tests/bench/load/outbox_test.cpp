#include "tests/bench/load/outbox.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "engine/foundation/random.h"

namespace bench {
namespace {

// A socket pair whose far end takes only what it is asked to.
class OutboxOverSocket : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0);
    const int small = 16384;
    (void)::setsockopt(ends_[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  }
  void TearDown() override {
    ::close(ends_[0]);
    if (ends_[1] >= 0) ::close(ends_[1]);
  }
  void read_some(std::vector<std::byte>& into) {
    std::vector<std::byte> buffer(5000);
    const ssize_t got = ::recv(ends_[1], buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0) into.insert(into.end(), buffer.begin(), buffer.begin() + got);
  }

  int ends_[2] = {-1, -1};
};

TEST_F(OutboxOverSocket, NothingIsLostOrReorderedWhenTheSocketIsFull) {
  engine::SeededRandom random(3);
  std::vector<std::byte> pool(65536);
  random.fill(pool);
  Outbox outbox;
  std::vector<std::byte> expected;
  std::vector<std::byte> arrived;
  for (int i = 0; i < 20000; ++i) {
    const auto header = outbox.header(1 + random.below(100));
    random.fill(header);
    expected.insert(expected.end(), header.begin(), header.end());
    if (random.chance(1, 2)) {
      const auto data =
          std::span<const std::byte>(pool).subspan(random.below(60000), random.below(5000) + 1);
      outbox.data(data);
      expected.insert(expected.end(), data.begin(), data.end());
    }
    ASSERT_EQ(outbox.flush(ends_[0]), 0);
    if (random.chance(1, 3)) read_some(arrived);
  }
  while (!outbox.empty()) {
    read_some(arrived);
    ASSERT_EQ(outbox.flush(ends_[0]), 0);
  }
  while (arrived.size() < expected.size()) read_some(arrived);
  EXPECT_TRUE(arrived == expected);
}

TEST_F(OutboxOverSocket, AClosedPeerIsAnErrorNotASignal) {
  ::close(ends_[1]);
  ends_[1] = -1;
  Outbox outbox;
  (void)outbox.header(8);
  EXPECT_EQ(outbox.flush(ends_[0]), EPIPE);
}

}  // namespace
}  // namespace bench
