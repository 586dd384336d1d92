// Submission queue entries that a stock Linux host sent (the same frames as
// tests/protocol/nvme_tcp), and what they must mean.
#include <gtest/gtest.h>

#include <cstring>

#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/dataset_management.h"
#include "protocol/nvme/fabrics_command.h"
#include "protocol/nvme/io_command.h"
#include "tests/protocol/nvme_tcp/golden_frame.h"

namespace protocol::nvme {
namespace {

constexpr std::size_t entry_offset = 8;  // in a CapsuleCmd PDU
constexpr std::size_t data_offset = 72;  // without digests

SubmissionEntry entry(const std::string& name) {
  const auto frame = golden_frame(name);
  SubmissionEntry result;
  std::memcpy(&result, frame.data() + entry_offset, sizeof(result));
  return result;
}

template <class Command>
Command admin(const std::string& name) {
  const auto parsed = parse_admin_command(entry(name));
  EXPECT_TRUE(parsed.has_value()) << name;
  return std::get<Command>(parsed.value());
}

template <class Command>
Command io(const std::string& name) {
  const auto parsed = parse_io_command(entry(name));
  EXPECT_TRUE(parsed.has_value()) << name;
  return std::get<Command>(parsed.value());
}

TEST(KernelEntries, ConnectOfBothQueueKinds) {
  const auto admin_queue = std::get<Connect>(parse_fabrics_command(entry("connect_admin")).value());
  EXPECT_EQ(admin_queue.queue_id, 0);
  EXPECT_EQ(admin_queue.queue_entries, 32U);
  EXPECT_EQ(admin_queue.keep_alive_ms, 5000U);
  const auto io_queue = std::get<Connect>(parse_fabrics_command(entry("connect_io")).value());
  EXPECT_EQ(io_queue.queue_id, 1);
  EXPECT_EQ(io_queue.queue_entries, 128U);
  const auto frame = golden_frame("connect_admin");
  const auto data = parse_connect_data(std::span(frame).subspan(data_offset));
  ASSERT_TRUE(data.has_value());
  EXPECT_EQ(data.value().subsystem_nqn, "nqn.2026-11.com.example:guests");
  EXPECT_TRUE(data.value().host_nqn.starts_with("nqn.2014-08.org.nvmexpress:uuid:"));
}

TEST(KernelEntries, Properties) {
  const auto get = std::get<PropertyGet>(parse_fabrics_command(entry("property_get_cap")).value());
  EXPECT_EQ(get.offset, 0U);
  EXPECT_EQ(get.size_bytes, 8);
  const auto set = std::get<PropertySet>(parse_fabrics_command(entry("property_set_cc")).value());
  EXPECT_EQ(set.offset, 0x14U);
  // Linux sets the sizes first and CC.EN with a second command.
  EXPECT_EQ(set.value, 0x460060U) << "IOCQES 4, IOSQES 6, CSS 6";
}

TEST(KernelEntries, AdminCommands) {
  EXPECT_EQ(admin<Identify>("identify_controller").cns, 1);
  EXPECT_EQ(admin<Identify>("identify_namespace").nsid.value, 1U);
  EXPECT_EQ(admin<SetFeatures>("set_number_of_queues").feature_id, 7);
  EXPECT_EQ(admin<GetLogPage>("get_ana_log").log_id, 0x0c);
  admin<AsyncEventRequest>("async_event_request");
  admin<KeepAlive>("keep_alive");
}

TEST(KernelEntries, IoCommands) {
  EXPECT_EQ(io<Read>("read_4k").blocks.count.value, 1U);
  EXPECT_EQ(io<Write>("write_4k").blocks.count.value, 1U);
  EXPECT_EQ(io<Write>("write_64k").blocks.count.value, 16U);
  EXPECT_EQ(io<Flush>("flush").nsid.value, 1U);
  EXPECT_EQ(io<WriteZeroes>("write_zeroes").blocks.count.value, 16U);
}

// Linux sends 4,096 bytes of range list whatever the number of ranges in it.
TEST(KernelEntries, DeallocateHasMoreDataThanRanges) {
  const auto command = io<DatasetManagement>("deallocate");
  EXPECT_TRUE(command.deallocate);
  EXPECT_EQ(command.range_count, 1U);
  EXPECT_EQ(golden_frame("deallocate").size(), data_offset + 4096);
}

}  // namespace
}  // namespace protocol::nvme
