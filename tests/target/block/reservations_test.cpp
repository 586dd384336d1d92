#include "target/block/reservations.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/target/block/keeping_volume.h"
#include "tests/target/block/reservation_parties.h"

namespace target::block {
namespace {

using Outcome = ReservationOutcome;
using Type = ReservationType;
using Verdict = ReservationVerdict;
using enum ReservationAccess;

struct Listener final : ReservationListener {
  std::vector<ReservationNotice> notices;
  std::vector<AbortTicket> tickets;
  void reservation_notice(ReservationNotice notice) noexcept override { notices.push_back(notice); }
  void abort_commands(AbortTicket ticket) noexcept override {
    tickets.push_back(std::move(ticket));
  }
};

struct Way {
  Way(Reservations& reservations, const PartyId& party) : path(reservations, party, listener) {}
  Listener listener;
  ReservationPath path;
};

const PartyId host = test_host(1);
const PartyId nexus = test_nexus("iqn.2026-11.com.example:b", 7);

class ReservationsTest : public testing::Test {
 protected:
  std::optional<Outcome> run(Way& way, const ReservationChange& change,
                             std::optional<bool> persist = std::nullopt) {
    auto outcome = std::make_shared<std::optional<Outcome>>();
    reservations->change(way.path, change, persist, [outcome](Outcome what) {
      EXPECT_FALSE(outcome->has_value()) << "answered twice";
      *outcome = what;
    });
    answers.push_back(outcome);
    return *outcome;
  }
  std::optional<Outcome> answer(std::size_t at) const { return *answers[at]; }

  KeepingVolume volume;
  std::unique_ptr<Reservations> reservations = std::make_unique<Reservations>(volume);
  std::vector<std::shared_ptr<std::optional<Outcome>>> answers;
};

TEST_F(ReservationsTest, ABlockedHostOfEitherProtocol) {
  Way a(*reservations, host);
  Way b(*reservations, nexus);
  EXPECT_EQ(a.path.may(write), Verdict::allowed);
  EXPECT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::done);
  EXPECT_EQ(run(b, change::Reserve{0xb, Type::write_exclusive}), Outcome::done);
  EXPECT_EQ(a.path.may(read), Verdict::allowed);
  EXPECT_EQ(a.path.may(write), Verdict::conflict);
  EXPECT_EQ(b.path.may(write), Verdict::allowed);
  Way later(*reservations, host);
  EXPECT_EQ(later.path.may(write), Verdict::conflict) << "a path that comes later, too";
  EXPECT_EQ(run(b, change::Release{0xb, Type::write_exclusive}), Outcome::done);
  EXPECT_EQ(later.path.may(write), Verdict::allowed);
  EXPECT_EQ(volume.saves, 0U) << "nobody has asked for persistence";
}

TEST_F(ReservationsTest, EveryPathOfAPartyIsTold) {
  Way a1(*reservations, host);
  Way a2(*reservations, host);
  Way b(*reservations, nexus);
  ASSERT_EQ(run(a1, change::AddKey{0xa}), Outcome::done);
  ASSERT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::done);
  ASSERT_EQ(run(b, change::Clear{0xb}), Outcome::done);
  const std::vector preempted{ReservationNotice::reservation_preempted};
  EXPECT_EQ(a1.listener.notices, preempted);
  EXPECT_EQ(a2.listener.notices, preempted);
  EXPECT_TRUE(b.listener.notices.empty());
}

TEST_F(ReservationsTest, PreemptAndAbortWaitsForEveryCommandOfTheVictim) {
  Way a1(*reservations, host);
  Way a2(*reservations, host);
  Way b(*reservations, nexus);
  ASSERT_EQ(run(a1, change::AddKey{0xa}), Outcome::done);
  ASSERT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::done);
  ASSERT_EQ(run(a1, change::Reserve{0xa, Type::exclusive_access}), Outcome::done);
  EXPECT_EQ(run(b, change::Preempt{0xb, 0xa, Type::exclusive_access, true}), std::nullopt);
  EXPECT_EQ(a2.path.may(write), Verdict::conflict) << "before the commands have ended";
  ASSERT_EQ(a1.listener.tickets.size(), 1U);
  ASSERT_EQ(a2.listener.tickets.size(), 1U);
  a1.listener.tickets.clear();
  EXPECT_EQ(answer(3), std::nullopt);
  a2.listener.tickets.clear();
  EXPECT_EQ(answer(3), Outcome::done);
  // Nobody has commands: at once.
  ASSERT_EQ(run(a1, change::AddKey{0xa}), Outcome::done);
  EXPECT_EQ(run(b, change::Preempt{0xb, 0xa, Type::exclusive_access}), Outcome::done);
}

TEST_F(ReservationsTest, NobodySeesWhatIsNotWrittenDownYet) {
  Way a(*reservations, host);
  Way b(*reservations, nexus);
  ASSERT_EQ(run(b, change::Register{.new_key = 0xb}, true), Outcome::done);
  volume.holds_saves = true;
  EXPECT_EQ(run(b, change::Reserve{0xb, Type::exclusive_access}), std::nullopt);
  EXPECT_EQ(run(a, change::AddKey{0xa}), std::nullopt) << "waits behind it";
  EXPECT_EQ(a.path.may(write), Verdict::allowed);
  EXPECT_FALSE(reservations->report()->type);
  volume.answer(true);
  EXPECT_EQ(answer(1), Outcome::done);
  EXPECT_EQ(a.path.may(write), Verdict::conflict);
  EXPECT_EQ(answer(2), std::nullopt);
  volume.answer(true);
  EXPECT_EQ(answer(2), Outcome::done);
  EXPECT_EQ(volume.on_media.registrants.size(), 2U);
}

TEST_F(ReservationsTest, WhatCannotBeWrittenDownHasNotHappened) {
  Way b(*reservations, nexus);
  ASSERT_EQ(run(b, change::Register{.new_key = 0xb}, true), Outcome::done);
  volume.holds_saves = true;
  EXPECT_EQ(run(b, change::Reserve{0xb, Type::exclusive_access}), std::nullopt);
  volume.answer(false);
  EXPECT_EQ(answer(1), Outcome::not_saved);
  EXPECT_FALSE(reservations->report()->type);
  // It may have come to the disk all the same: what follows is written down whatever it is.
  volume.holds_saves = false;
  const std::size_t before = volume.saves;
  EXPECT_EQ(run(b, change::Register{.key = 0xb, .new_key = 0xb}), Outcome::done);
  EXPECT_EQ(volume.saves, before + 1);
}

TEST_F(ReservationsTest, ARestartKeepsWhatPersistsAndNothingElse) {
  {
    Way a(*reservations, host);
    Way b(*reservations, nexus);
    ASSERT_EQ(run(a, change::AddKey{0xa}, true), Outcome::done);
    ASSERT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::done);
    ASSERT_EQ(run(b, change::Reserve{0xb, Type::write_exclusive_all_registrants}), Outcome::done);
  }
  const auto before = *reservations->report();
  reservations = std::make_unique<Reservations>(volume);
  Way a(*reservations, host);
  Way c(*reservations, test_host(3));
  EXPECT_EQ(a.path.may(write), Verdict::allowed);
  EXPECT_EQ(c.path.may(write), Verdict::conflict);
  EXPECT_EQ(reservations->report()->registrants, before.registrants);
  EXPECT_EQ(reservations->report()->type, before.type);
  EXPECT_TRUE(reservations->report()->persists);
  EXPECT_EQ(reservations->report()->generation, 0U);

  // Without persistence the pool forgets, and so does the next start.
  ASSERT_EQ(run(a, change::ReplaceKey{0xa, 0xaa}, false), Outcome::done);
  EXPECT_EQ(volume.on_media, engine::KeptReservations{});
  EXPECT_EQ(c.path.may(write), Verdict::conflict);
}

TEST_F(ReservationsTest, ALateVolumeIsServedToNobodyUntilItsReservationsAreKnown) {
  volume.late = true;
  volume.on_media = {.persists = true,
                     .type = 2,
                     .registrants = {{.key = 0xa,
                                      .kind = 1,
                                      .holder = true,
                                      .identity = {host.bytes().begin(), host.bytes().end()}}}};
  Way a(*reservations, host);
  Way b(*reservations, nexus);
  EXPECT_EQ(a.path.may(read), Verdict::not_known);
  EXPECT_EQ(reservations->report(), std::nullopt);
  EXPECT_EQ(run(b, change::Register{.new_key = 0xb}), Outcome::unavailable);
  EXPECT_EQ(reservations->reserve_unit(b.path), Verdict::not_known);
  volume.late = false;
  EXPECT_EQ(b.path.may(read), Verdict::conflict);
  EXPECT_EQ(a.path.may(read), Verdict::allowed);
}

TEST_F(ReservationsTest, ImpossibleRecordsServeNobody) {
  const auto identity = std::vector<std::byte>(host.bytes().begin(), host.bytes().end());
  const engine::KeptRegistrant good{.key = 1, .kind = 1, .holder = false, .identity = identity};
  engine::KeptRegistrant bad_kind = good;
  bad_kind.kind = 9;
  engine::KeptRegistrant bad_key = good;
  bad_key.key = 0;
  const std::vector<engine::KeptReservations> records{
      {.persists = true, .type = 7, .registrants = {good}},
      {.persists = true, .type = 1, .registrants = {good}},  // nobody holds it
      {.persists = true, .type = 0, .registrants = {good, good}},
      {.persists = true, .type = 0, .registrants = {bad_kind}},
      {.persists = true, .type = 0, .registrants = {bad_key}},
  };
  for (const auto& record : records) {
    volume.on_media = record;
    reservations = std::make_unique<Reservations>(volume);
    Way a(*reservations, host);
    EXPECT_EQ(a.path.may(read), Verdict::not_known);
  }
}

TEST_F(ReservationsTest, PersistenceIsSetByItself) {
  Way a(*reservations, host);
  ASSERT_EQ(run(a, change::AddKey{0xa}), Outcome::done);
  std::optional<Outcome> outcome;
  const auto note = [&](Outcome what) { outcome = what; };
  reservations->set_persists(true, note);
  EXPECT_EQ(outcome, Outcome::done);
  EXPECT_TRUE(volume.on_media.persists);
  EXPECT_EQ(volume.on_media.registrants.size(), 1U);
  EXPECT_EQ(reservations->report()->generation, 1U);
  reservations->set_persists(false, note);
  EXPECT_EQ(volume.on_media, engine::KeptReservations{});
}

TEST_F(ReservationsTest, AUnitReservedTheOldWay) {
  auto a = std::make_unique<Way>(*reservations, nexus);
  Way b(*reservations, test_nexus("iqn.2026-11.com.example:c", 1));
  Way nvme(*reservations, host);
  EXPECT_EQ(reservations->reserve_unit(a->path), Verdict::allowed);
  EXPECT_EQ(reservations->reserve_unit(a->path), Verdict::allowed) << "again";
  EXPECT_EQ(reservations->reserve_unit(b.path), Verdict::conflict);
  EXPECT_EQ(a->path.may(write), Verdict::allowed);
  EXPECT_EQ(b.path.may(read), Verdict::conflict);
  EXPECT_EQ(nvme.path.may(read), Verdict::conflict);
  EXPECT_TRUE(reservations->is_reserved_by_another(b.path));
  EXPECT_FALSE(reservations->is_reserved_by_another(a->path));
  EXPECT_EQ(run(*a, change::Register{.new_key = 0xa}), Outcome::conflict);
  EXPECT_EQ(reservations->release_unit(b.path), Verdict::allowed) << "does nothing";
  EXPECT_TRUE(reservations->is_unit_reserved());
  EXPECT_EQ(reservations->release_unit(a->path), Verdict::allowed);
  EXPECT_EQ(nvme.path.may(read), Verdict::allowed);
  // With the nexus it ends; and with a reset.
  EXPECT_EQ(reservations->reserve_unit(a->path), Verdict::allowed);
  a.reset();
  EXPECT_EQ(b.path.may(write), Verdict::allowed);
  EXPECT_EQ(reservations->reserve_unit(b.path), Verdict::allowed);
  reservations->reset();
  EXPECT_EQ(nvme.path.may(write), Verdict::allowed);
  ASSERT_EQ(run(nvme, change::AddKey{0xa}), Outcome::done);
  EXPECT_EQ(reservations->reserve_unit(b.path), Verdict::conflict) << "somebody is registered";
  EXPECT_EQ(reservations->release_unit(b.path), Verdict::conflict);
}

TEST_F(ReservationsTest, ManyThreads) {
  constexpr int rounds = 2'000;
  std::vector<std::thread> threads;
  for (int at = 0; at < 4; ++at) {
    threads.emplace_back([this, at] {
      const auto key = static_cast<std::uint64_t>(at) + 1;
      for (int round = 0; round < rounds; ++round) {
        Way way(*reservations, at % 2 == 0 ? test_host(key) : test_nexus("iqn.x:y", 0, 1));
        const auto ignore = [](Outcome) {};
        const auto change = [&](const ReservationChange& what) {
          reservations->change(way.path, what, std::nullopt, ignore);
        };
        change(change::Register{.new_key = key, .ignore_key = true});
        change(change::Reserve{key, Type::exclusive_access});
        (void)way.path.may(write);
        change(change::Preempt{key, 5 - key, Type::exclusive_access_all_registrants, true});
        (void)reservations->report();
        change(change::Register{.ignore_key = true});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(reservations->report()->is_sound());
  EXPECT_TRUE(reservations->report()->registrants.empty());
}

}  // namespace
}  // namespace target::block
