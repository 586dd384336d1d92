#include "tests/crash/rotten_kset.h"

#include <array>

#include "engine/cache/kset.h"
#include "engine/foundation/check.h"

namespace engine::test {

std::vector<std::uint64_t> published_ksets(CacheDevice& device, VolumeCache& volume,
                                           std::span<const std::byte> content) {
  const VolumeLog& log = volume.log();
  std::vector<std::uint64_t> offsets;
  for (std::uint64_t at = device.layout().first_kset(); at < log.offset();) {
    const auto kset = decode_kset(device.seal(), content.subspan(log.places()[0].value + at));
    if (!kset || kset.value().stamp.sequence > volume.commit().published()) break;
    offsets.push_back(at);
    at += kset_bytes(kset.value().keys.size(), device.layout().kset_alignment);
  }
  return offsets;
}

void rot_kset(SimPmem& pmem, const ChunkPlaces& places, std::uint64_t offset) {
  const auto writer = pmem.make_writer().value();
  for (const MediaOffset place : places) {
    std::array<std::byte, 8> bytes{};
    const MediaOffset first_key = place + ByteCount{offset + sizeof(format::KsetHeader)};
    CHECK(pmem.read(first_key, bytes));
    bytes[0] ^= std::byte{1};
    CHECK(writer->copy(first_key, bytes));
  }
  writer->fence();
}

}  // namespace engine::test
