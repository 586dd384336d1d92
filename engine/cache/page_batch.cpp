#include "engine/cache/page_batch.h"

#include <algorithm>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"

namespace engine {
namespace {

constexpr std::size_t largest_array = most_pieces * sizeof(std::uint32_t);
static_assert(largest_array % format::place_bytes == 0);

void sum_pieces(std::span<const std::byte> data, std::span<std::uint32_t> crcs) {
  for (std::uint32_t& crc : crcs) {
    const auto piece = data.first(std::min<std::size_t>(data.size(), crc_piece_bytes));
    crc = crc32c(piece);
    data = data.subspan(piece.size());
  }
}

}  // namespace

void PageBatch::add(CommitRecord& record) {
  std::uint64_t done = 0;
  for (PendingKey& key : record.keys_) {
    const auto data = record.data_.subspan(done, key.range().count.value * format::place_bytes);
    add(key, data, record.sums_.part(done, data.size()));
    done += data.size();
  }
}

void PageBatch::add(PendingKey& key, std::span<const std::byte> data, const PieceSums& sums) {
  const SectorCount count = key.range().count;
  const std::uint64_t pieces = pieces_of(count);
  std::array<std::byte, largest_array> space;
  std::span<std::byte> array;
  if (payload_crc_) {
    std::array<std::uint32_t, most_pieces> all;
    const auto crcs = std::span(all).first(pieces);
    if (!sums.copy_to(crcs)) sum_pieces(data, crcs);
    if (pieces == 1) {
      key.value.crc = crcs[0];
    } else {
      array = std::span(space).first(array_sectors(count).value * format::place_bytes);
      key.value.crc = encode_piece_array(crcs, array);
    }
  }
  at_ = {key.value.place.value * format::place_bytes - array.size()};
  CHECK(at_.value % PmemRegion::page_bytes == 0 && filled_ == 0);
  put(array);
  put(data);
  if (filled_ > 0) finish_page();
}

void PageBatch::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (filled_ == 0 && bytes.size() >= PmemRegion::page_bytes) {
      const auto whole =
          bytes.first(bytes.size() / PmemRegion::page_bytes * PmemRegion::page_bytes);
      writes_.push_back({.offset = at_, .bytes = whole});
      at_ = at_ + ByteCount{whole.size()};
      bytes = bytes.subspan(whole.size());
      continue;
    }
    if (filled_ == 0 && pages_used_++ == pages_.size()) pages_.emplace_back();
    const auto part = bytes.first(std::min(bytes.size(), PmemRegion::page_bytes - filled_));
    std::ranges::copy(part, pages_[pages_used_ - 1].begin() + static_cast<std::ptrdiff_t>(filled_));
    filled_ += part.size();
    bytes = bytes.subspan(part.size());
    if (filled_ == PmemRegion::page_bytes) finish_page();
  }
}

void PageBatch::finish_page() {
  Page& page = pages_[pages_used_ - 1];
  std::fill(page.begin() + static_cast<std::ptrdiff_t>(filled_), page.end(), std::byte{});
  writes_.push_back({.offset = at_, .bytes = page});
  at_ = at_ + ByteCount{PmemRegion::page_bytes};
  filled_ = 0;
}

void PageBatch::clear() {
  writes_.clear();
  pages_used_ = 0;
}

}  // namespace engine
