// PieceSums: the checksums of some data on its way between wire and media, as far as anybody knows
// them. Whoever has computed one leaves it to those who come later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace engine {

// CRC-32C.
struct PieceSum {
  std::uint32_t crc = 0;
  bool known = false;
};

// A view of the sums of pieces of 4096 bytes, counted from the data's beginning, the last one
// possibly shorter. Empty: nothing is known, and nobody wants to know. Not thread-safe.
class PieceSums {
 public:
  static constexpr std::uint64_t piece_bytes = 4096;
  [[nodiscard]] static constexpr std::size_t pieces_of(std::uint64_t bytes) {
    return (bytes + piece_bytes - 1) / piece_bytes;
  }

  PieceSums() = default;
  // Of data of that length; `sums` has pieces_of(bytes) elements.
  PieceSums(std::span<PieceSum> sums, std::uint64_t bytes);

  [[nodiscard]] bool empty() const { return sums_.empty(); }

  // Those bytes have this checksum: remembered if they are a piece.
  void note(std::uint64_t begin, std::uint64_t bytes, std::uint32_t crc) const;
  // Of every piece that those bytes touch.
  void forget(std::uint64_t begin, std::uint64_t bytes) const;

  // Of a part of the data as data of its own; what is not known of it in that way is forgotten.
  // Empty, if its pieces are others.
  [[nodiscard]] PieceSums part(std::uint64_t begin, std::uint64_t bytes) const;

  // All of them, if all are known.
  [[nodiscard]] bool copy_to(std::span<std::uint32_t> crcs) const;
  // The checksum of the whole, if all are known.
  [[nodiscard]] std::optional<std::uint32_t> joined() const;
  // The checksum of the whole `data`, of which only unknown pieces are read.
  [[nodiscard]] std::uint32_t whole(std::span<const std::byte> data) const;

 private:
  [[nodiscard]] std::uint64_t length_of(std::uint64_t piece) const;

  std::span<PieceSum> sums_;
  std::uint64_t bytes_ = 0;
};

// Computes the checksum of bytes that come in order, a part of some data, and on the way those of
// the data's pieces.
class PieceSummer {
 public:
  PieceSummer() = default;
  // They begin there in the data that `sums` are of.
  PieceSummer(const PieceSums& sums, std::uint64_t begin)
      : sums_(sums), at_(begin), piece_begin_(begin) {}

  void take(std::span<const std::byte> bytes);
  // Of all that has been taken; once.
  [[nodiscard]] std::uint32_t finish();

 private:
  void end_piece();

  PieceSums sums_;
  std::uint64_t at_ = 0;
  std::uint64_t piece_begin_ = 0;  // or where the bytes began
  std::uint32_t piece_ = 0;
  std::uint32_t before_ = 0;  // of all before the piece
};

}  // namespace engine
