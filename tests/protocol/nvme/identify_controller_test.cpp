#include "protocol/nvme/identify_controller.h"

#include <gtest/gtest.h>

#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

using engine::operator""_KiB;
using engine::operator""_MiB;

ControllerIdentity example() {
  return {.serial_number = "FB0001",
          .model_number = "Forebay",
          .firmware_revision = "0.1.0",
          .subsystem_nqn = "nqn.2024-01.io.example:one",
          .controller = {0x0102}};
}

TEST(IdentifyController, GoldenIoController) {
  const PageBytes page(build_identify_controller(example()));
  ASSERT_EQ(page.size(), 4096u);
  EXPECT_EQ(page.number(0, 4), 0u) << "no PCI vendor is claimed";
  EXPECT_EQ(page.text(4, 20), "FB0001              ");
  EXPECT_EQ(page.text(24, 40), "Forebay                                 ");
  EXPECT_EQ(page.text(64, 8), "0.1.0   ");
  EXPECT_TRUE(page.is_zero(72, 76)) << "RAB and OUI";
  EXPECT_EQ(page.number(76, 1), 0x0bu) << "CMIC";
  EXPECT_EQ(page.number(77, 1), 8u) << "MDTS 1 MiB";
  EXPECT_EQ(page.number(78, 2), 0x0102u) << "CNTLID";
  EXPECT_EQ(page.number(80, 4), 0x0002'0100u) << "VER";
  EXPECT_EQ(page.number(92, 4), 0x0000'8900u) << "OAES";
  EXPECT_EQ(page.number(96, 4), 0x0000'0041u) << "CTRATT";
  EXPECT_EQ(page.number(111, 1), 1u) << "CNTRLTYPE";
  EXPECT_EQ(page.number(256, 2), 0x202u) << "OACS: Get LBA Status, Format NVM";
  EXPECT_EQ(page.number(258, 1), 3u) << "ACL";
  EXPECT_EQ(page.number(259, 1), 3u) << "AERL";
  EXPECT_EQ(page.number(260, 1), 0x03u) << "FRMW";
  EXPECT_EQ(page.number(261, 1), 0x16u) << "LPA";
  EXPECT_EQ(page.number(352, 4), 1u) << "PELS";
  EXPECT_EQ(page.number(262, 1), 63u) << "ELPE";
  EXPECT_EQ(page.number(263, 1), 0u) << "NPSS";
  EXPECT_EQ(page.number(266, 2), 343u) << "WCTEMP";
  EXPECT_EQ(page.number(320, 2), 1u) << "KAS";
  EXPECT_EQ(page.number(342, 1), 10u) << "ANATT";
  EXPECT_EQ(page.number(343, 1), 0x5fu) << "ANACAP";
  EXPECT_EQ(page.number(344, 4), 1024u) << "ANAGRPMAX";
  EXPECT_EQ(page.number(348, 4), 1024u) << "NANAGRPID";
  EXPECT_EQ(page.number(512, 1), 0x66u) << "SQES";
  EXPECT_EQ(page.number(513, 1), 0x44u) << "CQES";
  EXPECT_EQ(page.number(514, 2), 1024u) << "MAXCMD";
  EXPECT_EQ(page.number(516, 4), 1024u) << "NN";
  EXPECT_EQ(page.number(520, 2), 0x01ffu) << "ONCS";
  EXPECT_EQ(page.number(522, 2), 1u) << "FUSES";
  EXPECT_EQ(page.number(524, 1), 0x08u) << "FNA: not FFFFFFFFh";
  EXPECT_EQ(page.number(525, 1), 0x06u) << "VWC";
  EXPECT_EQ(page.number(526, 4), 0u) << "AWUN, AWUPF";
  EXPECT_EQ(page.number(534, 2), 5u) << "OCFS: formats 0h and 2h";
  EXPECT_EQ(page.number(531, 1), 3u) << "NWPC: no permanent one";
  EXPECT_EQ(page.number(536, 4), 0x0034'0001u) << "SGLS";
  EXPECT_EQ(page.number(540, 4), 1024u) << "MNAN";
  EXPECT_EQ(page.text(768, 27), std::string("nqn.2024-01.io.example:one") + '\0');
  EXPECT_TRUE(page.is_zero(794, 1024));
  EXPECT_EQ(page.number(1792, 4), 516u) << "IOCCSZ: 64 + 8192 bytes in units of 16";
  EXPECT_EQ(page.number(1796, 4), 1u) << "IORCSZ";
  EXPECT_EQ(page.number(1800, 2), 0u) << "ICDOFF";
  EXPECT_EQ(page.number(1802, 1), 0u) << "FCATT: dynamic controllers";
  EXPECT_EQ(page.number(1803, 1), 1u) << "MSDBD";
  EXPECT_EQ(page.number(1804, 2), 1u) << "OFCS";
  EXPECT_EQ(page.number(1806, 1), 0u) << "DCTYPE";
  EXPECT_TRUE(page.is_zero(1807, 4096));
}

TEST(IdentifyController, ADiscoveryControllerHasNoNamespaces) {
  auto identity = example();
  identity.type = ControllerType::discovery;
  identity.subsystem_nqn = discovery_nqn;
  const PageBytes page(build_identify_controller(identity));
  EXPECT_EQ(page.number(76, 1), 0x03u) << "CMIC without ANA";
  EXPECT_EQ(page.number(92, 4), 0x8000'0000u) << "OAES";
  EXPECT_EQ(page.number(111, 1), 2u) << "CNTRLTYPE";
  EXPECT_TRUE(page.is_zero(342, 352)) << "ANA";
  EXPECT_TRUE(page.is_zero(512, 514)) << "SQES, CQES";
  EXPECT_TRUE(page.is_zero(516, 536)) << "NN, ONCS, VWC";
  EXPECT_EQ(page.number(1806, 1), 1u) << "DCTYPE: direct";
  EXPECT_EQ(page.number(320, 2), 1u) << "KAS";
}

TEST(IdentifyController, TextThatDoesNotFitStaysInItsField) {
  auto identity = example();
  identity.serial_number = "1234567890123456789012345";
  identity.model_number = "f\xc3\xbcr\n";
  identity.firmware_revision = "1.2.3-beta4";
  const std::string long_nqn(300, 'n');
  identity.subsystem_nqn = long_nqn;
  const PageBytes page(build_identify_controller(identity));
  EXPECT_EQ(page.text(4, 20), "12345678901234567890");
  EXPECT_EQ(page.text(24, 8), "f??r?   ");
  EXPECT_EQ(page.text(64, 8), "1.2.3-be");
  EXPECT_EQ(page.number(1023, 1), 0u) << "the name keeps its terminator";
  EXPECT_TRUE(page.is_zero(1024, 1792));
}

TEST(IdentifyController, TransferLimitsRoundDownToPowersOfTwo) {
  EXPECT_EQ(transfer_limit_log2({0}), 0);
  EXPECT_EQ(transfer_limit_log2({4095}), 0);
  EXPECT_EQ(transfer_limit_log2(8_KiB), 1);
  EXPECT_EQ(transfer_limit_log2(64_KiB), 4);
  EXPECT_EQ(transfer_limit_log2({1024 * 1024 - 1}), 7);
  EXPECT_EQ(transfer_limit_log2(1_MiB), 8);
}

TEST(IdentifyController, LimitsAtTheirEndsDoNotWrap) {
  auto identity = example();
  identity.abort_limit = 256;
  identity.async_event_limit = 1;
  identity.error_log_entries = 256;
  identity.in_capsule_data = 64_KiB;
  const PageBytes page(build_identify_controller(identity));
  EXPECT_EQ(page.number(258, 1), 255u);
  EXPECT_EQ(page.number(259, 1), 0u);
  EXPECT_EQ(page.number(262, 1), 255u);
  EXPECT_EQ(page.number(1792, 4), 4100u);
}

TEST(IdentifyController, NvmLimits) {
  const PageBytes page(build_identify_nvm_controller({.verify = 1_MiB,
                                                      .write_zeroes = 16_MiB,
                                                      .dataset_ranges = 256,
                                                      .dataset_range_blocks = 0x1122'3344,
                                                      .dataset_total_blocks = 0x1122'3344'5566}));
  ASSERT_EQ(page.size(), 4096u);
  EXPECT_EQ(page.number(0, 1), 8u) << "VSL";
  EXPECT_EQ(page.number(1, 1), 12u) << "WZSL";
  EXPECT_EQ(page.number(2, 1), 0u) << "WUSL";
  EXPECT_EQ(page.number(3, 1), 0u) << "DMRL: 256 is no limit";
  EXPECT_EQ(page.number(4, 4), 0x1122'3344u) << "DMRSL";
  EXPECT_EQ(page.number(8, 8), 0x1122'3344'5566u) << "DMSL";
  EXPECT_TRUE(page.is_zero(16, 4096));
  EXPECT_EQ(PageBytes(build_identify_nvm_controller(
                          {.verify = {}, .write_zeroes = {}, .dataset_ranges = 255}))
                .number(3, 1),
            255u);
}

}  // namespace
}  // namespace protocol::nvme
