#include "engine/cache/cached_data.h"

#include <algorithm>
#include <vector>

namespace engine {
namespace {

class Visit {
 public:
  Visit(VolumeCache& volume, CachedReading reading, FunctionRef<void(const CachedPiece&)> visit)
      : device_(volume.device()), reading_(reading), visit_(visit) {}

  void piece(SectorRange range, const ExtentValue& value) {
    CachedPiece piece{.range = range, .value = value, .fault = {}, .bytes = {}};
    if (reading_ == CachedReading::data && value.kind == ExtentKind::data) {
      if (!read(piece)) {
        bit_by_bit(range, value);
        return;
      }
    }
    visit_(piece);
  }

 private:
  [[nodiscard]] bool read(CachedPiece& piece) {
    const std::uint64_t length = piece.range.count.value * format::place_bytes;
    if (buffer_.size() < length) buffer_.resize(length);
    const auto bytes = std::span(buffer_).first(length);
    const auto read = read_payload(device_.region(), piece.value, device_.payload_crc(), bytes);
    if (read) {
      piece.bytes = bytes;
    } else {
      piece.fault = read.error();
    }
    return static_cast<bool>(read);
  }

  // Something of it is bad: what exactly.
  void bit_by_bit(SectorRange range, const ExtentValue& value) {
    for (SectorCount at{}; at < range.count;) {
      const ExtentValue from = value.advanced(at);
      const std::uint64_t to_edge = piece_sectors - from.origin % piece_sectors;
      const SectorCount count{std::min(to_edge, (range.count - at).value)};
      CachedPiece piece{
          .range = {range.begin + at, count}, .value = from, .fault = {}, .bytes = {}};
      static_cast<void>(read(piece));
      visit_(piece);
      at = at + count;
    }
  }

  CacheDevice& device_;
  const CachedReading reading_;
  FunctionRef<void(const CachedPiece&)> visit_;
  std::vector<std::byte> buffer_;  // as large as the largest piece so far
};

// Those that hold an extent, ascending: a volume may be far larger than what is cached of it. Twice
// over the index, because a visitor may not allocate.
std::vector<std::uint64_t> stripes_in_use(ExtentIndex& index) {
  constexpr std::uint64_t none = ~std::uint64_t{0};
  std::size_t count = 0;
  std::uint64_t last = none;
  index.for_each([&](const Fragment& part) {
    const std::uint64_t stripe = part.range.begin.value / stripe_sectors;
    count += stripe != last ? 1 : 0;
    last = stripe;
  });
  std::vector<std::uint64_t> stripes;
  stripes.reserve(count);
  index.for_each([&](const Fragment& part) {
    const std::uint64_t stripe = part.range.begin.value / stripe_sectors;
    if (stripes.empty() || stripes.back() != stripe) stripes.push_back(stripe);
  });
  return stripes;
}

}  // namespace

ByteCount enough_index_memory(const CacheLayout& layout) {
  // An entry of 16 bytes, and room to insert, for each sector: some eighth of the device. Zeros
  // hold no sectors, but their keys take room on it.
  return std::clamp(ByteCount{2 * layout.device_bytes.value}, 16_MiB, 64_GiB);
}

void visit_cached_data(VolumeCache& volume, CachedPart part, CachedReading reading,
                       FunctionRef<void(const CachedPiece&)> visit) {
  Visit visitor(volume, reading, visit);
  // A lookup's visitor may not read: first the pieces of a stripe, then their data.
  std::vector<Piece> pieces;
  pieces.reserve(stripe_sectors);
  for (const std::uint64_t stripe : stripes_in_use(volume.index())) {
    const SectorRange range{{stripe * stripe_sectors}, {stripe_sectors}};
    pieces.clear();
    volume.index().look_up(range, ExtentIndex::Heat::keep, [&](const Piece& piece) {
      if (piece.value && (part == CachedPart::all || piece.value->dirty)) pieces.push_back(piece);
    });
    for (const Piece& piece : pieces) visitor.piece(piece.range, *piece.value);
  }
}

}  // namespace engine
