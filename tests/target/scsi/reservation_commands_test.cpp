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
                                  std::uint64_t action_key = 0, int type = 0, int flags = 0,
                                  const std::vector<std::byte>& behind = {}) {
    std::vector<std::byte> list(24);
    for (std::size_t i = 0; i < 8; ++i) {
      list[i] = static_cast<std::byte>(key >> (8 * (7 - i)));
      list[8 + i] = static_cast<std::byte>(action_key >> (8 * (7 - i)));
    }
    list[20] = static_cast<std::byte>(flags);
    list.insert(list.end(), behind.begin(), behind.end());
    CdbBytes bytes = cdb({0x5f, action, type});
    put_be(bytes, 5, 4, list.size());
    return host.run_write(bytes, list);
  }
  // TRANSPORTID PARAMETER DATA LENGTH and TransportIDs of iSCSI: "name" or "name,i,0xISID".
  static std::vector<std::byte> ports(const std::vector<std::string>& texts) {
    std::vector<std::byte> ids;
    for (const std::string& text : texts) {
      const bool with_isid = text.find(",i,0x") != std::string::npos;
      const std::size_t field = std::max<std::size_t>((text.size() / 4 + 1) * 4, 20);
      std::vector<std::byte> id(4 + field);
      id[0] = static_cast<std::byte>(with_isid ? 0x45 : 0x05);
      id[2] = static_cast<std::byte>(field >> 8);
      id[3] = static_cast<std::byte>(field);
      for (std::size_t i = 0; i < text.size(); ++i) id[4 + i] = static_cast<std::byte>(text[i]);
      ids.insert(ids.end(), id.begin(), id.end());
    }
    std::vector<std::byte> made(4);
    made[2] = static_cast<std::byte>(ids.size() >> 8);
    made[3] = static_cast<std::byte>(ids.size());
    made.insert(made.end(), ids.begin(), ids.end());
    return made;
  }
  std::size_t registrations() { return be(in(*host, 0).data, 4, 4) / 8; }
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
  CdbBytes short_list = cdb({0x5f, reg});
  short_list[8] = std::byte{8};
  expect_sense(host->run_write(short_list, std::vector<std::byte>(8)),
               sense::parameter_list_length_error);
}

constexpr int specify_ports = 1 << 3;
constexpr int all_ports = 1 << 2;
const std::string other_port = "iqn.2026-11.net.example:other,i,0x000000000001";

TEST_F(ReservationCommandsTest, OneHostRegistersForOthers) {
  expect_good(out(*host, reg, 0, 0x111, 0, specify_ports,
                  ports({"IQN.2026-11.net.example:other,i,0x000000000001",
                         "iqn.2026-11.net.example:absent,i,0x80000000000a"})));
  EXPECT_EQ(registrations(), 3U);
  expect_good(out(*other, reserve, 0x111, 0, exclusive_access));
  EXPECT_EQ(host->run_read(read16(0, 1), 512).status, Status::reservation_conflict);
  // The host that was absent is known when it comes, by its port.
  Session absent(reactor, device, "iqn.2026-11.net.example:absent", 0x0a);
  (void)absent.take_attentions();
  EXPECT_EQ(out(absent, reg, 0x111, 0x112).status, Status::reservation_conflict)
      << "its ISID begins otherwise";
}

TEST_F(ReservationCommandsTest, ANameWithoutAnIsidIsEveryPortOfThatHost) {
  const auto second_port = connect("iqn.2026-11.net.example:other", 2);
  expect_good(
      out(*host, reg, 0, 0x111, 0, specify_ports, ports({"iqn.2026-11.net.example:other"})));
  EXPECT_EQ(registrations(), 3U);
  expect_good(out(*second_port, reg, 0x111, 0x222));
  expect_sense(out(*connect("iqn.2026-11.net.example:third"), reg, 0, 0x333, 0, specify_ports,
                   ports({other_port, "iqn.2026-11.net.example:nobody"})),
               sense::invalid_field_in_list);
  EXPECT_EQ(registrations(), 3U) << "all or nothing";
}

TEST_F(ReservationCommandsTest, AHostWithMorePortsThanThereMayBeRegistrantsIsTooMuch) {
  for (int isid = 0; isid < 130; ++isid) {
    Session once(reactor, device, "iqn.2026-11.net.example:many", static_cast<std::uint8_t>(isid));
  }
  expect_sense(out(*host, reg, 0, 0x111, 0, specify_ports, ports({"iqn.2026-11.net.example:many"})),
               sense::insufficient_registration_resources);
  EXPECT_EQ(registrations(), 0U);
}

TEST_F(ReservationCommandsTest, ListsOfPortsThatAreWrongRegisterNobody) {
  auto cut = ports({other_port});
  cut.resize(cut.size() - 4);
  expect_sense(out(*host, reg, 0, 0x111, 0, specify_ports, cut),
               sense::parameter_list_length_error);
  expect_sense(out(*host, ignore, 0, 0x111, 0, specify_ports, ports({other_port})),
               sense::invalid_field_in_list);
  EXPECT_EQ(out(*host, reg, 0x5, 0x111, 0, specify_ports, ports({other_port})).status,
            Status::reservation_conflict);
  EXPECT_EQ(registrations(), 0U);
  expect_good(out(*host, reg, 0, 0x111));
  expect_sense(out(*host, reg, 0x111, 0x112, 0, specify_ports, ports({other_port})),
               sense::invalid_field_in_list);
  expect_sense(out(*host, reserve, 0x111, 0, exclusive_access, specify_ports, ports({other_port})),
               sense::invalid_field_in_list);
  EXPECT_EQ(registrations(), 1U);
}

TEST_F(ReservationCommandsTest, ARegistrationByAllPortsHoldsByEachOfThem) {
  device->set_target_ports({1, 2, 7});
  Session by_another_port(reactor, device, "iqn.2026-11.net.example:host", 1, 7);
  (void)by_another_port.take_attentions();
  expect_good(out(*host, reg, 0, 0x111, 0, all_ports | specify_ports, ports({other_port})));
  EXPECT_EQ(registrations(), 6U);
  expect_good(out(by_another_port, reserve, 0x111, 0, exclusive_access));
  EXPECT_EQ(host->run_read(read16(0, 1), 512).status, Status::reservation_conflict)
      << "another path of the same port is another nexus";
  expect_good(out(by_another_port, reg, 0x111, 0x112, 0));
  EXPECT_EQ(out(*host, reg, 0x111, 0x113, 0, all_ports).status, Status::reservation_conflict);
  expect_good(out(*host, ignore, 0, 0x113, 0, all_ports));
  expect_good(out(*host, reg, 0x113, 0, 0, all_ports));
  EXPECT_EQ(registrations(), 3U) << "the other host's";
  EXPECT_EQ(in(*host, 2).data[2] & std::byte{0x0c}, std::byte{0x0c}) << "SIP_C and ATP_C";
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
