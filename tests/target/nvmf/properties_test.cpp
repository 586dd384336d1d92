#include "target/nvmf/properties.h"

#include <gtest/gtest.h>

namespace target::nvmf {
namespace {

namespace nvme = protocol::nvme;
using Effect = Properties::Effect;

constexpr std::uint32_t enable = 0x0046'0001;

class PropertiesTest : public testing::Test {
 protected:
  std::uint64_t get(std::uint32_t offset, std::uint8_t size = 4) {
    const auto value = properties.get({.offset = offset, .size_bytes = size});
    EXPECT_TRUE(value) << offset;
    return value ? value.value() : 0;
  }
  Effect set(std::uint32_t cc) {
    const auto effect =
        properties.set({.offset = nvme::property::cc, .size_bytes = 4, .value = cc});
    EXPECT_TRUE(effect);
    return effect ? effect.value() : Effect::none;
  }
  std::uint64_t csts() { return get(nvme::property::csts); }
  Properties properties{{.max_queue_entries = 1024}};
};

TEST_F(PropertiesTest, CapabilitiesSayWhatIsThere) {
  const auto cap = get(nvme::property::cap, 8);
  EXPECT_EQ(cap & 0xffff, 1023U) << "MQES";
  EXPECT_EQ((cap >> 16) & 1, 1U) << "CQR";
  EXPECT_EQ((cap >> 24) & 0xff, 30U) << "TO";
  EXPECT_EQ((cap >> 36) & 1, 0U) << "NSSRS";
  EXPECT_EQ((cap >> 37) & 0xff, 0x41U) << "CSS: NVM and all I/O command sets";
  EXPECT_EQ((cap >> 48) & 0xff, 0U) << "MPSMIN and MPSMAX: 4 KiB";
  EXPECT_EQ((cap >> 59) & 3, 1U) << "CRMS.CRWMS";
  EXPECT_EQ(get(nvme::property::vs), 0x0002'0100U);
  EXPECT_EQ(get(nvme::property::crto), 30U);
  EXPECT_EQ(get(nvme::property::nssr), 0U);
}

TEST_F(PropertiesTest, OnlyWhatExistsInItsSizeIsRead) {
  for (const std::uint32_t offset : {0x0cU, 0x10U, 0x24U, 0x28U, 0x30U, 0x1000U, 0xffff'fffcU}) {
    EXPECT_FALSE(properties.get({.offset = offset, .size_bytes = 4})) << offset;
  }
  EXPECT_FALSE(properties.get({.offset = nvme::property::cap, .size_bytes = 4}));
  EXPECT_FALSE(properties.get({.offset = nvme::property::cc, .size_bytes = 8}));
}

TEST_F(PropertiesTest, OnlyTheConfigurationIsWritten) {
  for (const std::uint32_t offset : {nvme::property::cap, nvme::property::vs, nvme::property::csts,
                                     nvme::property::nssr, nvme::property::crto, 0x24U}) {
    EXPECT_FALSE(
        properties.set({.offset = offset, .size_bytes = 4, .value = nvme::subsystem_reset_key}))
        << offset;
  }
  EXPECT_FALSE(properties.set({.offset = nvme::property::cc, .size_bytes = 8, .value = enable}));
}

TEST_F(PropertiesTest, EnableIsReadyAndDisableIsNot) {
  EXPECT_EQ(csts(), 0U);
  EXPECT_EQ(set(enable), Effect::enabled);
  EXPECT_EQ(csts(), 1U);
  EXPECT_EQ(get(nvme::property::cc), enable);
  EXPECT_TRUE(properties.ready());
  EXPECT_EQ(set(enable), Effect::none) << "writing it again resets nothing";
  EXPECT_EQ(set(enable & ~1U), Effect::disabled);
  EXPECT_EQ(csts(), 0U);
  EXPECT_FALSE(properties.ready());
  EXPECT_EQ(set(enable), Effect::enabled);
}

TEST_F(PropertiesTest, ShutdownIsCompleteAtOnceAndEndsWithAReset) {
  EXPECT_EQ(set(enable), Effect::enabled);
  EXPECT_EQ(set(enable | 1U << 14), Effect::shut_down);
  EXPECT_EQ(csts(), 0x9U) << "RDY, SHST complete";
  EXPECT_FALSE(properties.ready());
  EXPECT_EQ(set(enable), Effect::none) << "only a reset leaves it";
  EXPECT_FALSE(properties.ready());
  EXPECT_EQ(set(enable & ~1U), Effect::disabled);
  EXPECT_EQ(csts(), 0U);
  EXPECT_EQ(set(enable), Effect::enabled);
  EXPECT_TRUE(properties.ready());
}

TEST_F(PropertiesTest, AbruptShutdownIsAShutdownToo) {
  EXPECT_EQ(set(enable), Effect::enabled);
  EXPECT_EQ(set(enable | 2U << 14), Effect::shut_down);
}

TEST_F(PropertiesTest, ShutdownWhileDisabledEndsWithEnable) {
  EXPECT_EQ(set((enable & ~1U) | 1U << 14), Effect::shut_down);
  EXPECT_EQ(csts(), 0x8U) << "SHST complete, not ready";
  EXPECT_EQ(set(enable), Effect::enabled);
  EXPECT_EQ(csts(), 0x1U);
  EXPECT_TRUE(properties.ready());
}

TEST_F(PropertiesTest, ImpossibleConfigurationIsFatalUntilReset) {
  struct Case {
    const char* what;
    std::uint32_t cc;
  };
  for (const auto& [what, cc] :
       {Case{"command set 001b", enable | 1U << 4},
        Case{"Admin command set only", enable | 7U << 4},
        Case{"8 KiB memory pages", enable | 1U << 7},
        Case{"weighted arbitration", enable | 1U << 11},
        Case{"SQ entries of 128 bytes", (enable & ~(0xfU << 16)) | 7U << 16},
        Case{"ready without media", enable | 1U << 24}}) {
    EXPECT_EQ(set(cc), Effect::failed) << what;
    EXPECT_EQ(csts(), 2U) << what;
    EXPECT_FALSE(properties.ready()) << what;
    EXPECT_EQ(set(0), Effect::disabled) << what;
    EXPECT_EQ(csts(), 0U) << what;
  }
  EXPECT_EQ(set(enable | 6U << 4), Effect::enabled) << "all I/O command sets: Linux asks for it";
}

TEST(DiscoveryProperties, NvmAndNoCommandSetAreBothTaken) {
  for (const std::uint32_t css : {0U, 7U}) {
    Properties properties({.max_queue_entries = 128,
                           .nvm_command_set = true,
                           .all_io_command_sets = false,
                           .no_io_command_set = true});
    const auto effect =
        properties.set({.offset = nvme::property::cc, .size_bytes = 4, .value = enable | css << 4});
    EXPECT_EQ(effect.value(), Effect::enabled) << css;
  }
}

}  // namespace
}  // namespace target::nvmf
