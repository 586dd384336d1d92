// The life of an association: enable, reset, shutdown, keep-alive, events, Abort, Disconnect.
#include "target/nvmf/controller.h"

#include <gtest/gtest.h>

#include "protocol/nvme/identify_namespace.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

using namespace std::chrono_literals;
using nvme::FeatureId;

nvme::SubmissionEntry event_request() { return entry_of(nvme::AdminOpcode::async_event_request); }
nvme::SubmissionEntry keep_alive() { return entry_of(nvme::AdminOpcode::keep_alive); }
nvme::SubmissionEntry flush(std::uint32_t nsid = 1) {
  auto entry = entry_of(std::uint8_t{0x00});
  entry.nsid = nsid;
  return entry;
}
constexpr std::uint32_t all_notices =
    nvme::event_bit::namespace_attribute | nvme::event_bit::ana_change;

class ControllerTest : public TargetHarness {
 protected:
  std::uint32_t csts(Link& made) {
    return static_cast<std::uint32_t>(made.must(property_get(nvme::property::csts)).result);
  }
};

TEST_F(ControllerTest, CommandsWaitForEnable) {
  auto made = link();
  made->connect({});
  EXPECT_EQ(made->must(identify_entry(1)).status.code, status::command_sequence_error.code);
  EXPECT_EQ(made->must(keep_alive()).status.code, status::command_sequence_error.code);
  EXPECT_EQ(csts(*made), 0U);
  made->must(property_set(nvme::property::cc, cc_enable));
  EXPECT_EQ(csts(*made), 1U);
  EXPECT_EQ(made->must(identify_entry(1)).status, status::success);
}

TEST_F(ControllerTest, ResetEndsTheIoQueuesAndTheControllerCanBeEnabledAgain) {
  auto made = admin();
  made->must(set_feature(FeatureId::number_of_queues, 0));
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  const auto request = made->run(event_request());
  EXPECT_EQ(request, nullptr) << "outstanding";
  const auto request_id = made->last_command();
  auto queue = io(1);
  EXPECT_EQ(queue->must(flush()).status, status::success);

  EXPECT_EQ(made->must(property_set(nvme::property::cc, cc_disable)).status, status::success);
  EXPECT_EQ(csts(*made), 0U);
  ASSERT_NE(made->port.answer_to(request_id), nullptr);
  EXPECT_EQ(made->port.answer_to(request_id)->status.code, status::abort_requested.code);
  EXPECT_EQ(queue->must(flush()).status.code, status::aborted_queue_deleted.code);
  reactor.run_until_idle();
  EXPECT_EQ(queue->port.ended, EndReason::controller_reset);
  EXPECT_FALSE(made->port.ended) << "the association stays";

  EXPECT_EQ(made->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
  EXPECT_EQ(made->must(get_feature(FeatureId::number_of_queues)).result, 0x0003'0003U)
      << "features are as they were at first";
  EXPECT_EQ(made->must(get_feature(FeatureId::async_event_configuration)).result, 0U);
  // The old connection ends later than the new one comes: they do not disturb each other.
  auto again = io(1);
  queue->close();
  EXPECT_EQ(again->must(flush()).status, status::success);
  EXPECT_EQ(target.status().controllers.at(0).queues.size(), 2U);
}

// The old queue's connection ends on its own reactor, a moment later.
TEST_F(ControllerTest, QueueFromBeforeAResetTakesNoCommandAfterIt) {
  auto made = admin();
  auto queue = io(1);
  made->must(property_set(nvme::property::cc, cc_disable));
  made->must(property_set(nvme::property::cc, cc_enable));
  const auto status_after = queue->must(flush()).status;
  EXPECT_EQ(status_after.code, status::aborted_queue_deleted.code);
  EXPECT_FALSE(status_after.do_not_retry);
  auto again = io(1);
  EXPECT_EQ(again->must(flush()).status, status::success);
  EXPECT_EQ(queue->must(flush()).status.code, status::aborted_queue_deleted.code);
}

TEST_F(ControllerTest, ShutdownIsCompleteAndNothingRunsAfterIt) {
  auto made = admin();
  auto queue = io(1);
  EXPECT_EQ(made->must(property_set(nvme::property::cc, cc_shutdown)).status, status::success);
  EXPECT_EQ(csts(*made) & 0xcU, 0x8U) << "SHST: complete";
  EXPECT_EQ(made->must(identify_entry(1)).status.code, status::command_sequence_error.code);
  EXPECT_EQ(queue->must(flush()).status.code, status::aborted_queue_deleted.code);
  pass(119s);
  EXPECT_FALSE(made->port.ended) << "preserved for two minutes";
  pass(1s);
  EXPECT_EQ(made->port.ended, EndReason::controller_reset);
  EXPECT_EQ(queue->port.ended, EndReason::controller_reset);
}

TEST_F(ControllerTest, HostThatNeverEnablesIsNotKept) {
  auto made = link();
  made->connect({.keep_alive_ms = 0});
  pass(120s);
  EXPECT_EQ(made->port.ended, EndReason::controller_reset);
}

TEST_F(ControllerTest, DisconnectEndsItsQueueAlone) {
  auto made = admin();
  auto first = io(1);
  auto second = io(2);
  EXPECT_EQ(first->must(fabrics_entry(nvme::FabricsType::disconnect)).status, status::success);
  EXPECT_EQ(first->port.ended, EndReason::disconnected);
  EXPECT_TRUE(first->ended());
  EXPECT_EQ(second->must(flush()).status, status::success);
  auto again = io(1);
  EXPECT_EQ(made->must(fabrics_entry(nvme::FabricsType::disconnect)).status.code,
            status::invalid_queue_type.code)
      << "not for an Admin queue";
  EXPECT_FALSE(made->port.ended);
}

TEST_F(ControllerTest, PropertiesAndAuthenticationAreNotForIoQueues) {
  auto made = admin();
  auto queue = io(1);
  EXPECT_TRUE(queue->must(property_get(nvme::property::csts)).status.is(status::invalid_opcode));
  EXPECT_TRUE(queue->must(fabrics_entry(static_cast<nvme::FabricsType>(0x20)))
                  .status.is(status::invalid_opcode));
  EXPECT_EQ(made->must(fabrics_entry(static_cast<nvme::FabricsType>(0x20))).status.code,
            status::invalid_opcode.code);
}

TEST_F(ControllerTest, LostAdminConnectionEndsTheAssociation) {
  auto made = admin();
  auto first = io(1);
  auto second = io(2);
  made->close(EndReason::connection_lost);
  EXPECT_EQ(first->must(flush()).status.code, status::aborted_queue_deleted.code);
  reactor.run_until_idle();
  EXPECT_EQ(first->port.ended, EndReason::connection_lost);
  EXPECT_EQ(second->port.ended, EndReason::connection_lost);
  EXPECT_TRUE(target.status().controllers.empty());
}

TEST_F(ControllerTest, LostIoConnectionLeavesTheRest) {
  auto made = admin();
  auto first = io(1);
  first->close();
  reactor.run_until_idle();
  EXPECT_FALSE(made->port.ended);
  EXPECT_EQ(target.status().controllers.at(0).queues.size(), 1U);
}

// Keep-alive.

TEST_F(ControllerTest, SilentHostLosesItsAssociationAtKato) {
  auto made = admin({.keep_alive_ms = 5000});
  auto queue = io(1);
  pass(4900ms);
  EXPECT_FALSE(made->port.ended) << "Property Set and Connect are traffic of no interval";
  for (int i = 0; i < 3; ++i) pass(5s);
  EXPECT_EQ(made->port.ended, EndReason::keep_alive_timeout);
  EXPECT_EQ(queue->port.ended, EndReason::keep_alive_timeout);
  EXPECT_EQ(target.status().keep_alive_timeouts, 1U);
  EXPECT_TRUE(target.status().controllers.empty());
}

TEST_F(ControllerTest, KeepAliveCommandsKeepItFor) {
  auto made = admin({.keep_alive_ms = 5000});
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(made->must(keep_alive()).status, status::success);
    pass(4s);
    ASSERT_FALSE(made->port.ended) << i;
  }
  // The last interval had a command in it; the next has none.
  pass(5s);
  pass(5s);
  EXPECT_EQ(made->port.ended, EndReason::keep_alive_timeout);
}

TEST_F(ControllerTest, IoIsAsGoodAsKeepAlive) {
  auto made = admin({.keep_alive_ms = 5000});
  auto queue = io(1);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(queue->must(flush()).status, status::success);
    pass(5s);
    ASSERT_FALSE(made->port.ended) << i;
  }
  pass(5s);
  EXPECT_EQ(made->port.ended, EndReason::keep_alive_timeout);
}

TEST_F(ControllerTest, WithoutKatoASilentHostStays) {
  auto made = admin({.keep_alive_ms = 0});
  for (int i = 0; i < 100; ++i) pass(1h);
  EXPECT_FALSE(made->port.ended);
  EXPECT_EQ(made->must(keep_alive()).status, status::success);
}

TEST_F(ControllerTest, KatoSetLaterCountsFromThen) {
  auto made = admin({.keep_alive_ms = 0});
  EXPECT_EQ(made->must(set_feature(FeatureId::keep_alive_timer, 0)).status.code,
            status::keep_alive_invalid.code)
      << "the transport requires it: it cannot be switched off";
  EXPECT_EQ(made->must(set_feature(FeatureId::keep_alive_timer, 1500)).status, status::success);
  EXPECT_EQ(made->must(get_feature(FeatureId::keep_alive_timer)).result, 2000U)
      << "rounded up to KAS";
  for (int i = 0; i < 3; ++i) pass(2s);
  EXPECT_EQ(made->port.ended, EndReason::keep_alive_timeout);
}

TEST_F(ControllerTest, BusyTimeCountsIntervalsWithIo) {
  auto made = admin({.keep_alive_ms = 120'000});
  auto queue = io(1);
  queue->must(flush());
  pass(120s);
  const auto smart = made->must(log_entry(0x02, 512));
  EXPECT_EQ(static_cast<int>(smart.data.at(96)), 2) << "controller busy minutes";
}

// Events.

TEST_F(ControllerTest, EventRequestsAreLimited) {
  auto made = admin();
  for (std::uint32_t i = 0; i < async_event_limit; ++i)
    EXPECT_EQ(made->run(event_request()), nullptr);
  EXPECT_EQ(made->must(event_request()).status.code, status::async_event_limit_exceeded.code);
}

TEST_F(ControllerTest, GrowthIsToldOnceUntilTheListIsRead) {
  auto made = admin();
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  made->run(event_request());
  const auto first = made->last_command();
  made->run(event_request());
  const auto second = made->last_command();

  large.set_blocks(2048);
  target.refresh_volumes();
  reactor.run_until_idle();
  ASSERT_NE(made->port.answer_to(first), nullptr);
  EXPECT_EQ(made->port.answer_to(first)->result, 0x0004'0002U);
  small.set_blocks(4096);
  target.refresh_volumes();
  reactor.run_until_idle();
  EXPECT_EQ(made->port.answer_to(second), nullptr) << "masked until the host has read";

  auto list = made->must(log_entry(0x04, 4096, 0, /*retain=*/true));
  EXPECT_EQ(static_cast<int>(list.data.at(0)), 1);
  EXPECT_EQ(static_cast<int>(list.data.at(4)), 2);
  EXPECT_EQ(made->port.answer_to(second), nullptr);
  list = made->must(log_entry(0x04, 4096));
  EXPECT_EQ(static_cast<int>(list.data.at(4)), 2) << "retained by the first read";
  list = made->must(log_entry(0x04, 4096));
  EXPECT_EQ(static_cast<int>(list.data.at(0)), 0) << "cleared by the second";

  large.set_blocks(4096);
  target.refresh_volumes();
  reactor.run_until_idle();
  ASSERT_NE(made->port.answer_to(second), nullptr);
}

// Feature 84h is the volume's: every host sees it, and is told.
TEST_F(ControllerTest, ANamespaceIsWriteProtectedForAllHosts) {
  auto made = admin();
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  const auto protection = FeatureId::write_protection;
  const auto set = [&](std::uint32_t nsid, std::uint32_t state, bool save = false) {
    auto entry = set_feature(protection, state);
    entry.nsid = nsid;
    if (save) entry.cdw10 = entry.cdw10 | (1U << 31);
    made->run(entry);
    reactor.run_until_idle();  // the volume answers, and then the queue
    const auto* const answer = made->port.answer_to(made->last_command());
    EXPECT_NE(answer, nullptr);
    return answer != nullptr ? answer->status : nvme::Status{};
  };
  const auto get = [&](std::uint32_t nsid) {
    auto entry = get_feature(protection);
    entry.nsid = nsid;
    return made->must(entry);
  };
  EXPECT_EQ(get(1).result, 0U);
  EXPECT_EQ(set(1, 1), status::success);
  EXPECT_EQ(small.protection, engine::WriteProtection::kept);
  EXPECT_EQ(get(1).result, 1U);
  EXPECT_EQ(get(2).result, 0U);
  target.refresh_volumes();
  made->run(event_request());
  reactor.run_until_idle();
  EXPECT_EQ(made->port.answer_to(made->last_command())->result, 0x0004'0002U);
  const auto page = page_of<nvme::IdentifyNamespacePage>(made->must(identify_entry(0x00, 1)));
  EXPECT_EQ(page.nsattr & 1, 1);
  EXPECT_EQ(set(0xffff'ffff, 0), status::success) << "all of them";
  EXPECT_EQ(get(1).result, 0U);

  EXPECT_TRUE(set(1, 3).is(status::invalid_field)) << "permanent is not offered";
  EXPECT_TRUE(set(1, 4).is(status::invalid_field));
  EXPECT_TRUE(set(1, 1, /*save=*/true).is(status::feature_not_saveable));
  EXPECT_TRUE(set(77, 1).is(status::invalid_namespace));
  EXPECT_TRUE(set(0, 1).is(status::invalid_namespace));
  small.keeps = false;
  EXPECT_TRUE(set(1, 1).is(status::internal_error)) << "what is not kept has not happened";
  EXPECT_EQ(get(1).result, 0U);
  small.keeps = true;
  EXPECT_EQ(set(1, 2), status::success);
  EXPECT_EQ(get(1).result, 2U);
  EXPECT_TRUE(set(1, 0).is(status::feature_not_changeable)) << "until a power cycle";
  EXPECT_EQ(set(1, 2), status::success);
  small.now_state = engine::VolumeState::late;
  EXPECT_TRUE(set(1, 2).is(status::namespace_not_ready));
  EXPECT_TRUE(get(1).status.is(status::namespace_not_ready));
}

TEST_F(ControllerTest, EventsWaitForARequest) {
  auto made = admin();
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  EXPECT_TRUE(target.remove_namespace(subsystem_a, 2));
  reactor.run_until_idle();
  EXPECT_EQ(made->must(event_request()).result, 0x0004'0002U);
  EXPECT_EQ(made->run(event_request()), nullptr)
      << "the ANA page has changed, too, but that is not told besides";
}

TEST_F(ControllerTest, HostIsNotToldOfNamespacesItDoesNotSee) {
  auto sees = admin({.host = host_1});
  auto blind = admin({.host = host_2});
  for (auto* made : {sees.get(), blind.get()}) {
    made->must(set_feature(FeatureId::async_event_configuration, all_notices));
    made->run(event_request());
  }
  masked.set_blocks(1024);
  target.refresh_volumes();
  reactor.run_until_idle();
  EXPECT_NE(sees->port.answer_to(sees->last_command()), nullptr);
  EXPECT_EQ(blind->port.answer_to(blind->last_command()), nullptr);
  EXPECT_EQ(static_cast<int>(blind->must(log_entry(0x04, 4096)).data.at(0)), 0);
}

TEST_F(ControllerTest, TemperatureThresholdBelowTheRoomIsAWarning) {
  auto made = admin();
  made->must(set_feature(FeatureId::async_event_configuration, 0x02));
  made->run(event_request());
  const auto request = made->last_command();
  EXPECT_EQ(made->must(set_feature(FeatureId::temperature_threshold, 290)).status, status::success);
  reactor.run_until_idle();
  ASSERT_NE(made->port.answer_to(request), nullptr);
  EXPECT_EQ(made->port.answer_to(request)->result, 0x0002'0101U);
  EXPECT_EQ(static_cast<int>(made->must(log_entry(0x02, 512)).data.at(0)), 2) << "critical warning";
}

TEST_F(ControllerTest, RetryDelaysAreForHostsThatAskedForThem) {
  auto made = admin();
  auto queue = io(1);
  auto read = entry_of(std::uint8_t{0x02}, 512);
  read.nsid = 1;
  small.now_state = engine::VolumeState::failed;
  EXPECT_EQ(queue->must(read).status.retry_delay, 0);
  Command command;
  command.entry = read;
  EXPECT_EQ(queue->session->try_later(command).field(), status::command_interrupted.field());
  made->port.host_data.assign(512, std::byte{0});
  made->port.host_data[0] = std::byte{1};
  EXPECT_EQ(made->must(set_feature(FeatureId::host_behavior, 0, 512)).status, status::success);
  const auto delayed = queue->must(read).status;
  EXPECT_EQ(delayed.retry_delay, 1) << "CRDT1";
  EXPECT_EQ(delayed.code, status::namespace_not_ready.code);
  EXPECT_EQ(delayed.field() & 0x3000, 0x1000);
  EXPECT_EQ(queue->session->try_later(command).retry_delay, 1);
  made->must(property_set(nvme::property::cc, cc_disable));
  made->must(property_set(nvme::property::cc, cc_enable));
  EXPECT_EQ(io(1)->must(read).status.retry_delay, 0) << "a reset forgets it";
}

// Linux reads the ANA log, connects its I/O queues, and only then asks for notifications.
TEST_F(ControllerTest, ChangeBetweenTheFirstReadAndTheRequestForNotificationsIsTold) {
  auto made = admin();
  made->must(log_entry(0x0c, 256));
  made->run(event_request());
  const auto request = made->last_command();
  large.now_state = engine::VolumeState::late;
  target.refresh_volumes();
  reactor.run_until_idle();
  EXPECT_EQ(made->port.answer_to(request), nullptr) << "not asked for yet";
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  reactor.run_until_idle();
  ASSERT_NE(made->port.answer_to(request), nullptr);
  EXPECT_EQ(made->port.answer_to(request)->result, 0x000c'0302U);
}

TEST_F(ControllerTest, GrowthBetweenIdentifyAndTheRequestForNotificationsIsTold) {
  auto made = admin();
  large.set_blocks(2048);
  target.refresh_volumes();
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  EXPECT_EQ(made->must(event_request()).result, 0x0004'0002U);
}

TEST_F(ControllerTest, NothingIsToldThatTheHostHasRead) {
  auto made = admin();
  large.now_state = engine::VolumeState::late;
  target.refresh_volumes();
  made->must(log_entry(0x0c, 256));
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  EXPECT_EQ(made->run(event_request()), nullptr);
}

TEST_F(ControllerTest, RetainedReadDoesNotCountAsRead) {
  auto made = admin();
  large.now_state = engine::VolumeState::late;
  target.refresh_volumes();
  made->must(log_entry(0x0c, 256, 0, /*retain=*/true));
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  EXPECT_EQ(made->must(event_request()).result, 0x000c'0302U);
}

TEST_F(ControllerTest, ChangeOfWhatTheHostDoesNotSeeIsNotToldLaterEither) {
  auto blind = admin({.host = host_2});
  blind->must(log_entry(0x0c, 256));
  masked.now_state = engine::VolumeState::late;
  target.refresh_volumes();
  blind->must(set_feature(FeatureId::async_event_configuration, all_notices));
  EXPECT_EQ(blind->run(event_request()), nullptr);
}

// Late volumes.

TEST_F(ControllerTest, LateVolumeMakesHostsWaitAndTellsThemWhenItComes) {
  large.now_state = engine::VolumeState::late;
  target.refresh_volumes();
  auto made = admin();
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  made->run(event_request());
  const auto request = made->last_command();
  auto queue = io(1);

  const auto held_off = queue->must(flush(2)).status;
  EXPECT_EQ(held_off.type, nvme::StatusCodeType::path);
  EXPECT_EQ(held_off.code, status::ana_inaccessible.code);
  EXPECT_FALSE(held_off.do_not_retry) << "with DNR a host would fail the I/O";
  EXPECT_EQ(queue->must(flush(1)).status, status::success) << "the others are served";

  large.now_state = engine::VolumeState::online;
  target.refresh_volumes();
  EXPECT_EQ(queue->must(flush(2)).status, status::success);
  reactor.run_until_idle();
  ASSERT_NE(made->port.answer_to(request), nullptr);
  EXPECT_EQ(made->port.answer_to(request)->result, 0x000c'0302U);
}

TEST_F(ControllerTest, WhenTheHostIsToldLogAndIoAgreeAlready) {
  auto made = admin();
  auto queue = io(1);
  made->must(set_feature(FeatureId::async_event_configuration, all_notices));
  bool late = false;
  for (int round = 0; round < 10; ++round) {
    made->run(event_request());
    const auto request = made->last_command();
    late = !late;
    large.now_state = late ? engine::VolumeState::late : engine::VolumeState::online;
    target.refresh_volumes();
    reactor.run_until_idle();
    ASSERT_NE(made->port.answer_to(request), nullptr) << round;
    const auto log = made->must(log_entry(0x0c, 16 + 3 * 36));
    // Header, then 36 bytes for each group: group 2 is the second.
    EXPECT_EQ(static_cast<int>(log.data.at(16 + 36)), 2);
    EXPECT_EQ(static_cast<int>(log.data.at(16 + 36 + 16)), late ? 3 : 1);
    EXPECT_EQ(queue->must(flush(2)).status.is_success(), !late);
  }
}

TEST_F(ControllerTest, AddedNamespaceServesAtOnceAndRemovedOneIsGone) {
  SettableVolume added("added", uuid_of(3), 4096, 64);
  block::BlockVolume block(added);
  auto made = admin();
  auto queue = io(1);
  EXPECT_EQ(queue->must(flush(3)).status.code, status::invalid_namespace.code);
  EXPECT_TRUE(target.add_namespace(subsystem_a, {.nsid = 3, .volume = &block, .hosts = {}}));
  EXPECT_EQ(queue->must(flush(3)).status, status::success);
  EXPECT_TRUE(target.remove_namespace(subsystem_a, 3));
  EXPECT_EQ(queue->must(flush(3)).status.code, status::invalid_namespace.code);
  EXPECT_EQ(target.remove_namespace(subsystem_a, 3).error(), NamespaceError::not_found);
  EXPECT_EQ(
      target
          .add_namespace("nqn.2026-11.com.example:none", {.nsid = 3, .volume = &block, .hosts = {}})
          .error(),
      NamespaceError::no_subsystem);
}

TEST_F(ControllerTest, MaskedNamespaceIsNoNamespace) {
  auto made = admin({.host = host_2});
  auto queue = io(1, {.host = host_2});
  EXPECT_EQ(queue->must(flush(7)).status.code, status::invalid_namespace.code);
}

// Abort.

TEST_F(ControllerTest, AbortOfWhatDoesNotExistSaysNotAborted) {
  auto made = admin();
  EXPECT_EQ(made->must(abort_entry(3, 1)).result, nvme::abort_not_done);
  EXPECT_EQ(made->must(abort_entry(0, 999)).result, nvme::abort_not_done);
  auto queue = io(1);
  EXPECT_EQ(made->run(abort_entry(1, 77)), nullptr) << "asked of the queue's own reactor";
  const auto id = made->last_command();
  reactor.run_until_idle();
  ASSERT_NE(made->port.answer_to(id), nullptr);
  EXPECT_EQ(made->port.answer_to(id)->result, nvme::abort_not_done);
}

TEST_F(ControllerTest, AbortOfAnEventRequestAnswersBoth) {
  auto made = admin();
  made->run(event_request());
  const auto request = made->last_command();
  EXPECT_EQ(made->must(abort_entry(0, request)).result, nvme::abort_done);
  ASSERT_NE(made->port.answer_to(request), nullptr);
  EXPECT_EQ(made->port.answer_to(request)->status.code, status::abort_requested.code);
}

TEST_F(ControllerTest, AbortsUnderWayAreLimited) {
  auto made = admin();
  auto queue = io(1);
  for (std::uint32_t i = 0; i < abort_limit; ++i) EXPECT_EQ(made->run(abort_entry(1, 7)), nullptr);
  EXPECT_EQ(made->must(abort_entry(1, 7)).status.code, status::abort_limit_exceeded.code);
  reactor.run_until_idle();
  EXPECT_EQ(made->run(abort_entry(1, 7)), nullptr) << "there is room again";
  reactor.run_until_idle();
}

TEST_F(ControllerTest, AbortWhoseQueueOrAskerIsGoneIsStillAnswered) {
  auto made = admin();
  auto queue = io(1);
  made->run(abort_entry(1, 7));
  const auto first = made->last_command();
  queue->close();
  reactor.run_until_idle();
  ASSERT_NE(made->port.answer_to(first), nullptr);
  EXPECT_EQ(made->port.answer_to(first)->result, nvme::abort_not_done);

  auto second_queue = io(2);
  made->run(abort_entry(2, 7));
  const auto second = made->last_command();
  made->close();
  reactor.run_until_idle();
  EXPECT_NE(made->port.answer_to(second), nullptr);
}

// Status.

TEST_F(ControllerTest, StatusShowsHostsQueuesAndNamespaces) {
  auto made = admin();
  auto queue = io(1);
  auto finder = discovery();
  pass(10s);
  const auto shown = target.status();
  ASSERT_EQ(shown.controllers.size(), 2U);
  const auto& controller =
      shown.controllers[0].discovery ? shown.controllers[1] : shown.controllers[0];
  EXPECT_EQ(controller.subsystem_nqn, subsystem_a);
  EXPECT_EQ(controller.host_nqn, host_1);
  EXPECT_EQ(controller.host_id, "11111111-1111-1111-1111-111111111111");
  EXPECT_EQ(controller.listener, "san-a");
  EXPECT_TRUE(controller.ready);
  EXPECT_EQ(controller.connected_for, 10s);
  ASSERT_EQ(controller.queues.size(), 2U);
  EXPECT_EQ(controller.queues[0].qid, 0);
  EXPECT_EQ(controller.queues[1].qid, 1);
  EXPECT_EQ(controller.queues[1].peer_address, "192.0.2.20:50000");
  ASSERT_EQ(shown.subsystems.size(), 2U);
  EXPECT_EQ(shown.subsystems[0].hosts, (std::vector<std::string>{host_1, host_2}));
  ASSERT_EQ(shown.subsystems[0].namespaces.size(), 3U);
  EXPECT_EQ(shown.subsystems[0].namespaces[0].volume, "small");
  EXPECT_EQ(shown.subsystems[1].serial, "SERIAL-B");
}

TEST_F(ControllerTest, RemovedSubsystemTakesItsHostsWithIt) {
  auto made = admin();
  auto queue = io(1);
  EXPECT_TRUE(target.remove_subsystem(subsystem_a));
  reactor.run_until_idle();
  EXPECT_EQ(made->port.ended, EndReason::removed);
  EXPECT_EQ(queue->port.ended, EndReason::removed);
  made->close();
  queue->close();
  EXPECT_FALSE(target.remove_subsystem(subsystem_a));
}

TEST_F(ControllerTest, RemovedListenerTakesItsHostsWithIt) {
  auto a = admin();
  auto b = admin({.subsystem = subsystem_b});
  EXPECT_TRUE(target.remove_listener("san-a"));
  reactor.run_until_idle();
  EXPECT_EQ(a->port.ended, EndReason::removed);
  EXPECT_FALSE(b->port.ended);
  target.end_associations(EndReason::stopping);
  reactor.run_until_idle();
  EXPECT_EQ(b->port.ended, EndReason::stopping);
}

}  // namespace
}  // namespace target::nvmf
