// Data over iSCSI in every way it can travel, and what the same volume's NVMe hosts see of it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/end_to_end/harness/daemon.h"
#include "tests/end_to_end/harness/initiator.h"

namespace end_to_end {
namespace {

class IscsiTransfer : public testing::Test {
 protected:
  IscsiTransfer() : daemon_(workplace_, with_iscsi(memory_config())) {}
  void SetUp() override { ASSERT_TRUE(daemon_.start()); }
  [[nodiscard]] client::Endpoint portal() { return iscsi_endpoint(daemon_.config()); }

  Workplace workplace_;
  Daemon daemon_;
};

TEST_F(IscsiTransfer, EveryWayDataCanTravelOverBothBlockSizes) {
  std::uint64_t seed = 1;
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(nvme.connected());
  for (const bool digests : {false, true}) {
    for (const bool initial_r2t : {true, false}) {
      for (const bool immediate : {true, false}) {
        for (const std::uint32_t outstanding : {1U, 4U}) {
          SCOPED_TRACE(fmt::format("digests {} InitialR2T {} ImmediateData {} R2Ts {}", digests,
                                   initial_r2t, immediate, outstanding));
          iscsi::LoginOptions options = to_target(portal());
          options.parameters = {.header_digest = digests,
                                .data_digest = digests,
                                .initial_r2t = initial_r2t,
                                .immediate_data = immediate,
                                .max_burst = 65536,
                                .first_burst = 16384,
                                .max_outstanding_r2t = outstanding,
                                .receive_segment = 8192};
          const auto session = open_session(options);
          ASSERT_TRUE(session);
          EXPECT_EQ(session->agreed().header_digest, digests);
          EXPECT_EQ(session->agreed().data_digest, digests);
          take_unit_attentions(*session, 1);
          for (const auto& [lun, nsid, block] : {std::tuple{0, 1, 4096}, std::tuple{1, 2, 512}}) {
            // One block, what fits the first burst, a little more, and several bursts.
            for (const std::uint32_t bytes : {4096U, 16384U, 20480U, 65536U, 200704U, 1048576U}) {
              const auto block_bytes = static_cast<std::uint32_t>(block);
              const Bytes data = pattern(bytes, seed++);
              const std::uint64_t lba = seed % 64;
              write(*session, static_cast<std::uint16_t>(lun), lba, data, block_bytes);
              ASSERT_TRUE(read(*session, static_cast<std::uint16_t>(lun), lba, bytes / block_bytes,
                               block_bytes) == data)
                  << bytes << " bytes of LUN " << lun;
              ASSERT_TRUE(read(*nvme.queue, static_cast<std::uint32_t>(nsid), lba,
                               bytes / block_bytes, block_bytes) == data)
                  << "NVMe sees something else";
            }
          }
          const auto out = session->log_out();
          ASSERT_GOOD(out);
          EXPECT_EQ(out.value(), 0);
          EXPECT_GOOD(session->raw().await_end());
        }
      }
    }
  }
}

TEST_F(IscsiTransfer, WhatNvmeWritesIscsiReads) {
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(nvme.connected());
  const auto session = open_session(to_target(portal()));
  ASSERT_TRUE(session);
  const Bytes data = pattern(131072, 7);
  write(*nvme.queue, 1, 100, data, 4096);
  EXPECT_TRUE(read(*session, 0, 100, 32, 4096) == data);
}

TEST_F(IscsiTransfer, ManyCommandsAtOnceAreAllAnswered) {
  const auto session = open_session(to_target(portal()));
  ASSERT_TRUE(session);
  for (std::uint64_t turn = 0; turn < 20; ++turn) {
    std::vector<std::uint32_t> tags;
    for (std::uint64_t i = 0; i < 64; ++i) {
      const auto tag = session->submit(scsi::write(i * 2, pattern(8192, turn * 64 + i), 4096));
      ASSERT_GOOD(tag);
      tags.push_back(tag.value());
    }
    for (const std::uint32_t tag : tags) {
      const auto done = session->await(tag);
      ASSERT_GOOD(done);
      // Under overload a host is told so, and tries again (SAM-5 5.3: 08h BUSY, 28h TASK SET FULL).
      EXPECT_TRUE(done.value().ok()) << done.value().describe();
    }
    for (std::uint64_t i = 0; i < 64; ++i) {
      ASSERT_TRUE(read(*session, 0, i * 2, 2, 4096) == pattern(8192, turn * 64 + i));
    }
  }
}

TEST_F(IscsiTransfer, ResidualsAreExact) {
  const auto session = open_session(to_target(portal()));
  ASSERT_TRUE(session);
  const Bytes data = pattern(16384, 3);
  write(*session, 0, 0, data, 4096);
  scsi::Task more = scsi::read(0, 4, 4096);
  more.expected_bytes = 20000;
  auto done = execute(*session, more);
  EXPECT_TRUE(done.data == data);
  EXPECT_EQ(done.underflow, 20000U - 16384U);
  scsi::Task less = scsi::read(0, 4, 4096);
  less.expected_bytes = 10000;
  done = execute(*session, less);
  EXPECT_TRUE(done.data == Bytes(data.begin(), data.begin() + 10000));
  EXPECT_EQ(done.overflow, 6384U);
}

TEST_F(IscsiTransfer, OneVolumeHasOneIdentityOverBothProtocols) {
  Host nvme(daemon_.endpoint());
  ASSERT_TRUE(nvme.connected());
  const auto session = open_session(to_target(portal()));
  ASSERT_TRUE(session);
  const auto page = execute(*session, scsi::vital_product_data(0x83)).data;
  const auto uuid = named(daemon_.status(), "volumes", "big").at("uuid").as_string();
  std::string digits;
  for (const char c : std::string_view(uuid.data(), uuid.size())) {
    if (c != '-') digits.push_back(c);
  }
  EXPECT_NE(client::to_hex(page).find(digits), std::string::npos)
      << "no designator of VPD 83h has the volume's UUID " << digits;
}

}  // namespace
}  // namespace end_to_end
