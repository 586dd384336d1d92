#include "target/nvmf/persistent_log.h"

#include <gtest/gtest.h>

#include "engine/foundation/byte_cursor.h"
#include "protocol/nvme/identify_controller.h"
#include "protocol/nvme/log_pages.h"
#include "protocol/nvme/smart_log.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

using nvme::PersistentEventHeader;
using nvme::PersistentEventType;
using nvme::PersistentLogHeader;

constexpr std::uint8_t action_read = 0;
constexpr std::uint8_t action_establish = 1;
constexpr std::uint8_t action_release = 2;
constexpr std::uint8_t action_header = 3;

// An event, taken out of a page.
struct ShownEvent {
  PersistentEventHeader header{};
  std::vector<std::byte> data;

  [[nodiscard]] bool is(PersistentEventType type) const {
    return header.type == static_cast<std::uint8_t>(type);
  }
  [[nodiscard]] std::uint64_t number(std::size_t offset, std::size_t bytes) const {
    std::uint64_t value = 0;
    for (std::size_t i = bytes; i-- > 0;) {
      value = value << 8 | std::to_integer<std::uint64_t>(data.at(offset + i));
    }
    return value;
  }
  [[nodiscard]] std::string text() const {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
  }
};

struct ShownLog {
  PersistentLogHeader header{};
  std::vector<ShownEvent> events;  // newest first

  [[nodiscard]] std::vector<ShownEvent> of(PersistentEventType type) const {
    std::vector<ShownEvent> found;
    for (const auto& event : events) {
      if (event.is(type)) found.push_back(event);
    }
    return found;
  }
};

ShownLog shown(std::span<const std::byte> page) {
  ShownLog log;
  std::memcpy(&log.header, page.data(), sizeof(log.header));
  std::size_t at = sizeof(log.header);
  for (std::uint32_t i = 0; i < log.header.events; ++i) {
    ShownEvent event;
    CHECK(at + sizeof(event.header) <= page.size());
    std::memcpy(&event.header, page.data() + at, sizeof(event.header));
    at += sizeof(event.header);
    const std::size_t length = event.header.length.value();
    CHECK(at + length < page.size());  // never up to the end: nvme-cli leaves such an event out
    event.data.assign(page.begin() + static_cast<std::ptrdiff_t>(at),
                      page.begin() + static_cast<std::ptrdiff_t>(at + length));
    at += length;
    log.events.push_back(std::move(event));
  }
  return log;
}

class PersistentLogTest : public TargetHarness {
 protected:
  static nvme::SubmissionEntry entry(std::uint8_t action, std::uint32_t bytes = 512,
                                     std::uint64_t offset = 0) {
    auto made = log_entry(0x0d, bytes, offset);
    made.cdw10 = made.cdw10 | std::uint32_t{action} << 8;
    return made;
  }
  // As nvme-cli does it: the header, then all of it, then release.
  static ShownLog read_all(Link& made) {
    const auto head = made.must(entry(action_establish));
    EXPECT_EQ(head.status, status::success);
    PersistentLogHeader header;
    std::memcpy(&header, head.data.data(), sizeof(header));
    const auto all = made.must(entry(action_read, static_cast<std::uint32_t>(header.length)));
    EXPECT_EQ(all.status, status::success);
    EXPECT_EQ(made.must(entry(action_release)).status, status::success);
    return shown(all.data);
  }
};

TEST_F(PersistentLogTest, AReportingContextIsEstablishedOnceReadAndReleased) {
  auto made = admin();
  const auto out_of_order = status::command_sequence_error.code;
  EXPECT_EQ(made->must(entry(action_read)).status.code, out_of_order) << "there is no context";
  EXPECT_EQ(made->must(entry(action_release)).status, status::success) << "and no error";
  EXPECT_EQ(made->must(entry(action_establish)).status, status::success);
  EXPECT_EQ(made->must(entry(action_establish)).status.code, out_of_order) << "there is one";
  EXPECT_EQ(made->must(entry(action_read)).status, status::success);
  const auto header = made->must(entry(action_header, 1024));
  EXPECT_EQ(header.status, status::success);
  EXPECT_TRUE(std::all_of(header.data.begin() + 512, header.data.end(), [](std::byte b) {
    return b == std::byte{0};
  })) << "its header, and nothing else";
  EXPECT_EQ(made->must(entry(action_release)).status, status::success);
  EXPECT_EQ(made->must(entry(action_read)).status.code, out_of_order);
  EXPECT_EQ(made->must(log_entry(0x0d, 512, 0, false, 1)).status.code, status::invalid_field.code)
      << "it is the subsystem's, not a namespace's";
}

TEST_F(PersistentLogTest, TheHeaderSaysWhetherAContextExistedAndByWhichPort) {
  auto made = admin();
  const auto context_of = [&](std::uint8_t action) {
    PersistentLogHeader header;
    const auto answer = made->must(entry(action));
    std::memcpy(&header, answer.data.data(), sizeof(header));
    return header.context.value();
  };
  EXPECT_EQ(context_of(action_header), 0U) << "it has been made by this";
  const std::uint32_t existed = context_of(action_header);
  EXPECT_EQ(existed >> 16, 5U) << "it exists, and a port of the subsystem has made it";
  EXPECT_NE(existed & 0xffffU, 0U) << "the listener's PORTID";
}

TEST_F(PersistentLogTest, AContextIsTheControllersOwnAndEndsWithItsReset) {
  auto first = admin();
  auto second = admin({.host = host_2});
  EXPECT_EQ(first->must(entry(action_establish)).status, status::success);
  EXPECT_EQ(second->must(entry(action_establish)).status, status::success);
  EXPECT_EQ(first->must(property_set(nvme::property::cc, cc_disable)).status, status::success);
  EXPECT_EQ(first->must(property_set(nvme::property::cc, cc_enable)).status, status::success);
  EXPECT_EQ(first->must(entry(action_read)).status.code, status::command_sequence_error.code);
  EXPECT_EQ(second->must(entry(action_read)).status, status::success);
}

TEST_F(PersistentLogTest, WhatHappensWhileItIsReadIsInTheNextContext) {
  auto made = admin();
  EXPECT_EQ(made->must(entry(action_establish)).status, status::success);
  const auto before = shown(made->must(entry(action_read, 65536)).data);
  auto other_host = admin({.host = host_2});
  const auto same = shown(made->must(entry(action_read, 65536)).data);
  EXPECT_EQ(same.header.events, before.header.events);
  EXPECT_EQ(same.header.generation, before.header.generation);
  EXPECT_EQ(same.header.length, before.header.length);
  EXPECT_EQ(made->must(entry(action_release)).status, status::success);
  const auto after = read_all(*made);
  EXPECT_EQ(after.header.events, before.header.events + 1);
  EXPECT_EQ(after.header.generation, before.header.generation + 1);
}

TEST_F(PersistentLogTest, PartsMakeUpTheWhole) {
  auto made = admin();
  EXPECT_EQ(made->must(entry(action_establish)).status, status::success);
  const auto whole = made->must(entry(action_read, 640)).data;
  for (std::uint32_t offset = 0; offset <= 576; offset += 64) {
    const auto part = made->must(entry(action_read, 64, offset)).data;
    ASSERT_EQ(part.size(), 64U);
    EXPECT_EQ(std::memcmp(part.data(), whole.data() + offset, 64), 0) << offset;
  }
}

TEST_F(PersistentLogTest, HeaderIsTrue) {
  clock.advance(std::chrono::hours(5));
  auto made = admin();
  const auto log = read_all(*made);
  EXPECT_EQ(log.header.log_id, 0x0d);
  EXPECT_EQ(log.header.power_cycles, 1U);
  EXPECT_EQ(log.header.power_on_hours.low, 5U);
  EXPECT_EQ(std::string_view(log.header.subsystem_nqn), subsystem_a);
  const auto id = page_of<nvme::IdentifyControllerPage>(made->must(identify_entry(0x01)));
  EXPECT_EQ(std::memcmp(log.header.serial_number, id.sn, sizeof(id.sn)), 0);
  EXPECT_EQ(std::memcmp(log.header.model_number, id.mn, sizeof(id.mn)), 0);
  EXPECT_EQ(id.pels, 1U);
  EXPECT_NE(id.lpa & 0x10, 0);
  const auto supported = page_of<nvme::SupportedLogPagesPage>(made->must(log_entry(0x00, 1024)));
  EXPECT_EQ(supported.lid[0x0d], 0x0001'0001U) << "with its header as an action";
  EXPECT_EQ(nvme::decode_timestamp(log.header.timestamp), clock.wall());
}

TEST_F(PersistentLogTest, PowerOnAndConnectAreThereNewestFirst) {
  auto made = admin();
  clock.advance(std::chrono::seconds(3));
  auto other_host = admin({.host = host_2});
  const auto log = read_all(*made);
  ASSERT_EQ(log.events.size(), 3U);
  EXPECT_TRUE(log.events[2].is(PersistentEventType::power_on_or_reset));
  EXPECT_EQ(log.events[2].text(), "1.2.3   ");
  EXPECT_EQ(log.events[2].header.controller, 0xffffU);
  for (const int i : {0, 1}) {
    const auto& event = log.events[static_cast<std::size_t>(i)];
    EXPECT_TRUE(event.is(PersistentEventType::vendor_specific));
    EXPECT_NE(event.text().find("host connected"), std::string::npos);
    EXPECT_NE(event.text().find(i == 0 ? host_2 : host_1), std::string::npos);
    EXPECT_EQ(event.header.port_type, 1);
  }
  EXPECT_EQ(log.events[0].header.controller, cntlid);
  EXPECT_EQ(nvme::decode_timestamp(log.events[0].header.timestamp) -
                nvme::decode_timestamp(log.events[1].header.timestamp),
            std::chrono::seconds(3));
}

TEST_F(PersistentLogTest, AHostsEndItsHealthAndResetsAreThere) {
  auto stays = admin({.host = host_2});
  {
    auto goes = admin();
    clock.advance(std::chrono::seconds(7));
    goes->must(property_set(nvme::property::cc, cc_disable));
    goes->close();
  }
  const auto log = read_all(*stays);
  ASSERT_EQ(log.events.size(), 6U) << "on, two came, a reset, one went, its health";
  EXPECT_TRUE(log.events[0].is(PersistentEventType::smart_snapshot));
  EXPECT_EQ(log.events[0].data.size(), sizeof(nvme::SmartLogPage));
  EXPECT_NE(log.events[1].text().find("host disconnected"), std::string::npos);
  EXPECT_TRUE(log.events[2].is(PersistentEventType::power_on_or_reset));
  ASSERT_EQ(log.events[2].data.size(), 44U);
  EXPECT_EQ(log.events[2].number(8, 2), cntlid);
  EXPECT_EQ(log.events[2].number(24, 4), 1U) << "power cycles";
  EXPECT_EQ(log.events[2].number(28, 8), 7000U) << "since the host came";
}

TEST_F(PersistentLogTest, ATimestampThatAHostSetsIsAnEventWithTheOneBefore) {
  auto made = admin();
  nvme::TimestampData wanted = nvme::encode_timestamp(std::chrono::milliseconds(1'796'000'000'000),
                                                      nvme::TimestampOrigin::cleared_at_reset);
  clock.advance(std::chrono::seconds(2));
  auto set = set_feature(nvme::FeatureId::timestamp, 0, sizeof(wanted));
  set.data_pointer.identifier = nvme::sgl_in_capsule;
  EXPECT_EQ(made->must(set, engine::bytes_of(wanted)).status, status::success);
  const auto found = read_all(*made).of(PersistentEventType::timestamp_change);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].number(0, 6), 2000U) << "what it was";
  EXPECT_EQ(found[0].number(8, 8), 2000U) << "since reset";
}

TEST_F(PersistentLogTest, MediaErrorsAreThereWithTheirCompletionAndCompareFailuresAreNot) {
  auto made = admin();
  auto queue = io(1);
  large.outcome = engine::IoStatus::media_error;
  auto read_one = entry_of(std::uint8_t{0x02}, 4096);
  read_one.nsid = 2;
  EXPECT_EQ(queue->must(read_one).status.code, status::unrecovered_read_error.code);
  const auto failed = queue->last_command();
  large.outcome = engine::IoStatus::ok;
  auto compare = entry_of(std::uint8_t{0x05}, 4096);
  compare.nsid = 2;
  queue->port.host_data.assign(4096, std::byte{0x77});
  EXPECT_EQ(queue->must(compare).status.code, status::compare_failure.code);
  const auto found = read_all(*made).of(PersistentEventType::hardware_error);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].header.revision, 2);
  EXPECT_EQ(found[0].number(0, 2), 0x0aU);
  ASSERT_EQ(found[0].data.size(), 20U);
  EXPECT_EQ(found[0].number(4 + 10, 2), 1U) << "queue";
  EXPECT_EQ(found[0].number(4 + 12, 2), failed);
  EXPECT_EQ(found[0].number(4 + 14, 2) >> 1 & 0x7ffU, 0x281U);
}

TEST_F(PersistentLogTest, AHostThatIsSilentIsAFatalStatus) {
  auto silent = admin();
  auto made = admin({.host = host_2, .keep_alive_ms = 600'000});
  for (int i = 0; i < 4; ++i) pass(std::chrono::seconds(6));
  EXPECT_TRUE(silent->ended());
  const auto found = read_all(*made).of(PersistentEventType::hardware_error);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].number(0, 2), 0x09U);
}

TEST_F(PersistentLogTest, NamespacesThatComeAndGoAreThere) {
  auto made = admin();
  EXPECT_TRUE(target.remove_namespace(subsystem_a, 2));
  EXPECT_TRUE(target.add_namespace(subsystem_a,
                                   {.nsid = 9, .volume = &block_large, .hosts = std::nullopt}));
  const auto found = read_all(*made).of(PersistentEventType::change_namespace);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].number(0, 4), 0U) << "created";
  EXPECT_EQ(found[0].number(8, 8), 1024U);
  EXPECT_EQ(found[0].number(44, 4), 9U);
  EXPECT_EQ(found[1].number(0, 4), 1U) << "deleted";
  EXPECT_EQ(found[1].number(44, 4), 2U);
}

TEST_F(PersistentLogTest, AFormatIsThereWithItsBeginningAndItsEnd) {
  auto made = admin();
  block_small.allow_format(true);
  auto format = entry_of(nvme::AdminOpcode::format_nvm);
  format.nsid = 1;
  format.cdw10 = 1U << 9;
  ASSERT_EQ(made->run(format), nullptr);
  formatter.asked.at(0).ended(block::VolumeFormatter::End::failed);
  reactor.run_until_idle();
  const auto log = read_all(*made);
  const auto started = log.of(PersistentEventType::format_start);
  ASSERT_EQ(started.size(), 1U);
  EXPECT_EQ(started[0].number(0, 4), 1U);
  EXPECT_EQ(started[0].number(8, 4), 1U << 9);
  const auto ended = log.of(PersistentEventType::format_completion);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].number(0, 4), 1U);
  EXPECT_EQ(ended[0].number(5, 1), 1U) << "not as it was asked for";
  EXPECT_EQ(ended[0].number(8, 4), 6U) << "Internal Error";
}

TEST_F(PersistentLogTest, AFeatureOfANamespaceIsThereAsItWasSet) {
  auto made = admin();
  auto protect = set_feature(nvme::FeatureId::write_protection, 1);
  protect.nsid = 2;
  (void)made->run(protect);
  reactor.run_until_idle();
  auto refused = set_feature(nvme::FeatureId::write_protection, 3);
  refused.nsid = 2;
  EXPECT_FALSE(made->must(refused).status.is_success());
  const auto found = read_all(*made).of(PersistentEventType::set_feature);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].number(4, 4), 0x84U);
  EXPECT_EQ(found[0].number(8, 4), 1U);
}

TEST_F(PersistentLogTest, HealthIsRememberedOnceADayAndNoMoreThanFourTimes) {
  auto made = admin({.keep_alive_ms = 0x7fff'ffff});
  target.remember_health();
  EXPECT_TRUE(read_all(*made).of(PersistentEventType::smart_snapshot).empty())
      << "it has just come";
  clock.advance(std::chrono::hours(24));
  target.remember_health();
  target.remember_health();
  EXPECT_EQ(read_all(*made).of(PersistentEventType::smart_snapshot).size(), 1U);
  for (int i = 0; i < 20; ++i) admin({.host = host_2})->close();
  EXPECT_EQ(read_all(*made).of(PersistentEventType::smart_snapshot).size(), 4U);
}

TEST_F(PersistentLogTest, AHostThatComesAndGoesAllTheTimeDoesNotFillIt) {
  auto made = admin({.host = host_2});
  for (int i = 0; i < 500; ++i) admin()->close();
  const auto log = read_all(*made);
  EXPECT_LE(log.events.size(), 1U + 60 + 4);
  EXPECT_TRUE(log.events.back().is(PersistentEventType::power_on_or_reset));
  clock.advance(std::chrono::minutes(2));
  admin()->close();
  EXPECT_GT(read_all(*made).events.size(), log.events.size()) << "it goes on when that is over";
}

TEST_F(PersistentLogTest, ItIsBoundedAndTheOldestGiveWay) {
  auto made = admin();
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 50; ++i) admin({.host = host_2})->close();
    clock.advance(std::chrono::minutes(1));
  }
  const auto log = read_all(*made);
  EXPECT_LE(log.header.length, PersistentLog::most_page_bytes);
  EXPECT_GT(log.header.length, PersistentLog::most_page_bytes - 2048) << "but full";
  EXPECT_TRUE(log.of(PersistentEventType::power_on_or_reset).empty()) << "it was the oldest";
}

TEST_F(PersistentLogTest, TheSubsystemsLogOutlivesItsReplacement) {
  admin()->close();
  ASSERT_TRUE(target.remove_subsystem(subsystem_b));
  auto made = admin();
  EXPECT_EQ(read_all(*made).of(PersistentEventType::power_on_or_reset).size(), 1U)
      << "another subsystem's end is none of its events";
}

TEST(PersistentLog, WhatWasKeptStandsBeforeWhatHasHappenedSince) {
  ManualClock clock;
  const auto kept_event =
      nvme::build_persistent_event(PersistentEventType::set_feature, {}, clock.wall(), {});
  for (const bool late : {false, true}) {
    PersistentLog log(clock);
    if (late) log.begin("1");
    log.restore({kept_event}, {.power_cycles = 4, .powered_ms = 7'200'000, .unsafe_shutdowns = 2},
                /*ended_well=*/true);
    if (!late) log.begin("1");
    const auto report = log.report();
    EXPECT_EQ(report.power_cycles, 5U) << late;
    ASSERT_EQ(report.newest_first.size(), 2U);
    EXPECT_EQ(report.newest_first[1]->bytes, kept_event);
    EXPECT_LE(report.newest_first[1]->number, kept_events);
    EXPECT_GT(report.newest_first[0]->number, kept_events);
    EXPECT_EQ(log.power_on_hours(), 2U);
    EXPECT_EQ(log.after(kept_events).events.size(), 1U) << "only that is new to who keeps it";
    EXPECT_FALSE(log.after(kept_events).some_are_gone);
  }
}

TEST(PersistentLog, ALifeThatNobodyEndedIsAnEventOfTheNext) {
  ManualClock clock;
  for (const bool late : {false, true}) {
    PersistentLog log(clock);
    if (late) log.begin("1");
    log.restore({}, {.power_cycles = 4, .powered_ms = 0, .unsafe_shutdowns = 2}, false);
    if (!late) log.begin("1");
    EXPECT_EQ(log.after(0).lives.unsafe_shutdowns, 3U);
    const auto report = log.report();
    ASSERT_EQ(report.newest_first.size(), 2U);
    const auto& bytes = report.newest_first[late ? 0 : 1]->bytes;
    ASSERT_EQ(bytes.size(), 24U + 21);
    EXPECT_EQ(bytes[0], std::byte{0x05});
    EXPECT_EQ(bytes[24], std::byte{0x08});
    EXPECT_EQ(bytes[28], std::byte{3}) << "how many there have been";
  }
}

}  // namespace
}  // namespace target::nvmf
