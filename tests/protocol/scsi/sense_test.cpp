#include "protocol/scsi/sense.h"

#include <gtest/gtest.h>

#include "tests/protocol/scsi/bytes.h"

namespace protocol::scsi {
namespace {

std::string fixed(const Sense& sense) {
  return wire::hex(encode_sense(sense, SenseFormat::fixed).span());
}
std::string descriptor(const Sense& sense) {
  return wire::hex(encode_sense(sense, SenseFormat::descriptor).span());
}

TEST(Sense, FixedFormat) {
  EXPECT_EQ(fixed(sense::none), "70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00");
  EXPECT_EQ(fixed(sense::lba_out_of_range),
            "70 00 05 00 00 00 00 0a 00 00 00 00 21 00 00 00 00 00");
  EXPECT_EQ(fixed(sense::luns_changed), "70 00 06 00 00 00 00 0a 00 00 00 00 3f 0e 00 00 00 00");
}

TEST(Sense, DescriptorFormat) {
  EXPECT_EQ(descriptor(sense::none), "72 00 00 00 00 00 00 00");
  EXPECT_EQ(descriptor(sense::write_protected), "72 07 27 00 00 00 00 00");
}

TEST(Sense, InformationIsValidOnlyWhereItFits) {
  const auto low = sense::unrecovered_read_error.with_information(0x12345678);
  EXPECT_EQ(fixed(low), "f0 00 03 12 34 56 78 0a 00 00 00 00 11 00 00 00 00 00");
  EXPECT_EQ(descriptor(low), "72 03 11 00 00 00 00 0c 00 0a 80 00 00 00 00 00 12 34 56 78");
  const auto zero = sense::miscompare.with_information(0);
  EXPECT_EQ(fixed(zero), "f0 00 0e 00 00 00 00 0a 00 00 00 00 1d 00 00 00 00 00");
  const auto high = sense::unrecovered_read_error.with_information(0x1'0000'0000);
  EXPECT_EQ(fixed(high), "70 00 03 00 00 00 00 0a 00 00 00 00 11 00 00 00 00 00");
  EXPECT_EQ(descriptor(high), "72 03 11 00 00 00 00 0c 00 0a 80 00 00 00 00 01 00 00 00 00");
}

TEST(Sense, FieldPointers) {
  const auto in_cdb = sense::invalid_cdb(1, 7);
  EXPECT_EQ(fixed(in_cdb), "70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 cf 00 01");
  EXPECT_EQ(descriptor(in_cdb), "72 05 24 00 00 00 00 08 02 06 00 00 cf 00 01 00");
  const auto in_list = sense::invalid_list(0x123);
  EXPECT_EQ(fixed(in_list), "70 00 05 00 00 00 00 0a 00 00 00 00 26 00 00 80 01 23");
  EXPECT_EQ(fixed(sense::invalid_cdb(2, 0)),
            "70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 c8 00 02");
}

TEST(Sense, Progress) {
  Sense working = sense::not_ready_becoming_ready;
  working.progress = 0x8000;
  EXPECT_EQ(fixed(working), "70 00 02 00 00 00 00 0a 00 00 00 00 04 01 00 80 80 00");
  EXPECT_EQ(descriptor(working), "72 02 04 01 00 00 00 08 02 06 00 00 80 80 00 00");
}

TEST(Sense, TheLongestFits) {
  const auto all = sense::invalid_cdb(9, 3).with_information(~std::uint64_t{0});
  const auto bytes = encode_sense(all, SenseFormat::descriptor);
  EXPECT_EQ(bytes.size, max_sense_bytes);
  EXPECT_EQ(bytes.span()[7], static_cast<std::byte>(max_sense_bytes - 8));
}

TEST(Sense, KeyAndCodeAreCompared) {
  EXPECT_TRUE(sense::invalid_cdb(3).is(sense::invalid_field_in_cdb));
  EXPECT_FALSE(sense::invalid_list(3).is(sense::invalid_field_in_cdb));
}

TEST(Sense, WhatIsNamedHasAName) {
  for (const auto& each : {sense::none,
                           sense::not_ready_becoming_ready,
                           sense::not_ready_stopped,
                           sense::not_ready_manual,
                           sense::not_ready_target_port_unavailable,
                           sense::not_ready_not_accessible,
                           sense::write_error,
                           sense::unrecovered_read_error,
                           sense::unreachable_copy_target,
                           sense::copy_target_not_reachable,
                           sense::copy_third_party_failure,
                           sense::parameter_list_length_error,
                           sense::miscompare,
                           sense::invalid_opcode,
                           sense::lba_out_of_range,
                           sense::invalid_field_in_cdb,
                           sense::unit_not_supported,
                           sense::invalid_field_in_list,
                           sense::invalid_release,
                           sense::too_many_copy_targets,
                           sense::unsupported_copy_target_type,
                           sense::too_many_copy_segments,
                           sense::unsupported_copy_segment_type,
                           sense::copy_inline_data_too_long,
                           sense::write_protected,
                           sense::software_write_protected,
                           sense::space_allocation_failed,
                           sense::saving_not_supported,
                           sense::internal_target_failure,
                           sense::overlapped_commands,
                           sense::data_phase_error,
                           sense::insufficient_resources,
                           sense::insufficient_registration_resources,
                           sense::medium_removal_prevented,
                           sense::set_target_port_groups_failed,
                           sense::power_on,
                           sense::power_on_or_reset,
                           sense::bus_reset,
                           sense::device_reset_by_function,
                           sense::nexus_loss,
                           sense::mode_parameters_changed,
                           sense::reservations_preempted,
                           sense::reservations_released,
                           sense::registrations_preempted,
                           sense::asymmetric_access_changed,
                           sense::capacity_changed,
                           sense::commands_cleared_by_other,
                           sense::thin_soft_threshold,
                           sense::inquiry_data_changed,
                           sense::luns_changed}) {
    EXPECT_NE(name_of(each.code), "unnamed additional sense")
        << int{each.code.asc} << "/" << int{each.code.ascq};
    EXPECT_NE(name_of(each.key), "reserved");
  }
  EXPECT_EQ(name_of(SenseCode{0x99, 0x00}), "unnamed additional sense");
  EXPECT_EQ(name_of(static_cast<SenseKey>(0x0c)), "reserved");
}

}  // namespace
}  // namespace protocol::scsi
