#include "target/nvmf/async_events.h"

#include <gtest/gtest.h>

#include "protocol/nvme/features.h"

namespace target::nvmf {
namespace {

namespace nvme = protocol::nvme;
using Kind = AsyncEvents::Kind;

constexpr std::uint32_t everything = 0x8000'09ff;

TEST(AsyncEvents, NothingIsSentThatWasNotAskedFor) {
  AsyncEvents events;
  EXPECT_FALSE(events.raise(Kind::namespace_attribute));
  EXPECT_FALSE(events.take());
  events.configure(nvme::event_bit::ana_change);
  EXPECT_FALSE(events.raise(Kind::namespace_attribute));
  EXPECT_TRUE(events.raise(Kind::ana_change));
  EXPECT_EQ(events.take(), nvme::event::ana_change);
}

TEST(AsyncEvents, NotificationsAreThoseOfTheSpecification) {
  AsyncEvents events;
  events.configure(everything);
  EXPECT_TRUE(events.raise(Kind::namespace_attribute));
  EXPECT_EQ(events.take()->dword0(), 0x0004'0002U);
  EXPECT_TRUE(events.raise(Kind::ana_change));
  EXPECT_EQ(events.take()->dword0(), 0x000c'0302U);
  EXPECT_TRUE(events.raise(Kind::discovery_log));
  EXPECT_EQ(events.take()->dword0(), 0x0070'f002U);
  EXPECT_TRUE(events.raise(Kind::temperature));
  EXPECT_EQ(events.take()->dword0(), 0x0002'0101U);
}

TEST(AsyncEvents, OneNotificationUntilItsLogPageIsRead) {
  AsyncEvents events;
  events.configure(everything);
  EXPECT_TRUE(events.raise(Kind::namespace_attribute));
  EXPECT_TRUE(events.take());
  EXPECT_FALSE(events.raise(Kind::namespace_attribute)) << "masked";
  EXPECT_FALSE(events.take());
  EXPECT_TRUE(events.raise(Kind::ana_change)) << "another kind is not masked by it";
  EXPECT_TRUE(events.take());
  events.log_page_read(0x0c);
  EXPECT_FALSE(events.raise(Kind::namespace_attribute)) << "its own page was not read";
  events.log_page_read(0x04);
  EXPECT_TRUE(events.raise(Kind::namespace_attribute));
}

TEST(AsyncEvents, EventThatTheHostHasSeenInTheLogIsNotSentAfterwards) {
  AsyncEvents events;
  events.configure(everything);
  EXPECT_TRUE(events.raise(Kind::ana_change));
  events.log_page_read(0x0c);
  EXPECT_FALSE(events.take());
}

TEST(AsyncEvents, SwitchingAKindOffForgetsWhatWasPending) {
  AsyncEvents events;
  events.configure(everything);
  EXPECT_TRUE(events.raise(Kind::ana_change));
  events.configure(0);
  events.configure(everything);
  EXPECT_FALSE(events.take());
}

}  // namespace
}  // namespace target::nvmf
