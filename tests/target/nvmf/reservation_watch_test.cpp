#include "target/nvmf/reservation_watch.h"

#include <gtest/gtest.h>

#include "target/nvmf/async_events.h"

namespace target::nvmf {
namespace {

using Notification = protocol::nvme::ReservationNotification;

std::uint64_t number(const std::vector<std::byte>& page, std::size_t at, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t byte = bytes; byte > 0; --byte) {
    value = value << 8 | std::to_integer<std::uint64_t>(page[at + byte - 1]);
  }
  return value;
}

TEST(ReservationLog, IsReadOldestFirstOneAtATime) {
  ReservationLog log;
  EXPECT_EQ(log.page(), std::vector<std::byte>(64)) << "nothing has happened";
  log.take();
  log.add(7, Notification::registration_preempted);
  log.add(9, Notification::reservation_preempted);
  const auto first = log.page();
  ASSERT_EQ(first.size(), 64U);
  EXPECT_EQ(number(first, 0, 8), 1U);
  EXPECT_EQ(number(first, 8, 1), 1U) << "type";
  EXPECT_EQ(number(first, 9, 1), 1U) << "one more";
  EXPECT_EQ(number(first, 12, 4), 7U);
  EXPECT_EQ(log.page(), first) << "until it is taken";
  log.take();
  EXPECT_EQ(number(log.page(), 0, 8), 2U);
  EXPECT_EQ(number(log.page(), 8, 1), 3U);
  EXPECT_EQ(number(log.page(), 9, 1), 0U);
  log.take();
  EXPECT_TRUE(log.empty());
}

TEST(ReservationLog, TheOldestIsLostAndTheCountSaysSo) {
  ReservationLog log;
  for (std::uint32_t at = 0; at < 100; ++at) log.add(at, Notification::reservation_released);
  EXPECT_EQ(number(log.page(), 9, 1), 63U);
  EXPECT_EQ(number(log.page(), 0, 8), 37U);
  EXPECT_EQ(number(log.page(), 12, 4), 36U);
}

TEST(ReservationLog, ItsEventNeedsNoAsking) {
  AsyncEvents events;
  EXPECT_TRUE(events.raise(AsyncEvents::Kind::reservation));
  EXPECT_EQ(events.take()->dword0(), 0x0080'0006U);
  EXPECT_FALSE(events.raise(AsyncEvents::Kind::reservation)) << "one is out";
  events.log_page_read(0x80);
  EXPECT_FALSE(events.waiting());
  EXPECT_TRUE(events.raise(AsyncEvents::Kind::reservation));
}

}  // namespace
}  // namespace target::nvmf
