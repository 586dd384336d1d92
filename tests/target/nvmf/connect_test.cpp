#include "target/nvmf/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

using nvme::ConnectParameter;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ConnectTest : public TargetHarness {
 protected:
  // A refusal with its status, IPO and IATTR; the connection ends.
  void expect_refused(const ConnectFields& fields, nvme::Status expected,
                      std::optional<ConnectParameter> parameter = std::nullopt,
                      const std::string& listener = "san-a") {
    auto made = link(listener);
    const auto answer = made->connect(fields);
    EXPECT_EQ(answer.status.type, expected.type);
    EXPECT_EQ(answer.status.code, expected.code);
    EXPECT_EQ(answer.status.do_not_retry, expected.do_not_retry);
    EXPECT_FALSE(answer.status.more) << "a failed Connect leaves no entry in the error log";
    EXPECT_EQ(answer.result, parameter ? static_cast<std::uint64_t>(*parameter) : 0U);
    EXPECT_FALSE(made->port.binding);
    EXPECT_EQ(made->port.ended, EndReason::refused);
    EXPECT_TRUE(made->ended());
  }
};

TEST_F(ConnectTest, AdminQueueGetsAControllerAndItsBinding) {
  auto made = link();
  const auto answer = made->connect({.sqsize = 31, .attributes = 0x04});
  EXPECT_EQ(answer.status, status::success);
  EXPECT_EQ(answer.result, 1U) << "CNTLID 1, AUTHREQ 0";
  ASSERT_TRUE(made->port.binding);
  EXPECT_EQ(made->port.binding->qid, 0);
  EXPECT_EQ(made->port.binding->entries, 32U);
  EXPECT_TRUE(made->port.binding->sq_flow_control_disabled);
  EXPECT_FALSE(made->port.ended);
}

TEST_F(ConnectTest, DataByR2TIsAsGoodAsInTheCapsule) {
  auto made = link();
  EXPECT_EQ(made->connect({.in_capsule = false}).status, status::success);
}

TEST_F(ConnectTest, NothingButConnectBeforeConnect) {
  auto made = link();
  for (const auto& entry :
       {property_get(nvme::property::csts), identify_entry(1),
        fabrics_entry(nvme::FabricsType::disconnect), entry_of(nvme::AdminOpcode::keep_alive),
        entry_of(std::uint8_t{0x02}, 512)}) {
    EXPECT_EQ(made->must(entry).status, status::command_sequence_error);
  }
  EXPECT_FALSE(made->port.ended);
  EXPECT_EQ(made->connect({}).status, status::success) << "the connection is still good";
}

TEST_F(ConnectTest, SecondConnectOnAQueueIsOutOfSequence) {
  auto made = admin();
  EXPECT_EQ(made->connect({}).status, status::command_sequence_error);
  auto queue = io(1);
  EXPECT_EQ(queue->connect({.qid = 1, .cntlid = cntlid}).status, status::command_sequence_error);
  EXPECT_FALSE(queue->port.ended);
}

TEST_F(ConnectTest, MalformedConnectsNameTheWrongField) {
  expect_refused({.record_format = 1}, status::connect_incompatible_format);
  expect_refused({.sqsize = 0}, status::connect_invalid_parameters, ConnectParameter::queue_size);
  expect_refused({.host_id = 0}, status::connect_invalid_parameters, ConnectParameter::host_id);
  expect_refused({.host = ""}, status::connect_invalid_parameters, ConnectParameter::host_nqn);
  expect_refused({.host = "host"}, status::connect_invalid_parameters, ConnectParameter::host_nqn);
  expect_refused({.host = host_3 + std::string(250, 'x')}, status::connect_invalid_parameters,
                 ConnectParameter::host_nqn);
  expect_refused({.subsystem = "iqn.2026-11.com.example"}, status::connect_invalid_parameters,
                 ConnectParameter::subsystem_nqn);
  expect_refused({.sgl_length = 512}, status::data_sgl_length_invalid);
  expect_refused({.sgl_length = 1U << 20, .in_capsule = false}, status::data_sgl_length_invalid);
}

TEST_F(ConnectTest, AdminQueueIsHeldToTheDynamicModelAndItsDepth) {
  for (const std::uint16_t asked :
       {std::uint16_t{1}, std::uint16_t{0xfffe}, std::uint16_t{0xfff0}}) {
    expect_refused({.cntlid = asked}, status::connect_invalid_parameters,
                   ConnectParameter::controller_id);
  }
  expect_refused({.sqsize = admin_queue_entries}, status::connect_invalid_parameters,
                 ConnectParameter::queue_size);
  auto deepest = link();
  EXPECT_EQ(deepest->connect({.sqsize = admin_queue_entries - 1}).status, status::success);
}

TEST_F(ConnectTest, UnknownSubsystemIsFinal) {
  expect_refused({.subsystem = "nqn.2026-11.com.example:nothing"},
                 status::connect_invalid_parameters, ConnectParameter::subsystem_nqn);
}

TEST_F(ConnectTest, SubsystemIsReachedThroughItsListenersOnly) {
  expect_refused({.subsystem = subsystem_b}, status::connect_invalid_parameters,
                 ConnectParameter::subsystem_nqn, "san-a");
  expect_refused({.subsystem = subsystem_a}, status::connect_invalid_parameters,
                 ConnectParameter::subsystem_nqn, "disc");
  expect_refused({.subsystem = subsystem_a}, status::connect_invalid_parameters,
                 ConnectParameter::subsystem_nqn, "bare");
  expect_refused({.subsystem = subsystem_a}, status::connect_invalid_parameters,
                 ConnectParameter::subsystem_nqn, "no such listener");
  auto made = link("san-b");
  EXPECT_EQ(made->connect({.subsystem = subsystem_b}).status, status::success);
}

TEST_F(ConnectTest, DiscoveryIsRefusedWhereTheListenerHasNone) {
  expect_refused({.subsystem = std::string(nvme::discovery_nqn)},
                 status::connect_invalid_parameters, ConnectParameter::subsystem_nqn, "bare");
  for (const auto& nqn : {std::string(nvme::discovery_nqn), unique_discovery}) {
    for (const char* listener : {"san-a", "disc"}) {
      auto made = link(listener);
      EXPECT_EQ(made->connect({.subsystem = nqn}).status, status::success) << nqn << listener;
    }
  }
}

TEST_F(ConnectTest, HostOutsideTheListIsRefusedForGood) {
  expect_refused({.host = host_3}, status::connect_invalid_host, ConnectParameter::host_nqn);
  auto anybody = link("san-b");
  EXPECT_EQ(anybody->connect({.host = host_3, .subsystem = subsystem_b}).status, status::success);
}

TEST_F(ConnectTest, HostAddedLaterMayComeAndHostTakenAwayMustGo) {
  auto stays = admin({.host = host_1});
  auto goes = admin({.host = host_2});
  EXPECT_TRUE(target.set_hosts(subsystem_a, {.allow_any = false, .nqns = {host_1, host_3}}));
  reactor.run_until_idle();
  EXPECT_FALSE(stays->port.ended);
  EXPECT_EQ(goes->port.ended, EndReason::removed);
  goes->close();
  expect_refused({.host = host_2}, status::connect_invalid_host, ConnectParameter::host_nqn);
  auto comes = link();
  EXPECT_EQ(comes->connect({.host = host_3}).status, status::success);
  EXPECT_FALSE(target.set_hosts("nqn.2026-11.com.example:nothing", {}));
}

TEST_F(ConnectTest, ControllerIdentifiersStayInTheirRangeAndAreUsedAgain) {
  std::vector<std::unique_ptr<Link>> links;
  const ConnectFields fields{.subsystem = subsystem_b};
  for (const std::uint64_t expected : {100U, 101U, 102U}) {
    links.push_back(link("san-b"));
    EXPECT_EQ(links.back()->connect(fields).result, expected);
  }
  expect_refused(fields, status::connect_controller_busy, std::nullopt, "san-b");
  links[1]->close();
  links.push_back(link("san-b"));
  EXPECT_EQ(links.back()->connect(fields).result, 101U);
  links[0]->close();
  links[2]->close();
  links.push_back(link("san-b"));
  EXPECT_EQ(links.back()->connect(fields).result, 102U) << "not the one that was free a moment ago";
}

// The policy of docs/multipath.md: each path is an association of its own, and the first is not
// ended for the second.
TEST_F(ConnectTest, AHostThatComesTwiceHasTwoControllers) {
  auto first = admin();
  const std::uint16_t of_first = cntlid;
  auto second = admin();
  EXPECT_NE(cntlid, of_first);
  EXPECT_FALSE(first->ended());
  EXPECT_TRUE(first->must(entry_of(nvme::AdminOpcode::keep_alive)).status.is_success());
  auto other_identifier = admin({.host_id = 0x22});
  EXPECT_NE(cntlid, of_first);
  EXPECT_EQ(target.status().controllers.size(), 3U);
  // A queue is its own controller's.
  auto queue = link();
  EXPECT_EQ(queue->connect({.qid = 1, .cntlid = of_first, .host_id = 0x22}).status,
            status::connect_invalid_parameters);
}

TEST_F(ConnectTest, IoQueueJoinsItsController) {
  auto made = admin();
  auto queue = link();
  const auto answer = queue->connect({.qid = 1, .sqsize = 63, .cntlid = cntlid});
  EXPECT_EQ(answer.status, status::success);
  EXPECT_EQ(answer.result, cntlid);
  ASSERT_TRUE(queue->port.binding);
  EXPECT_EQ(queue->port.binding->qid, 1);
  EXPECT_EQ(queue->port.binding->entries, 64U);
  EXPECT_FALSE(queue->port.binding->sq_flow_control_disabled);
}

TEST_F(ConnectTest, IoQueueMustMatchItsAdminQueue) {
  auto made = admin();
  const std::uint16_t id = cntlid;
  const auto invalid = status::connect_invalid_parameters;
  const auto gone = invalid.with_do_not_retry(false);
  expect_refused({.qid = 1, .cntlid = 77}, gone, ConnectParameter::controller_id);
  expect_refused({.qid = 1, .cntlid = 0xffff}, gone, ConnectParameter::controller_id);
  expect_refused({.host = host_2, .qid = 1, .cntlid = id}, invalid, ConnectParameter::host_nqn);
  expect_refused({.qid = 1, .cntlid = id, .host_id = 0x22}, invalid, ConnectParameter::host_id);
  expect_refused({.subsystem = subsystem_b, .qid = 1, .cntlid = id}, gone,
                 ConnectParameter::controller_id, "san-b");
  expect_refused({.qid = 1, .cntlid = id}, invalid, ConnectParameter::controller_id, "san-b");
  EXPECT_FALSE(made->port.ended) << "the controller does not suffer from it";
}

TEST_F(ConnectTest, IoQueueIsHeldToCountAndDepth) {
  auto made = admin();
  expect_refused({.qid = 5, .cntlid = cntlid}, status::connect_invalid_parameters,
                 ConnectParameter::queue_id);
  expect_refused({.qid = 1, .sqsize = 64, .cntlid = cntlid}, status::connect_invalid_parameters,
                 ConnectParameter::queue_size);
  EXPECT_EQ(made->must(set_feature(nvme::FeatureId::number_of_queues, 0x0001'0001)).status,
            status::success);
  expect_refused({.qid = 3, .cntlid = cntlid}, status::connect_invalid_parameters,
                 ConnectParameter::queue_id);
  auto second = io(2);
}

TEST_F(ConnectTest, QueueIdentifierInUseIsRefusedUntilItsConnectionEnds) {
  auto made = admin();
  auto first = io(1);
  expect_refused({.qid = 1, .cntlid = cntlid},
                 status::invalid_queue_identifier.with_do_not_retry(false));
  first->close();
  auto again = io(1);
}

// Base 2.2, "Connect Command and Response": Connect Invalid Parameters.
TEST_F(ConnectTest, IoQueueOfADisabledControllerIsRefused) {
  auto made = link();
  const auto id = static_cast<std::uint16_t>(made->connect({}).result);
  expect_refused({.qid = 1, .cntlid = id},
                 status::connect_invalid_parameters.with_do_not_retry(false),
                 ConnectParameter::queue_id);
}

// With Do Not Retry a Linux host of today would give up instead of connecting again.
TEST_F(ConnectTest, IoQueueThatComesTooLateForItsAssociationMayTryAgain) {
  auto made = admin();
  const std::uint16_t id = cntlid;
  made->close();
  expect_refused({.qid = 1, .cntlid = id},
                 status::connect_invalid_parameters.with_do_not_retry(false),
                 ConnectParameter::controller_id);
}

TEST_F(ConnectTest, DiscoveryControllerHasNoIoQueues) {
  auto made = discovery();
  expect_refused({.subsystem = std::string(nvme::discovery_nqn), .qid = 1, .cntlid = 1},
                 status::connect_invalid_parameters, ConnectParameter::queue_id, "disc");
}

TEST_F(ConnectTest, LateVolumeNeverRefusesConnect) {
  small.now_state = engine::VolumeState::late;
  large.now_state = engine::VolumeState::late;
  target.refresh_volumes();
  auto made = admin();
  auto queue = io(1);
}

TEST_F(ConnectTest, EveryConnectRefusalAndDisconnectIsOneLine) {
  std::vector<std::string> lines;
  capture_log([&](LogLevel level, std::string_view line) {
    if (level != LogLevel::debug) lines.emplace_back(line);
  });
  expect_refused({.host = host_3}, status::connect_invalid_host, ConnectParameter::host_nqn);
  EXPECT_THAT(lines, ElementsAre(AllOf(
                         HasSubstr("connect refused host=" + host_3 + " "),
                         HasSubstr(" peer=192.0.2.20:50000 local=192.0.2.10:4420 listener=san-a "),
                         HasSubstr(" subsystem=" + subsystem_a + " queue=0 security=none "),
                         HasSubstr("the host is not among the subsystem's hosts"))));
  lines.clear();
  auto made = admin();
  auto queue = io(1);
  EXPECT_THAT(lines,
              ElementsAre(AllOf(HasSubstr("host connected host=" + host_1 + " "),
                                HasSubstr(" queues=4 entries=32 "), HasSubstr(" security=none"))));
  lines.clear();
  expect_refused({.qid = 5, .cntlid = cntlid}, status::connect_invalid_parameters,
                 ConnectParameter::queue_id);
  // The same of a Connect that cannot be parsed.
  expect_refused({.qid = 2, .sqsize = 0, .cntlid = cntlid}, status::connect_invalid_parameters,
                 ConnectParameter::queue_size);
  EXPECT_THAT(lines, ElementsAre(HasSubstr(" queue=5 "), HasSubstr(" queue=2 ")));
  lines.clear();
  // Hosts close their I/O queues first.
  queue->close(EndReason::closed_by_host);
  made->close(EndReason::closed_by_host);
  reactor.run_until_idle();
  EXPECT_THAT(lines, ElementsAre(AllOf(HasSubstr(" queues=1 security=none "),
                                       HasSubstr(text(EndReason::closed_by_host)))));
}

TEST_F(ConnectTest, RefusalsCannotFillTheLog) {
  std::size_t lines = 0;
  capture_log([&](LogLevel, std::string_view) { ++lines; });
  for (int i = 0; i < 1000; ++i) {
    expect_refused({.host = host_3}, status::connect_invalid_host, ConnectParameter::host_nqn);
  }
  EXPECT_LT(lines, 100U);
  EXPECT_EQ(target.status().refused_connects, 1000U);
}

}  // namespace
}  // namespace target::nvmf
