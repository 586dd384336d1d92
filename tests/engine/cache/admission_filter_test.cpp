#include "engine/cache/admission_filter.h"

#include <gtest/gtest.h>

#include "engine/foundation/random.h"

namespace engine::test {
namespace {

SectorRange block(std::uint64_t number) { return {{number * 8}, {8}}; }

TEST(AdmissionFilter, TheSecondTouchIsAdmittedAndTheNextHasToProveItselfAgain) {
  AdmissionFilter filter(1024);
  EXPECT_FALSE(filter.admits(block(5000)));
  EXPECT_TRUE(filter.admits(block(5000)));
  EXPECT_FALSE(filter.admits(block(5000)));
}

TEST(AdmissionFilter, RemembersAboutAsManyAsItSaysAndNotManyMore) {
  AdmissionFilter filter(1024);
  SeededRandom random(1);
  // Far apart, so that none of them is a stream.
  const auto touch = [&](std::uint64_t number) { return filter.admits(block(number * 1000)); };
  for (std::uint64_t at = 0; at < 512; ++at) EXPECT_FALSE(touch(at));
  std::uint64_t remembered = 0;
  for (std::uint64_t at = 0; at < 512; ++at) remembered += touch(at) ? 1 : 0;
  EXPECT_GE(remembered, 440U);
  for (std::uint64_t at = 10'000; at < 10'000 + 8192; ++at) (void)touch(at);
  remembered = 0;
  for (std::uint64_t at = 10'000; at < 10'000 + 4096; ++at) remembered += touch(at) ? 1 : 0;
  EXPECT_LE(remembered, 16U);
}

TEST(AdmissionFilter, AStreamIsNotAdmittedHoweverOftenItIsRead) {
  AdmissionFilter filter(1 << 16);
  for (int round = 0; round < 3; ++round) {
    std::uint64_t admitted = 0;
    for (std::uint64_t number = 0; number < 4096; ++number) {
      admitted += filter.admits(block(number)) ? 1 : 0;
    }
    // Until it is known for one.
    EXPECT_LE(admitted, AdmissionFilter::stream_sectors / 8) << round;
  }
}

TEST(AdmissionFilter, AStreamIsSeenBetweenOtherReads) {
  AdmissionFilter filter(1 << 16);
  SeededRandom random(2);
  std::uint64_t admitted = 0;
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t number = 0; number < 4096; ++number) {
      if (number % 16 != 0) admitted += filter.admits(block(number)) ? 1 : 0;
      for (int other = 0; other < 4; ++other) {
        (void)filter.admits(block(1'000'000 + random.below(1'000'000)));
      }
    }
  }
  EXPECT_LE(admitted, AdmissionFilter::stream_sectors / 8);
}

}  // namespace
}  // namespace engine::test
