#include "target/scsi/management.h"

#include "tests/target/scsi/nexus_kit.h"

namespace target::scsi {
namespace {

using protocol::scsi::SenseCode;
using Codes = std::vector<SenseCode>;
using Function = ManagementFunction;
using Response = ManagementResponse;

class ManagementTest : public NexusTest {
 protected:
  static ManagementRequest request(Function function, std::uint32_t tag = 0,
                                   std::uint16_t lun = 0) {
    return {.function = function, .lun = Lun::of_unit(lun), .tag = tag};
  }
  std::unique_ptr<Session> host = connect();
  std::unique_ptr<Session> other = connect("iqn.2026-11.net.example:other");
};

TEST_F(ManagementTest, ATaskThatWaitsForItsDataIsTakenBackAtOnce) {
  host->port.holds = true;
  const auto tag = host->start_write(write16(0, 1), pattern(1, 1));
  EXPECT_EQ(host->manage(request(Function::abort_task, tag)), Response::complete);
  EXPECT_TRUE(host->port.was_dropped(tag));
  EXPECT_EQ(host->port.answer_to(tag), nullptr);
  EXPECT_TRUE(host->port.waiting.empty());
  EXPECT_EQ(host->nexus->outstanding(), 0U);
  EXPECT_EQ(host->nexus->counts().aborted, 1U);
}

TEST_F(ManagementTest, AWriteThatWaitsForAnotherOneIsTakenBackAtOnce) {
  first.hold = true;
  const auto one = other->start_write(write16(0, 1), pattern(1, 1));
  const auto two = host->start_write(write16(0, 1), pattern(1, 2));
  EXPECT_EQ(host->manage(request(Function::abort_task, two)), Response::complete);
  EXPECT_TRUE(host->port.was_dropped(two));
  first.end_first();
  expect_good(other->answer(one));
  EXPECT_EQ(first.block(0)[0], std::byte{1});
  EXPECT_TRUE(first.held().empty());
  EXPECT_TRUE(first_block.write_order().idle());
}

TEST_F(ManagementTest, WhatADiskWorksOnIsWaitedForAndNotAnswered) {
  first.hold = true;
  const auto tag = host->start_write(write16(0, 1), pattern(1, 1));
  EXPECT_EQ(host->manage(request(Function::abort_task, tag)), std::nullopt);
  first.end_first();
  EXPECT_EQ(host->managed(), Response::complete);
  EXPECT_TRUE(host->port.was_dropped(tag));
  EXPECT_EQ(host->port.answer_to(tag), nullptr);
}

TEST_F(ManagementTest, ATaskThatHasEndedIsNotThere) {
  const auto tag = host->start_read(read16(0, 1), 512);
  EXPECT_EQ(host->manage(request(Function::abort_task, tag)), Response::no_task);
  EXPECT_EQ(host->manage(request(Function::abort_task, 1, 9)), Response::no_lun);
  EXPECT_EQ(host->manage(request(Function::logical_unit_reset, 0, 9)), Response::no_lun);
  EXPECT_EQ(host->manage(request(Function::clear_aca)), Response::not_supported);
  EXPECT_EQ(host->manage(request(Function::task_reassign)), Response::not_supported);
}

TEST_F(ManagementTest, AnAbortedTaskFreesThoseHeldBehindIt) {
  first.hold = true;
  const auto one = host->start_read(read16(0, 1), 512);
  const auto two = host->start({.cdb = read16(1, 1),
                                .direction = DataDirection::to_host,
                                .expected_bytes = 512,
                                .attribute = TaskAttribute::ordered});
  const auto three = host->start_read(read16(2, 1), 512);
  EXPECT_EQ(host->manage(request(Function::abort_task, two)), Response::complete);
  EXPECT_TRUE(host->port.was_dropped(two));
  EXPECT_EQ(first.held().size(), 2U);
  first.end_first();
  first.end_first();
  expect_good(host->answer(one));
  expect_good(host->answer(three));
}

TEST_F(ManagementTest, AbortTaskSetEndsAllOfOneNexusAndUnit) {
  first.hold = true;
  const auto running = host->start_read(read16(0, 1), 512);
  const auto held = host->start({.cdb = read16(1, 1),
                                 .direction = DataDirection::to_host,
                                 .expected_bytes = 512,
                                 .attribute = TaskAttribute::ordered});
  const auto elsewhere = host->start_read(read16(0, 1), 512, 1);
  const auto others = other->start_read(read16(2, 1), 512);
  EXPECT_EQ(host->manage(request(Function::abort_task_set)), std::nullopt);
  EXPECT_TRUE(host->port.was_dropped(held));
  first.end_first();
  EXPECT_EQ(host->managed(), Response::complete);
  EXPECT_TRUE(host->port.was_dropped(running));
  first.end_first();
  expect_good(other->answer(others));
  expect_good(host->answer(elsewhere));
  EXPECT_EQ(other->take_attentions(), Codes{});
}

TEST_F(ManagementTest, AUnitResetEndsTheTasksOfAllAndTellsAll) {
  first.hold = true;
  const auto mine = host->start_read(read16(0, 1), 512);
  const auto theirs = other->start_write(write16(4, 1), pattern(1, 1));
  EXPECT_EQ(host->manage(request(Function::logical_unit_reset)), std::nullopt);
  first.end_first();
  EXPECT_EQ(host->managed(), std::nullopt) << "a task of the other session is still under way";
  first.end_first();
  EXPECT_EQ(host->managed(), Response::complete);
  EXPECT_TRUE(host->port.was_dropped(mine));
  EXPECT_TRUE(other->port.was_dropped(theirs));
  EXPECT_EQ(host->take_attentions(), (Codes{sense::device_reset_by_function.code}));
  EXPECT_EQ(other->take_attentions(), (Codes{sense::device_reset_by_function.code}));
  EXPECT_EQ(other->take_attentions(1), Codes{});
}

TEST_F(ManagementTest, ATargetResetIsOfEveryUnit) {
  EXPECT_EQ(host->manage(request(Function::target_warm_reset)), Response::complete);
  for (const auto lun : {std::uint16_t{0}, std::uint16_t{1}}) {
    EXPECT_EQ(host->take_attentions(lun), (Codes{sense::device_reset_by_function.code}));
    EXPECT_EQ(other->take_attentions(lun), (Codes{sense::device_reset_by_function.code}));
  }
}

TEST_F(ManagementTest, AResetBringsTheModeParametersBack) {
  const auto mode = host->run_read(cdb({0x1a, 0x08, 0x0a, 0, 255}), 255);
  std::vector<std::byte> list(mode.data.begin(), mode.data.end());
  list[0] = list[2] = std::byte{0};
  list[4 + 4] |= std::byte{1 << 3};  // SWP
  expect_good(host->run_write(cdb({0x15, 0x10, 0, 0, static_cast<int>(list.size())}), list));
  EXPECT_EQ(other->take_attentions(), (Codes{sense::mode_parameters_changed.code}));
  EXPECT_EQ(host->take_attentions(), Codes{});
  expect_sense(other->run_write(write16(0, 1), pattern(1, 1)), sense::write_protected);
  EXPECT_EQ(host->manage(request(Function::logical_unit_reset)), Response::complete);
  (void)other->take_attentions();
  expect_good(other->run_write(write16(0, 1), pattern(1, 1)));
}

TEST_F(ManagementTest, ASessionEndsWhenItsLastTaskHas) {
  first.hold = true;
  const auto running = host->start_write(write16(0, 1), pattern(1, 1));
  const auto in_order = host->start_write(write16(0, 2), pattern(2, 2));
  host->port.holds = true;
  const auto waiting = host->start_write(write16(8, 1), pattern(1, 3));
  host->end();
  EXPECT_FALSE(host->ended);
  EXPECT_TRUE(host->port.was_dropped(in_order));
  EXPECT_TRUE(host->port.was_dropped(waiting));
  EXPECT_FALSE(host->port.was_dropped(running));
  first.end_first();
  reactor.run_until_idle();
  EXPECT_TRUE(host->ended);
  EXPECT_TRUE(host->port.was_dropped(running));
  EXPECT_TRUE(host->port.answers.empty() || host->port.answers.back().tag < running);
  EXPECT_TRUE(first_block.write_order().idle());
}

// What is told after the end would be told to a connection that is gone.
TEST_F(ManagementTest, NobodyIsToldOfAFunctionWhenItsSessionHasEnded) {
  first.hold = true;
  const auto theirs = other->start_read(read16(0, 1), 512);
  EXPECT_EQ(host->manage(request(Function::logical_unit_reset)), std::nullopt);
  host->end();
  EXPECT_TRUE(host->ended);
  first.end_first();
  EXPECT_EQ(host->managed(), std::nullopt);
  EXPECT_TRUE(other->port.was_dropped(theirs));
}

TEST_F(ManagementTest, ALongCommandIsLeftBetweenItsPieces) {
  const auto tag = host->start_write(cdb16(0x93, 0, 5000), pattern(1, 5));
  EXPECT_EQ(host->manage(request(Function::abort_task, tag)), Response::complete);
  EXPECT_TRUE(host->port.was_dropped(tag));
  EXPECT_EQ(first.block(4999)[0], std::byte{0});
  EXPECT_EQ(first_block.buffers().held(), 0U);
  EXPECT_TRUE(first_block.write_order().idle());
}

}  // namespace
}  // namespace target::scsi
