#include "target/net/output_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "engine/foundation/random.h"
#include "tests/target/net/fake_pins.h"

namespace target {
namespace {

using Bytes = std::vector<std::byte>;
using namespace std::chrono_literals;

class OutputQueueTest : public testing::Test {
 protected:
  void append(std::size_t bytes, unsigned seed) {
    const auto space = queue.append(bytes);
    ASSERT_EQ(space.size(), bytes);
    for (std::size_t i = 0; i < bytes; ++i) space[i] = static_cast<std::byte>(seed + i);
    expected.insert(expected.end(), space.begin(), space.end());
  }
  void append_payload(std::size_t bytes, unsigned seed) {
    auto lease = pool.lease({bytes});
    ASSERT_TRUE(lease);
    std::memset(lease->bytes().data(), static_cast<int>(seed), bytes);
    const auto data = lease->bytes().first(bytes);
    expected.insert(expected.end(), data.begin(), data.end());
    queue.append_payload(data, std::move(*lease));
  }
  FakePins& append_pinned(std::size_t bytes, std::size_t piece_bytes, unsigned seed,
                          engine::Duration since = {}) {
    const Bytes data(bytes, static_cast<std::byte>(seed));
    expected.insert(expected.end(), data.begin(), data.end());
    FakePins& pins = kept.emplace_back(data, piece_bytes);
    queue.append_pinned(pins.read(), {since});
    return pins;
  }
  // The same in parts of `part_bytes`, each behind a header and before a digest.
  void append_payload_in_parts(std::size_t bytes, std::size_t part_bytes, unsigned seed) {
    auto lease = pool.lease({bytes});
    ASSERT_TRUE(lease);
    std::memset(lease->bytes().data(), static_cast<int>(seed), bytes);
    for (std::size_t at = 0; at < bytes; at += part_bytes) {
      append(48, seed + 1);
      const auto part = lease->bytes().subspan(at, std::min(part_bytes, bytes - at));
      expected.insert(expected.end(), part.begin(), part.end());
      if (at + part.size() < bytes) {
        queue.append_payload_part(part);
      } else {
        queue.append_payload(part, std::move(*lease));
      }
      append(4, seed + 2);
    }
  }
  FakePins& append_pinned_in_parts(std::size_t bytes, std::size_t part_bytes, unsigned seed,
                                   engine::Duration since = {}) {
    FakePins& pins = kept.emplace_back(Bytes(bytes, static_cast<std::byte>(seed)), part_bytes);
    engine::PinnedRead read = pins.read();
    const auto parts = read.pieces();
    for (std::size_t i = 0; i < parts.size(); ++i) {
      append(48, seed + 1);
      expected.insert(expected.end(), parts[i].begin(), parts[i].end());
      if (i + 1 < parts.size()) {
        queue.append_pinned_part(parts[i], {since});
      } else {
        queue.append_last_pinned_part(parts[i], std::move(read), {since});
      }
      append(4, seed + 2);
    }
    return pins;
  }
  // Sends at most `bytes` of at most `pieces` pieces.
  void send(std::size_t bytes, std::size_t pieces) {
    std::vector<iovec> vectors(pieces);
    const std::size_t count = queue.gather(vectors);
    std::size_t taken = 0;
    for (std::size_t i = 0; i < count && taken < bytes; ++i) {
      const auto* begin = static_cast<const std::byte*>(vectors[i].iov_base);
      const std::size_t part = std::min(bytes - taken, vectors[i].iov_len);
      sent.insert(sent.end(), begin, begin + part);
      taken += part;
    }
    queue.sent(taken);
    queue.check_invariants();
  }

  engine::MemoryBudget budget{engine::ByteCount{64U << 20}};
  engine::BufferPool pool{budget};
  std::deque<FakePins> kept;
  OutputQueue queue;
  Bytes expected;
  Bytes sent;
};

TEST_F(OutputQueueTest, NeighbouringHeadersLeaveAsOnePiece) {
  append(24, 1);
  append(24, 2);
  append_payload(4096, 3);
  append(4, 4);
  append(24, 5);
  std::vector<iovec> vectors(10);
  EXPECT_EQ(queue.gather(vectors), 3U);
  EXPECT_EQ(queue.bytes(), 24U + 24 + 4096 + 4 + 24);
}

TEST_F(OutputQueueTest, BufferIsGivenBackAsSoonAsItsLastByteIsSent) {
  append(24, 1);
  append_payload(4096, 3);
  append_payload(8192, 4);
  EXPECT_EQ(queue.leased_bytes(), 12288U);
  send(24 + 4095, 10);
  EXPECT_EQ(queue.leased_bytes(), 12288U);
  send(1, 10);
  EXPECT_EQ(queue.leased_bytes(), 8192U);
  send(8192, 10);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(sent, expected);
}

TEST_F(OutputQueueTest, AReadIsLetGoOfBehindItsLastByte) {
  append(24, 1);
  const FakePins& first = append_pinned(20000, 4096, 2);
  const FakePins& second = append_pinned(8192, 8192, 3);
  append(4, 4);
  EXPECT_EQ(queue.pinned_bytes(), 28192U);
  send(24 + 19999, 10);
  EXPECT_TRUE(first.is_pinned);
  EXPECT_EQ(queue.pinned_bytes(), 8193U);
  send(1, 10);
  EXPECT_FALSE(first.is_pinned);
  EXPECT_TRUE(second.is_pinned);
  send(8192, 10);
  EXPECT_FALSE(second.is_pinned);
  EXPECT_EQ(queue.pinned_bytes(), 0U);
  send(4, 10);
  EXPECT_TRUE(sent == expected);
}

TEST_F(OutputQueueTest, WhatIsPinnedLongestGoesOnAsACopy) {
  const FakePins& first = append_pinned(20000, 4096, 2, 1s);
  append(24, 1);
  const FakePins& second = append_pinned(8192, 4096, 3, 2s);
  send(5000, 10);
  ASSERT_EQ(queue.longest_pinned()->since, engine::Instant{1s});
  ASSERT_EQ(queue.longest_pinned()->bytes, 15000U);
  EXPECT_TRUE(queue.copy_longest_pinned(*pool.lease({15000})));
  queue.check_invariants();
  EXPECT_FALSE(first.is_pinned);
  EXPECT_TRUE(second.is_pinned);
  EXPECT_GE(queue.leased_bytes(), 15000U);
  EXPECT_EQ(queue.pinned_bytes(), 8192U);
  ASSERT_EQ(queue.longest_pinned()->since, engine::Instant{2s});
  EXPECT_TRUE(queue.copy_longest_pinned(*pool.lease({8192})));
  EXPECT_FALSE(queue.longest_pinned());
  while (!queue.empty()) send(3000, 10);
  EXPECT_EQ(queue.leased_bytes(), 0U);
  EXPECT_TRUE(sent == expected);
}

TEST_F(OutputQueueTest, ABufferSentInPartsIsGivenBackBehindTheLast) {
  append_payload_in_parts(10000, 4096, 1);
  const std::size_t leased = queue.leased_bytes();
  EXPECT_GE(leased, 10000U);
  EXPECT_EQ(queue.bytes(), 10000U + 3 * 52);
  send(10000 + 3 * 52 - 5, 20);  // all but the last byte of data and the digest
  EXPECT_EQ(queue.leased_bytes(), leased);
  send(1, 20);
  EXPECT_EQ(queue.leased_bytes(), 0U);
  send(4, 20);
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(sent == expected);
}

TEST_F(OutputQueueTest, AReadSentInPartsIsLetGoOfBehindTheLast) {
  const FakePins& pins = append_pinned_in_parts(10000, 4096, 1);
  EXPECT_EQ(queue.pinned_bytes(), 10000U);
  send(48 + 4096 + 4 + 48 + 100, 20);
  EXPECT_EQ(queue.pinned_bytes(), 10000U - 4196);
  EXPECT_TRUE(pins.is_pinned);
  send(100000, 20);
  EXPECT_FALSE(pins.is_pinned);
  EXPECT_TRUE(sent == expected);
}

TEST_F(OutputQueueTest, AReadSentInPartsGoesOnAsACopyWithItsHeadersBetween) {
  const FakePins& first = append_pinned_in_parts(20000, 4096, 2, 1s);
  const FakePins& second = append_pinned_in_parts(5000, 4096, 5, 2s);
  send(48 + 3000, 10);
  ASSERT_EQ(queue.longest_pinned()->bytes, 17000U);
  EXPECT_TRUE(queue.copy_longest_pinned(*pool.lease({17000})));
  queue.check_invariants();
  EXPECT_FALSE(first.is_pinned);
  EXPECT_TRUE(second.is_pinned);
  EXPECT_EQ(queue.pinned_bytes(), 5000U);
  ASSERT_EQ(queue.longest_pinned()->since, engine::Instant{2s});
  ASSERT_EQ(queue.longest_pinned()->bytes, 5000U);
  while (!queue.empty()) send(3000, 10);
  EXPECT_EQ(queue.leased_bytes(), 0U);
  EXPECT_TRUE(sent == expected);
}

TEST_F(OutputQueueTest, ClearGivesEverythingBack) {
  for (unsigned i = 0; i < 300; ++i) {
    append(100, i);
    if (i % 3 == 0) append_payload(5000, i);
    if (i % 5 == 0) append_pinned(9000, 4096, i);
  }
  queue.clear();
  queue.check_invariants();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.leased_bytes(), 0U);
  for (const FakePins& pins : kept) EXPECT_FALSE(pins.is_pinned);
}

TEST_F(OutputQueueTest, AnyMixOfAppendingAndPartialSendingKeepsEveryByteInOrder) {
  engine::SeededRandom random(7);
  for (int round = 0; round < 20000; ++round) {
    const auto seed = static_cast<unsigned>(round);
    switch (random.below(6)) {
      case 0:
        append(1 + random.below(152), seed);
        break;
      case 1:
        if (queue.leased_bytes() >= (32U << 20)) break;
        if (random.chance(1, 3)) {
          append_payload_in_parts(1 + random.below(20000), 1 + random.below(8192), seed);
        } else {
          append_payload(1 + random.below(20000), seed);
        }
        break;
      case 2:
        if (random.chance(1, 4)) append_pinned(1 + random.below(20000), 4096, seed);
        if (random.chance(1, 8)) {
          append_pinned_in_parts(1 + random.below(20000), 1 + random.below(8192), seed);
        }
        if (const auto pinned = queue.longest_pinned(); pinned && random.chance(1, 4)) {
          ASSERT_TRUE(queue.copy_longest_pinned(*pool.lease({pinned->bytes})));
        }
        break;
      default:
        send(random.below(random.chance(1, 10) ? 100000 : 2000), 1 + random.below(64));
    }
  }
  while (!queue.empty()) send(100000, 64);
  EXPECT_EQ(sent.size(), expected.size());
  EXPECT_TRUE(sent == expected);
}

}  // namespace
}  // namespace target
