// What tests of one cached volume share: a small device in simulated or plain memory, with a volume
// open for writing.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "engine/cache/page_committer.h"
#include "engine/cache/recovery.h"
#include "engine/media/open_pmem.h"
#include "tests/engine/cache/cache_kit.h"
#include "tests/sim/sim_clock.h"

namespace engine::test {

// Counts what completes.
class CountingSink final : public CompletionSink {
 public:
  void complete(CommitRecord& record) override {
    ++completed;
    failed += record.outcome() == CommitOutcome::failed ? 1 : 0;
    bad_places += record.outcome() == CommitOutcome::bad_place ? 1 : 0;
    dropped += record.any_dropped() ? 1 : 0;
  }
  int completed = 0;
  int failed = 0;
  int bad_places = 0;
  int dropped = 0;
};

struct OpenVolume {
  explicit OpenVolume(PmemRegion& region, ByteCount index_memory = 16_MiB)
      : device(open_device(region)),
        memory(index_memory),
        writer(must(DurableWriter::make(region))) {
    if (!device->volumes().find(uuid_of(1))) {
      (void)must(device->volumes().attach(writer, new_volume(1)));
    }
    auto recovered = must(recover_volume(*device, 0, memory, clock, writer));
    report = recovered.report;
    volume = std::move(recovered.cache);
    if (region.guarantee().granularity == PmemGranularity::page) {
      committer = std::make_unique<PageCommitter>(*device);
    }
    actor = make_actor();
  }
  [[nodiscard]] std::unique_ptr<CacheActor> make_actor() {
    return committer != nullptr ? CacheActor::make(*committer) : must(CacheActor::make(*device));
  }
  // What was taken completes.
  void finish_turn() {
    EXPECT_FALSE(actor->end_turn());
    while (committer != nullptr && committer->step()) {
    }
  }

  // Sectors from `at` on, each filled with `value`; completed on return.
  [[nodiscard]] Result<void, CacheRefusal> write(std::uint64_t at, std::uint64_t sectors,
                                                 std::uint8_t value) {
    CommitRecord record(sink);
    const std::vector<std::byte> data(sectors * 512, std::byte{value});
    auto taken = volume->write(*actor, record, {{at}, {sectors}}, data);
    if (taken) finish_turn();
    return taken;
  }
  [[nodiscard]] Result<void, CacheRefusal> zero(
      std::uint64_t at, std::uint64_t sectors,
      VolumeCache::ZeroedSpace space = VolumeCache::ZeroedSpace::kept) {
    CommitRecord record(sink);
    const SectorRange range{{at}, {sectors}};
    auto taken = volume->write_zeroes(*actor, record, {&range, 1}, space);
    while (actor->end_turn()) {
    }
    return taken;
  }
  // The first byte of each sector; -1 for holes, -2 for bad clean, -3 for bad dirty ones.
  [[nodiscard]] std::vector<int> read(std::uint64_t at, std::uint64_t sectors) {
    std::vector<std::byte> bytes(sectors * 512);
    std::vector<int> found(sectors, 0);
    volume->read({{at}, {sectors}}, bytes, ExtentIndex::Heat::keep, [&](const CacheGap& gap) {
      for (std::uint64_t i = 0; i < gap.range.count.value; ++i) {
        found[gap.range.begin.value - at + i] = -1 - static_cast<int>(gap.kind);
      }
    });
    for (std::uint64_t i = 0; i < sectors; ++i) {
      if (found[i] == 0) found[i] = std::to_integer<int>(bytes[i * 512]);
    }
    return found;
  }
  [[nodiscard]] std::uint64_t live_sectors() {
    std::uint64_t sum = 0;
    for (std::uint32_t segment = 0; segment < device->segments().count(); ++segment) {
      sum += device->segments().counters(segment).live_sectors;
    }
    return sum;
  }

  CountingSink sink;
  target::SimClock clock;
  std::unique_ptr<CacheDevice> device;
  IndexMemory memory;
  DurableWriter writer;
  RecoveryReport report;
  std::unique_ptr<VolumeCache> volume;
  std::unique_ptr<PageCommitter> committer;  // page granularity
  std::unique_ptr<CacheActor> actor;
};

// The first hit of the range; nullopt: it begins with a gap or zeros.
inline std::optional<VolumeCache::Hit> pin_front(VolumeCache& volume, SectorRange range) {
  std::array<VolumeCache::Hit, 1> hit;
  if (volume.pin_front(range, hit) == 0) return std::nullopt;
  return std::move(hit[0]);
}

// One with more segments than usual has tables for them.
inline FormatOptions small_format_of(bool crc, std::uint32_t segments) {
  FormatOptions options = small_format();
  options.payload_crc = crc;
  if (segments > 64) options.layout.segment_slots = segments;
  return options;
}
inline ByteCount small_size_of(std::uint32_t segments) {
  const std::uint64_t entries = (std::max(segments, 64U) * format::entry_bytes + 4095) / 4096;
  const std::uint64_t tables = (2 + entries) * 4096;
  const std::uint64_t begin = (tables + small_segment - 1) / small_segment * small_segment;
  return {begin + std::uint64_t{segments} * small_segment + tables};
}
inline std::unique_ptr<SimPmem> cache_pmem(bool crc, std::uint32_t segments = 24) {
  auto pmem = std::make_unique<SimPmem>(small_size_of(segments));
  must(format_cache(*pmem, small_format_of(crc, segments)));
  return pmem;
}

// One chunk fills a segment.
inline FormatOptions page_format(bool crc, std::uint32_t segments = 24) {
  FormatOptions options = small_format_of(crc, segments);
  options.layout.chunk_bytes = small_segment;
  options.layout.kset_alignment = 4096;
  return options;
}
inline std::unique_ptr<SimPmemPages> page_pmem(bool crc, std::uint32_t segments = 24) {
  auto pmem = std::make_unique<SimPmemPages>(small_size_of(segments));
  must(format_cache(*pmem, page_format(crc, segments)));
  return pmem;
}

// For threads: segments of the usual size.
inline void format_for_threads(PmemRegion& region) {
  FormatOptions options;
  options.layout.volume_slots = 4;
  options.uuid = uuid_of(7);
  options.payload_crc = true;
  must(format_cache(region, options));
}
inline std::unique_ptr<PmemRegion> threads_pmem() {
  auto region = std::move(make_anonymous_pmem(64_MiB).value());
  format_for_threads(*region);
  return region;
}

}  // namespace engine::test
