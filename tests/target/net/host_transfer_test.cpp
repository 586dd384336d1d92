#include "target/net/host_transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "engine/foundation/random.h"

namespace target {
namespace {

std::vector<HostTransfer::Request> requests(HostTransfer& transfer) {
  std::vector<HostTransfer::Request> all;
  while (auto request = transfer.next_request()) all.push_back(*request);
  return all;
}

TEST(HostTransfer, AsksForEachByteOnce) {
  HostTransfer transfer;
  transfer.begin(10000, 3000, 2);
  auto open = requests(transfer);
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(open[0].offset, 0U);
  EXPECT_EQ(open[1].offset, 3000U);
  EXPECT_NE(open[0].window, open[1].window);
  ASSERT_TRUE(transfer.expect(open[1].window, 3000, 3000, true));
  transfer.arrived(3000);
  open = requests(transfer);
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].offset, 6000U);
  EXPECT_EQ(open[0].length, 3000U);
}

TEST(HostTransfer, WhatHasComeUnaskedIsNotAskedFor) {
  HostTransfer transfer;
  transfer.begin(10000, 4096, 8, 3000);
  const auto open = requests(transfer);
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(open[0].offset, 3000U);
  EXPECT_EQ(open[1].offset, 7096U);
  EXPECT_EQ(open[1].length, 2904U);
  transfer.arrived(7000);
  EXPECT_TRUE(transfer.complete());
}

TEST(HostTransfer, LastRequestIsTheRest) {
  HostTransfer transfer;
  transfer.begin(4097, 4096, 8);
  const auto open = requests(transfer);
  ASSERT_EQ(open.size(), 2U);
  EXPECT_EQ(open[1].length, 1U);
}

TEST(HostTransfer, WindowIsUnknownBeforeAndAfterItsData) {
  HostTransfer transfer;
  transfer.begin(4096, 0, 4);
  EXPECT_EQ(transfer.expect(0, 0, 4096, true).error(), HostDataFault::unknown_transfer);
  (void)transfer.next_request();
  EXPECT_EQ(transfer.expect(1, 0, 4096, true).error(), HostDataFault::unknown_transfer);
  EXPECT_EQ(transfer.expect(7, 0, 4096, true).error(), HostDataFault::unknown_transfer);
  EXPECT_TRUE(transfer.expect(0, 0, 4096, true));
  EXPECT_EQ(transfer.expect(0, 0, 4096, true).error(), HostDataFault::unknown_transfer);
}

TEST(HostTransfer, DataOutsideOfItsWindowIsNamed) {
  HostTransfer transfer;
  transfer.begin(8192, 4096, 2);
  (void)requests(transfer);
  const auto fault = [&](std::uint32_t offset, std::uint32_t length, bool last) {
    return transfer.expect(1, offset, length, last).error();
  };
  EXPECT_EQ(fault(0, 512, false), HostDataFault::out_of_range);
  EXPECT_EQ(fault(8192, 512, true), HostDataFault::out_of_range);
  EXPECT_EQ(fault(4096, 4097, true), HostDataFault::out_of_range);
  EXPECT_EQ(fault(0xffffffff, 0xffffffff, true), HostDataFault::out_of_range);
  EXPECT_EQ(fault(4608, 512, false), HostDataFault::out_of_order);
  EXPECT_EQ(fault(4096, 4095, true), HostDataFault::bad_last);
  EXPECT_EQ(fault(4096, 4096, false), HostDataFault::bad_last);
}

TEST(HostTransfer, FailedTransferEndsWhenWhatWasAskedForHasCome) {
  HostTransfer transfer;
  transfer.begin(16384, 4096, 2);
  EXPECT_EQ(requests(transfer).size(), 2U);
  ASSERT_TRUE(transfer.expect(0, 0, 4096, true));
  transfer.fail();
  transfer.arrived(4096);
  EXPECT_FALSE(transfer.next_request());
  EXPECT_FALSE(transfer.complete());
  ASSERT_TRUE(transfer.expect(1, 4096, 4096, true));
  transfer.arrived(4096);
  EXPECT_TRUE(transfer.complete());
  EXPECT_TRUE(transfer.failed());
}

TEST(HostTransfer, EveryOrderOfAnswersCompletesOnce) {
  engine::SeededRandom random(3);
  for (int round = 0; round < 500; ++round) {
    const auto total = static_cast<std::uint32_t>(1 + random.below(1U << 20));
    HostTransfer transfer;
    transfer.begin(total, static_cast<std::uint32_t>(4096 + random.below(1U << 18)),
                   1 + random.below(HostTransfer::most_windows));
    std::vector<char> seen(total);
    auto open = requests(transfer);
    while (!open.empty()) {
      HostTransfer::Request& request = open[random.below(open.size())];
      const auto piece = static_cast<std::uint32_t>(1 + random.below(request.length));
      ASSERT_TRUE(transfer.expect(request.window, request.offset, piece, piece == request.length));
      ASSERT_EQ(std::memchr(seen.data() + request.offset, 1, piece), nullptr);
      std::memset(seen.data() + request.offset, 1, piece);
      request.offset += piece;
      request.length -= piece;
      transfer.arrived(piece);
      std::erase_if(open, [](const auto& r) { return r.length == 0; });
      for (const auto& more : requests(transfer)) open.push_back(more);
      ASSERT_EQ(transfer.complete(), open.empty());
    }
  }
}

}  // namespace
}  // namespace target
