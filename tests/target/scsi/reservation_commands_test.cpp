#include "target/scsi/reservation_commands.h"

#include "tests/target/scsi/nexus_kit.h"

namespace target::scsi {
namespace {

using protocol::scsi::SenseCode;
using Codes = std::vector<SenseCode>;

enum Action {
  reg = 0,
  reserve = 1,
  release = 2,
  clear = 3,
  preempt = 4,
  preempt_abort = 5,
  ignore = 6
};
constexpr int write_exclusive = 1;
constexpr int exclusive_access = 3;

class ReservationCommandsTest : public NexusTest {
 protected:
  static FakeTaskPort::Answer out(Session& host, int action, std::uint64_t key,
                                  std::uint64_t action_key = 0, int type = 0, int flags = 0) {
    std::vector<std::byte> list(24);
    for (std::size_t i = 0; i < 8; ++i) {
      list[i] = static_cast<std::byte>(key >> (8 * (7 - i)));
      list[8 + i] = static_cast<std::byte>(action_key >> (8 * (7 - i)));
    }
    list[20] = static_cast<std::byte>(flags);
    CdbBytes bytes = cdb({0x5f, action, type});
    bytes[8] = std::byte{24};
    return host.run_write(bytes, list);
  }
  static FakeTaskPort::Answer in(Session& host, int action) {
    CdbBytes bytes = cdb({0x5e, action});
    put_be(bytes, 7, 2, 4096);
    return host.run_read(bytes, 4096);
  }
  std::unique_ptr<Session> host = connect();
  std::unique_ptr<Session> other = connect("iqn.2026-11.net.example:other");
};

TEST_F(ReservationCommandsTest, AHolderKeepsOthersFromWriting) {
  expect_good(out(*host, reg, 0, 0x111));
  expect_good(out(*host, reserve, 0x111, 0, write_exclusive));
  EXPECT_EQ(other->run_write(write16(0, 1), pattern(1, 1)).status, Status::reservation_conflict);
  expect_good(other->run_read(read16(0, 1), 512));
  expect_good(other->run_none(test_unit_ready));
  expect_good(host->run_write(write16(0, 1), pattern(1, 1)));
  expect_good(other->run_write(write16(0, 1), pattern(1, 1), 1));
  expect_good(out(*host, release, 0x111, 0, write_exclusive));
  expect_good(out(*host, reserve, 0x111, 0, exclusive_access));
  EXPECT_EQ(other->run_read(read16(0, 1), 512).status, Status::reservation_conflict);
  EXPECT_EQ(out(*other, clear, 0x222).status, Status::reservation_conflict);
}

TEST_F(ReservationCommandsTest, WhatIsReservedIsReported) {
  expect_good(out(*host, ignore, 0, 0x111));
  expect_good(out(*other, ignore, 0, 0x222));
  expect_good(out(*other, reserve, 0x222, 0, exclusive_access));
  const auto keys = in(*host, 0);
  ASSERT_EQ(keys.data.size(), 24U);
  EXPECT_EQ(be(keys.data, 0, 4), 2U);
  EXPECT_EQ(be(keys.data, 8, 8), 0x111U);
  const auto reservation = in(*host, 1);
  ASSERT_EQ(reservation.data.size(), 24U);
  EXPECT_EQ(be(reservation.data, 8, 8), 0x222U);
  EXPECT_EQ(reservation.data[21], std::byte{exclusive_access});
  const auto full = in(*host, 3);
  const std::string text(reinterpret_cast<const char*>(full.data.data()), full.data.size());
  EXPECT_NE(text.find("iqn.2026-11.net.example:host,i,0x000000000001"), std::string::npos);
  EXPECT_NE(text.find("iqn.2026-11.net.example:other,i,0x000000000001"), std::string::npos);
  EXPECT_EQ(in(*host, 2).data.size(), 8U);
}

TEST_F(ReservationCommandsTest, AWrongTypeOfReleaseAndAWrongListAreRefused) {
  expect_good(out(*host, reg, 0, 0x111));
  expect_good(out(*host, reserve, 0x111, 0, write_exclusive));
  expect_sense(out(*host, release, 0x111, 0, exclusive_access), sense::invalid_release);
  expect_sense(out(*host, reg, 0x111, 0x112, 0, 1 << 2), sense::invalid_field_in_list);
  CdbBytes short_list = cdb({0x5f, reg});
  short_list[8] = std::byte{8};
  expect_sense(host->run_write(short_list, std::vector<std::byte>(8)),
               sense::parameter_list_length_error);
}

TEST_F(ReservationCommandsTest, APreemptedNexusIsToldAndItsTasksEndUnanswered) {
  expect_good(out(*host, reg, 0, 0x111));
  expect_good(out(*other, reg, 0, 0x222));
  expect_good(out(*other, reserve, 0x222, 0, write_exclusive));
  first.hold = true;
  const auto running = other->start_write(write16(0, 1), pattern(1, 1));
  std::vector<std::byte> list(24);
  list[7] = std::byte{0x11};
  list[6] = std::byte{0x01};
  list[15] = std::byte{0x22};
  list[14] = std::byte{0x02};
  CdbBytes bytes = cdb({0x5f, preempt_abort, write_exclusive});
  bytes[8] = std::byte{24};
  const auto preempting = host->start_write(bytes, list);
  reactor.run_until_idle();
  EXPECT_EQ(host->port.answer_to(preempting), nullptr) << "a preempted write is still under way";
  first.hold = false;
  first.end_first();
  expect_good(host->answer(preempting));
  EXPECT_TRUE(other->port.was_dropped(running));
  const Codes told = other->take_attentions();
  EXPECT_NE(std::find(told.begin(), told.end(), sense::registrations_preempted.code), told.end());
  EXPECT_NE(std::find(told.begin(), told.end(), sense::commands_cleared_by_other.code), told.end());
  EXPECT_EQ(other->run_write(write16(0, 1), pattern(1, 1)).status, Status::reservation_conflict);
}

TEST_F(ReservationCommandsTest, AReservedUnitIsItsHoldersAloneUntilItGoes) {
  const CdbBytes reserve_unit = cdb({0x16});
  const CdbBytes release_unit = cdb({0x17});
  expect_good(host->run_none(reserve_unit));
  EXPECT_EQ(other->run_none(reserve_unit).status, Status::reservation_conflict);
  EXPECT_EQ(other->run_none(test_unit_ready).status, Status::reservation_conflict);
  EXPECT_EQ(other->run_read(read16(0, 1), 512).status, Status::reservation_conflict);
  EXPECT_EQ(in(*host, 0).status, Status::reservation_conflict);
  expect_good(other->run_read(inquiry(), 96));
  expect_good(other->run_none(release_unit));  // does nothing
  EXPECT_EQ(other->run_none(reserve_unit).status, Status::reservation_conflict);
  expect_good(host->run_read(read16(0, 1), 512));
  host->end();
  expect_good(other->run_none(reserve_unit));
  expect_good(other->run_none(release_unit));
}

TEST_F(ReservationCommandsTest, AResetEndsAReserve) {
  expect_good(host->run_none(cdb({0x16})));
  EXPECT_EQ(
      other->manage({.function = ManagementFunction::logical_unit_reset, .lun = Lun::of_unit(0)}),
      ManagementResponse::complete);
  (void)other->take_attentions();
  expect_good(other->run_none(cdb({0x16})));
}

}  // namespace
}  // namespace target::scsi
