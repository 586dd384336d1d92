#include "target/nvmf/feature_values.h"

#include <gtest/gtest.h>

#include "engine/foundation/byte_cursor.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

using namespace std::chrono_literals;
using nvme::FeatureId;
constexpr unsigned by_default = 1;
constexpr unsigned saved = 2;
constexpr unsigned capabilities = 3;

class FeatureValuesTest : public TargetHarness {
 protected:
  FeatureValuesTest() : made(admin()) {}
  nvme::Status set(FeatureId id, std::uint32_t dword11, std::uint32_t nsid = 0) {
    auto entry = set_feature(id, dword11);
    entry.nsid = nsid;
    return made->must(entry).status;
  }
  std::uint64_t get(FeatureId id, std::uint32_t dword11 = 0, unsigned select = 0) {
    const auto answer = made->must(get_feature(id, dword11, select, 512));
    EXPECT_EQ(answer.status, status::success) << static_cast<int>(id);
    return answer.result;
  }
  std::unique_ptr<Link> made;
};

TEST_F(FeatureValuesTest, WhatIsSetIsGotAndTheDefaultStays) {
  struct Case {
    FeatureId id;
    std::uint32_t value;
    std::uint64_t initial;
    std::uint64_t after;
  };
  for (const auto& [id, value, initial, after] : {
           Case{FeatureId::arbitration, 0x0102'0303, 0x7, 0x0102'0303},
           Case{FeatureId::power_management, 0x20, 0, 0x20},
           Case{FeatureId::temperature_threshold, 0x150, 343, 0x150},
           Case{FeatureId::error_recovery, 0x12, 0, 0x12},
           Case{FeatureId::number_of_queues, 0x0001'0002, 0x0003'0003, 0x0001'0001},
           Case{FeatureId::async_event_configuration, 0x900, 0, 0x900},
           Case{FeatureId::keep_alive_timer, 7001, 5000, 8000},
       }) {
    SCOPED_TRACE(static_cast<int>(id));
    EXPECT_EQ(get(id), initial);
    EXPECT_EQ(set(id, value), status::success);
    EXPECT_EQ(get(id), after);
    EXPECT_EQ(get(id, 0, by_default), initial);
    EXPECT_EQ(get(id, 0, saved), initial) << "nothing is saveable: the default";
    EXPECT_EQ(get(id, 0, capabilities), id == FeatureId::error_recovery ? 6U : 4U);
  }
}

TEST_F(FeatureValuesTest, NothingIsSaved) {
  for (const auto id :
       {FeatureId::arbitration, FeatureId::number_of_queues, FeatureId::keep_alive_timer}) {
    auto entry = set_feature(id, 1);
    entry.cdw10 = entry.cdw10 | (1U << 31);
    const auto answer = made->must(entry);
    EXPECT_EQ(answer.status.code, status::feature_not_saveable.code);
    EXPECT_EQ(answer.status.type, nvme::StatusCodeType::command_specific);
  }
}

TEST_F(FeatureValuesTest, UnknownFeaturesAreRefusedEachWay) {
  for (const unsigned id : {0x00U, 0x03U, 0x06U, 0x08U, 0x0cU, 0x10U, 0x17U, 0x80U, 0xc0U}) {
    const auto feature = static_cast<FeatureId>(id);
    EXPECT_EQ(made->must(get_feature(feature)).status.code, status::invalid_field.code) << id;
    EXPECT_EQ(made->must(set_feature(feature, 1)).status.code, status::invalid_field.code) << id;
  }
}

TEST_F(FeatureValuesTest, ReservationNotificationsAreMaskedByNamespace) {
  const auto of = [](nvme::SubmissionEntry entry, std::uint32_t nsid) {
    entry.nsid = nsid;
    return entry;
  };
  const auto feature = FeatureId::reservation_notification_mask;
  EXPECT_EQ(made->must(of(set_feature(feature, 0xffff'ffff), 1)).status, status::success);
  EXPECT_EQ(made->must(of(get_feature(feature), 1)).result, 0xeU) << "the bits that there are";
  EXPECT_EQ(made->must(of(get_feature(feature), 2)).result, 0U);
  EXPECT_EQ(made->must(of(set_feature(feature, 2), 0xffff'ffff)).status, status::success);
  EXPECT_EQ(made->must(of(get_feature(feature), 1)).result, 2U);
  for (const auto bad : {0U, 77U}) {
    EXPECT_EQ(made->must(of(set_feature(feature, 0), bad)).status.code,
              status::invalid_namespace.code);
  }
}

TEST_F(FeatureValuesTest, ImpossibleValuesChangeNothing) {
  struct Case {
    FeatureId id;
    std::uint32_t value;
  };
  for (const auto& [id, value] : {
           Case{FeatureId::power_management, 1},                  // a power state that is not there
           Case{FeatureId::temperature_threshold, 0x0001'0150},   // sensor 1
           Case{FeatureId::temperature_threshold, 0x0020'0150},   // reserved type
           Case{FeatureId::error_recovery, 1U << 16},             // DULBE
           Case{FeatureId::number_of_queues, 0x0000'ffff},        // 65536 queues
           Case{FeatureId::async_event_configuration, 1U << 31},  // discovery's
           Case{FeatureId::async_event_configuration, 1U << 9},   // no firmware activation
       }) {
    SCOPED_TRACE(static_cast<int>(id));
    const auto before = get(id);
    EXPECT_EQ(set(id, value).code, status::invalid_field.code);
    EXPECT_EQ(get(id), before);
  }
}

TEST_F(FeatureValuesTest, ControllerFeaturesHaveNoNamespace) {
  EXPECT_EQ(set(FeatureId::arbitration, 1, 1).code, status::feature_not_namespace_specific.code);
  EXPECT_EQ(set(FeatureId::arbitration, 1, 0xffff'ffff), status::success);
}

TEST_F(FeatureValuesTest, ErrorRecoveryIsEachNamespacesOwn) {
  EXPECT_EQ(set(FeatureId::error_recovery, 5, 1), status::success);
  auto ask = get_feature(FeatureId::error_recovery);
  ask.nsid = 1;
  EXPECT_EQ(made->must(ask).result, 5U);
  ask.nsid = 2;
  EXPECT_EQ(made->must(ask).result, 0U);
  EXPECT_EQ(set(FeatureId::error_recovery, 9, 0xffff'ffff), status::success);
  EXPECT_EQ(made->must(ask).result, 9U);
  ask.nsid = 3;
  EXPECT_EQ(made->must(ask).status.code, status::invalid_namespace.code);
  EXPECT_EQ(set(FeatureId::error_recovery, 9, 3).code, status::invalid_namespace.code);
}

TEST_F(FeatureValuesTest, UnderTemperatureIsAnotherThreshold) {
  EXPECT_EQ(set(FeatureId::temperature_threshold, 0x0010'0111), status::success);
  EXPECT_EQ(get(FeatureId::temperature_threshold, 0x0010'0000), 0x111U);
  EXPECT_EQ(get(FeatureId::temperature_threshold), 343U);
  EXPECT_EQ(set(FeatureId::temperature_threshold, 0x000f'0160), status::success) << "all sensors";
  EXPECT_EQ(get(FeatureId::temperature_threshold), 0x160U);
}

TEST_F(FeatureValuesTest, QueueCountIsFixedOnceThereAreQueues) {
  EXPECT_EQ(made->must(set_feature(FeatureId::number_of_queues, 0x0063'0063)).result, 0x0003'0003U)
      << "a hundred asked for, four granted";
  auto queue = io(1);
  EXPECT_EQ(set(FeatureId::number_of_queues, 0).code, status::command_sequence_error.code);
  queue->close();
  EXPECT_EQ(set(FeatureId::number_of_queues, 0), status::success);
}

TEST_F(FeatureValuesTest, TimestampCountsOnFromWhatTheHostSets) {
  const auto ask = get_feature(FeatureId::timestamp, 0, 0, 8);
  clock.advance(1500ms);
  auto answer = made->must(ask);
  ASSERT_EQ(answer.data.size(), 8U);
  auto stamp = page_of<nvme::TimestampData>(answer);
  EXPECT_EQ(nvme::decode_timestamp(stamp), 1500ms) << "since the reset";
  EXPECT_EQ(stamp.attributes, 0);

  const auto wanted =
      nvme::encode_timestamp(1'795'000'000'000ms, nvme::TimestampOrigin::set_by_host);
  const auto bytes = engine::bytes_of(wanted);
  made->port.host_data.assign(bytes.begin(), bytes.end());
  EXPECT_EQ(made->must(set_feature(FeatureId::timestamp, 0, 8)).status, status::success);
  clock.advance(2s);
  stamp = page_of<nvme::TimestampData>(made->must(ask));
  EXPECT_EQ(nvme::decode_timestamp(stamp), 1'795'000'002'000ms);
  EXPECT_EQ(stamp.attributes, 2) << "origin: the host";
}

TEST_F(FeatureValuesTest, HostBehaviourIsKept) {
  nvme::HostBehaviorData behaviour{};
  behaviour.advanced_command_retry = 1;
  behaviour.lba_format_extension = 1;
  const auto bytes = engine::bytes_of(behaviour);
  auto in_capsule = set_feature(FeatureId::host_behavior, 0, 512);
  in_capsule.data_pointer.identifier = nvme::sgl_in_capsule;
  EXPECT_EQ(made->must(in_capsule, bytes).status, status::success);
  const auto got =
      page_of<nvme::HostBehaviorData>(made->must(get_feature(FeatureId::host_behavior, 0, 0, 512)));
  EXPECT_EQ(got.advanced_command_retry, 1);
  EXPECT_EQ(got.lba_format_extension, 1);
  behaviour.advanced_command_retry = 2;
  EXPECT_EQ(made->must(in_capsule, engine::bytes_of(behaviour)).status.code,
            status::invalid_field.code);
  auto misplaced = in_capsule;
  misplaced.data_pointer.address = 4;
  EXPECT_EQ(made->must(misplaced, bytes).status.code, status::sgl_offset_invalid.code);
}

TEST_F(FeatureValuesTest, HostIdentifierIsWhatConnectSaid) {
  const auto answer = made->must(get_feature(FeatureId::host_identifier, 1, 0, 16));
  ASSERT_EQ(answer.data.size(), 16U);
  EXPECT_EQ(answer.data[0], std::byte{0x11});
  EXPECT_EQ(made->must(get_feature(FeatureId::host_identifier, 0, 0, 16)).status.code,
            status::invalid_field.code)
      << "64 bits cannot hold it";
  EXPECT_EQ(made->must(set_feature(FeatureId::host_identifier, 1, 16)).status.code,
            status::command_sequence_error.code);
}

}  // namespace
}  // namespace target::nvmf
