#include "protocol/scsi/persistent_reservation.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

using Action = PersistentReserveOut::Action;

constexpr std::array every_action{Action::register_key,
                                  Action::reserve,
                                  Action::release,
                                  Action::clear,
                                  Action::preempt,
                                  Action::preempt_and_abort,
                                  Action::register_and_ignore_existing_key};

Parsed<ReserveOutParameters> parse_out(Action action, std::span<const std::byte> data) {
  return parse_reserve_out_parameters(
      {.action = action, .parameter_bytes = static_cast<std::uint32_t>(data.size())}, data);
}
const std::string keys = "01 02 03 04 05 06 07 08 11 12 13 14 15 16 17 18 ";
const std::string host_port =
    "45 00 00 18 69 71 6e 2e 61 2c 69 2c 30 78 38 30 31 32 33 34 35 36 30 30 66 66 00 00";
const std::string host = "05 00 00 14 69 71 6e 2e 62 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";

std::vector<std::byte> basic(std::string_view flags) {
  return wire::bytes_from_hex(keys + "00 00 00 00 " + std::string(flags) + " 00 00 00");
}
std::vector<std::byte> with_ports(std::string_view length, std::string_view ports) {
  return wire::bytes_from_hex(keys + "00 00 00 00 08 00 00 00 " + std::string(length) + " " +
                              std::string(ports));
}

TEST(ReserveOut, KeysOfEveryAction) {
  const auto data = basic("00");
  for (const auto action : every_action) {
    const auto made = parse_out(action, data).value();
    EXPECT_EQ(made.key, 0x0102'0304'0506'0708u);
    EXPECT_EQ(made.service_action_key, 0x1112'1314'1516'1718u);
    EXPECT_FALSE(made.persist || made.all_target_ports || made.port_count || made.move);
  }
}

TEST(ReserveOut, FlagsAreOfTheRegisteringActionsOnly) {
  const auto data = basic("05");
  for (const auto action : every_action) {
    const bool registers =
        action == Action::register_key || action == Action::register_and_ignore_existing_key;
    const auto made = parse_out(action, data).value();
    EXPECT_EQ(made.persist, registers);
    EXPECT_EQ(made.all_target_ports, registers);
  }
  EXPECT_FALSE(parse_out(Action::register_key, basic("04")).value().persist);
  EXPECT_FALSE(parse_out(Action::register_key, basic("01")).value().all_target_ports);
}

TEST(ReserveOut, AnyOtherLengthIsALengthError) {
  for (std::size_t length = 0; length <= 40; ++length) {
    if (length == 24) continue;
    const std::vector<std::byte> data(length);
    for (const auto action : every_action) {
      EXPECT_EQ(refusal(parse_out(action, data)), sense::parameter_list_length_error) << length;
    }
  }
  EXPECT_EQ(refusal(parse_reserve_out_parameters({.action = Action::reserve, .parameter_bytes = 24},
                                                 std::vector<std::byte>(23))),
            sense::parameter_list_length_error)
      << "the host sent less than its CDB says";
}

TEST(ReserveOut, InitiatorPortsOfRegister) {
  const auto data = with_ports("00 00 00 34", host_port + " " + host);
  const auto made = parse_out(Action::register_key, data).value();
  ASSERT_EQ(made.port_count, 2);
  EXPECT_TRUE(made.specify_ports);
  EXPECT_EQ(made.port_span()[0].name, "iqn.a");
  EXPECT_EQ(made.port_span()[0].isid.value()[5], std::byte{0xff});
  EXPECT_EQ(made.port_span()[1].name, "iqn.b");
  EXPECT_FALSE(made.port_span()[1].isid);
  for (const auto action : every_action) {
    if (action == Action::register_key) continue;
    EXPECT_EQ(refusal(parse_out(action, data)), sense::invalid_list(20, 3));
  }
  for (std::size_t length = 24; length < data.size(); ++length) {
    EXPECT_EQ(refusal(parse_out(Action::register_key, std::span(data).first(length))),
              sense::parameter_list_length_error)
        << length;
  }
}

TEST(ReserveOut, LengthsOfPortsThatDoNotAddUp) {
  EXPECT_EQ(refusal(parse_out(Action::register_key, with_ports("00 00 00 18", host_port))),
            sense::parameter_list_length_error);
  EXPECT_EQ(refusal(parse_out(Action::register_key, with_ports("ff ff ff ff", host_port))),
            sense::parameter_list_length_error);
  EXPECT_EQ(refusal(parse_out(Action::register_key,
                              with_ports("00 00 00 1c", "46" + host_port.substr(2)))),
            sense::invalid_list(28, 3));
  EXPECT_EQ(parse_out(Action::register_key, with_ports("00 00 00 00", "")).value().port_count, 0);
}

TEST(ReserveOut, TooManyPortsAreRefusedNotForgotten) {
  std::string ports;
  for (std::size_t i = 0; i <= max_transport_ids; ++i) ports += host + " ";
  const auto data = with_ports("00 00 01 98", ports);  // 17 of 24 bytes
  EXPECT_EQ(refusal(parse_out(Action::register_key, data)),
            sense::insufficient_registration_resources);
  EXPECT_LE(data.size(), max_reserve_out_bytes);
}

TEST(ReserveOut, RegisterAndMove) {
  const auto data = wire::bytes_from_hex(keys + "00 03 12 34 00 00 00 1c " + host_port);
  const auto made = parse_out(Action::register_and_move, data).value();
  EXPECT_EQ(made.service_action_key, 0x1112'1314'1516'1718u);
  EXPECT_TRUE(made.persist);
  ASSERT_TRUE(made.move);
  EXPECT_TRUE(made.move->unregister);
  EXPECT_EQ(made.move->relative_target_port, 0x1234);
  EXPECT_EQ(made.move->to.name, "iqn.a");
  for (std::size_t length = 0; length < data.size(); ++length) {
    EXPECT_EQ(refusal(parse_out(Action::register_and_move, std::span(data).first(length))),
              sense::parameter_list_length_error)
        << length;
  }
  auto two = wire::bytes_from_hex(keys + "00 00 00 01 00 00 00 34 " + host_port + " " + host);
  EXPECT_EQ(refusal(parse_out(Action::register_and_move, two)), sense::invalid_list(20))
      << "one nexus, not two";
}

TEST(ReserveIn, KeysAndTheirLengthWhateverIsTaken) {
  const std::array<std::uint64_t, 2> two{0x0102'0304'0506'0708, 9};
  const auto put = [&](Answer& answer) { put_reservation_keys(answer, 0xa1b2, two); };
  EXPECT_EQ(shown(put), "00 00 a1 b2 00 00 00 10 01 02 03 04 05 06 07 08 00 00 00 00 00 00 00 09");
  EXPECT_TRUE(is_cut_cleanly(put));
  EXPECT_EQ(shown([](Answer& answer) { put_reservation_keys(answer, 0, {}); }),
            "00 00 00 00 00 00 00 00");
}

TEST(ReserveIn, Reservation) {
  EXPECT_EQ(shown([](Answer& answer) { put_reservation(answer, 7, std::nullopt); }),
            "00 00 00 07 00 00 00 00");
  EXPECT_EQ(shown([](Answer& answer) {
              put_reservation(answer, 7, HeldReservation{.key = 0x0102'0304'0506'0708, .type = 5});
            }),
            "00 00 00 07 00 00 00 10 01 02 03 04 05 06 07 08 00 00 00 00 00 05 00 00");
}

TEST(ReserveIn, Capabilities) {
  const auto put = [](const ReservationCapabilities& capabilities) {
    return shown([&](Answer& answer) { put_reservation_capabilities(answer, capabilities); });
  };
  EXPECT_EQ(put({}), "00 08 0d 80 ea 01 00 00");
  EXPECT_EQ(put({.specify_initiator_ports = false,
                 .all_target_ports = false,
                 .persist_capable = false,
                 .persists = true}),
            "00 08 00 81 ea 01 00 00");
}

TEST(ReserveIn, FullStatus) {
  const auto isid = std::array<std::byte, 6>{};
  const auto put = [&](Answer& answer) {
    FullStatus status(answer, 3);
    status.put({.key = 0x11,
                .holder = true,
                .type = 6,
                .relative_target_port = 2,
                .port = {.name = "iqn.a", .isid = isid}});
    status.put({.key = 0x22,
                .type = 6,
                .all_target_ports = true,
                .relative_target_port = 2,
                .port = {.name = "iqn.b"}});
    status.end();
  };
  EXPECT_EQ(shown(put),
            "00 00 00 03 00 00 00 64 "
            "00 00 00 00 00 00 00 11 00 00 00 00 01 06 00 00 00 00 00 02 00 00 00 1c "
            "45 00 00 18 69 71 6e 2e 61 2c 69 2c 30 78 30 30 30 30 30 30 30 30 30 30 30 30 00 00 "
            "00 00 00 00 00 00 00 22 00 00 00 00 02 00 00 00 00 00 00 00 00 00 00 18 " +
                host);
  EXPECT_TRUE(is_cut_cleanly(put));
  EXPECT_EQ(shown([](Answer& answer) { FullStatus(answer, 9).end(); }), "00 00 00 09 00 00 00 00");
}

}  // namespace
}  // namespace protocol::scsi
