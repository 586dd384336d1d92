// Read commands of an I/O queue whose volume gives out where its data lies.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/target/nvmf/held_volume.h"
#include "tests/target/nvmf/target_harness.h"

namespace target::nvmf {
namespace {

constexpr std::uint32_t block_bytes = 4096;

class InPlaceRead : public TargetHarness {
 protected:
  InPlaceRead() {
    held.gives_out = true;
    for (std::uint64_t lba = 0; lba < 64; ++lba) {
      std::ranges::fill(held.block(lba), static_cast<std::byte>(lba + 1));
    }
    EXPECT_TRUE(target.add_namespace(subsystem_a, {.nsid = 9, .volume = &block_held, .hosts = {}}));
    control = admin();
    queue = io(1);
  }
  // It holds its volume, and the target outlives these here.
  ~InPlaceRead() override { EXPECT_TRUE(target.remove_namespace(subsystem_a, 9)); }
  FakePort::Answer read(std::uint64_t lba, std::uint32_t blocks) {
    auto entry = entry_of(std::uint8_t{0x02}, blocks * block_bytes);
    entry.nsid = 9;
    entry.cdw10 = static_cast<std::uint32_t>(lba);
    entry.cdw12 = blocks - 1;
    return queue->must(entry);
  }
  // As the blocks from `lba` on are.
  static void expect_data(const FakePort::Answer& answer, std::uint64_t lba, std::uint32_t blocks) {
    EXPECT_EQ(answer.status, status::success);
    ASSERT_EQ(answer.data.size(), std::size_t{blocks} * block_bytes);
    for (std::size_t at = 0; at < answer.data.size(); ++at) {
      ASSERT_EQ(answer.data[at], static_cast<std::byte>(lba + at / block_bytes + 1)) << at;
    }
  }

  HeldVolume held{engine::BlockSize{block_bytes}, 64};
  block::BlockVolume block_held{held};
  std::unique_ptr<Link> control;
  std::unique_ptr<Link> queue;
};

TEST_F(InPlaceRead, ALargeReadIsAnsweredFromWhereItLies) {
  const auto answer = read(3, 5);
  EXPECT_TRUE(answer.is_in_place);
  expect_data(answer, 3, 5);
  EXPECT_TRUE(held.seen.empty()) << "nothing was submitted";
  ASSERT_EQ(held.asked_in_place.size(), 1U);
  EXPECT_EQ(held.asked_in_place[0].lba, engine::Lba{3});
  EXPECT_EQ(held.asked_in_place[0].blocks, engine::BlockCount{5});
  EXPECT_TRUE(held.asked_in_place[0].is_use);
  EXPECT_FALSE(held.asked_in_place[0].needs_checksum);
  const auto shown = target.status().controllers.at(0);
  EXPECT_EQ(shown.read_commands, 1U);
  EXPECT_EQ(shown.bytes_read, 5U * block_bytes);
}

TEST_F(InPlaceRead, AChecksumIsAskedForWhereTheLinkHasDataDigests) {
  queue->port.link_.data_digest = true;
  expect_data(read(0, 5), 0, 5);
  ASSERT_EQ(held.asked_in_place.size(), 1U);
  EXPECT_TRUE(held.asked_in_place[0].needs_checksum);
}

TEST_F(InPlaceRead, ASmallReadIsCopied) {
  const auto answer = read(3, 4);
  EXPECT_FALSE(answer.is_in_place);
  expect_data(answer, 3, 4);
  EXPECT_TRUE(held.asked_in_place.empty());
}

TEST_F(InPlaceRead, WhatTheVolumeDoesNotGiveOutIsSubmitted) {
  held.gives_out = false;
  const auto answer = read(3, 5);
  EXPECT_FALSE(answer.is_in_place);
  expect_data(answer, 3, 5);
  EXPECT_EQ(held.seen.size(), 1U);
  EXPECT_EQ(target.status().controllers.at(0).read_commands, 1U);
}

TEST_F(InPlaceRead, WhoHasEnoughPinnedGetsCopies) {
  queue->port.may_pin = false;
  const auto answer = read(3, 5);
  EXPECT_FALSE(answer.is_in_place);
  expect_data(answer, 3, 5);
  EXPECT_TRUE(held.asked_in_place.empty());
}

TEST_F(InPlaceRead, WhatIsOutOfRangeIsNotAskedFor) {
  EXPECT_EQ(read(60, 5).status.code, status::lba_out_of_range.code);
  EXPECT_TRUE(held.asked_in_place.empty());
}

}  // namespace
}  // namespace target::nvmf
