#include "protocol/nvme/reservation.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <variant>

#include "protocol/nvme/io_command.h"
#include "tests/protocol/nvme/raw_entry.h"

namespace protocol::nvme {
namespace {

RawEntry raw(std::uint8_t opcode, std::uint32_t dword10, std::uint32_t bytes) {
  RawEntry entry(opcode);
  entry.nsid(3).dword(10, dword10).transport_sgl(bytes);
  return entry;
}

template <class Command>
Command parsed(const RawEntry& entry) {
  const auto command = parse_io_command(entry.entry());
  EXPECT_TRUE(command);
  return command ? std::get<Command>(command.value()) : Command{};
}

Status refused(const RawEntry& entry) {
  const auto command = parse_io_command(entry.entry());
  EXPECT_FALSE(command);
  return command ? status::success : command.error().status;
}

TEST(Reservation, RegisterFields) {
  const auto plain = parsed<ReservationRegister>(raw(0x0d, 0, 16));
  EXPECT_EQ(plain.nsid.value, 3U);
  EXPECT_EQ(plain.action, RegisterAction::add);
  EXPECT_FALSE(plain.ignore_key);
  EXPECT_EQ(plain.persist, std::nullopt);
  const auto all = parsed<ReservationRegister>(raw(0x0d, 0xc000'000a, 16));
  EXPECT_EQ(all.action, RegisterAction::replace);
  EXPECT_TRUE(all.ignore_key);
  EXPECT_EQ(all.persist, true);
  EXPECT_EQ(parsed<ReservationRegister>(raw(0x0d, 0x8000'0001, 16)).persist, false);
  EXPECT_TRUE(refused(raw(0x0d, 3, 16)).is(status::invalid_field));
  EXPECT_TRUE(refused(raw(0x0d, 0x4000'0000, 16)).is(status::invalid_field));
  EXPECT_TRUE(refused(raw(0x0d, 0, 15)).is(status::data_sgl_length_invalid));
}

TEST(Reservation, AcquireAndReleaseFields) {
  const auto acquire = parsed<ReservationAcquire>(raw(0x11, 0x0602, 16));
  EXPECT_EQ(acquire.action, AcquireAction::preempt_and_abort);
  EXPECT_EQ(acquire.type, 6);
  const auto release = parsed<ReservationRelease>(raw(0x15, 0x0100, 8));
  EXPECT_EQ(release.action, ReleaseAction::release);
  EXPECT_EQ(release.type, 1);
  EXPECT_EQ(parsed<ReservationRelease>(raw(0x15, 1, 8)).action, ReleaseAction::clear);
  for (const std::uint32_t bad : {0x0000U, 0x0700U, 0x0103U, 0x0108U}) {
    EXPECT_TRUE(refused(raw(0x11, bad, 16)).is(status::invalid_field)) << bad;
  }
  for (const std::uint32_t bad : {0x0000U, 0x0700U, 0x0102U, 0x0108U}) {
    EXPECT_TRUE(refused(raw(0x15, bad, 8)).is(status::invalid_field)) << bad;
  }
  EXPECT_TRUE(refused(raw(0x11, 0x0100, 15)).is(status::data_sgl_length_invalid));
  EXPECT_TRUE(refused(raw(0x15, 0x0100, 7)).is(status::data_sgl_length_invalid));
}

TEST(Reservation, ReportsAreExtendedAlone) {
  const auto report = parsed<ReservationReport>(raw(0x0e, 31, 128).dword(11, 1));
  EXPECT_EQ(report.length, 128U);
  EXPECT_TRUE(refused(raw(0x0e, 31, 128)).is(status::host_identifier_inconsistent));
  EXPECT_TRUE(refused(raw(0x0e, 32, 128).dword(11, 1)).is(status::data_sgl_length_invalid));
  EXPECT_TRUE(
      refused(raw(0x0e, 0xffff'ffff, 0xffff'ffff).dword(11, 1)).is(status::data_sgl_length_invalid))
      << "16 GiB";
}

TEST(Reservation, KeysAreLittleEndian) {
  std::array<std::byte, 16> data{};
  for (std::size_t at = 0; at < 16; ++at) data[at] = static_cast<std::byte>(at + 1);
  EXPECT_EQ(reservation_key(data, 0), 0x0807060504030201U);
  EXPECT_EQ(reservation_key(data, 1), 0x100f0e0d0c0b0a09U);
}

TEST(Reservation, ReportBytes) {
  HostId host{};
  for (std::size_t at = 0; at < 16; ++at) host[at] = static_cast<std::byte>(0xa0 + at);
  const std::array registrants{ReportedRegistrant{host, 0x1122334455667788, true},
                               ReportedRegistrant{{}, 9, false}};
  const auto page = build_reservation_report(
      {.generation = 0x01020304, .type = 5, .persists = true, .registrants = registrants});
  ASSERT_EQ(page.size(), 64U + 2 * 64U);
  const std::array<unsigned, 10> header{4, 3, 2, 1, 5, 2, 0, 0, 0, 1};
  for (std::size_t at = 0; at < 64; ++at) {
    EXPECT_EQ(std::to_integer<unsigned>(page[at]), at < header.size() ? header[at] : 0) << at;
  }
  const std::array<unsigned, 16> entry{0xff, 0xff, 1,    0,    0,    0,    0,    0,
                                       0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11};
  for (std::size_t at = 0; at < 64; ++at) {
    const unsigned wanted = at < 16   ? entry[at]
                            : at < 32 ? 0xa0 + static_cast<unsigned>(at) - 16
                                      : 0;
    EXPECT_EQ(std::to_integer<unsigned>(page[64 + at]), wanted) << at;
  }
  EXPECT_EQ(std::to_integer<int>(page[128 + 2]), 0);
  EXPECT_EQ(std::to_integer<int>(page[128 + 8]), 9);
}

}  // namespace
}  // namespace protocol::nvme
