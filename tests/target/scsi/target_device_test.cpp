#include "target/scsi/target_device.h"

#include "tests/target/scsi/nexus_kit.h"

namespace target::scsi {
namespace {

using protocol::scsi::SenseCode;
using Codes = std::vector<SenseCode>;

class TargetDeviceTest : public NexusTest {
 protected:
  std::vector<std::uint64_t> luns_seen(Session& host) {
    const auto listed = host.run_read(cdb({0xa0, 0, 0, 0, 0, 0, 0, 0, 4, 0}), 1024);
    std::vector<std::uint64_t> luns;
    for (std::size_t at = 8; at < listed.data.size(); at += 8) {
      luns.push_back(be(listed.data, at, 8) >> 48);
    }
    return luns;
  }
  using Luns = std::vector<std::uint64_t>;
};

TEST_F(TargetDeviceTest, LunsThatComeAndGoAreToldToThoseWhoSeeThem) {
  const auto host = connect();
  const auto other = connect("iqn.2026-11.net.example:other");
  ASSERT_TRUE(device->add_lun(
      {.lun = 5, .volume = &second_block, .initiators = {{"iqn.2026-11.net.example:host"}}}));
  reactor.run_until_idle();
  EXPECT_EQ(host->inventory_changes, 1);
  EXPECT_EQ(other->inventory_changes, 0);
  EXPECT_EQ(host->take_attentions(), (Codes{sense::luns_changed.code}));
  EXPECT_EQ(other->take_attentions(), Codes{});
  EXPECT_EQ(luns_seen(*host), (Luns{0, 1, 5}));
  EXPECT_EQ(luns_seen(*other), (Luns{0, 1}));
  // Told by REPORT LUNS, it is not told again.
  EXPECT_EQ(host->take_attentions(1), Codes{});
  EXPECT_EQ(host->take_attentions(5), (Codes{sense::power_on_or_reset.code}));
  expect_sense(other->run_none(test_unit_ready, 5), sense::unit_not_supported);

  ASSERT_TRUE(device->set_lun_initiators(5, std::vector<std::string>{}));
  reactor.run_until_idle();
  EXPECT_EQ(host->inventory_changes, 2);
  EXPECT_EQ(luns_seen(*host), (Luns{0, 1}));
}

TEST_F(TargetDeviceTest, CommandsToALunThatIsTakenAwayStillEnd) {
  const auto host = connect();
  first.hold = true;
  const auto tag = host->start_write(write16(0, 1), pattern(1, 9));
  ASSERT_TRUE(device->remove_lun(0));
  reactor.run_until_idle();
  expect_sense(host->run_none(test_unit_ready), sense::unit_not_supported);
  first.end_first();
  expect_good(host->answer(tag));
  EXPECT_EQ(host->nexus->counts().write_commands, 1U);
  // And the number can have another volume at once.
  ASSERT_TRUE(device->add_lun({.lun = 0, .volume = &second_block, .initiators = {}}));
  (void)host->take_attentions();
  expect_good(host->run_read(read16(0, 1), 512));
}

// Its buffer is counted towards the volume that the LUN had when its data began to come.
TEST_F(TargetDeviceTest, ATaskDoesNotGoToAVolumeThatItsDataWasNotFor) {
  const auto host = connect();
  Task& task = host->port.task(900, pattern(1, 1));
  task.cdb = write16(0, 1);
  task.direction = DataDirection::from_host;
  task.expected_bytes = block_bytes;
  task.request.volume = host->nexus->volume_of(task);
  ASSERT_EQ(task.request.volume, &first_block);
  ASSERT_TRUE(device->remove_lun(0));
  ASSERT_TRUE(device->add_lun({.lun = 0, .volume = &second_block, .initiators = {}}));
  (void)host->take_attentions();
  host->nexus->execute(TaskPermit(task));
  EXPECT_EQ(host->answer(900).status, Status::busy);
  EXPECT_EQ(task.request.volume, &first_block);
  EXPECT_TRUE(second.seen.empty());
}

// The same volume with other blocks: no unit has come or gone, and what was still to be told is.
TEST_F(TargetDeviceTest, AUnitThatHasComeBackIsTheSame) {
  const auto host = connect();
  ScsiVolume renewed("first", 0x11, 4096, 8);
  device->all_units().front()->establish(sense::reservations_released.code);
  block::BlockVolume renewed_block(renewed);
  EXPECT_FALSE(device->replace_lun({.lun = 9, .volume = &renewed_block, .initiators = {}}));
  ASSERT_TRUE(device->replace_lun({.lun = 0, .volume = &renewed_block, .initiators = {}}));
  reactor.run_until_idle();
  EXPECT_EQ(host->inventory_changes, 0);
  EXPECT_EQ(host->take_attentions(),
            (Codes{sense::reservations_released.code, sense::capacity_changed.code,
                   sense::inquiry_data_changed.code, sense::mode_parameters_changed.code}));
  EXPECT_EQ(luns_seen(*host), (Luns{0, 1}));
  const auto capacity = host->run_read(cdb({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}), 8);
  EXPECT_EQ(be(capacity.data, 0, 4), 7U);
  EXPECT_EQ(be(capacity.data, 4, 4), 4096U);
  ASSERT_TRUE(device->replace_lun({.lun = 0, .volume = &first_block, .initiators = {}}));
  reactor.run_until_idle();
}

TEST_F(TargetDeviceTest, WhatCannotBeIsRefused) {
  EXPECT_EQ(device->add_lun({.lun = 16384, .volume = &first_block, .initiators = {}}).error(),
            LunError::bad_lun);
  EXPECT_EQ(device->add_lun({.lun = 1, .volume = &first_block, .initiators = {}}).error(),
            LunError::in_use);
  EXPECT_EQ(device->remove_lun(2).error(), LunError::not_found);
  for (std::uint16_t lun = 2; lun < max_luns; ++lun) {
    ASSERT_TRUE(device->add_lun({.lun = lun, .volume = &first_block, .initiators = {}}));
  }
  EXPECT_EQ(device->add_lun({.lun = 2000, .volume = &first_block, .initiators = {}}).error(),
            LunError::table_full);
}

TEST_F(TargetDeviceTest, ASnapshotCountsAllSessionsThereHaveBeen) {
  auto host = connect();
  expect_good(host->run_write(write16(0, 2), pattern(2, 1), 1));
  expect_good(host->run_read(read16(0, 1), 512, 1));
  host.reset();
  host = connect();
  expect_good(host->run_read(read16(0, 1), 512, 1));
  const auto luns = device->luns();
  ASSERT_EQ(luns.size(), 2U);
  EXPECT_EQ(luns[1].volume, "second");
  EXPECT_EQ(luns[1].size_blocks, volume_blocks);
  EXPECT_EQ(luns[1].nexuses, 1U);
  EXPECT_EQ(luns[1].counts.bytes_written, 1024U);
  EXPECT_EQ(luns[1].counts.bytes_read, 1024U);
  EXPECT_EQ(luns[0].counts.bytes_read, 0U);
}

TEST_F(TargetDeviceTest, AStateOfATargetPortIsToldToAllAndServedByItsOwn) {
  using block::AccessState;
  const auto host = connect();
  const auto rtpg = cdb({0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0});
  const auto reported = [&] { return host->run_read(rtpg, 256).data; };
  EXPECT_EQ(std::to_integer<int>(reported()[4]), 0x00) << "active/optimized";

  device->set_port_states({{1, AccessState::non_optimized}});
  reactor.run_until_idle();
  EXPECT_EQ(host->take_attentions(), (Codes{sense::asymmetric_access_changed.code}));
  EXPECT_EQ(std::to_integer<int>(reported()[4]), 0x01);
  EXPECT_EQ(std::to_integer<int>(reported()[9]), 2) << "implicitly";
  expect_good(host->run_read(read16(0, 1), 512));

  device->set_port_states({{1, AccessState::inaccessible}});
  reactor.run_until_idle();
  EXPECT_EQ(host->take_attentions(), (Codes{sense::asymmetric_access_changed.code}));
  EXPECT_EQ(std::to_integer<int>(reported()[4]), 0x03);
  expect_sense(host->run_read(read16(0, 1), 512), sense::not_ready_target_port_unavailable);
  expect_sense(host->run_none(test_unit_ready), sense::not_ready_target_port_unavailable);
  EXPECT_EQ(luns_seen(*host), (Luns{0, 1}));
  // Who comes finds it so.
  const auto late = connect("iqn.2026-11.net.example:late");
  expect_sense(late->run_none(test_unit_ready), sense::not_ready_target_port_unavailable);

  device->set_port_states({{1, AccessState::change}, {2, AccessState::inaccessible}});
  reactor.run_until_idle();
  (void)host->take_attentions();
  EXPECT_EQ(std::to_integer<int>(reported()[4]), 0x0f);
  expect_sense(host->run_none(test_unit_ready), sense::not_ready_access_transition);

  device->set_port_states({{2, AccessState::inaccessible}});
  device->set_port_states({{2, AccessState::inaccessible}});
  reactor.run_until_idle();
  EXPECT_EQ(host->take_attentions(), (Codes{sense::asymmetric_access_changed.code}));
  expect_good(host->run_read(read16(0, 1), 512));
}

}  // namespace
}  // namespace target::scsi
