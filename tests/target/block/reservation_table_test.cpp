#include "target/block/reservation_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/target/block/reservation_parties.h"

namespace target::block {
namespace {

using Outcome = ReservationOutcome;
using Type = ReservationType;
using Notice = ReservationNotice;
using enum ReservationAccess;

constexpr std::array every_type{Type::write_exclusive,
                                Type::exclusive_access,
                                Type::write_exclusive_registrants_only,
                                Type::exclusive_access_registrants_only,
                                Type::write_exclusive_all_registrants,
                                Type::exclusive_access_all_registrants};

const PartyId a = test_host(1);
const PartyId b = test_nexus("iqn.2026-11.com.example:b", 7);
const PartyId c = test_host(3);

class ReservationTableTest : public testing::Test {
 protected:
  Outcome run(const PartyId& party, const ReservationChange& change,
              std::optional<bool> persist = std::nullopt) {
    const ReservationTable before = table;
    effect = table.apply(party, change, persist);
    EXPECT_TRUE(table.is_sound());
    if (effect.outcome != Outcome::done) {
      EXPECT_EQ(table.registrants, before.registrants);
      EXPECT_EQ(table.type, before.type);
      EXPECT_EQ(table.generation, before.generation);
      EXPECT_EQ(table.persists, before.persists);
      EXPECT_TRUE(effect.told.empty());
    }
    return effect.outcome;
  }
  void register_all() {
    ASSERT_EQ(run(a, change::AddKey{0xa}), Outcome::done);
    ASSERT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::done);
    ASSERT_EQ(run(c, change::AddKey{0xc}), Outcome::done);
  }
  // "b released, c preempted": in the order of the table.
  std::string told() const {
    std::string all;
    for (const auto& [party, notice] : effect.told) {
      if (!all.empty()) all += ", ";
      all += party == a ? "a " : party == b ? "b " : "c ";
      all += notice == Notice::registration_preempted ? "unregistered"
             : notice == Notice::reservation_released ? "released"
                                                      : "preempted";
    }
    return all;
  }
  std::string holders() const {
    std::string all;
    for (const Registrant& each : table.registrants) {
      if (each.holder) all += each.party == a ? 'a' : each.party == b ? 'b' : 'c';
    }
    return all;
  }

  ReservationTable table;
  ReservationTable::Effect effect;
};

// SPC-5, "PERSISTENT RESERVE OUT commands that are allowed..."; NVMe Base, "Command Behavior in the
// Presence of a Reservation": one table.
TEST_F(ReservationTableTest, WhoMayWhat) {
  struct Row {
    Type type;
    bool others_read, others_write, registrants_read, registrants_write;
  };
  const std::array rows{
      Row{Type::write_exclusive, true, false, true, false},
      Row{Type::exclusive_access, false, false, false, false},
      Row{Type::write_exclusive_registrants_only, true, false, true, true},
      Row{Type::exclusive_access_registrants_only, false, false, true, true},
      Row{Type::write_exclusive_all_registrants, true, false, true, true},
      Row{Type::exclusive_access_all_registrants, false, false, true, true},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(static_cast<int>(row.type));
    table = {};
    EXPECT_TRUE(table.may(c, write));
    ASSERT_EQ(run(a, change::AddKey{0xa}), Outcome::done);
    ASSERT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::done);
    EXPECT_TRUE(table.may(c, write)) << "registrations alone keep nobody out";
    ASSERT_EQ(run(a, change::Reserve{0xa, row.type}), Outcome::done);
    EXPECT_TRUE(table.may(a, read) && table.may(a, write));
    EXPECT_EQ(table.may(b, read), row.registrants_read);
    EXPECT_EQ(table.may(b, write), row.registrants_write);
    EXPECT_EQ(table.may(c, read), row.others_read);
    EXPECT_EQ(table.may(c, write), row.others_write);
  }
}

TEST_F(ReservationTableTest, NumbersOfTypes) {
  for (const Type type : every_type) {
    EXPECT_EQ(type_of_scsi(scsi_type(type)), type);
    EXPECT_EQ(type_of_nvme(static_cast<std::uint8_t>(type)), type);
  }
  EXPECT_EQ(scsi_type(Type::write_exclusive_all_registrants), 0x7);
  for (const int bad : {0x0, 0x2, 0x4, 0x9, 0xf})
    EXPECT_FALSE(type_of_scsi(static_cast<std::uint8_t>(bad)));
  for (const int bad : {0, 7, 255}) EXPECT_FALSE(type_of_nvme(static_cast<std::uint8_t>(bad)));
}

TEST_F(ReservationTableTest, RegisteringAsNvmeDoes) {
  EXPECT_EQ(run(a, change::AddKey{0}), Outcome::bad_field);
  EXPECT_EQ(run(a, change::RemoveKey{0xa}), Outcome::conflict);
  EXPECT_EQ(run(a, change::ReplaceKey{0xa, 0xaa}), Outcome::conflict);
  EXPECT_EQ(run(a, change::AddKey{0xa}), Outcome::done);
  EXPECT_EQ(run(a, change::AddKey{0xa}), Outcome::done) << "the same key again";
  EXPECT_EQ(run(a, change::AddKey{0xaa}), Outcome::conflict);
  EXPECT_EQ(run(a, change::ReplaceKey{0xbad, 0xaa}), Outcome::conflict);
  EXPECT_EQ(run(a, change::ReplaceKey{0xa, 0}), Outcome::bad_field);
  EXPECT_EQ(run(a, change::ReplaceKey{0xa, 0xaa}), Outcome::done);
  EXPECT_EQ(table.find(a)->key, 0xaaU);
  EXPECT_EQ(run(a, change::ReplaceKey{0xbad, 0xab, true}), Outcome::done);
  EXPECT_EQ(run(c, change::ReplaceKey{0, 0xc, true}), Outcome::done) << "also registers";
  EXPECT_EQ(run(a, change::RemoveKey{0xbad}), Outcome::conflict);
  EXPECT_EQ(run(a, change::RemoveKey{0xbad, true}), Outcome::done);
  EXPECT_EQ(run(c, change::RemoveKey{0xc}), Outcome::done);
  EXPECT_TRUE(table.registrants.empty());
  EXPECT_EQ(table.generation, 7U) << "one more with each that has succeeded";
}

TEST_F(ReservationTableTest, RegisteringAsScsiDoes) {
  EXPECT_EQ(run(b, change::Register{.key = 1, .new_key = 0xb}), Outcome::conflict);
  EXPECT_EQ(run(b, change::Register{}), Outcome::done) << "nothing to remove";
  EXPECT_TRUE(table.registrants.empty());
  EXPECT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::done);
  EXPECT_EQ(run(b, change::Register{.new_key = 0xbb}), Outcome::conflict);
  EXPECT_EQ(run(b, change::Register{.key = 0xb, .new_key = 0xbb}), Outcome::done);
  EXPECT_EQ(run(b, change::Register{.key = 9, .new_key = 0xb, .ignore_key = true}), Outcome::done);
  EXPECT_EQ(table.find(b)->key, 0xbU);
  EXPECT_EQ(run(b, change::Register{.key = 0xb}), Outcome::done);
  EXPECT_TRUE(table.registrants.empty());
  EXPECT_EQ(run(b, change::Register{.key = 9, .new_key = 0xb, .ignore_key = true}), Outcome::done);
  EXPECT_EQ(run(b, change::Register{.key = 9, .ignore_key = true}), Outcome::done);
  EXPECT_TRUE(table.registrants.empty());
}

TEST_F(ReservationTableTest, PersistenceFollowsRegistrationsAlone) {
  ASSERT_EQ(run(a, change::AddKey{0xa}, true), Outcome::done);
  EXPECT_TRUE(table.persists);
  ASSERT_EQ(run(a, change::Reserve{0xa, Type::write_exclusive}, false), Outcome::done);
  EXPECT_TRUE(table.persists);
  ASSERT_EQ(run(b, change::Register{.new_key = 0xb}, std::nullopt), Outcome::done);
  EXPECT_TRUE(table.persists);
  ASSERT_EQ(run(b, change::Register{.key = 0xb, .new_key = 0xb}, false), Outcome::done);
  EXPECT_FALSE(table.persists);
}

TEST_F(ReservationTableTest, ReservingAndReleasing) {
  EXPECT_EQ(run(a, change::Reserve{0xa, Type::write_exclusive}), Outcome::conflict);
  register_all();
  EXPECT_EQ(run(a, change::Reserve{0xbad, Type::write_exclusive}), Outcome::conflict);
  EXPECT_EQ(run(a, change::Release{0xa, Type::write_exclusive}), Outcome::done) << "none is held";
  EXPECT_EQ(run(a, change::Reserve{0xa, Type::write_exclusive}), Outcome::done);
  EXPECT_EQ(run(a, change::Reserve{0xa, Type::write_exclusive}), Outcome::done);
  EXPECT_EQ(run(a, change::Reserve{0xa, Type::exclusive_access}), Outcome::conflict);
  EXPECT_EQ(run(b, change::Reserve{0xb, Type::write_exclusive}), Outcome::conflict);
  EXPECT_EQ(run(b, change::Release{0xb, Type::write_exclusive}), Outcome::done) << "not b's";
  EXPECT_EQ(holders(), "a");
  EXPECT_EQ(run(a, change::Release{0xa, Type::exclusive_access}), Outcome::wrong_release);
  EXPECT_EQ(run(a, change::Release{0xbad, Type::write_exclusive}), Outcome::conflict);
  EXPECT_EQ(run(a, change::Release{0xa, Type::write_exclusive}), Outcome::done);
  EXPECT_EQ(told(), "") << "nobody has relied on it";
  EXPECT_FALSE(table.type);
  EXPECT_EQ(table.generation, 3U) << "reserving and releasing do not count";

  ASSERT_EQ(run(b, change::Reserve{0xb, Type::write_exclusive_registrants_only}), Outcome::done);
  ASSERT_EQ(run(b, change::Release{0xb, Type::write_exclusive_registrants_only}), Outcome::done);
  EXPECT_EQ(told(), "a released, c released");

  ASSERT_EQ(run(b, change::Reserve{0xb, Type::exclusive_access_all_registrants}), Outcome::done);
  EXPECT_EQ(holders(), "abc");
  EXPECT_EQ(run(c, change::Reserve{0xc, Type::exclusive_access_all_registrants}), Outcome::done);
  EXPECT_EQ(run(c, change::Reserve{0xc, Type::write_exclusive_all_registrants}), Outcome::conflict);
  ASSERT_EQ(run(c, change::Release{0xc, Type::exclusive_access_all_registrants}), Outcome::done);
  EXPECT_EQ(told(), "a released, b released");
}

TEST_F(ReservationTableTest, UnregisteringTheHolderReleases) {
  for (const Type type : every_type) {
    SCOPED_TRACE(static_cast<int>(type));
    table = {};
    register_all();
    ASSERT_EQ(run(a, change::Reserve{0xa, type}), Outcome::done);
    ASSERT_EQ(run(a, change::RemoveKey{0xa}), Outcome::done);
    if (is_all_registrants(type)) {
      EXPECT_EQ(holders(), "bc") << "until the last has gone";
      EXPECT_EQ(told(), "");
      ASSERT_EQ(run(c, change::RemoveKey{0xc}), Outcome::done);
      ASSERT_EQ(run(b, change::Register{.key = 0xb}), Outcome::done);
      EXPECT_FALSE(table.type);
    } else {
      EXPECT_FALSE(table.type);
      EXPECT_EQ(told(), is_for_registrants(type) ? "b released, c released" : "");
    }
  }
}

TEST_F(ReservationTableTest, ClearEndsEverything) {
  register_all();
  ASSERT_EQ(run(a, change::Reserve{0xa, Type::exclusive_access}), Outcome::done);
  EXPECT_EQ(run(b, change::Clear{0xbad}), Outcome::conflict);
  EXPECT_EQ(run(b, change::Clear{0xb}), Outcome::done);
  EXPECT_EQ(told(), "a preempted, c preempted");
  EXPECT_TRUE(table.registrants.empty());
  EXPECT_FALSE(table.type);
}

TEST_F(ReservationTableTest, PreemptingTheHolder) {
  register_all();
  ASSERT_EQ(run(a, change::Reserve{0xa, Type::write_exclusive}), Outcome::done);
  EXPECT_EQ(run(b, change::Preempt{0xbad, 0xa, Type::write_exclusive}), Outcome::conflict);
  EXPECT_EQ(run(b, change::Preempt{0xb, 0, Type::write_exclusive}), Outcome::bad_field);
  EXPECT_EQ(run(b, change::Preempt{0xb, 0x77, Type::write_exclusive}), Outcome::conflict);
  EXPECT_EQ(run(b, change::Preempt{0xb, 0xa, Type::exclusive_access, true}), Outcome::done);
  EXPECT_EQ(holders(), "b");
  EXPECT_EQ(table.type, Type::exclusive_access);
  EXPECT_EQ(table.find(a), nullptr);
  EXPECT_EQ(told(), "a unregistered, c released") << "the type is another one";
  EXPECT_EQ(effect.aborted, std::vector{a});
  // The same type again: c hears of nothing.
  ASSERT_EQ(run(c, change::Preempt{0xc, 0xb, Type::exclusive_access}), Outcome::done);
  EXPECT_EQ(told(), "b unregistered");
  EXPECT_TRUE(effect.aborted.empty());
}

TEST_F(ReservationTableTest, PreemptingOthersRegistrations) {
  register_all();
  ASSERT_EQ(run(a, change::Reserve{0xa, Type::exclusive_access}), Outcome::done);
  ASSERT_EQ(run(b, change::Preempt{0xb, 0xc, Type::write_exclusive, true}), Outcome::done);
  EXPECT_EQ(told(), "c unregistered");
  EXPECT_EQ(effect.aborted, std::vector{c});
  EXPECT_EQ(holders(), "a");
  EXPECT_EQ(table.type, Type::exclusive_access) << "scope and type of the command mean nothing";
  ASSERT_EQ(run(b, change::Preempt{0xb, 0xb, Type::write_exclusive, true}), Outcome::done);
  EXPECT_EQ(table.find(b), nullptr) << "who names its own key goes, too";
  EXPECT_TRUE(effect.aborted.empty());
}

TEST_F(ReservationTableTest, PreemptingItselfChangesTheTypeInOneStep) {
  register_all();
  ASSERT_EQ(run(c, change::ReplaceKey{0xc, 0xa}), Outcome::done);
  ASSERT_EQ(run(a, change::Reserve{0xa, Type::write_exclusive}), Outcome::done);
  ASSERT_EQ(run(a, change::Preempt{0xa, 0xa, Type::exclusive_access_registrants_only}),
            Outcome::done);
  EXPECT_EQ(holders(), "a");
  EXPECT_EQ(table.type, Type::exclusive_access_registrants_only);
  EXPECT_EQ(told(), "c unregistered, b released") << "c has the same key";
}

TEST_F(ReservationTableTest, PreemptingAllRegistrants) {
  register_all();
  ASSERT_EQ(run(a, change::Reserve{0xa, Type::write_exclusive_all_registrants}), Outcome::done);
  ASSERT_EQ(run(b, change::Preempt{0xb, 0xc, Type::exclusive_access}), Outcome::done);
  EXPECT_EQ(holders(), "ab") << "a key takes registrations alone";
  EXPECT_EQ(told(), "c unregistered");
  ASSERT_EQ(run(b, change::Preempt{0xb, 0, Type::exclusive_access}), Outcome::done);
  EXPECT_EQ(holders(), "b");
  EXPECT_EQ(told(), "a unregistered");
  EXPECT_EQ(table.type, Type::exclusive_access);
}

TEST_F(ReservationTableTest, PreemptingWithoutAReservationTakesRegistrations) {
  register_all();
  EXPECT_EQ(run(a, change::Preempt{0xa, 0, Type::write_exclusive}), Outcome::conflict);
  ASSERT_EQ(run(a, change::Preempt{0xa, 0xb, Type::write_exclusive}), Outcome::done);
  EXPECT_FALSE(table.type);
  EXPECT_EQ(told(), "b unregistered");
}

TEST_F(ReservationTableTest, MovingTheReservation) {
  register_all();
  const PartyId to = test_nexus("iqn.2026-11.com.example:d", 1);
  EXPECT_EQ(run(b, change::Move{.key = 0xb, .new_key = 0xd, .to = to}), Outcome::conflict);
  ASSERT_EQ(run(b, change::Reserve{0xb, Type::exclusive_access}), Outcome::done);
  EXPECT_EQ(run(b, change::Move{.key = 0xbad, .new_key = 0xd, .to = to}), Outcome::conflict);
  EXPECT_EQ(run(b, change::Move{.key = 0xb, .new_key = 0, .to = to}), Outcome::bad_field);
  EXPECT_EQ(run(b, change::Move{.key = 0xb, .new_key = 0xd, .to = b}), Outcome::bad_field);
  ASSERT_EQ(run(b, change::Move{.key = 0xb, .new_key = 0xd, .to = to}), Outcome::done);
  EXPECT_TRUE(table.find(to)->holder && !table.find(b)->holder);
  ASSERT_EQ(run(to, change::Move{.key = 0xd, .new_key = 0xb, .to = b, .unregister = true}),
            Outcome::done);
  EXPECT_EQ(holders(), "b");
  EXPECT_EQ(table.find(to), nullptr);
  ASSERT_EQ(run(b, change::Preempt{0xb, 0xb, Type::write_exclusive_all_registrants}),
            Outcome::done);
  EXPECT_EQ(run(b, change::Move{.key = 0xb, .new_key = 0xd, .to = to}), Outcome::conflict)
      << "everybody holds it";
}

TEST_F(ReservationTableTest, NoMoreThanAllAreRegistered) {
  for (std::size_t at = 0; at < ReservationTable::max_registrants; ++at) {
    ASSERT_EQ(run(test_host(100 + at), change::AddKey{at + 1}), Outcome::done);
  }
  EXPECT_EQ(run(a, change::AddKey{0xa}), Outcome::no_room);
  EXPECT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::no_room);
  EXPECT_EQ(run(a, change::ReplaceKey{0, 0xa, true}), Outcome::no_room);
  ASSERT_EQ(run(test_host(100), change::RemoveKey{1}), Outcome::done);
  EXPECT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::done);
}

const PartyId b_other_port = test_nexus("iqn.2026-11.com.example:b", 7, 2);
const PartyId d = test_nexus("iqn.2026-11.com.example:d", 1);

TEST_F(ReservationTableTest, OneRegistersForOthers) {
  ASSERT_EQ(run(a, change::AddKey{0xa}), Outcome::done);
  ASSERT_EQ(run(b, change::Register{.new_key = 0xb, .others = {{a, d, d, b}}}), Outcome::done);
  EXPECT_EQ(table.registrants.size(), 3U);
  EXPECT_EQ(table.find(a)->key, 0xaU) << "who is registered stays as it is";
  EXPECT_EQ(table.find(b)->key, 0xbU);
  EXPECT_EQ(table.find(d)->key, 0xbU);
  EXPECT_EQ(table.generation, 2U) << "one command";
  EXPECT_EQ(run(b, change::Register{.key = 0xb, .new_key = 0xbb, .others = {{c}}}),
            Outcome::bad_field);
  EXPECT_EQ(run(b, change::Register{.key = 0xb, .others = std::vector<PartyId>()}),
            Outcome::bad_field);
  EXPECT_EQ(run(b, change::Register{.key = 0xc, .new_key = 0xbb, .others = {{c}}}),
            Outcome::conflict);
  EXPECT_EQ(run(c, change::Register{.others = {{test_host(9)}}}), Outcome::done);
  EXPECT_EQ(table.registrants.size(), 3U) << "key 0 registers nobody";
}

TEST_F(ReservationTableTest, AllPathsOfAPortAreRegisteredOrNone) {
  const auto everywhere = [](std::uint64_t key, std::uint64_t new_key, bool ignore = false) {
    return change::Register{
        .key = key, .new_key = new_key, .ignore_key = ignore, .other_paths = {b_other_port}};
  };
  ASSERT_EQ(run(b, everywhere(0, 0xb)), Outcome::done);
  EXPECT_EQ(table.find(b_other_port)->key, 0xbU);
  ASSERT_EQ(run(b, everywhere(0xb, 0xbb)), Outcome::done);
  EXPECT_EQ(table.find(b)->key, 0xbbU);
  EXPECT_EQ(table.find(b_other_port)->key, 0xbbU);
  ASSERT_EQ(run(b_other_port, change::Register{.key = 0xbb, .new_key = 0xdd}), Outcome::done);
  EXPECT_EQ(run(b, everywhere(0xbb, 0xb)), Outcome::conflict) << "the other path has another key";
  ASSERT_EQ(run(b_other_port, change::Register{.key = 0xdd}), Outcome::done);
  EXPECT_EQ(run(b, everywhere(0xbb, 0xb)), Outcome::conflict) << "the other path has none";
  ASSERT_EQ(run(b, everywhere(0, 0xee, true)), Outcome::done);
  EXPECT_EQ(table.find(b_other_port)->key, 0xeeU);
  ASSERT_EQ(run(b, everywhere(0xee, 0)), Outcome::done);
  EXPECT_TRUE(table.registrants.empty());
}

TEST_F(ReservationTableTest, WhoIsRegisteredByOthersHoldsWhatAllHold) {
  ASSERT_EQ(run(a, change::AddKey{0xa}), Outcome::done);
  ASSERT_EQ(run(a, change::Reserve{0xa, Type::exclusive_access_all_registrants}), Outcome::done);
  ASSERT_EQ(run(b, change::Register{.new_key = 0xb, .others = {{d}}}), Outcome::done);
  EXPECT_TRUE(table.find(d)->holder);
  EXPECT_TRUE(table.may(d, write));
}

TEST_F(ReservationTableTest, WhatHasNoRoomForAllRegistersNobody) {
  std::vector<PartyId> many;
  for (std::uint64_t i = 0; i < ReservationTable::max_registrants; ++i) {
    many.push_back(test_host(100 + i));
  }
  EXPECT_EQ(run(b, change::Register{.new_key = 0xb, .others = many}), Outcome::no_room);
  many.pop_back();
  EXPECT_EQ(run(b, change::Register{.new_key = 0xb, .others = many}), Outcome::done);
  EXPECT_EQ(run(a, change::Register{.new_key = 0xa, .others = many}), Outcome::no_room);
}

}  // namespace
}  // namespace target::block
