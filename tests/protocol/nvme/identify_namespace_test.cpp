#include "protocol/nvme/identify_namespace.h"

#include <gtest/gtest.h>

#include "tests/protocol/nvme/page_bytes.h"

namespace protocol::nvme {
namespace {

NamespaceIdentity example_namespace() {
  return {.size = {0x1'0000'0000},
          .used = {0x1234},
          .block_size = {512},
          .nguid = nguid_of(*engine::Uuid::parse("0fdb0a0e-6b3f-4f0a-8d8e-0d5a2c1b3e4f")),
          .ana_group = 7,
          .hints = {.preferred_write_granularity = 8,
                    .preferred_write_alignment = 8,
                    .preferred_deallocate_granularity = 16,
                    .preferred_deallocate_alignment = 32,
                    .optimal_write_size = 256}};
}

TEST(IdentifyNamespace, GoldenNamespaceOfSmallBlocks) {
  const PageBytes page(build_identify_namespace(example_namespace()));
  ASSERT_EQ(page.size(), 4096u);
  EXPECT_EQ(page.number(0, 8), 0x1'0000'0000u) << "NSZE";
  EXPECT_EQ(page.number(8, 8), 0x1'0000'0000u) << "NCAP";
  EXPECT_EQ(page.number(16, 8), 0x1234u) << "NUSE";
  EXPECT_EQ(page.number(24, 1), 0x18u) << "NSFEAT: OPTPERF, UIDREUSE";
  EXPECT_EQ(page.number(25, 1), 0u) << "NLBAF: one";
  EXPECT_EQ(page.number(26, 1), 0u) << "FLBAS";
  EXPECT_TRUE(page.is_zero(27, 30)) << "no metadata, no protection";
  EXPECT_EQ(page.number(30, 1), 1u) << "NMIC";
  EXPECT_EQ(page.number(31, 1), 0xffu) << "RESCAP";
  EXPECT_EQ(page.number(32, 1), 0x80u) << "FPI: nothing is left to format";
  EXPECT_EQ(page.number(33, 1), 0x09u) << "DLFEAT";
  EXPECT_TRUE(page.is_zero(34, 48)) << "no atomicity beyond a block, no boundaries";
  EXPECT_EQ(page.number(48, 8), 0x200'0000'0000u) << "NVMCAP";
  EXPECT_EQ(page.number(64, 2), 7u) << "NPWG";
  EXPECT_EQ(page.number(66, 2), 7u) << "NPWA";
  EXPECT_EQ(page.number(68, 2), 15u) << "NPDG";
  EXPECT_EQ(page.number(70, 2), 31u) << "NPDA";
  EXPECT_EQ(page.number(72, 2), 255u) << "NOWS";
  EXPECT_EQ(page.number(92, 4), 7u) << "ANAGRPID";
  EXPECT_EQ(page.number(99, 1), 0u) << "NSATTR";
  EXPECT_EQ(page.number(104, 8), 0x0a4f'3f6b'0e0a'db0fu) << "NGUID";
  EXPECT_EQ(page.number(112, 3), 0x42'4602u);
  EXPECT_TRUE(page.is_zero(120, 128)) << "EUI64";
  EXPECT_EQ(page.number(128, 4), 0x0009'0000u) << "LBAF0";
  EXPECT_TRUE(page.is_zero(132, 4096));
}

TEST(IdentifyNamespace, LargeBlocks) {
  auto identity = example_namespace();
  identity.block_size = {4096};
  EXPECT_EQ(PageBytes(build_identify_namespace(identity)).number(130, 1), 12u);
}

TEST(IdentifyNamespace, MoreUsedThanThereIsCannotBeReported) {
  auto identity = example_namespace();
  identity.used = {0x2'0000'0000};
  EXPECT_EQ(PageBytes(build_identify_namespace(identity)).number(16, 8), 0x1'0000'0000u);
}

TEST(IdentifyNamespace, HintsStayInTheirFields) {
  auto identity = example_namespace();
  identity.hints.preferred_write_granularity = 0;
  identity.hints.optimal_write_size = 1'000'000;
  const PageBytes page(build_identify_namespace(identity));
  EXPECT_EQ(page.number(64, 2), 0u);
  EXPECT_EQ(page.number(72, 2), 0xffffu);
}

TEST(IdentifyNamespace, WhatAVolumeDoesNotDoIsNotClaimed) {
  auto identity = example_namespace();
  identity.shared = false;
  identity.write_protected = true;
  identity.deallocated_reads_zero = false;
  identity.write_zeroes_deallocates = false;
  const PageBytes page(build_identify_namespace(identity));
  EXPECT_EQ(page.number(30, 1), 0u);
  EXPECT_EQ(page.number(33, 1), 0u);
  EXPECT_EQ(page.number(99, 1), 1u);
}

TEST(IdentifyNamespace, IndependentPageSaysReadyAndCacheless) {
  auto identity = example_namespace();
  const PageBytes ready(build_identify_independent_namespace(identity));
  ASSERT_EQ(ready.size(), 4096u);
  EXPECT_EQ(ready.number(0, 1), 0x28u) << "NSFEAT: VWCNP, UIDREUSE";
  EXPECT_EQ(ready.number(1, 1), 1u) << "NMIC";
  EXPECT_EQ(ready.number(4, 4), 7u) << "ANAGRPID";
  EXPECT_EQ(ready.number(8, 1), 0u) << "NSATTR";
  EXPECT_EQ(ready.number(14, 1), 1u) << "NSTAT";
  EXPECT_TRUE(ready.is_zero(15, 4096));
  identity.ready = false;
  identity.write_protected = true;
  identity.format_left_percent = 40;
  const PageBytes late(build_identify_independent_namespace(identity));
  EXPECT_EQ(late.number(14, 1), 0u);
  EXPECT_EQ(late.number(8, 1), 1u);
  EXPECT_EQ(late.number(3, 1), 0xa8u) << "FPI";
  EXPECT_EQ(PageBytes(build_identify_namespace(identity)).number(32, 1), 0xa8u);
}

TEST(IdentifyNamespace, NvmPageIsZeros) {
  EXPECT_TRUE(PageBytes(IdentifyNvmNamespacePage{}).is_zero(0, 4096));
}

}  // namespace
}  // namespace protocol::nvme
