#include "target/scsi/nexus.h"

#include "tests/target/scsi/nexus_kit.h"

namespace target::scsi {
namespace {

using protocol::scsi::SenseCode;
using Codes = std::vector<SenseCode>;

TEST_F(NexusTest, ANewSessionIsToldOfThePowerOnAndALaterOneOfItsLoss) {
  Session host(reactor, device, "iqn.2026-11.net.example:host");
  EXPECT_EQ(host.take_attentions(), (Codes{sense::power_on_or_reset.code}));
  EXPECT_EQ(host.take_attentions(1), (Codes{sense::power_on_or_reset.code}));
  EXPECT_EQ(host.take_attentions(), Codes{});
  host.end();
  Session again(reactor, device, "iqn.2026-11.net.example:host");
  EXPECT_EQ(again.take_attentions(), (Codes{sense::nexus_loss.code}));
  Session other(reactor, device, "iqn.2026-11.net.example:host", /*isid=*/2);
  EXPECT_EQ(other.take_attentions(), (Codes{sense::power_on_or_reset.code}));
}

TEST_F(NexusTest, AUnitAttentionStopsEveryCommandButThoseOfTheTarget) {
  Session host(reactor, device, "iqn.2026-11.net.example:host");
  expect_good(host.run_read(inquiry(), 96));
  expect_good(host.run_read(cdb({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0}), 256));
  // Even what is no command at all.
  expect_sense(host.run_none(cdb({0xff})), sense::power_on_or_reset);
  expect_sense(host.run_none(cdb({0xff})), sense::invalid_opcode);
  // REQUEST SENSE tells it as data, and it is over.
  const auto told = host.run_read(cdb({0x03, 0, 0, 0, 18}), 18, 1);
  expect_good(told);
  EXPECT_EQ(told.data[2], std::byte{0x06});
  EXPECT_EQ(told.data[12], std::byte{0x29});
  expect_good(host.run_none(test_unit_ready, 1));
}

TEST_F(NexusTest, AWriteStoppedByAUnitAttentionIsNotDone) {
  Session host(reactor, device, "iqn.2026-11.net.example:host");
  expect_sense(host.run_write(write16(0, 1), pattern(1, 1)), sense::power_on_or_reset);
  EXPECT_TRUE(first.seen.empty());
}

TEST_F(NexusTest, ALunWithoutUnitKnowsOnlyWhatTheTargetKnows) {
  const auto host = connect();
  expect_sense(host->run_none(test_unit_ready, 7), sense::unit_not_supported);
  expect_sense(host->run_read(read16(0, 1), 512, 7), sense::unit_not_supported);
  const auto absent = host->run_read(inquiry(), 96, 7);
  expect_good(absent);
  EXPECT_EQ(absent.data[0], std::byte{0x7f});
  expect_sense(host->run_read(cdb({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0}), 256, 7),
               sense::unit_not_supported);
  const auto told = host->run_read(cdb({0x03, 0, 0, 0, 18}), 18, 7);
  EXPECT_EQ(told.data[12], std::byte{0x25});
}

TEST_F(NexusTest, TheWellKnownUnitListsTheOthers) {
  const auto host = connect();
  Task& task = host->port.task(900);
  task.cdb = cdb({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0});
  task.lun = protocol::scsi::report_luns_unit;
  task.direction = DataDirection::to_host;
  task.expected_bytes = 256;
  host->nexus->execute(TaskPermit(task));
  const auto listed = host->answer(900);
  ASSERT_EQ(listed.data.size(), 24U);
  EXPECT_EQ(be(listed.data, 0, 4), 16U);
  EXPECT_EQ(be(listed.data, 16, 8), Lun::of_unit(1).field);
  Task& read = host->port.task(901);
  read.cdb = read16(0, 1);
  read.lun = protocol::scsi::report_luns_unit;
  host->nexus->execute(TaskPermit(read));
  expect_sense(host->answer(901), sense::invalid_opcode);
}

TEST_F(NexusTest, EachLunIsItsOwnVolume) {
  const auto host = connect();
  expect_good(host->run_write(write16(0, 1), pattern(1, 1), 0));
  expect_good(host->run_write(write16(0, 1), pattern(1, 2), 1));
  EXPECT_EQ(first.block(0)[0], std::byte{1});
  EXPECT_EQ(second.block(0)[0], std::byte{2});
  Task task;
  task.lun = Lun::of_unit(1);
  EXPECT_EQ(host->nexus->volume_of(task), &second_block);
  task.lun = Lun::of_unit(2);
  EXPECT_EQ(host->nexus->volume_of(task), nullptr);
}

TEST_F(NexusTest, ALateVolumeIsBecomingReadyAndARefusedOneNeedsSomebody) {
  const auto host = connect();
  first.now_state = engine::VolumeState::late;
  for (const CdbBytes& command : {test_unit_ready, read16(0, 1), write16(0, 1), cdb({0x25})}) {
    expect_sense(host->run({.cdb = command}), sense::not_ready_becoming_ready);
  }
  expect_good(host->run_read(inquiry(), 96));
  first.now_state = engine::VolumeState::refused;
  expect_sense(host->run_none(test_unit_ready), sense::not_ready_manual);
  first.now_state = engine::VolumeState::degraded;
  expect_good(host->run_none(test_unit_ready));
  expect_good(host->run_none(test_unit_ready, 1));
}

TEST_F(NexusTest, AVolumeThatIsNotWritableSaysSo) {
  const auto host = connect();
  first.writable = false;
  device->refresh_volumes();
  EXPECT_EQ(host->take_attentions(), (Codes{sense::mode_parameters_changed.code}));
  for (const int opcode : {0x8a, 0x8b, 0x8e, 0x93}) {
    expect_sense(host->run_write(cdb16(opcode, 0, 1), pattern(1, 1)), sense::write_protected);
  }
  expect_sense(host->run_write(compare_and_write(0, 1), pattern(2, 1)), sense::write_protected);
  expect_good(host->run_read(read16(0, 1), 512));
  const auto mode = host->run_read(cdb({0x1a, 0, 0x0a, 0, 255}), 255);
  EXPECT_EQ(mode.data[2] & std::byte{0x80}, std::byte{0x80});
  EXPECT_TRUE(first.seen.size() == 1);
}

TEST_F(NexusTest, AVolumeThatHasGrownIsToldToEverySession) {
  const auto host = connect();
  const auto other = connect("iqn.2026-11.net.example:other");
  first.grow(2 * volume_blocks);
  device->refresh_volumes();
  device->refresh_volumes();
  EXPECT_EQ(host->take_attentions(), (Codes{sense::capacity_changed.code}));
  EXPECT_EQ(other->take_attentions(), (Codes{sense::capacity_changed.code}));
  EXPECT_EQ(host->take_attentions(1), Codes{});
  const auto capacity = host->run_read(cdb({0x25}), 8);
  EXPECT_EQ(be(capacity.data, 0, 4), 2 * volume_blocks - 1);
}

TEST_F(NexusTest, OrderedTasksKeepTheirOrder) {
  const auto host = connect();
  first.hold = true;
  const auto one = host->start_read(read16(0, 1), 512);
  const auto two = host->start({.cdb = read16(1, 1),
                                .direction = DataDirection::to_host,
                                .expected_bytes = 512,
                                .attribute = TaskAttribute::ordered});
  const auto three = host->start_read(read16(2, 1), 512);
  EXPECT_EQ(first.held().size(), 1U);
  first.end_first();
  ASSERT_EQ(first.held().size(), 1U);
  EXPECT_EQ(first.held().front()->lba.value, 1U);
  first.hold = false;
  first.end_first();
  for (const auto tag : {one, two, three}) expect_good(host->answer(tag));
  EXPECT_EQ(host->port.answers.back().tag, three);
  EXPECT_EQ(host->nexus->outstanding(), 0U);
}

TEST_F(NexusTest, SenseDataHasTheFormatThatTheHostHasSet) {
  const auto host = connect();
  EXPECT_EQ(host->run_none(cdb({0xff})).sense_format, protocol::scsi::SenseFormat::fixed);
  // MODE SELECT (6), page format, of the Control page with D_SENSE.
  const auto mode = host->run_read(cdb({0x1a, 0x08, 0x0a, 0, 255}), 255);
  std::vector<std::byte> list(mode.data.begin(), mode.data.end());
  list[0] = std::byte{0};
  list[2] = std::byte{0};
  list[4 + 2] |= std::byte{1 << 2};
  expect_good(host->run_write(cdb({0x15, 0x10, 0, 0, static_cast<int>(list.size())}), list));
  EXPECT_EQ(host->run_none(cdb({0xff})).sense_format, protocol::scsi::SenseFormat::descriptor);
  EXPECT_EQ(host->run_none(cdb({0xff}), 1).sense_format, protocol::scsi::SenseFormat::fixed);
}

TEST_F(NexusTest, DataThatFailsToComeEndsItsTask) {
  const auto host = connect();
  host->port.holds = true;
  const auto tag = host->start_write(write16(0, 1), pattern(1, 1));
  ASSERT_EQ(host->port.waiting.size(), 1U);
  Task& task = *host->port.waiting.front();
  host->port.waiting.clear();
  host->nexus->data_failed(TaskPermit(task), sense::data_phase_error);
  expect_sense(host->answer(tag), sense::data_phase_error);
  EXPECT_EQ(host->nexus->outstanding(), 0U);
  EXPECT_TRUE(first.seen.empty());
}

TEST_F(NexusTest, WhatWaitsForDataSeesWhatHasChangedMeanwhile) {
  const auto host = connect();
  host->port.holds = true;
  const auto tag = host->start_write(write16(0, 1), pattern(1, 1));
  first.now_state = engine::VolumeState::late;
  host->port.release_waiting();
  expect_sense(host->answer(tag), sense::not_ready_becoming_ready);
}

}  // namespace
}  // namespace target::scsi
