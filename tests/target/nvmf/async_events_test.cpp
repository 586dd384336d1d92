#include "target/nvmf/async_events.h"

#include <gtest/gtest.h>

#include "protocol/nvme/features.h"

namespace target::nvmf {
namespace {

namespace nvme = protocol::nvme;
using Kind = AsyncEvents::Kind;

constexpr std::uint32_t everything = 0x8000'89ff;

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
  EXPECT_TRUE(events.raise(Kind::reliability));
  EXPECT_EQ(events.take()->dword0(), 0x0002'0001U);
  EXPECT_TRUE(events.raise(Kind::reservation));
  EXPECT_EQ(events.take()->dword0(), 0x0080'0006U);
  EXPECT_TRUE(events.raise(Kind::shutdown));
  EXPECT_EQ(events.take()->dword0(), 0x0000'0003U) << "no log page says more";
}

TEST(AsyncEvents, AShutdownIsNoLogPagesAndReadingOneHidesItNot) {
  AsyncEvents events;
  events.configure(everything);
  EXPECT_TRUE(events.raise(Kind::shutdown));
  events.log_page_read(0x00);
  EXPECT_TRUE(events.take());
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

TEST(AsyncEvents, WhatHappenedWhileAKindWasOffIsToldWhenItIsOn) {
  AsyncEvents events;
  EXPECT_FALSE(events.raise(Kind::ana_change));
  EXPECT_FALSE(events.waiting());
  events.configure(everything);
  EXPECT_TRUE(events.waiting());
  events.configure(0);
  EXPECT_FALSE(events.take());
  events.configure(everything);
  EXPECT_EQ(events.take(), nvme::event::ana_change);
  events.configure(0);
  events.configure(everything);
  EXPECT_FALSE(events.take()) << "told once";
}

TEST(AsyncEvents, APageThatIsOlderThanAnEventDoesNotHideIt) {
  AsyncEvents events;
  events.configure(everything);
  EXPECT_TRUE(events.raise_to(Kind::discovery_log, 7));
  events.log_page_read(Kind::discovery_log, 6);
  EXPECT_EQ(events.take(), nvme::event::discovery_log_change);
  EXPECT_FALSE(events.raise_to(Kind::discovery_log, 8)) << "masked";
  events.log_page_read(Kind::discovery_log, 6);
  EXPECT_FALSE(events.take()) << "it has been told of 7 already and not looked";
  events.log_page_read(Kind::discovery_log, 7);
  EXPECT_EQ(events.take(), nvme::event::discovery_log_change) << "8 is newer than the page";
  events.log_page_read(Kind::discovery_log, 8);
  EXPECT_FALSE(events.take());
  EXPECT_FALSE(events.raise_to(Kind::discovery_log, 3)) << "it never goes back";
}

TEST(AsyncEvents, ResetForgetsWhatWasPending) {
  AsyncEvents events;
  events.configure(everything);
  EXPECT_TRUE(events.raise(Kind::ana_change));
  EXPECT_TRUE(events.raise(Kind::namespace_attribute));
  EXPECT_TRUE(events.take());
  events.reset();
  events.configure(everything);
  EXPECT_FALSE(events.take());
  EXPECT_TRUE(events.raise(Kind::namespace_attribute)) << "nor is it masked";
}

}  // namespace
}  // namespace target::nvmf
