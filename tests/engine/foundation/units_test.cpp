#include "engine/foundation/units.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace engine {
namespace {

template <class A, class B>
concept Addable = requires(A a, B b) {
  a + b;
};

static_assert(Addable<Lba, BlockCount>);
static_assert(!Addable<Lba, Lba>, "two addresses have no sum");
static_assert(!Addable<Lba, ByteCount>, "blocks and bytes do not mix");
static_assert(Addable<Sector, SectorCount> && Addable<Place, SectorCount>);
static_assert(!Addable<Sector, BlockCount>, "a block is not always a sector");
static_assert(!Addable<Sector, Place>, "an address of the volume is no place on the cache device");
static_assert(!std::is_convertible_v<Lba, std::uint64_t>);

TEST(Units, BlocksBecomeBytesThroughTheBlockSize) {
  constexpr BlockSize sectors{512};
  EXPECT_EQ((BlockCount{8} * sectors), ByteCount{4096});
  EXPECT_EQ(byte_position(Lba{3}, sectors), MediaOffset{1536});
  EXPECT_EQ((Lba{10} + BlockCount{5}) - Lba{10}, BlockCount{5});
  EXPECT_EQ(4_KiB, ByteCount{4096});
}

}  // namespace
}  // namespace engine
