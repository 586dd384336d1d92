#include "engine/cache/payload_crc.h"

#include <algorithm>
#include <array>
#include <boost/endian/arithmetic.hpp>
#include <cstring>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"

namespace engine {
namespace {

using boost::endian::little_uint32_t;

Result<void, PayloadFault> read(const PmemRegion& region, std::uint64_t place,
                                std::span<std::byte> bytes) {
  if (!region.read({place}, bytes)) return PayloadFault::media_error;
  return success();
}

// The checksums of one extent's pieces, verified.
class ExtentSums {
 public:
  [[nodiscard]] Result<void, PayloadFault> load(const PmemRegion& region, std::uint64_t data,
                                                const ExtentValue& value) {
    const std::uint64_t pieces = pieces_of({value.logged_sectors});
    CHECK(pieces >= 1 && pieces <= most_pieces);
    if (pieces == 1) {
      sums_[0] = value.crc;
      return success();
    }
    const std::uint64_t bytes = pieces * sizeof(little_uint32_t);
    const auto array = std::as_writable_bytes(std::span(sums_)).first(bytes);
    TRY(read(region, data - bytes, array));
    if (crc32c(array) != value.crc) return PayloadFault::bad_checksum;
    return success();
  }
  [[nodiscard]] std::uint32_t of(std::uint64_t piece) const { return sums_[piece]; }

 private:
  std::array<little_uint32_t, most_pieces> sums_;
};

}  // namespace

std::uint32_t encode_piece_array(std::span<const std::uint32_t> crcs, std::span<std::byte> to) {
  std::array<little_uint32_t, most_pieces> array;
  std::ranges::copy(crcs, array.begin());
  const auto bytes = std::as_bytes(std::span(array).first(crcs.size()));
  CHECK(bytes.size() <= to.size());
  std::memset(to.data(), 0, to.size() - bytes.size());
  std::memcpy(to.last(bytes.size()).data(), bytes.data(), bytes.size());
  return crc32c(bytes);
}

Result<void, PayloadFault> read_payload(const PmemRegion& region, const ExtentValue& value,
                                        bool verify, std::span<std::byte> bytes,
                                        const PieceSums& heard, std::uint64_t heard_at) {
  const std::uint64_t part = value.place.value * sector_bytes;
  if (!verify) return read(region, part, bytes);
  const std::uint64_t origin = value.origin * sector_bytes;
  const std::uint64_t data = part - origin;
  const std::uint64_t length = value.logged_sectors * sector_bytes;
  CHECK(origin + bytes.size() <= length);
  ExtentSums sums;
  TRY(sums.load(region, data, value));
  std::array<std::byte, crc_piece_bytes> whole;
  for (std::uint64_t at = origin; !bytes.empty();) {
    const std::uint64_t piece = at / crc_piece_bytes;
    const std::uint64_t begin = piece * crc_piece_bytes;
    const std::uint64_t size = std::min(crc_piece_bytes, length - begin);
    const std::uint64_t taken = std::min<std::uint64_t>(begin + size - at, bytes.size());
    const bool direct = taken == size;
    const auto to = direct ? bytes.first(size) : std::span(whole).first(size);
    TRY(read(region, data + begin, to));
    if (crc32c(to) != sums.of(piece)) return PayloadFault::bad_checksum;
    if (direct) {
      heard.note(heard_at + (at - origin), size, sums.of(piece));
    } else {
      std::memcpy(bytes.data(), whole.data() + (at - begin), taken);
    }
    bytes = bytes.subspan(taken);
    at += taken;
  }
  return success();
}

Result<void, PayloadFault> verify_payload(const PmemRegion& region, const ExtentValue& value,
                                          bool verify, SectorCount count, const PieceSums& heard) {
  const std::uint64_t part = value.place.value * sector_bytes;
  const std::uint64_t bytes = count.value * sector_bytes;
  if (!verify) {
    if (!region.checksum({part}, {bytes})) return PayloadFault::media_error;
    return success();
  }
  const std::uint64_t origin = value.origin * sector_bytes;
  const std::uint64_t data = part - origin;
  const std::uint64_t length = value.logged_sectors * sector_bytes;
  CHECK(origin + bytes <= length);
  ExtentSums sums;
  TRY(sums.load(region, data, value));
  for (std::uint64_t piece = origin / crc_piece_bytes; piece * crc_piece_bytes < origin + bytes;
       ++piece) {
    const std::uint64_t begin = piece * crc_piece_bytes;
    const std::uint64_t size = std::min(crc_piece_bytes, length - begin);
    const auto sum = region.checksum({data + begin}, {size});
    if (!sum) return PayloadFault::media_error;
    if (sum.value() != sums.of(piece)) return PayloadFault::bad_checksum;
    if (begin >= origin) heard.note(begin - origin, size, sum.value());
  }
  return success();
}

}  // namespace engine
