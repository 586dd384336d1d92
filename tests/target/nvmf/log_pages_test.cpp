#include "target/nvmf/log_pages.h"

#include <gtest/gtest.h>

#include "protocol/nvme/ana_log.h"
#include "protocol/nvme/command_effects_log.h"
#include "protocol/nvme/error_log.h"
#include "protocol/nvme/firmware_log.h"
#include "protocol/nvme/smart_log.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

class LogPagesTest : public TargetHarness {
 protected:
  std::vector<std::byte> read(Link& made, std::uint8_t lid, std::uint32_t bytes,
                              std::uint64_t offset = 0) {
    const auto answer = made.must(log_entry(lid, bytes, offset));
    EXPECT_EQ(answer.status, status::success);
    EXPECT_EQ(answer.data.size(), bytes);
    return answer.data;
  }
};

TEST_F(LogPagesTest, SupportedPagesAreThoseThatAnswer) {
  auto io_admin = admin();
  auto finder = discovery();
  for (Link* made : {io_admin.get(), finder.get()}) {
    const auto supported = page_of<nvme::SupportedLogPagesPage>(made->must(log_entry(0x00, 1024)));
    for (unsigned lid = 0; lid < 256; ++lid) {
      auto asked = log_entry(static_cast<std::uint8_t>(lid), 16, 0, true);
      // Which has to be established first.
      if (lid == 0x0d) asked.cdw10 = asked.cdw10 | 0x300U;
      const auto answer = made->must(asked);
      EXPECT_EQ(answer.status.is_success(), (supported.lid[lid] & 1U) != 0) << lid;
      if (!answer.status.is_success()) {
        EXPECT_EQ(answer.status.code, status::invalid_log_page.code) << lid;
        EXPECT_EQ(answer.status.type, nvme::StatusCodeType::command_specific);
      }
    }
  }
}

TEST_F(LogPagesTest, PartsMakeUpTheWhole) {
  auto made = admin();
  for (const std::uint8_t lid :
       std::initializer_list<std::uint8_t>{0x00, 0x02, 0x03, 0x05, 0x0c, 0x12}) {
    const auto whole = read(*made, lid, 512);
    for (std::uint32_t offset = 0; offset < 508; offset += 100) {
      const auto part = read(*made, lid, 4, offset);
      EXPECT_EQ(std::memcmp(part.data(), whole.data() + offset, 4), 0)
          << int{lid} << " at " << offset;
    }
  }
}

TEST_F(LogPagesTest, BeyondTheEndAreZerosAndFarBeyondIsRefused) {
  auto made = admin();
  const auto tail = read(*made, 0x02, 1024);
  EXPECT_TRUE(
      std::all_of(tail.begin() + 512, tail.end(), [](std::byte b) { return b == std::byte{0}; }));
  (void)read(*made, 0x02, 16, 512);
  EXPECT_EQ(made->must(log_entry(0x02, 16, 516)).status.code, status::invalid_field.code);
  EXPECT_EQ(made->must(log_entry(0x02, 16, 1ULL << 40)).status.code, status::invalid_field.code);
  EXPECT_EQ(made->must(log_entry(0x02, 16, 2)).status.code, status::invalid_field.code)
      << "not a dword";
  auto by_index = log_entry(0x02, 16);
  by_index.cdw14 = 1U << 23;
  EXPECT_EQ(made->must(by_index).status.code, status::invalid_field.code);
}

TEST_F(LogPagesTest, TransfersAreHeldToMdts) {
  auto made = admin();
  EXPECT_EQ(made->must(log_entry(0x02, 1U << 20)).status, status::success);
  EXPECT_EQ(made->must(log_entry(0x02, (1U << 20) + 4)).status.code, status::invalid_field.code);
  auto short_sgl = log_entry(0x02, 512);
  short_sgl.data_pointer.length = 256;
  EXPECT_EQ(made->must(short_sgl).status.code, status::data_sgl_length_invalid.code);
}

TEST_F(LogPagesTest, ErrorsAreRealAndNewestFirst) {
  auto made = admin();
  const auto refused = made->must(get_feature(nvme::FeatureId::volatile_write_cache));
  EXPECT_EQ(refused.status.code, status::invalid_field.code);
  EXPECT_TRUE(refused.status.more) << "the log says more";
  const auto first = made->last_command();
  EXPECT_TRUE(made->must(entry_of(std::uint8_t{0xc1})).status.more);
  const auto second = made->last_command();
  auto queue = io(1);
  auto beyond = entry_of(std::uint8_t{0x02}, 4096);
  beyond.nsid = 2;
  beyond.cdw10 = 1024;
  EXPECT_EQ(queue->must(beyond).status.code, status::lba_out_of_range.code);
  const auto third = queue->last_command();

  const auto bytes = read(*made, 0x01, 64 * error_log_entries);
  std::vector<nvme::ErrorLogEntry> entries(error_log_entries);
  std::memcpy(entries.data(), bytes.data(), bytes.size());
  EXPECT_EQ(entries[0].error_count, 3U);
  EXPECT_EQ(entries[0].sqid, 1);
  EXPECT_EQ(entries[0].command_id, third);
  EXPECT_EQ(entries[0].nsid, 2U);
  EXPECT_EQ(entries[0].lba, 1024U);
  EXPECT_EQ(entries[0].opcode, 0x02);
  EXPECT_EQ(entries[0].transport_type, 3);
  EXPECT_EQ(entries[1].error_count, 2U);
  EXPECT_EQ(entries[1].command_id, second);
  EXPECT_EQ(entries[1].opcode, 0xc1);
  EXPECT_EQ(entries[2].command_id, first);
  EXPECT_EQ(entries[2].parameter_location, 40) << "byte 40: the feature identifier";
  EXPECT_EQ(entries[3].error_count, 0U);
  EXPECT_EQ(read(*made, 0x02, 512).at(176), std::byte{3}) << "SMART counts them";
}

TEST_F(LogPagesTest, EachKindOfFailedCommandHasItsEntry) {
  auto made = admin();
  auto queue = io(1);
  const auto newest = [&] {
    nvme::ErrorLogEntry entry;
    std::memcpy(&entry, read(*made, 0x01, 64).data(), sizeof(entry));
    return entry;
  };
  // A command that names no block has none in its entry.
  auto flush = entry_of(std::uint8_t{0x00});
  flush.nsid = 77;
  flush.cdw10 = 5;
  EXPECT_EQ(queue->must(flush).status.code, status::invalid_namespace.code);
  EXPECT_EQ(newest().nsid, 77U);
  EXPECT_EQ(newest().lba, 0U);
  EXPECT_EQ(newest().status >> 1 & 0xffU, status::invalid_namespace.code);
  // Fabrics commands on an I/O queue.
  EXPECT_EQ(queue->must(property_get(0)).status.code, status::invalid_opcode.code);
  EXPECT_EQ(newest().sqid, 1);
  EXPECT_EQ(newest().command_id, queue->last_command());
  EXPECT_EQ(newest().opcode, 0x7f);
  EXPECT_EQ(newest().parameter_location, 4);
  // What only its volume could refuse.
  small.keeps = false;
  auto protect = set_feature(nvme::FeatureId::write_protection, 1);
  protect.nsid = 1;
  (void)made->run(protect);
  const auto refused = made->last_command();
  reactor.run_until_idle();
  EXPECT_EQ(newest().sqid, 0);
  EXPECT_EQ(newest().command_id, refused);
  EXPECT_EQ(newest().nsid, 1U);
  // Media.
  large.outcome = engine::IoStatus::media_error;
  auto bad = entry_of(std::uint8_t{0x02}, 4096);
  bad.nsid = 2;
  bad.cdw10 = 9;
  EXPECT_EQ(queue->must(bad).status.code, status::unrecovered_read_error.code);
  EXPECT_EQ(newest().lba, 9U);
  EXPECT_EQ(newest().status >> 1 & 0x7ffU, 0x281U);
  EXPECT_EQ(newest().transport_type, 3);
  const auto count = newest().error_count.value();
  // A Connect out of sequence is none of them (Base 2.2, "Connect Command and Response").
  EXPECT_EQ(queue->connect({.qid = 1, .cntlid = cntlid}).status, status::command_sequence_error);
  EXPECT_EQ(newest().error_count, count);
}

TEST_F(LogPagesTest, OldErrorsMakeRoom) {
  auto made = admin();
  for (std::uint32_t i = 0; i < error_log_entries + 10; ++i)
    made->must(entry_of(std::uint8_t{0xc0}));
  const auto bytes = read(*made, 0x01, 64 * error_log_entries);
  nvme::ErrorLogEntry newest;
  nvme::ErrorLogEntry oldest;
  std::memcpy(&newest, bytes.data(), 64);
  std::memcpy(&oldest, bytes.data() + bytes.size() - 64, 64);
  EXPECT_EQ(newest.error_count, error_log_entries + 10);
  EXPECT_EQ(oldest.error_count, 11U);
}

TEST_F(LogPagesTest, SmartCountersMove) {
  auto made = admin();
  auto queue = io(1);
  auto write = entry_of(std::uint8_t{0x01}, 4096);
  write.nsid = 2;
  auto read_one = entry_of(std::uint8_t{0x02}, 4096);
  read_one.nsid = 2;
  const auto before = page_of<nvme::SmartLogPage>(made->must(log_entry(0x02, 512)));
  for (int i = 0; i < 300; ++i) EXPECT_EQ(queue->must(write).status, status::success);
  EXPECT_EQ(queue->must(read_one).status, status::success);
  clock.advance(std::chrono::hours(3));
  const auto after = page_of<nvme::SmartLogPage>(made->must(log_entry(0x02, 512)));
  EXPECT_EQ(before.host_write_commands.low, 0U);
  EXPECT_EQ(after.host_write_commands.low, 300U);
  EXPECT_EQ(after.host_read_commands.low, 1U);
  EXPECT_EQ(after.data_units_written.low, 3U) << "thousands of 512 bytes, rounded up";
  EXPECT_EQ(after.data_units_read.low, 1U);
  EXPECT_EQ(after.power_on_hours.low, 3U);
  EXPECT_EQ(after.available_spare, 100);
  EXPECT_EQ(after.composite_temperature, 298) << "not zero kelvin";
  EXPECT_EQ(after.critical_warning, 0);
  EXPECT_EQ(made->must(log_entry(0x02, 512, 0, false, 1)).status.code, status::invalid_field.code)
      << "kept for the controller alone";
  EXPECT_EQ(made->must(log_entry(0x02, 512, 0, false, 0)).status, status::success);
}

TEST_F(LogPagesTest, FirmwareSlotHoldsTheVersion) {
  auto made = admin();
  const auto page = page_of<nvme::FirmwareSlotPage>(made->must(log_entry(0x03, 512)));
  EXPECT_EQ(page.active, 1);
  EXPECT_EQ(std::string(page.slot[0], 8), "1.2.3   ");
}

// nvme-cli 2.3 reads the largest page that Identify announces, 4,096 bytes at a time.
TEST_F(LogPagesTest, AnaIsReadInPiecesUpToItsLargestSize) {
  auto made = admin();
  const std::uint32_t largest = 16 + max_namespaces * 36;
  for (std::uint32_t offset = 4096; offset < largest; offset += 4096) {
    const auto piece = read(*made, 0x0c, std::min(4096U, largest - offset), offset);
    EXPECT_TRUE(
        std::all_of(piece.begin(), piece.end(), [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST_F(LogPagesTest, AnaHasAGroupForEachVolume) {
  masked.now_state = engine::VolumeState::late;
  target.refresh_volumes();
  auto made = admin();
  const auto bytes = read(*made, 0x0c, 16 + 3 * 36 + 8);
  nvme::AnaLogHeader header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  ASSERT_EQ(header.group_count, 3);
  std::size_t at = sizeof(header);
  for (const std::uint32_t nsid : {1U, 2U, 7U}) {
    nvme::AnaGroupDescriptor group;
    nvme::wire_types::U32 member;
    std::memcpy(&group, bytes.data() + at, sizeof(group));
    std::memcpy(&member, bytes.data() + at + sizeof(group), sizeof(member));
    EXPECT_EQ(group.group_id, nsid);
    EXPECT_EQ(group.namespace_count, 1U);
    EXPECT_EQ(member, nsid);
    EXPECT_EQ(group.state, nsid == 7 ? 3 : 1);
    EXPECT_LE(group.change_count, header.change_count);
    at += sizeof(group) + sizeof(member);
  }
  auto groups_only = log_entry(0x0c, 16 + 3 * 32);
  groups_only.cdw10 = groups_only.cdw10 | (1U << 8);
  const auto brief = made->must(groups_only);
  nvme::AnaGroupDescriptor second;
  std::memcpy(&second, brief.data.data() + 16 + 32, sizeof(second));
  EXPECT_EQ(second.group_id, 2U);
  EXPECT_EQ(second.namespace_count, 0U);

  auto blind = admin({.host = host_2});
  const auto theirs = read(*blind, 0x0c, 16);
  std::memcpy(&header, theirs.data(), sizeof(header));
  EXPECT_EQ(header.group_count, 2) << "a masked namespace has no group";
}

// A command that the effects log lists is executed or refused for its fields; any other is an
// invalid opcode.
TEST_F(LogPagesTest, EffectsAgreeWithBehaviour) {
  auto io_admin = admin();
  auto finder = discovery();
  const auto is_unknown = [](const FakePort::Answer* answer) {
    return answer != nullptr && answer->status.type == nvme::StatusCodeType::generic &&
           answer->status.code == status::invalid_opcode.code;
  };
  for (Link* made : {io_admin.get(), finder.get()}) {
    const auto effects = page_of<nvme::CommandEffectsPage>(made->must(log_entry(0x05, 4096)));
    for (unsigned opcode = 0; opcode < 256; ++opcode) {
      if (opcode == nvme::fabrics_opcode) continue;
      const auto* answer = made->run(entry_of(static_cast<std::uint8_t>(opcode), 4096));
      EXPECT_EQ((effects.admin[opcode] & 1U) != 0, !is_unknown(answer))
          << "Admin opcode " << opcode;
    }
  }
  auto queue = io(1);
  const auto effects = page_of<nvme::CommandEffectsPage>(io_admin->must(log_entry(0x05, 4096)));
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if (opcode == nvme::fabrics_opcode) continue;
    auto entry = entry_of(static_cast<std::uint8_t>(opcode), 4096);
    entry.nsid = 2;
    const auto* answer = queue->run(entry);
    EXPECT_EQ((effects.io[opcode] & 1U) != 0, !is_unknown(answer)) << "I/O opcode " << opcode;
    const bool writes =
        opcode == 0x01 || opcode == 0x04 || opcode == 0x08 || opcode == 0x09 || opcode == 0x19;
    EXPECT_EQ((effects.io[opcode] & 2U) != 0, writes) << "I/O opcode " << opcode;
  }
  auto other_set = log_entry(0x05, 4096);
  other_set.cdw14 = 2U << 24;
  EXPECT_EQ(io_admin->must(other_set).status.code, status::invalid_field.code);
}

TEST_F(LogPagesTest, FeatureEffectsAgreeWithGetFeatures) {
  auto io_admin = admin();
  auto finder = discovery();
  for (Link* made : {io_admin.get(), finder.get()}) {
    const auto effects = page_of<nvme::FeatureEffectsPage>(made->must(log_entry(0x12, 1024)));
    for (unsigned id = 0; id < 256; ++id) {
      auto entry = get_feature(static_cast<nvme::FeatureId>(id), /*dword11=*/0, /*select=*/3);
      EXPECT_EQ(made->must(entry).status.is_success(), (effects.feature[id] & 1U) != 0) << id;
    }
  }
}

}  // namespace
}  // namespace target::nvmf
