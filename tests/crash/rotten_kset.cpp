#include "tests/crash/rotten_kset.h"

#include <array>

#include "engine/cache/durable_writer.h"
#include "engine/cache/kset.h"
#include "engine/foundation/check.h"

namespace engine::test {

std::vector<std::uint64_t> published_ksets(CacheDevice& device, VolumeCache& volume,
                                           std::span<const std::byte> content) {
  const VolumeLog& log = volume.log();
  std::vector<std::uint64_t> offsets;
  std::uint64_t next = 0;
  for (std::uint64_t at = device.layout().first_kset(); at < log.offset();) {
    const auto kset = decode_kset(device.seal(), content.subspan(log.places()[0].value + at));
    if (!kset || kset.value().stamp.sequence > volume.commit().published()) break;
    // Behind it may lie what the place held before, if a crash has taken what was begun there.
    const bool is_older = !offsets.empty() && kset.value().stamp.sequence != next;
    if (is_older) break;
    next = kset.value().stamp.sequence + 1;
    offsets.push_back(at);
    at += kset_bytes(kset.value().keys.size(), device.layout().kset_alignment);
  }
  return offsets;
}

void rot_kset(PmemRegion& pmem, const ChunkPlaces& places, std::uint64_t offset) {
  auto writer = std::move(DurableWriter::make(pmem).value());
  for (const MediaOffset place : places) {
    std::array<std::byte, 8> bytes{};
    const MediaOffset first_key = place + ByteCount{offset + sizeof(format::KsetHeader)};
    CHECK(pmem.read(first_key, bytes));
    bytes[0] ^= std::byte{1};
    CHECK(writer.write(first_key, bytes));
  }
  CHECK(writer.settle());
}

template <class Pmem>
std::optional<std::uint32_t> damage(CrashWorld& world, Pmem& after, SeededRandom& random) {
  const auto slot = static_cast<std::uint32_t>(random.below(world_volumes));
  const VolumeLog& log = world.volume(slot).log();
  if (random.chance(1, 2)) {
    // Everything of one copy that holds ksets.
    const std::size_t copy = random.below(2);
    const std::uint64_t first = world.device().layout().first_kset();
    if (log.offset() > first) {
      after.poison(log.places()[copy] + ByteCount{first}, {log.offset() - first});
    }
    return std::nullopt;
  }
  // Both copies of one that is acknowledged; the last might be taken for a torn one.
  std::vector<std::uint64_t> offsets =
      published_ksets(world.device(), world.volume(slot), after.content());
  if (offsets.size() < 2) return std::nullopt;
  offsets.pop_back();
  rot_kset(after, log.places(), offsets[random.below(offsets.size())]);
  return slot;
}

template std::optional<std::uint32_t> damage(CrashWorld&, SimPmem&, SeededRandom&);
template std::optional<std::uint32_t> damage(CrashWorld&, SimPmemPages&, SeededRandom&);

}  // namespace engine::test
