#include "protocol/nvme/fabrics_command.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tests/protocol/nvme/raw_entry.h"

namespace protocol::nvme {
namespace {

RawEntry fabrics(std::uint8_t type) { return RawEntry(0x7f).nsid(type); }
RawEntry connect(std::uint16_t queue, std::uint16_t size) {
  return fabrics(0x01).in_capsule_sgl(1024).put(42, queue, 2).put(44, size, 2);
}

template <class Command>
Command expect_fabrics(const SubmissionEntry& entry) {
  const auto parsed = parse_fabrics_command(entry);
  if (!parsed || !std::holds_alternative<Command>(parsed.value())) {
    ADD_FAILURE() << "type " << int{entry.fabrics_type()} << " became something else";
    return {};
  }
  return std::get<Command>(parsed.value());
}

Refusal expect_fabrics_refusal(const SubmissionEntry& entry) {
  const auto parsed = parse_fabrics_command(entry);
  if (parsed) {
    ADD_FAILURE() << "type " << int{entry.fabrics_type()} << " was accepted";
    return {};
  }
  return parsed.error();
}

// Connect of I/O queue 3 with 128 entries, as a Linux host with --disable-sqflow sends it.
TEST(FabricsCommand, GoldenConnect) {
  const std::array<std::uint8_t, 64> bytes{
      0x7f, 0x40, 0x01, 0x00, 0x01, 0,    0,    0,    0,    0,    0,    0,    0,
      0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x01, 0x00, 0x00, 0x03, 0x00, 0x7f, 0x00, 0x04, 0x00, 0x88, 0x13, 0x00, 0x00,
      0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0};
  SubmissionEntry entry;
  std::memcpy(&entry, bytes.data(), sizeof(entry));
  const auto command = expect_fabrics<Connect>(entry);
  EXPECT_EQ(command.queue_id, 3);
  EXPECT_EQ(command.queue_entries, 128u);
  EXPECT_EQ(command.priority, 0);
  EXPECT_TRUE(command.sq_flow_control_disabled);
  EXPECT_FALSE(command.may_delete_queue);
  EXPECT_EQ(command.keep_alive_ms, 5000u);
  EXPECT_EQ(command.data, DataPointer((InCapsuleData{0, 1024})));
}

TEST(FabricsCommand, ConnectAttributesAreBitsOfOneByte) {
  const auto command = expect_fabrics<Connect>(connect(0, 31).put(46, 0x0b, 1).entry());
  EXPECT_EQ(command.priority, 3);
  EXPECT_FALSE(command.sq_flow_control_disabled);
  EXPECT_TRUE(command.may_delete_queue);
  EXPECT_EQ(expect_fabrics<Connect>(connect(1, 0xffff).entry()).queue_entries, 65536u);
}

TEST(FabricsCommand, ConnectRefusalsSayWhatIsWrong) {
  EXPECT_EQ(expect_fabrics_refusal(connect(0, 31).put(40, 1, 2).entry()).status,
            status::connect_incompatible_format);
  const auto empty_queue = expect_fabrics_refusal(connect(0, 0).entry());
  EXPECT_EQ(empty_queue.status, status::connect_invalid_parameters);
  EXPECT_EQ(empty_queue.dword0, 44u) << "IPO of SQSIZE, IATTR 0";
  auto cut = connect(0, 31);
  EXPECT_EQ(expect_fabrics_refusal(cut.put(32, 1023, 4).entry()).status,
            status::data_sgl_length_invalid);
  auto pages = connect(0, 31);
  EXPECT_EQ(expect_fabrics_refusal(pages.put(39, 0x00, 1).entry()).status,
            status::sgl_descriptor_type_invalid);
}

TEST(FabricsCommand, InvalidParameterOffsetsAreThoseOfTheSpecification) {
  EXPECT_EQ(connect_invalid_parameter(ConnectParameter::queue_id).dword0, 0x0000'002au);
  EXPECT_EQ(connect_invalid_parameter(ConnectParameter::queue_size).dword0, 0x0000'002cu);
  EXPECT_EQ(connect_invalid_parameter(ConnectParameter::attributes).dword0, 0x0000'002eu);
  EXPECT_EQ(connect_invalid_parameter(ConnectParameter::keep_alive).dword0, 0x0000'0030u);
  EXPECT_EQ(connect_invalid_parameter(ConnectParameter::host_id).dword0, 0x0001'0000u);
  EXPECT_EQ(connect_invalid_parameter(ConnectParameter::controller_id).dword0, 0x0001'0010u);
  EXPECT_EQ(connect_invalid_parameter(ConnectParameter::subsystem_nqn).dword0, 0x0001'0100u);
  EXPECT_EQ(connect_invalid_parameter(ConnectParameter::host_nqn).dword0, 0x0001'0200u);
  EXPECT_EQ(connect_invalid_host().status, status::connect_invalid_host);
}

TEST(FabricsCommand, ConnectResultCarriesControllerAndAuthentication) {
  EXPECT_EQ(connect_result({0x1234}), 0x0000'1234u);
  EXPECT_EQ(connect_result({1}, {.transaction_required = true, .secure_channel_required = false}),
            0x0002'0001u);
  EXPECT_EQ(connect_result({1}, {.transaction_required = false, .secure_channel_required = true}),
            0x0004'0001u);
}

TEST(FabricsCommand, PropertiesAreFourOrEightBytes) {
  const auto get =
      expect_fabrics<PropertyGet>(fabrics(0x04).put(40, 1, 1).put(44, 0x68, 4).entry());
  EXPECT_EQ(get.offset, 0x68u);
  EXPECT_EQ(get.size_bytes, 8);
  const auto set4 = expect_fabrics<PropertySet>(
      fabrics(0x00).put(44, 0x14, 4).put(48, 0x1122'3344'0046'0001, 8).entry());
  EXPECT_EQ(set4.offset, 0x14u);
  EXPECT_EQ(set4.size_bytes, 4);
  EXPECT_EQ(set4.value, 0x0046'0001u) << "the upper half is not part of a four byte value";
  const auto set8 = expect_fabrics<PropertySet>(
      fabrics(0x00).put(40, 1, 1).put(48, 0x1122'3344'0046'0001, 8).entry());
  EXPECT_EQ(set8.value, 0x1122'3344'0046'0001u);
  for (const unsigned size : {2u, 3u, 4u, 5u, 6u, 7u}) {
    for (const unsigned type : {0x00u, 0x04u}) {
      EXPECT_EQ(
          expect_fabrics_refusal(fabrics(static_cast<std::uint8_t>(type)).put(40, size, 1).entry()),
          (Refusal{status::invalid_field, at_dword(10)}));
    }
  }
}

// Byte 1 is reserved in Fabrics commands: hosts differ in what they leave there.
TEST(FabricsCommand, ReservedFlagsDoNotHurt) {
  for (const unsigned flags : {0x00u, 0x40u, 0x80u}) {
    expect_fabrics<PropertyGet>(fabrics(0x04).flags(static_cast<std::uint8_t>(flags)).entry());
    expect_fabrics<Connect>(connect(0, 31).flags(static_cast<std::uint8_t>(flags)).entry());
  }
}

TEST(FabricsCommand, DisconnectHasARecordFormat) {
  expect_fabrics<Disconnect>(fabrics(0x08).entry());
  EXPECT_EQ(expect_fabrics_refusal(fabrics(0x08).put(40, 1, 2).entry()).status,
            status::connect_incompatible_format);
}

TEST(FabricsCommand, AuthenticationIsDecoded) {
  const auto send = expect_fabrics<AuthenticationSend>(fabrics(0x05)
                                                           .in_capsule_sgl(24)
                                                           .put(41, 0x01, 1)
                                                           .put(42, 0x02, 1)
                                                           .put(43, 0xe9, 1)
                                                           .put(44, 24, 4)
                                                           .entry());
  EXPECT_EQ(send.protocol, 0xe9);
  EXPECT_EQ(send.protocol_specific, 0x0201);
  EXPECT_EQ(send.transfer_bytes, 24u);
  const auto receive = expect_fabrics<AuthenticationReceive>(
      fabrics(0x06).transport_sgl(4096).put(43, 0xe9, 1).put(44, 4096, 4).entry());
  EXPECT_EQ(receive.allocation_bytes, 4096u);
  EXPECT_EQ(
      expect_fabrics_refusal(fabrics(0x06).transport_sgl(4095).put(44, 4096, 4).entry()).status,
      status::data_sgl_length_invalid);
  EXPECT_EQ(expect_fabrics_refusal(fabrics(0x06).in_capsule_sgl(16).put(44, 16, 4).entry()).status,
            status::invalid_field);
}

TEST(FabricsCommand, UnknownTypesAreRefused) {
  for (unsigned type = 0; type < 256; ++type) {
    switch (type) {
      case 0x00:
      case 0x01:
      case 0x04:
      case 0x05:
      case 0x06:
      case 0x08:
        continue;
      default:
        EXPECT_EQ(expect_fabrics_refusal(fabrics(static_cast<std::uint8_t>(type)).entry()),
                  (Refusal{status::invalid_opcode, at_byte(4)}));
    }
  }
  EXPECT_EQ(expect_fabrics_refusal(RawEntry(0x06).nsid(1).entry()),
            (Refusal{status::invalid_opcode, at_byte(0)}));
}

class ConnectDataTest : public testing::Test {
 protected:
  ConnectDataTest() {
    data_[0] = std::byte{0x11};
    data_[16] = std::byte{0xff};
    data_[17] = std::byte{0xff};
    put(256, "nqn.2014-08.org.nvmexpress.discovery");
    put(512, "nqn.2014-08.org.nvmexpress:uuid:0fdb0a0e-6b3f-4f0a-8d8e-0d5a2c1b3e4f");
  }
  void put(std::size_t offset, std::string_view text) {
    std::fill_n(data_.begin() + static_cast<std::ptrdiff_t>(offset), 256, std::byte{0});
    std::transform(text.begin(), text.end(), data_.begin() + static_cast<std::ptrdiff_t>(offset),
                   [](char c) { return static_cast<std::byte>(c); });
  }
  void expect_invalid(std::uint32_t dword0) const {
    const auto parsed = parse_connect_data(data_);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().status, status::connect_invalid_parameters);
    EXPECT_EQ(parsed.error().dword0, dword0);
  }
  std::vector<std::byte> data_ = std::vector<std::byte>(1024);
};

TEST_F(ConnectDataTest, IsFoundInPlace) {
  const auto parsed = parse_connect_data(data_);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed.value().host_id[0], std::byte{0x11});
  EXPECT_EQ(parsed.value().controller, dynamic_controller);
  EXPECT_EQ(parsed.value().subsystem_nqn, discovery_nqn);
  EXPECT_EQ(parsed.value().host_nqn,
            "nqn.2014-08.org.nvmexpress:uuid:0fdb0a0e-6b3f-4f0a-8d8e-0d5a2c1b3e4f");
}

TEST_F(ConnectDataTest, EveryTruncationIsRefused) {
  for (std::size_t length = 0; length < data_.size(); ++length) {
    const auto parsed = parse_connect_data(std::span(data_).first(length));
    ASSERT_FALSE(parsed) << length;
    ASSERT_EQ(parsed.error().status, status::data_sgl_length_invalid);
  }
}

TEST_F(ConnectDataTest, HostWithoutAnIdentifierIsRefused) {
  data_[0] = std::byte{0};
  expect_invalid(0x0001'0000);
}

TEST_F(ConnectDataTest, NamesWithoutAnEndAreRefused) {
  std::fill_n(data_.begin() + 256, 256, std::byte{'n'});
  expect_invalid(0x0001'0100);
}

TEST_F(ConnectDataTest, HostNameWithoutAnEndIsRefused) {
  put(512, "nqn.2014-08.org.example:" + std::string(232, 'a'));
  expect_invalid(0x0001'0200);
}

TEST_F(ConnectDataTest, NamesOfAnotherFormAreRefused) {
  put(512, "iqn.2014-08.org.example:host");
  expect_invalid(0x0001'0200);
  put(256, "");
  expect_invalid(0x0001'0100);
}

TEST_F(ConnectDataTest, NameThatWouldForgeALogLineIsRefused) {
  put(512, "nqn.2014-08.org.example:host\nconnect accepted");
  expect_invalid(0x0001'0200);
}

}  // namespace
}  // namespace protocol::nvme
