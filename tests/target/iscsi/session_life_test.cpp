// How sessions take each other's place, go silent and end; what changes of the configuration do.
#include <gmock/gmock.h>

#include "tests/target/iscsi/session_kit.h"

namespace target::iscsi {
namespace {

class IscsiSessionLife : public SessionTest {
 protected:
  Pdu write_of(Initiator& at, std::uint64_t lba, unsigned seed) {
    Pdu pdu = at.command(client::scsi::write(lba, pattern(512, seed), block_bytes));
    pdu.data = pattern(512, seed);
    return pdu;
  }
};

TEST_F(IscsiSessionLife, AReinstatedSessionBeginsWhenTheOldTasksHaveEnded) {
  Initiator& old = ready();
  first_.hold = true;
  old.send(write_of(old, 0, 1));
  old.send(write_of(old, 0, 2));  // waits for the first, and never comes
  run();
  ASSERT_EQ(first_.held().size(), 1U);

  Initiator& next = connect();
  host::LoginRequest request;
  next.send(host::to_pdu(request,
                         host::to_text({{"InitiatorName", initiator_1}, {"TargetName", node_a}})));
  run();
  EXPECT_FALSE(next.take(Opcode::login_response)) << "an old write is not over";
  EXPECT_TRUE(old.closed());
  first_.hold = false;
  first_.end(*first_.held().front());
  run();
  EXPECT_EQ(next.must(Opcode::login_response).u16(36), 0);
  EXPECT_FALSE(old.take(Opcode::scsi_response));

  (void)execute(next, client::scsi::test_unit_ready());  // unit attention
  next.send(write_of(next, 0, 3));
  run();
  EXPECT_EQ(next.must(Opcode::scsi_response).byte(3), 0);
  const Bytes expected = pattern(512, 3);
  EXPECT_TRUE(std::ranges::equal(first_.block(0), expected)) << "the old data came back";
  EXPECT_EQ(target().status().reinstated_sessions, 1U);
  EXPECT_TRUE(logged("session ended initiator=" + initiator_1));
}

TEST_F(IscsiSessionLife, OfManyThatComeBackTheLastOneStays) {
  login();
  first_.hold = true;
  for (int i = 0; i < 5; ++i) login();
  EXPECT_EQ(target().status().sessions.size(), 1U);
  EXPECT_EQ(std::ranges::count_if(initiators_, [](const auto& at) { return !at->closed(); }), 1);
}

TEST_F(IscsiSessionLife, WhoWaitsForAHungDiskIsEndedInTime) {
  Initiator& old = ready();
  first_.hold = true;
  old.send(write_of(old, 0, 1));
  run();
  Initiator& next = connect();
  next.send(
      host::to_pdu({}, host::to_text({{"InitiatorName", initiator_1}, {"TargetName", node_a}})));
  run();
  advance(16s);
  EXPECT_TRUE(next.closed());
  first_.end(*first_.held().front());
  run();
  EXPECT_TRUE(target().status().sessions.empty());
  first_.hold = false;
  login();
}

TEST_F(IscsiSessionLife, AnotherInitiatorPortIsAnotherSession) {
  Initiator& first = login();
  LoginFields fields;
  fields.request.isid = {0x80, 0, 0, 0, 0, 2};
  login(fields);
  EXPECT_FALSE(first.closed());
  EXPECT_EQ(target().status().sessions.size(), 2U);
}

TEST_F(IscsiSessionLife, ASilentInitiatorIsAskedAndThenEnded) {
  Initiator& at = login();
  Initiator& alive = login({.initiator = initiator_2});
  advance(29s);
  EXPECT_FALSE(at.take(Opcode::nop_in));
  advance(2s);
  ASSERT_TRUE(at.take(Opcode::nop_in));
  for (int i = 0; i < 10; ++i) {
    if (const auto ping = alive.take(Opcode::nop_in)) {
      EXPECT_EQ(ping->u32(16), host::no_tag);
      Pdu pong(Opcode::nop_out);
      alive.send(
          pong.immediate().u32(16, host::no_tag).u32(20, ping->u32(20)).u32(24, alive.command_sn));
    }
    advance(10s);
  }
  EXPECT_TRUE(at.closed());
  EXPECT_FALSE(alive.closed());
  EXPECT_EQ(target().status().nop_timeouts, 1U);
  EXPECT_EQ(target().status().sessions.size(), 1U);
}

TEST_F(IscsiSessionLife, TheWindowIsAsDeepAsTheSlots) {
  options_.queue_depth = 4;
  Initiator& at = ready();
  EXPECT_EQ(at.window_highest, at.command_sn + 3);
  first_.hold = true;
  for (int i = 0; i < 6; ++i) at.send(at.command(client::scsi::read(0, 1, block_bytes)));
  run();
  EXPECT_EQ(first_.held().size(), 4U) << "those beyond the window are ignored";
  at.command_sn -= 2;
  while (!first_.held().empty()) first_.end(*first_.held().front());
  first_.hold = false;
  run();
  int answered = 0;
  while (at.take(Opcode::data_in)) ++answered;
  EXPECT_EQ(answered, 4);
  EXPECT_EQ(execute(at, client::scsi::test_unit_ready()).byte(3), 0);
}

TEST_F(IscsiSessionLife, ANewUnitIsToldByAsyncMessageAndUnitAttention) {
  Initiator& at = ready();
  nvmf::HeldVolume third{engine::BlockSize{4096}, 64};
  block::BlockVolume third_block{third};
  ASSERT_TRUE(target().add_lun(node_a, {.lun = 2, .volume = &third_block, .initiators = {}}));
  run();
  const ReceivedPdu message = at.must(Opcode::async_message);
  EXPECT_EQ(message.byte(36), 0) << "SCSI event";
  ASSERT_GE(message.data.size(), 16U);
  EXPECT_EQ(message.data[2 + 12], std::byte{0x3f});
  EXPECT_EQ(message.data[2 + 13], std::byte{0x0e});
  EXPECT_EQ(execute(at, client::scsi::test_unit_ready()).byte(3), 2);
  EXPECT_EQ(execute(at, client::scsi::test_unit_ready()).byte(3), 0);
  EXPECT_EQ(target().add_lun(node_a, {.lun = 2, .volume = &third_block, .initiators = {}}).error(),
            LunError::in_use);
  ASSERT_TRUE(target().remove_lun(node_a, 2));
  run();
  EXPECT_TRUE(at.take(Opcode::async_message));
  EXPECT_EQ(target().remove_lun(node_a, 2).error(), LunError::not_found);
  EXPECT_EQ(target().remove_lun("iqn.none", 2).error(), LunError::no_node);
}

TEST_F(IscsiSessionLife, ARemovedTargetAsksForLogoutAndThenEnds) {
  Initiator& polite = login();
  Initiator& deaf = login({.initiator = initiator_2});
  ASSERT_TRUE(target().remove_node(node_a));
  run();
  const ReceivedPdu wish = polite.must(Opcode::async_message);
  EXPECT_EQ(wish.byte(36), 1);
  EXPECT_EQ(wish.u16(42), 2) << "seconds";
  EXPECT_EQ(deaf.must(Opcode::async_message).byte(36), 1);
  polite.send(polite.request(Opcode::logout, 0x80));
  run();
  EXPECT_TRUE(polite.take(Opcode::logout_response));
  EXPECT_FALSE(deaf.closed());
  advance(1900ms);
  EXPECT_FALSE(deaf.closed()) << "it has been promised two seconds";
  advance(200ms);
  const ReceivedPdu last_word = deaf.must(Opcode::async_message);
  EXPECT_EQ(last_word.byte(36), 2) << "connection drop";
  EXPECT_EQ(last_word.u16(40), 2) << "Time2Wait";
  EXPECT_EQ(last_word.u16(42), 0) << "Time2Retain";
  EXPECT_TRUE(deaf.closed());
  EXPECT_EQ(try_login(connect()).u16(36), 0x0203);
}

TEST_F(IscsiSessionLife, OnlyThoseNotAdmittedAnyMoreEnd) {
  Initiator& stays = login();
  Initiator& goes = login({.initiator = initiator_2});
  ASSERT_TRUE(target().set_initiators(node_a, {.allow_any = false, .names = {initiator_1}}));
  run();
  EXPECT_TRUE(goes.take(Opcode::async_message));
  EXPECT_FALSE(stays.take(Opcode::async_message));
  advance(3s);
  EXPECT_TRUE(goes.closed());
  EXPECT_FALSE(stays.closed());
}

TEST_F(IscsiSessionLife, SessionsOfARemovedListenerEnd) {
  Initiator& goes = login();
  options_.listener = "san-b";
  Initiator& stays = login({.initiator = initiator_2});
  ASSERT_TRUE(target().remove_listener("san-a"));
  run();
  advance(3s);
  EXPECT_TRUE(goes.closed());
  EXPECT_FALSE(stays.closed());
}

TEST_F(IscsiSessionLife, WhenTheDaemonStopsWhatIsUnderWayIsAnswered) {
  Initiator& at = ready();
  first_.hold = true;
  at.send(write_of(at, 0, 1));
  run();
  target().end_sessions();
  run();
  EXPECT_TRUE(at.take(Opcode::async_message));
  advance(2500ms);
  EXPECT_FALSE(at.closed());
  first_.end(*first_.held().front());
  run();
  EXPECT_EQ(at.must(Opcode::scsi_response).byte(3), 0);
  EXPECT_TRUE(at.closed());
}

TEST_F(IscsiSessionLife, WhatASessionDoesIsCountedForItAndForItsProtocol) {
  Initiator& at = ready();
  at.send(write_of(at, 0, 1));
  at.send(at.command(client::scsi::read(0, 2, block_bytes)));
  run();
  const auto sessions = target().status().sessions;
  ASSERT_EQ(sessions.size(), 1U);
  EXPECT_EQ(sessions[0].counts.write_commands, 1U);
  EXPECT_EQ(sessions[0].counts.bytes_written, block_bytes);
  EXPECT_EQ(sessions[0].counts.read_commands, 1U);
  EXPECT_EQ(sessions[0].counts.bytes_read, 2U * block_bytes);
  EXPECT_EQ(all_counters_.iscsi.opened, 1U);
  EXPECT_GT(all_counters_.iscsi.bytes_sent, 2U * block_bytes);
  EXPECT_EQ(all_counters_.nvme_tcp.opened, 0U);
  EXPECT_EQ(all_counters_.nvme_tcp.bytes_sent, 0U);
  EXPECT_EQ(all_counters_.sum(&ConnectionCounters::opened), 1U);
}

TEST_F(IscsiSessionLife, ALostConnectionLeavesNothing) {
  Initiator& at = ready();
  Initiator& other = ready({.initiator = initiator_2});
  first_.hold = true;
  for (unsigned i = 0; i < 20; ++i) at.send(write_of(at, i, i));
  run();
  at.wire->broken = true;
  run();
  EXPECT_EQ(target().status().sessions.size(), 2U) << "until the disk has done";
  while (!first_.held().empty()) first_.end(*first_.held().front());
  run();
  EXPECT_EQ(target().status().sessions.size(), 1U);
  first_.hold = false;
  EXPECT_EQ(execute(other, client::scsi::test_unit_ready()).byte(3), 0);
}

}  // namespace
}  // namespace target::iscsi
