#include "engine/foundation/piece_sums.h"

#include <gtest/gtest.h>

#include <vector>

#include "engine/foundation/crc32c.h"
#include "engine/foundation/random.h"

namespace engine {
namespace {

constexpr std::uint64_t piece_bytes = PieceSums::piece_bytes;

std::vector<std::byte> some_bytes(std::size_t count) {
  SeededRandom random(count + 1);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.below(256));
  return bytes;
}

// Data, its sums, and what a reader or a receiver does with them.
struct Data {
  explicit Data(std::uint64_t size)
      : bytes(some_bytes(size)), sums(PieceSums::pieces_of(size)), view(sums, size) {}

  [[nodiscard]] std::span<const std::byte> part(std::uint64_t begin, std::uint64_t size) const {
    return std::span(bytes).subspan(begin, size);
  }
  [[nodiscard]] bool is_right(std::uint64_t piece) const {
    const std::uint64_t begin = piece * piece_bytes;
    return sums[piece].crc == crc32c(part(begin, std::min(piece_bytes, bytes.size() - begin)));
  }

  std::vector<std::byte> bytes;
  std::vector<PieceSum> sums;
  PieceSums view;
};

std::vector<std::size_t> known(const Data& data) {
  std::vector<std::size_t> pieces;
  for (std::size_t piece = 0; piece < data.sums.size(); ++piece) {
    if (!data.sums[piece].known) continue;
    EXPECT_TRUE(data.is_right(piece)) << piece;
    pieces.push_back(piece);
  }
  return pieces;
}

TEST(PieceSummer, FindsThemHoweverTheBytesAreCut) {
  SeededRandom random(7);
  for (const std::uint64_t size : {1U, 512U, 4096U, 4608U, 3 * 4096U, 5 * 4096U + 3584U}) {
    Data data(size);
    PieceSummer summer(data.view, 0);
    for (std::uint64_t at = 0; at < size;) {
      const std::uint64_t more = std::min(size - at, 1 + random.below(6000));
      summer.take(data.part(at, more));
      at += more;
    }
    EXPECT_EQ(summer.finish(), crc32c(data.bytes)) << size;
    EXPECT_EQ(known(data).size(), data.sums.size()) << size;
  }
}

// As H2CData PDUs may: the sum of a PDU is of its own bytes, that of a piece of the command's.
TEST(PieceSummer, KnowsOnlyPiecesThatItHasSeenWhole) {
  Data data(4 * piece_bytes + 512);
  PieceSummer summer(data.view, 1024);
  summer.take(data.part(1024, 2 * piece_bytes));
  EXPECT_EQ(summer.finish(), crc32c(data.part(1024, 2 * piece_bytes)));
  EXPECT_EQ(known(data), std::vector<std::size_t>{1});

  PieceSummer rest(data.view, 3 * piece_bytes);
  rest.take(data.part(3 * piece_bytes, piece_bytes + 512));
  EXPECT_EQ(rest.finish(), crc32c(data.part(3 * piece_bytes, piece_bytes + 512)));
  EXPECT_EQ(known(data), (std::vector<std::size_t>{1, 3, 4}));
}

TEST(PieceSummer, NeedsNobodyWhoListens) {
  const auto bytes = some_bytes(10000);
  PieceSummer summer(PieceSums(), 0);
  summer.take(bytes);
  EXPECT_EQ(summer.finish(), crc32c(bytes));
}

TEST(PieceSums, AreWorthTheirDataWhateverIsKnown) {
  Data data(3 * piece_bytes + 100);
  for (unsigned pieces = 0; pieces < 16; ++pieces) {
    data.view.forget(0, data.bytes.size());
    for (std::uint64_t piece = 0; piece < 4; ++piece) {
      if ((pieces & (1U << piece)) == 0) continue;
      const auto bytes = data.part(piece * piece_bytes, piece == 3 ? 100 : piece_bytes);
      data.view.note(piece * piece_bytes, bytes.size(), crc32c(bytes));
    }
    EXPECT_EQ(data.view.whole(data.bytes), crc32c(data.bytes)) << pieces;
    EXPECT_EQ(data.view.joined(), pieces == 15 ? std::optional(crc32c(data.bytes)) : std::nullopt);
  }
  EXPECT_EQ(PieceSums().whole(data.bytes), crc32c(data.bytes));
}

// The chain has no gap: who trusts the sums sees what has happened to the data since.
TEST(PieceSums, KnownOnesAreNotComputedAgain) {
  Data data(2 * piece_bytes);
  PieceSummer summer(data.view, 0);
  summer.take(data.bytes);
  const std::uint32_t before = summer.finish();
  data.bytes[5000] ^= std::byte{1};
  EXPECT_EQ(data.view.whole(data.bytes), before);
  data.view.forget(4999, 2);
  EXPECT_EQ(data.view.whole(data.bytes), crc32c(data.bytes));
}

TEST(PieceSums, WhatIsNotAPieceIsNotRemembered) {
  Data data(2 * piece_bytes + 512);
  data.view.note(512, piece_bytes, 1);
  data.view.note(0, 512, 1);
  data.view.note(2 * piece_bytes, piece_bytes, 1);
  data.view.note(3 * piece_bytes, 512, 1);
  EXPECT_TRUE(known(data).empty());
  data.view.note(2 * piece_bytes, 512, crc32c(data.part(2 * piece_bytes, 512)));
  EXPECT_EQ(known(data), std::vector<std::size_t>{2});
}

TEST(PieceSums, APartHasThoseOfItsOwnPieces) {
  Data data(3 * piece_bytes);
  PieceSummer summer(data.view, 0);
  summer.take(data.bytes);
  EXPECT_EQ(summer.finish(), crc32c(data.bytes));
  std::vector<std::uint32_t> crcs(2);
  ASSERT_TRUE(data.view.part(piece_bytes, 2 * piece_bytes).copy_to(crcs));
  EXPECT_EQ(crcs[0], data.sums[1].crc);
  EXPECT_EQ(crcs[1], data.sums[2].crc);
  EXPECT_TRUE(data.view.part(512, piece_bytes).empty());
  EXPECT_TRUE(PieceSums().part(0, 100).empty());
  const PieceSums cut = data.view.part(0, piece_bytes + 512);
  EXPECT_FALSE(cut.copy_to(crcs));
  EXPECT_EQ(cut.whole(data.part(0, piece_bytes + 512)), crc32c(data.part(0, piece_bytes + 512)));
}

}  // namespace
}  // namespace engine
