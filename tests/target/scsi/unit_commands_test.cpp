#include "target/scsi/unit_commands.h"

#include "protocol/scsi/identity.h"
#include "tests/target/scsi/nexus_kit.h"

namespace target::scsi {
namespace {

class UnitCommandsTest : public NexusTest {
 protected:
  std::unique_ptr<Session> host = connect();
};

TEST_F(UnitCommandsTest, InquirySaysWhatTheUnitIs) {
  const auto standard = host->run_read(inquiry(), 96);
  ASSERT_EQ(standard.data.size(), 96U);
  EXPECT_EQ(standard.data[0], std::byte{0});
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&standard.data[8]), 8), "FOREBAY ");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(&standard.data[32]), 4), "0001");
  const auto serial = host->run_read(inquiry(0x80), 255);
  const std::string found(reinterpret_cast<const char*>(&serial.data[4]), serial.data.size() - 4);
  EXPECT_EQ(found, protocol::scsi::unit_serial_of(first.identity().uuid));
  EXPECT_NE(host->run_read(inquiry(0x83), 255, 0).data, host->run_read(inquiry(0x83), 255, 1).data);
  expect_sense(host->run_read(inquiry(0x5f), 255), sense::invalid_field_in_cdb);
}

TEST_F(UnitCommandsTest, EveryListedPageIsThere) {
  const auto listed = host->run_read(inquiry(0x00), 255);
  ASSERT_GT(listed.data.size(), 8U);
  for (std::size_t at = 4; at < listed.data.size(); ++at) {
    const auto page = host->run_read(inquiry(std::to_integer<int>(listed.data[at])), 1024);
    expect_good(page);
    EXPECT_EQ(page.data[1], listed.data[at]);
    EXPECT_EQ(be(page.data, 2, 2) + 4, page.data.size());
  }
}

TEST_F(UnitCommandsTest, AnAllocationLengthCutsAndIsNoResidual) {
  const auto cut = host->run_read(inquiry(-1, 5), 96);
  EXPECT_EQ(cut.data.size(), 5U);
  EXPECT_EQ(cut.command_bytes, 5U);
  const auto none = host->run_none(inquiry(-1, 0));
  expect_good(none);
  EXPECT_EQ(none.command_bytes, 0U);
}

TEST_F(UnitCommandsTest, NamesOfAVolumeThatIsNotKnownYetAreNotMadeUp) {
  first.set_uuid({});
  first.now_state = engine::VolumeState::late;
  expect_sense(host->run_read(inquiry(0x80), 255), sense::not_ready_becoming_ready);
  expect_sense(host->run_read(inquiry(0x83), 255), sense::not_ready_becoming_ready);
  expect_good(host->run_read(inquiry(0xb0), 255));
}

TEST_F(UnitCommandsTest, BlockLimitsAreThoseThatCommandsAreHeldTo) {
  const auto limits = host->run_read(inquiry(0xb0), 255);
  ASSERT_EQ(limits.data.size(), 64U);
  const auto longest = static_cast<std::uint32_t>(be(limits.data, 8, 4));
  expect_good(host->run_read(read16(0, longest), longest * block_bytes));
  expect_sense(host->run_none(read16(0, longest + 1)), sense::invalid_field_in_cdb);
  EXPECT_EQ(limits.data[5], std::byte{255});  // COMPARE AND WRITE
  EXPECT_EQ(be(limits.data, 24, 4), 256U);    // UNMAP descriptors
}

TEST_F(UnitCommandsTest, CapacityIsThatOfTheVolume) {
  const auto ten = host->run_read(cdb({0x25}), 8);
  EXPECT_EQ(be(ten.data, 0, 4), volume_blocks - 1);
  EXPECT_EQ(be(ten.data, 4, 4), block_bytes);
  CdbBytes sixteen = cdb({0x9e, 0x10});
  sixteen[13] = std::byte{32};
  const auto answer = host->run_read(sixteen, 32);
  ASSERT_EQ(answer.data.size(), 32U);
  EXPECT_EQ(be(answer.data, 0, 8), volume_blocks - 1);
  EXPECT_EQ(answer.data[13], std::byte{0});
  EXPECT_EQ(answer.data[14] & std::byte{0xc0}, std::byte{0xc0});  // LBPME, LBPRZ

  // The physical block is what the volume's disks write whole, and no more.
  first.atomic_write_bytes = 4096;
  device->refresh_volumes();
  EXPECT_EQ(host->take_attentions(),
            (std::vector{sense::capacity_changed.code, sense::inquiry_data_changed.code}));
  EXPECT_EQ(host->run_read(sixteen, 32).data[13], std::byte{3});

  // A volume that comes to write more as a whole has the physical block that it had.
  first.atomic_write_bytes = 1U << 20;
  first.is_atomic_anywhere = true;
  device->refresh_volumes();
  EXPECT_EQ(host->take_attentions(), (std::vector{sense::inquiry_data_changed.code}));
  EXPECT_EQ(host->run_read(sixteen, 32).data[13], std::byte{3});
}

TEST_F(UnitCommandsTest, BlockLimitsTellWhichWritesAreAtomic) {
  struct Case {
    std::uint32_t bytes;
    bool anywhere;
    std::uint64_t longest;
    std::uint64_t alignment;
  };
  const auto commands = [this] {
    CdbBytes which = cdb({0xa3, 0x0c, 0x01, 0x9c, 0, 0, 0, 0, 0, 64});
    return host->run_read(which, 64).data[1] & std::byte{7};
  };
  for (const Case& is : {Case{0, false, 0, 0}, Case{4096, false, 8, 8}, Case{65536, false, 8, 8},
                         Case{1U << 20, true, 2048, 0}}) {
    SCOPED_TRACE(is.bytes);
    first.atomic_write_bytes = is.bytes;
    first.is_atomic_anywhere = is.anywhere;
    device->refresh_volumes();
    (void)host->take_attentions();
    const auto limits = host->run_read(inquiry(0xb0), 255);
    ASSERT_EQ(limits.data.size(), 64U);
    EXPECT_EQ(be(limits.data, 44, 4), is.longest);
    EXPECT_EQ(be(limits.data, 48, 4), is.alignment);
    EXPECT_EQ(be(limits.data, 52, 4), 0U) << "ATOMIC TRANSFER LENGTH GRANULARITY";
    EXPECT_EQ(be(limits.data, 56, 4), 0U) << "no command with borders inside";
    EXPECT_EQ(be(limits.data, 60, 4), 0U);
    EXPECT_EQ(commands(), is.longest != 0 ? std::byte{3} : std::byte{1}) << "RSOC says the same";
  }
}

TEST_F(UnitCommandsTest, BlocksAreMappedUnlessKnownOtherwise) {
  CdbBytes status = cdb({0x9e, 0x12});
  put_be(status, 2, 8, 100);
  put_be(status, 10, 4, 24);
  const auto answer = host->run_read(status, 24);
  ASSERT_EQ(answer.data.size(), 24U);
  EXPECT_EQ(be(answer.data, 8, 8), 100U);
  EXPECT_EQ(be(answer.data, 16, 4), volume_blocks - 100);
  EXPECT_EQ(answer.data[20] & std::byte{0xf}, std::byte{0});
  put_be(status, 2, 8, volume_blocks);
  expect_sense(host->run_read(status, 24), sense::lba_out_of_range);
}

TEST_F(UnitCommandsTest, EveryReportedCommandIsAnswered) {
  CdbBytes all = cdb({0xa3, 0x0c});
  put_be(all, 6, 4, 4096);
  const auto listed = host->run_read(all, 4096);
  ASSERT_GT(listed.data.size(), 4 + 8 * 30U);
  for (std::size_t at = 4; at < listed.data.size(); at += 8) {
    CdbBytes command{};
    command[0] = listed.data[at];
    if ((listed.data[at + 5] & std::byte{1}) != std::byte{0}) command[1] = listed.data[at + 3];
    SCOPED_TRACE(std::to_integer<int>(command[0]));
    const auto answer = host->run_none(command);
    EXPECT_FALSE(answer.sense && answer.sense->is(sense::invalid_opcode));
  }
}

TEST_F(UnitCommandsTest, TargetPortGroupsAreTheTargetPorts) {
  device->set_target_ports({1, 7});
  CdbBytes report = cdb({0xa3, 0x0a});
  put_be(report, 6, 4, 255);
  const auto answer = host->run_read(report, 255);
  ASSERT_EQ(answer.data.size(), 4 + 2 * 12U);
  EXPECT_EQ(be(answer.data, 4 + 12 + 2, 2), 7U);                  // the group
  EXPECT_EQ(answer.data[4 + 12] & std::byte{0xf}, std::byte{0});  // active/optimized
  EXPECT_EQ(be(answer.data, 4 + 12 + 10, 2), 7U);                 // its port
  CdbBytes set = cdb({0xa4, 0x0a});
  put_be(set, 6, 4, 8);
  std::vector<std::byte> list(8);
  list[7] = std::byte{7};
  expect_good(host->run_write(set, list));
  list[7] = std::byte{9};
  expect_sense(host->run_write(set, list), sense::invalid_field_in_list);
}

TEST_F(UnitCommandsTest, WhatAUnitWithoutMovingPartsAccepts) {
  expect_good(host->run_none(cdb({0x1b, 0, 0, 0, 1})));
  expect_good(host->run_none(cdb({0x1b, 0, 0, 0, 0})));
  expect_good(host->run_none(cdb({0x1e, 0, 0, 0, 1})));
  expect_good(host->run_none(cdb({0x35})));
  CdbBytes log = cdb({0x4d, 0, 0x40});
  put_be(log, 7, 2, 255);
  expect_good(host->run_read(log, 255));
  CdbBytes defects = cdb({0x37});
  put_be(defects, 7, 2, 4);
  EXPECT_EQ(host->run_read(defects, 4).data.size(), 4U);
}

TEST_F(UnitCommandsTest, AModeSelectThatIsTooLongOrWrongChangesNothing) {
  expect_sense(
      host->run_write(cdb({0x55, 0x10, 0, 0, 0, 0, 0, 0x10, 0}), std::vector<std::byte>(4096)),
      sense::parameter_list_length_error);
  std::vector<std::byte> list(4 + 12);
  list[4] = std::byte{0x0a};
  list[5] = std::byte{0x0a};
  list[4 + 3] = std::byte{0xf0};  // QUEUE ALGORITHM MODIFIER
  const auto before = host->run_read(cdb({0x1a, 0x08, 0x0a, 0, 255}), 255).data;
  expect_sense(host->run_write(cdb({0x15, 0x10, 0, 0, 16}), list), sense::invalid_field_in_list);
  EXPECT_EQ(host->run_read(cdb({0x1a, 0x08, 0x0a, 0, 255}), 255).data, before);
  expect_good(host->run_none(cdb({0x15, 0x10, 0, 0, 0})));
}

TEST_F(UnitCommandsTest, ASelfTestPassesWhenTheVolumeIsThere) {
  expect_good(host->run_none(cdb({0x1d, 0x04})));
  expect_good(host->run_none(cdb({0x1d})));
  first.now_state = engine::VolumeState::late;
  expect_sense(host->run_none(cdb({0x1d, 0x04})), sense::not_ready_becoming_ready);
}

TEST_F(UnitCommandsTest, TheEchoBufferGivesBackWhatItsNexusHasLeft) {
  const auto read = [&](int mode, int bytes, std::uint16_t lun = 0) {
    CdbBytes made = cdb({0x3c, mode});
    put_be(made, 6, 3, static_cast<std::uint64_t>(bytes));
    return host->run_read(made, static_cast<std::uint32_t>(bytes), lun);
  };
  const auto write = [&](Session& session, const std::vector<std::byte>& data) {
    CdbBytes made = cdb({0x3b, 0x0a});
    put_be(made, 6, 3, data.size());
    return session.run_write(made, data);
  };
  EXPECT_EQ(be(read(0x0b, 4).data, 0, 4), 0x0100'1000U) << "EBOS, 4096 bytes";
  EXPECT_EQ(be(read(0x03, 4).data, 0, 4), 0U) << "no other buffer";
  expect_sense(read(0x0a, 16), sense::command_sequence_error);
  expect_good(write(*host, std::vector<std::byte>(100, std::byte{0x5a})));
  const auto other = connect("iqn.2026-11.net.example:other");
  expect_good(write(*other, std::vector<std::byte>(8, std::byte{0x11})));
  EXPECT_EQ(read(0x0a, 4096).data, std::vector<std::byte>(100, std::byte{0x5a}));
  EXPECT_EQ(read(0x0a, 10).data, std::vector<std::byte>(10, std::byte{0x5a}));
  expect_sense(read(0x0a, 16, 1), sense::command_sequence_error);
}

}  // namespace
}  // namespace target::scsi
