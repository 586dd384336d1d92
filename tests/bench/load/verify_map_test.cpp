#include "tests/bench/load/verify_map.h"

#include <gtest/gtest.h>

#include <cstring>

namespace bench {
namespace {

constexpr std::uint32_t unit_bytes = 8192;
constexpr std::uint32_t lba_bytes = 4096;
using Data = std::vector<std::byte>;

class Verify : public testing::Test {
 protected:
  Data write(std::uint64_t unit) {
    Data data(unit_bytes);
    const auto generation = map.begin_write(unit, data);
    EXPECT_TRUE(generation);
    map.end_write(unit, *generation, true);
    return data;
  }
  // What the check says, "" when all is well.
  std::string verdict(std::uint64_t unit, const Data& data) {
    return map.check(unit, map.floor(unit), data).value_or("");
  }

  VerifyMap map{{.first = 4, .units = 8}, unit_bytes, lba_bytes, 77};
};

TEST_F(Verify, WhatWasWrittenIsRight) {
  EXPECT_EQ(verdict(5, write(5)), "");
  EXPECT_EQ(map.verified_blocks(), 2u);
}

TEST_F(Verify, NeverWrittenBlocksAreUnknownNotWrong) {
  EXPECT_EQ(verdict(5, Data(unit_bytes)), "");
  EXPECT_EQ(map.unknown_blocks(), 2u);
}

TEST_F(Verify, LostStaleTornAndMisplacedAreToldApart) {
  const Data first = write(5);
  const Data second = write(5);
  EXPECT_NE(verdict(5, Data(unit_bytes)).find("lost"), std::string::npos);
  EXPECT_NE(verdict(5, first).find("LBA 10: stale"), std::string::npos);
  EXPECT_NE(verdict(6, second).find("misplaced"), std::string::npos);

  Data half_new = first;  // the second block is old
  std::memcpy(half_new.data(), second.data(), lba_bytes);
  EXPECT_NE(verdict(5, half_new).find("LBA 11: stale"), std::string::npos);

  Data torn = second;  // the second half of a block is old
  std::memcpy(torn.data() + 2048, first.data() + 2048, 2048);
  EXPECT_NE(verdict(5, torn).find("LBA 10: torn"), std::string::npos);
}

TEST_F(Verify, AReadBesideAWriteMayBeOldOrNewButNothingElse) {
  const Data old = write(5);
  const auto floor = map.floor(5);
  Data fresh(unit_bytes);
  const auto generation = map.begin_write(5, fresh);
  ASSERT_TRUE(generation);
  EXPECT_FALSE(map.check(5, floor, old));
  EXPECT_FALSE(map.check(5, floor, fresh));
  map.end_write(5, *generation, true);
  EXPECT_FALSE(map.check(5, floor, old));  // the read was submitted before the acknowledgement
  EXPECT_TRUE(map.check(5, map.floor(5), old));  // this one was not
}

TEST_F(Verify, OneWriteOfAUnitAtATime) {
  Data data(unit_bytes);
  const auto generation = map.begin_write(5, data);
  EXPECT_TRUE(generation);
  EXPECT_FALSE(map.begin_write(5, data));
  map.end_write(5, *generation, true);
  EXPECT_TRUE(map.begin_write(5, data));
}

TEST_F(Verify, AFailedWriteMayOrMayNotHaveHappened) {
  const Data old = write(5);
  Data fresh(unit_bytes);
  map.end_write(5, *map.begin_write(5, fresh), false);
  EXPECT_EQ(verdict(5, old), "");
  EXPECT_EQ(verdict(5, fresh), "");
  EXPECT_FALSE(map.begin_write(5, fresh));
}

TEST_F(Verify, WrittenUnitsAreFoundForReadingBack) {
  (void)write(6);
  (void)write(11);
  EXPECT_EQ(map.next_written(4), 6u);
  EXPECT_EQ(map.next_written(7), 11u);
  EXPECT_FALSE(map.next_written(12));
}

}  // namespace
}  // namespace bench
