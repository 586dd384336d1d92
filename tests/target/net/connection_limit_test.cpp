#include "target/net/connection_limit.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>
#include <vector>

#include "target/net/tcp_stream.h"
#include "tests/target/nvmf/memory_lane.h"

namespace target {
namespace {

TEST(ConnectionLimit, OldestThatHasNotSettledGoes) {
  const auto limit = std::make_shared<ConnectionLimit>(2);
  auto first = ConnectionLimit::take(limit);
  auto second = ConnectionLimit::take(limit);
  int first_evicted = 0;
  int second_evicted = 0;
  first->when_evicted([&] { ++first_evicted; });
  second->when_evicted([&] { ++second_evicted; });
  first->settle();
  auto third = ConnectionLimit::take(limit);
  ASSERT_TRUE(third);
  EXPECT_EQ(first_evicted, 0);
  EXPECT_EQ(second_evicted, 1);
  EXPECT_EQ(limit->open(), 2U);
  second.reset();
  EXPECT_EQ(limit->open(), 2U) << "its place was given away already";
  third->settle();
  EXPECT_FALSE(ConnectionLimit::take(limit));
  first.reset();
  EXPECT_EQ(limit->open(), 1U);
  EXPECT_TRUE(ConnectionLimit::take(limit));
}

TEST(ConnectionLimit, EvictedBeforeAnybodyListensIsToldAtOnce) {
  const auto limit = std::make_shared<ConnectionLimit>(1);
  auto first = ConnectionLimit::take(limit);
  auto second = ConnectionLimit::take(limit);
  int evicted = 0;
  first->when_evicted([&] { ++evicted; });
  EXPECT_EQ(evicted, 1);
  first->settle();
  first->give_back();
  EXPECT_EQ(limit->open(), 1U);
}

TEST(ConnectionLimit, ManyThreadsAgree) {
  const auto limit = std::make_shared<ConnectionLimit>(3);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&limit] {
      for (int i = 0; i < 5000; ++i) {
        auto place = ConnectionLimit::take(limit);
        if (!place) continue;
        place->when_evicted([] {});
        if (i % 3 == 0) place->settle();
        EXPECT_LE(limit->open(), 3U);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(limit->open(), 0U);
}

// Commands that a disk still has may keep the stream's owner for long.
TEST(ConnectionLimit, ClosedStreamHoldsNoPlace) {
  nvmf::TestReactor reactor;
  const auto limit = std::make_shared<ConnectionLimit>(1);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  const UniqueFd other(ends[1]);
  TcpStream stream(reactor.get(), UniqueFd(ends[0]), std::move(*ConnectionLimit::take(limit)));
  EXPECT_EQ(limit->open(), 1U);
  stream.close();
  EXPECT_EQ(limit->open(), 0U);
  stream.close();
  EXPECT_EQ(limit->open(), 0U);
}

}  // namespace
}  // namespace target
