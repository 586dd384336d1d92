#include "engine/media/pmem_writer.h"

#include <algorithm>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"
#include "engine/media/pmem_region.h"

namespace engine {
namespace {

using boost::outcome_v2::success;

// One thread counts, others look: no read-modify-write needed.
void count(std::atomic<std::uint64_t>& counter, std::uint64_t more) {
  counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

}  // namespace

PmemWriter::PmemWriter(PmemRegion& region) : region_(region) { region_.enter(*this); }
PmemWriter::~PmemWriter() { region_.leave(*this); }

Result<void, PmemError> PmemWriter::copy(MediaOffset to, std::span<const std::byte> bytes) {
  if (!region_.holds(to, bytes.size())) return PmemError::out_of_range;
  if (bytes.empty()) return success();
  if (region_.bad_.touches({to, {bytes.size()}})) [[unlikely]] {
    TRY(region_.overwrite_bad(to, bytes));
  }
  TRY(store(to, bytes));
  count(copies_, 1);
  count(bytes_, bytes.size());
  return success();
}

Result<void, PmemError> PmemWriter::copy_crc(MediaOffset to, std::span<const std::byte> bytes,
                                             std::span<std::uint32_t> crcs) {
  constexpr std::size_t piece_bytes = 4096;
  CHECK(crcs.size() == (bytes.size() + piece_bytes - 1) / piece_bytes);
  if (!region_.holds(to, bytes.size())) return PmemError::out_of_range;
  // Piece by piece: the checksum brings it into the first cache, the copy finds it there.
  for (std::uint32_t& crc : crcs) {
    const auto piece = bytes.first(std::min(bytes.size(), piece_bytes));
    crc = crc32c(piece);
    TRY(copy(to, piece));
    to = to + ByteCount{piece.size()};
    bytes = bytes.subspan(piece.size());
  }
  return success();
}

Result<void, PmemError> PmemWriter::flush(MediaOffset offset, ByteCount length) {
  if (!region_.holds(offset, length.value)) return PmemError::out_of_range;
  if (length.value == 0) return success();
  return write_back(offset, length);
}

void PmemWriter::fence() {
  drain();
  count(fences_, 1);
}

PmemCounts PmemWriter::counts() const {
  return {.copies = copies_.load(std::memory_order_relaxed),
          .bytes = bytes_.load(std::memory_order_relaxed),
          .fences = fences_.load(std::memory_order_relaxed)};
}

}  // namespace engine
