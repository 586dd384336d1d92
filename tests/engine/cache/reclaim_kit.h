// What tests of reclaim share: a volume with its reclaim, and a stand-in for write-back.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/cache/reclaim.h"
#include "tests/engine/cache/volume_cache_kit.h"

namespace engine::test {

struct ReclaimedVolume : OpenVolume {
  explicit ReclaimedVolume(PmemRegion& region,
                           Reclaim::DirtyTail dirty_tail = Reclaim::DirtyTail::ours)
      : OpenVolume(region), reclaim(std::make_unique<Reclaim>(*volume, dirty_tail)) {
    if (committer != nullptr) actor = CacheActor::make_for_committer(*committer);
  }

  // Everything published is on the backing.
  void write_back() {
    LogTails next = tails();
    next.dirty_tail_chunk = volume->log().chunk_of_next();
    next.dirty_tail = volume->commit().published();
    must(device->volumes().set_tails(writer, 0, next));
  }
  // One lookup for second chance.
  void warm(std::uint64_t at, std::uint64_t sectors) {
    volume->index().look_up({{at}, {sectors}}, ExtentIndex::Heat::warm, [](const Piece&) {});
  }
  // Until K is there, or nothing can be given up any more.
  void drain(std::uint64_t sequence = ~std::uint64_t{0}) {
    for (int step = 0; step < 10'000 && tails().key_tail < sequence; ++step) {
      const Reclaim::Step done = reclaim->step(*actor);
      ASSERT_NE(done, Reclaim::Step::stopped);
      if (done == Reclaim::Step::idle) return;
      while (actor->end_turn() || (committer != nullptr && committer->step())) {
      }
      while (committer != nullptr && committer->step()) {
      }
    }
    ASSERT_GE(tails().key_tail, sequence) << "reclaim does not come to an end";
  }
  // Once over everything that is written back.
  void go_round() { drain(tails().dirty_tail); }

  [[nodiscard]] const LogTails& tails() const { return device->volumes()[0].tails; }
  [[nodiscard]] std::optional<std::uint32_t> segment_of(std::uint64_t sector) {
    std::optional<std::uint32_t> segment;
    volume->index().look_up({{sector}, {1}}, ExtentIndex::Heat::keep, [&](const Piece& piece) {
      if (piece.value) segment = device->layout().segment_of({piece.value->place.value * 512});
    });
    return segment;
  }
  // As eviction does it.
  void evict(std::uint64_t at, std::uint64_t sectors) {
    ASSERT_TRUE(volume->commit().try_lock());
    auto permit = volume->index().prepare({{at}, {sectors}});
    ASSERT_TRUE(permit.has_value());
    volume->index().erase(std::move(*permit), [&](const Fragment& gone) {
      const auto segment = device->layout().segment_of({gone.value.place.value * 512});
      device->segments().counters(*segment).live_sectors.fetch_sub(
          static_cast<std::uint32_t>(gone.range.count.value));
    });
    volume->commit().unlock();
  }
  [[nodiscard]] bool is_free(std::uint32_t segment) {
    return device->segments().info(segment).use == format::SegmentUse::free;
  }

  std::unique_ptr<Reclaim> reclaim;
};

}  // namespace engine::test
