#include "engine/foundation/piece_sums.h"

#include <algorithm>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"

namespace engine {

PieceSums::PieceSums(std::span<PieceSum> sums, std::uint64_t bytes) : sums_(sums), bytes_(bytes) {
  CHECK(sums.empty() || sums.size() == pieces_of(bytes));
}

std::uint64_t PieceSums::length_of(std::uint64_t piece) const {
  return std::min(piece_bytes, bytes_ - piece * piece_bytes);
}

void PieceSums::note(std::uint64_t begin, std::uint64_t bytes, std::uint32_t crc) const {
  const std::uint64_t piece = begin / piece_bytes;
  if (begin % piece_bytes != 0 || piece >= sums_.size() || bytes != length_of(piece)) return;
  sums_[piece] = {.crc = crc, .known = true};
}

void PieceSums::forget(std::uint64_t begin, std::uint64_t bytes) const {
  if (bytes == 0) return;
  const std::uint64_t end = std::min<std::uint64_t>(pieces_of(begin + bytes), sums_.size());
  for (std::uint64_t piece = begin / piece_bytes; piece < end; ++piece) sums_[piece] = {};
}

PieceSums PieceSums::part(std::uint64_t begin, std::uint64_t bytes) const {
  if (begin % piece_bytes != 0 || sums_.empty()) return {};
  CHECK(begin + bytes <= bytes_);
  const PieceSums part(sums_.subspan(begin / piece_bytes, pieces_of(bytes)), bytes);
  // Its last piece was longer.
  if (bytes % piece_bytes != 0 && begin + bytes != bytes_) part.sums_.back() = {};
  return part;
}

bool PieceSums::copy_to(std::span<std::uint32_t> crcs) const {
  if (sums_.empty() || !std::ranges::all_of(sums_, &PieceSum::known)) return false;
  CHECK(crcs.size() == sums_.size());
  std::ranges::transform(sums_, crcs.begin(), &PieceSum::crc);
  return true;
}

std::optional<std::uint32_t> PieceSums::joined() const {
  if (sums_.empty() || !std::ranges::all_of(sums_, &PieceSum::known)) return std::nullopt;
  std::uint32_t crc = 0;
  for (std::uint64_t piece = 0; piece < sums_.size(); ++piece) {
    crc = crc32c_join(crc, sums_[piece].crc, length_of(piece));
  }
  return crc;
}

std::uint32_t PieceSums::whole(std::span<const std::byte> data) const {
  if (sums_.empty()) return crc32c(data);
  CHECK(data.size() == bytes_);
  std::uint32_t crc = 0;
  for (std::uint64_t piece = 0; piece < sums_.size(); ++piece) {
    const std::uint64_t length = length_of(piece);
    crc = sums_[piece].known ? crc32c_join(crc, sums_[piece].crc, length)
                             : crc32c_extend(crc, data.subspan(piece * piece_bytes, length));
  }
  return crc;
}

void PieceSummer::take(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::uint64_t to_edge = PieceSums::piece_bytes - at_ % PieceSums::piece_bytes;
    const auto part = bytes.first(std::min<std::uint64_t>(to_edge, bytes.size()));
    piece_ = crc32c_extend(piece_, part);
    at_ += part.size();
    bytes = bytes.subspan(part.size());
    if (part.size() == to_edge) end_piece();
  }
}

void PieceSummer::end_piece() {
  const std::uint64_t length = at_ - piece_begin_;
  sums_.note(piece_begin_, length, piece_);
  before_ = crc32c_join(before_, piece_, length);
  piece_begin_ = at_;
  piece_ = 0;
}

std::uint32_t PieceSummer::finish() {
  if (at_ != piece_begin_) end_piece();
  return before_;
}

}  // namespace engine
