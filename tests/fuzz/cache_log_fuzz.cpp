// Puts arbitrary bytes into the log of a volume, in one copy or both, as they are or with checksums
// that match, and reads it: a typed end or damage, never a crash, never a gap.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "engine/cache/log_reader.h"
#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/check.h"
#include "tests/engine/cache/cache_kit.h"

namespace engine::test {
namespace {

// One volume with three ksets in two chunks; made once, patched for every input.
struct Base {
  std::vector<std::byte> image;
  std::array<LogChunk, 2> chunks;

  Base() {
    const auto pmem = formatted_pmem();
    const auto device = open_device(*pmem);
    LogAuthor author = attached_log(*device);
    (void)author.append();
    (void)author.append(3);
    author.new_chunk();
    (void)author.append();
    chunks = {author.chunks()[0], author.chunks()[1]};
    image.assign(pmem->content().begin(), pmem->content().end());
  }
};

// Gives every kset of `bytes` whose count is possible the checksum it should have.
void seal_ksets(std::span<std::byte> bytes) {
  const DeviceSeal seal(uuid_of(0xd0));
  while (!bytes.empty()) {
    const auto claimed = claimed_kset_bytes(bytes);
    if (claimed && claimed.value().value <= bytes.size()) {
      std::memset(bytes.data(), 0, 4);
      const boost::endian::little_uint32_t crc =
          crc32c_extend(seal.seed(), bytes.first(claimed.value().value));
      std::memcpy(bytes.data(), &crc, 4);
      bytes = bytes.subspan(
          std::min<std::size_t>((claimed.value().value + 63) / 64 * 64, bytes.size()));
    } else {
      bytes = bytes.subspan(std::min<std::size_t>(64, bytes.size()));
    }
  }
}

void read(SimPmem& pmem) {
  const auto device = open_device(pmem, CacheDevice::Access::inspect);
  const CacheVolume& volume = device->volumes()[0];
  const LogView view{.volume = volume, .of = device->chunks_of(0)};
  LogReader reader(pmem, device->layout(), device->seal(), view,
                   LogReader::from_key_tail(volume.tails));
  std::uint64_t last = volume.tails.key_tail;
  for (;;) {
    const auto kset = reader.next();
    if (!kset) {
      CHECK(!kset.error().text().empty());
      CHECK(kset.error().sequence >= last);
      return;
    }
    if (!kset.value()) break;
    const KsetView& found = kset.value()->view;
    CHECK(found.stamp.sequence == last + 1);
    CHECK(!found.keys.empty() && found.keys.size() <= format::most_keys);
    last = found.stamp.sequence;
    for (const format::Key& key : found.keys) (void)check_key(key, device->key_limits(0));
  }
  CHECK(reader.end().sequence == last);
}

// Input: which chunk, where in it, which copies, sealed or not, poison; then the bytes.
void run(std::span<const std::byte> input) {
  static const Base base;
  ByteReader reader(input);
  const auto choice = reader.read<std::uint8_t>();
  const auto slot = reader.read<std::uint8_t>();
  if (!choice || !slot) return;
  (void)decode_kset(DeviceSeal(uuid_of(0xd0)), reader.rest());
  const std::uint64_t offset = (std::uint64_t{*slot} % 127 + 1) * 64;
  std::vector<std::byte> bytes(reader.rest().begin(), reader.rest().end());
  bytes.resize(std::min<std::uint64_t>(bytes.size(), small_layout.chunk_bytes - offset));
  if ((*choice & 1U) != 0) seal_ksets(bytes);
  const LogChunk& chunk = base.chunks[(*choice >> 1U) & 1U];
  SimPmem pmem(base.image);
  for (std::size_t copy = 0; copy < 2; ++copy) {
    const MediaOffset place = chunk.places[copy] + ByteCount{offset};
    if ((*choice & (4U << copy)) != 0) poke(pmem, place, bytes);
    if ((*choice & (16U << copy)) != 0) pmem.poison(place, ByteCount{64});
  }
  read(pmem);
}

}  // namespace
}  // namespace engine::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  engine::test::run(std::as_bytes(std::span(data, size)));
  return 0;
}
