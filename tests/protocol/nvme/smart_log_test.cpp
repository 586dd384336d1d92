#include "protocol/nvme/smart_log.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

TEST(SmartLog, GoldenPage) {
  const PageBytes page(build_smart_log({.critical_warning = critical_warning::read_only,
                                        .temperature_kelvin = 310,
                                        .bytes_read = 512'000,
                                        .bytes_written = 512'001,
                                        .read_commands = 5,
                                        .write_commands = 6,
                                        .busy_milliseconds = 180'000,
                                        .power_cycles = 8,
                                        .powered_seconds = 36'000,
                                        .unsafe_shutdowns = 11,
                                        .media_errors = 12,
                                        .error_log_entries = 13}));
  ASSERT_EQ(page.size(), 512u);
  EXPECT_EQ(page.number(0, 1), 0x08u);
  EXPECT_EQ(page.number(1, 2), 310u);
  EXPECT_EQ(page.number(3, 1), 100u) << "spare";
  EXPECT_EQ(page.number(4, 1), 10u) << "its threshold";
  EXPECT_EQ(page.number(5, 1), 0u) << "percentage used";
  EXPECT_TRUE(page.is_zero(6, 32));
  EXPECT_EQ(page.number(32, 8), 1u) << "data units read";
  EXPECT_EQ(page.number(48, 8), 2u) << "data units written, rounded up";
  EXPECT_EQ(page.number(64, 8), 5u);
  EXPECT_EQ(page.number(80, 8), 6u);
  EXPECT_EQ(page.number(96, 8), 3u) << "busy minutes";
  EXPECT_EQ(page.number(112, 8), 8u);
  EXPECT_EQ(page.number(128, 8), 10u) << "hours";
  EXPECT_EQ(page.number(144, 8), 11u);
  EXPECT_EQ(page.number(160, 8), 12u);
  EXPECT_EQ(page.number(176, 8), 13u);
  EXPECT_TRUE(page.is_zero(184, 512));
}

TEST(SmartLog, AFirstByteCountsAsAUnitAndTheLastDoesNotOverflow) {
  EXPECT_EQ(PageBytes(build_smart_log({})).number(32, 8), 0u);
  EXPECT_EQ(PageBytes(build_smart_log({.bytes_read = 1})).number(32, 8), 1u);
  EXPECT_EQ(PageBytes(build_smart_log({.bytes_read = std::numeric_limits<std::uint64_t>::max()}))
                .number(32, 8),
            36'028'797'018'964u);
}

}  // namespace
}  // namespace protocol::nvme
