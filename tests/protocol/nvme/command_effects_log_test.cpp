#include "protocol/nvme/command_effects_log.h"

#include <gtest/gtest.h>

#include "protocol/nvme/admin_command.h"
#include "protocol/nvme/io_command.h"
#include "tests/protocol/nvme/page_bytes.h"
#include "tests/protocol/nvme/raw_entry.h"

namespace protocol::nvme {
namespace {

template <class Result>
bool is_known(const Result& parsed) {
  return parsed || !parsed.error().status.is(status::invalid_opcode);
}

TEST(CommandEffectsLog, AgreesWithTheParsersForEveryOpcode) {
  const auto page = build_command_effects(EffectsOf::io_controller);
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    const auto entry = RawEntry(static_cast<std::uint8_t>(opcode)).entry();
    EXPECT_EQ((page.admin[opcode] & effect_bit::supported) != 0,
              is_known(parse_admin_command(entry)))
        << opcode;
    EXPECT_EQ((page.io[opcode] & effect_bit::supported) != 0, is_known(parse_io_command(entry)))
        << opcode;
  }
}

TEST(CommandEffectsLog, CommandsThatChangeBlocksSaySo) {
  const PageBytes page(build_command_effects(EffectsOf::io_controller));
  ASSERT_EQ(page.size(), 4096u);
  for (const unsigned opcode : {0x01u, 0x04u, 0x08u, 0x09u, 0x19u})
    EXPECT_EQ(page.number(1024 + opcode * 4, 4), 3u) << opcode;
  for (const unsigned opcode : {0x00u, 0x02u, 0x05u, 0x0cu, 0x0du, 0x0eu, 0x11u, 0x15u})
    EXPECT_EQ(page.number(1024 + opcode * 4, 4), 1u) << opcode;
  EXPECT_EQ(page.number(0x80 * 4, 4), 0x1'0007u) << "Format NVM, while nothing else is under way";
  EXPECT_TRUE(page.is_zero(2048, 4096));
}

TEST(CommandEffectsLog, DiscoveryControllersHaveNoIoCommands) {
  const PageBytes page(build_command_effects(EffectsOf::discovery_controller));
  EXPECT_EQ(page.number(0x18 * 4, 4), 1u) << "keep alive";
  EXPECT_TRUE(page.is_zero(1024, 4096));
}

TEST(CommandEffectsLog, FeaturesAreListedOnceAndTheWriteCacheIsNotOne) {
  const PageBytes page(build_feature_effects(EffectsOf::io_controller));
  ASSERT_EQ(page.size(), 1024u);
  for (unsigned id = 0; id < 256; ++id) {
    EXPECT_EQ(page.number(id * 4, 4) != 0,
              has_feature(EffectsOf::io_controller, static_cast<std::uint8_t>(id)))
        << id;
  }
  for (const unsigned id : {0x01u, 0x02u, 0x04u, 0x05u, 0x07u, 0x0bu, 0x0eu, 0x0fu, 0x16u, 0x81u,
                            0x82u, 0x83u, 0x84u}) {
    EXPECT_EQ(page.number(id * 4, 4), 1u) << id;
  }
  EXPECT_EQ(page.number(0x06 * 4, 4), 0u);
  EXPECT_FALSE(has_feature(EffectsOf::discovery_controller, 0x07));
  EXPECT_TRUE(has_feature(EffectsOf::discovery_controller, 0x0b));
}

}  // namespace
}  // namespace protocol::nvme
