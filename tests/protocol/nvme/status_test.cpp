#include "protocol/nvme/status.h"

#include <gtest/gtest.h>

namespace protocol::nvme {
namespace {

struct Golden {
  Status status;
  std::uint16_t field;  // bytes 14..15 of the completion
};

TEST(Status, FieldsAreTheBitsOfTheSpecification) {
  const Golden table[] = {
      {status::success, 0x0000},
      {status::invalid_opcode, 0x8002},
      {status::invalid_field, 0x8004},
      {status::internal_error, 0x000c},
      {status::abort_requested, 0x000e},
      {status::aborted_queue_deleted, 0x0010},
      {status::invalid_namespace, 0x8016},
      {status::command_sequence_error, 0x8018},
      {status::data_sgl_length_invalid, 0x801e},
      {status::sgl_descriptor_type_invalid, 0x8022},
      {status::sgl_offset_invalid, 0x802c},
      {status::keep_alive_invalid, 0x8034},
      {status::transient_transport_error, 0x0044},
      {status::lba_out_of_range, 0x8100},
      {status::capacity_exceeded, 0x8102},
      {status::namespace_not_ready, 0x0104},
      {status::invalid_queue_identifier, 0x8202},
      {status::async_event_limit_exceeded, 0x820a},
      {status::invalid_log_page, 0x8212},
      {status::feature_not_saveable, 0x821a},
      {status::connect_incompatible_format, 0x8300},
      {status::connect_controller_busy, 0x0302},
      {status::connect_invalid_parameters, 0x8304},
      {status::connect_invalid_host, 0x8308},
      {status::invalid_queue_type, 0x830a},
      {status::authentication_required, 0x8322},
      {status::invalid_protection_information, 0x8302},
      {status::command_size_limit_exceeded, 0x8306},
      {status::write_fault, 0x0500},
      {status::unrecovered_read_error, 0x8502},
      {status::compare_failure, 0x850a},
      {status::internal_path_error, 0x0600},
      {status::ana_persistent_loss, 0x0602},
      {status::ana_inaccessible, 0x0604},
      {status::ana_transition, 0x0606},
  };
  for (const auto& row : table) {
    EXPECT_EQ(row.status.field(), row.field) << name_of(row.status);
  }
}

TEST(Status, EveryFieldValueSurvivesARoundTrip) {
  constexpr unsigned never_set = 0x0001;  // phase tag
  for (unsigned field = 0; field <= 0xffff; ++field) {
    if ((field & never_set) != 0) continue;
    ASSERT_EQ(Status::from_field(static_cast<std::uint16_t>(field)).field(), field);
  }
}

TEST(Status, PhaseTagAndRetryDelayAreNotTakenForACode) {
  EXPECT_EQ(Status::from_field(0x3001), status::success.with_retry_delay(3));
  EXPECT_EQ(Status::from_field(0xb005), status::invalid_field.with_retry_delay(3));
  EXPECT_EQ(status::command_interrupted.with_retry_delay(1).field(), 0x1042);
}

TEST(Status, PathErrorsLetTheHostChooseAnotherPath) {
  for (const auto path :
       {status::internal_path_error, status::ana_persistent_loss, status::ana_inaccessible,
        status::ana_transition, status::controller_pathing_error}) {
    EXPECT_EQ(path.type, StatusCodeType::path);
    EXPECT_FALSE(path.do_not_retry) << name_of(path);
  }
}

TEST(Status, DoNotRetryAndMoreDoNotMakeItAnotherStatus) {
  const auto more = status::write_fault.with_more().with_do_not_retry(true);
  EXPECT_EQ(more.field(), 0xc500);
  EXPECT_TRUE(more.is(status::write_fault));
  EXPECT_FALSE(more == status::write_fault);
  EXPECT_FALSE(more.is_success());
  EXPECT_TRUE(status::success.with_more().is_success());
}

TEST(Status, ACodeWeNeverSendHasNoName) {
  EXPECT_EQ(name_of(status::namespace_not_ready), "Namespace Not Ready");
  EXPECT_TRUE(name_of({StatusCodeType::vendor, 0x01}).empty());
}

}  // namespace
}  // namespace protocol::nvme
