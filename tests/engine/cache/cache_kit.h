// What tests and fuzz targets of the cache device share: a device of a few hundred KiB, and an
// author of logs.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/cache/cache_device.h"
#include "engine/cache/format_cache.h"
#include "engine/foundation/check.h"
#include "tests/sim/sim_pmem.h"
#include "tests/sim/sim_pmem_pages.h"

namespace engine::test {

inline constexpr std::uint32_t small_segment = 16U << 10;
inline constexpr LayoutOptions small_layout{.segment_bytes = small_segment,
                                            .chunk_bytes = 8U << 10,
                                            .kset_alignment = 64,
                                            .volume_slots = 4,
                                            .segment_slots = 32};
// Eight segments.
inline constexpr ByteCount small_size{(16U << 10) + 8 * small_segment + (12U << 10)};

inline Uuid uuid_of(std::uint8_t number) {
  Uuid uuid;
  uuid.bytes.fill(std::byte{number});
  return uuid;
}

inline FormatOptions small_format(std::uint8_t number = 0xd0) {
  FormatOptions options;
  options.layout = small_layout;
  options.uuid = uuid_of(number);
  options.created_ms = 1'700'000'000'000;
  return options;
}

inline CacheVolumeTable::NewVolume new_volume(std::uint8_t number) {
  return {.volume = uuid_of(number),
          .backing = uuid_of(static_cast<std::uint8_t>(number + 0x80)),
          .size = 1_GiB,
          .binding = {.attach_epoch = 1,
                      .mode = format::CacheMode::write_back,
                      .block_size = {4096},
                      .name = "vol" + std::to_string(number)}};
}

// The value of a result that must be one.
template <class T, class E>
T must(Result<T, E>&& result) {
  CHECK(result);
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

inline std::unique_ptr<SimPmem> formatted_pmem(ByteCount size = small_size) {
  auto pmem = std::make_unique<SimPmem>(size);
  must(format_cache(*pmem, small_format()));
  return pmem;
}

inline std::unique_ptr<CacheDevice> open_device(
    PmemRegion& region, CacheDevice::Access access = CacheDevice::Access::write) {
  return must(CacheDevice::open(region, {.access = access, .expected = {}}));
}

inline format::Key data_key(std::uint64_t sector, std::uint32_t sectors = 8,
                            std::uint64_t place = 64) {
  format::Key key{};
  key.sector = sector;
  key.sectors = sectors;
  key.place = place;
  key.kind = static_cast<std::uint8_t>(format::KeyKind::data);
  key.generation = 1;
  return key;
}

// Writes bytes wherever it likes, and makes them durable: damage, or what an older life has left.
inline void poke(PmemRegion& region, MediaOffset place, std::span<const std::byte> bytes) {
  auto writer = must(DurableWriter::make(region));
  must(writer.write(place, bytes));
  must(writer.settle());
}
inline void flip_bit(PmemRegion& region, MediaOffset place, unsigned bit = 0) {
  std::array<std::byte, 1> byte{};
  must(region.read(place, byte));
  byte[0] ^= std::byte{1} << (bit % 8);
  poke(region, place, byte);
}
inline void wipe(PmemRegion& region, MediaOffset place, std::uint64_t length) {
  poke(region, place, std::vector<std::byte>(length));
}

// Writes the log of one volume as the engine will: chunk by chunk, kset by kset, each settled.
class LogAuthor {
 public:
  struct Written {
    LogChunk chunk;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::uint64_t sequence = 0;
    [[nodiscard]] MediaOffset place(std::size_t copy) const {
      return chunk.places[copy] + ByteCount{offset};
    }
  };

  LogAuthor(CacheDevice& device, std::uint32_t slot)
      : device_(device), slot_(slot), writer_(must(DurableWriter::make(device.region()))) {}

  // Opens the log for writing, its next kset being `sequence`.
  void begin_epoch(std::uint64_t sequence = 1) {
    next_ = sequence;
    ordinal_ = std::max(ordinal_, device_.next_ordinal(slot_));
    must(device_.volumes().begin_epoch(writer_, slot_, sequence, ordinal_));
  }
  LogChunk& new_chunk() {
    const auto places = must(device_.chunks().reserve(writer_));
    chunks_.push_back(must(device_.chunks().begin(writer_, places, volume().identity.tag,
                                                  ordinal_++, next_, volume().epoch.epoch)));
    offset_ = device_.layout().first_kset();
    return chunks_.back();
  }
  Written append(std::size_t keys = 1) {
    const auto written = place(keys);
    const auto bytes = encode(written.sequence, volume().epoch.epoch, keys);
    for (std::size_t copy = 0; copy < 2; ++copy) must(writer_.write(written.place(copy), bytes));
    must(writer_.settle());
    return written;
  }
  // Where the next kset goes; counts as written.
  Written place(std::size_t keys) {
    const std::uint64_t length = kset_bytes(keys, device_.layout().kset_alignment);
    if (chunks_.empty() || offset_ + length > device_.layout().chunk_bytes) new_chunk();
    Written written{
        .chunk = chunks_.back(), .offset = offset_, .length = length, .sequence = next_};
    offset_ += length;
    ++next_;
    return written;
  }
  [[nodiscard]] std::span<const std::byte> encode(std::uint64_t sequence, std::uint64_t epoch,
                                                  std::size_t keys = 1, std::uint32_t tag = 0) {
    std::vector<format::Key> made;
    for (std::size_t key = 0; key < keys; ++key) made.push_back(data_key(sequence * 8 + key));
    return encode_kset(device_.seal(),
                       {.volume_tag = tag == 0 ? volume().identity.tag : tag,
                        .epoch = epoch,
                        .sequence = sequence,
                        .time_ms = time_of(sequence)},
                       made, device_.layout().kset_alignment, space_);
  }
  static std::uint64_t time_of(std::uint64_t sequence) { return 1'700'000'000'000 + sequence; }

  [[nodiscard]] const CacheVolume& volume() const { return device_.volumes()[slot_]; }
  [[nodiscard]] std::deque<LogChunk>& chunks() { return chunks_; }
  [[nodiscard]] DurableWriter& writer() { return writer_; }
  [[nodiscard]] std::uint64_t next_sequence() const { return next_; }
  // As if nothing had been planned since.
  void set_next_sequence(std::uint64_t next) { next_ = next; }

 private:
  CacheDevice& device_;
  std::uint32_t slot_;
  DurableWriter writer_;
  std::deque<LogChunk> chunks_;
  std::array<std::byte, largest_kset_bytes> space_{};
  std::uint64_t next_ = 1;
  std::uint64_t ordinal_ = 1;
  std::uint64_t offset_ = 0;
};

// The log of volume 1, which is attached to an empty device for it.
inline LogAuthor attached_log(CacheDevice& device) {
  LogAuthor author(device, 0);
  must(device.volumes().attach(author.writer(), new_volume(1)));
  author.begin_epoch();
  return author;
}

}  // namespace engine::test
