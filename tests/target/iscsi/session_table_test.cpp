#include "target/iscsi/session_table.h"

#include <gtest/gtest.h>

#include <set>

namespace target::iscsi {
namespace {

using Admission = SessionTable::Admission;

std::shared_ptr<SessionEntry> session(std::string initiator, std::string target = "iqn.t",
                                      std::uint16_t group = 1, std::uint8_t isid = 0) {
  SessionKey key{.target = std::move(target),
                 .initiator = std::move(initiator),
                 .isid = {0, 0, 0, 0, 0, isid},
                 .portal_group = group};
  return std::make_shared<SessionEntry>(std::move(key), LinkInfo{}, nullptr);
}

TEST(SessionTable, EachSessionHasAHandleOfItsOwn) {
  SessionTable table(100);
  std::set<std::uint16_t> handles;
  for (int i = 0; i < 50; ++i) {
    const auto entry = session("host" + std::to_string(i));
    EXPECT_EQ(table.add(entry).admission, Admission::admitted);
    EXPECT_NE(entry->tsih, 0);
    EXPECT_TRUE(handles.insert(entry->tsih).second);
    EXPECT_EQ(table.find(entry->tsih), entry);
  }
}

TEST(SessionTable, OnlyTheSamePortsAreTheSameSession) {
  SessionTable table(100);
  for (const auto& entry : {session("a"), session("b"), session("a", "iqn.other"),
                            session("a", "iqn.t", 2), session("a", "iqn.t", 1, 9)}) {
    EXPECT_EQ(table.add(entry).admission, Admission::admitted);
  }
  EXPECT_EQ(table.add(session("a")).admission, Admission::waits);
}

TEST(SessionTable, DiscoverySessionsAreLikeNoOther) {
  SessionTable table(100);
  EXPECT_EQ(table.add(session("a", "")).admission, Admission::admitted);
  EXPECT_EQ(table.add(session("a", "")).admission, Admission::admitted);
  EXPECT_EQ(table.size(), 2U);
}

TEST(SessionTable, ANewSessionBeginsWhenTheOldOneHasEnded) {
  SessionTable table(100);
  const auto first = session("a");
  const auto second = session("a");
  (void)table.add(first);
  const auto outcome = table.add(second);
  EXPECT_EQ(outcome.admission, Admission::waits);
  EXPECT_EQ(outcome.displaced, first);
  EXPECT_EQ(second->tsih, 0);
  EXPECT_EQ(table.remove(first), second);
  EXPECT_NE(second->tsih, 0);
  EXPECT_EQ(table.find(second->tsih), second);
  EXPECT_EQ(table.remove(second), nullptr);
  EXPECT_EQ(table.size(), 0U);
}

TEST(SessionTable, OfSeveralThatWaitTheLastOneIsTheInitiators) {
  SessionTable table(100);
  const auto first = session("a");
  const auto second = session("a");
  const auto third = session("a");
  (void)table.add(first);
  (void)table.add(second);
  EXPECT_EQ(table.add(third).displaced, second);
  EXPECT_EQ(table.remove(second), nullptr);  // it has been told to end
  EXPECT_EQ(table.remove(first), third);
}

TEST(SessionTable, OneThatNoLongerWaitsIsNotAdmitted) {
  SessionTable table(100);
  const auto first = session("a");
  const auto second = session("a");
  (void)table.add(first);
  (void)table.add(second);
  EXPECT_EQ(table.remove(second), nullptr);
  EXPECT_EQ(table.remove(first), nullptr);
  EXPECT_EQ(table.size(), 0U);
}

TEST(SessionTable, ThereIsAnEndToThem) {
  SessionTable table(2);
  const auto first = session("a");
  (void)table.add(first);
  (void)table.add(session("b"));
  EXPECT_EQ(table.add(session("c")).admission, Admission::full);
  // One that takes another's place needs none of its own.
  EXPECT_EQ(table.add(session("a")).admission, Admission::waits);
  (void)table.remove(first);
  EXPECT_EQ(table.size(), 2U);
}

}  // namespace
}  // namespace target::iscsi
