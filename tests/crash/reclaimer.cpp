#include "tests/crash/reclaimer.h"

#include <vector>

#include "engine/foundation/check.h"

namespace engine::test {

void Reclaimer::write_back() {
  LogTails tails = device_.volumes()[volume_.slot()].tails;
  tails.dirty_tail = volume_.commit().published();
  tails.dirty_tail_chunk = volume_.log().chunk_of_next();
  CHECK(device_.volumes().set_tails(writer_, volume_.slot(), tails));
}

bool Reclaimer::is_free_to_go(std::uint32_t segment) const {
  const SegmentInfo info = device_.segments().info(segment);
  const SegmentCounters& counters = device_.segments().counters(segment);
  return info.use == format::SegmentUse::data && info.volume_tag == volume_.tag() &&
         !counters.is_open() && counters.pins == 0 &&
         counters.highest_sequence <= device_.volumes()[volume_.slot()].tails.dirty_tail;
}

void Reclaimer::free_segment(std::uint32_t segment) {
  std::vector<Fragment> inside;
  volume_.index().for_each([&](const Fragment& part) {
    if (part.value.kind != ExtentKind::data) return;
    if (device_.layout().segment_of({part.value.place.value * format::place_bytes}) == segment) {
      inside.push_back(part);
    }
  });
  SegmentCounters& counters = device_.segments().counters(segment);
  for (const Fragment& part : inside) {
    volume_.index().erase_if(part.range, {.place = part.value.place}, [&](const Fragment& gone) {
      counters.live_sectors.fetch_sub(static_cast<std::uint32_t>(gone.range.count.value));
    });
  }
  CHECK(counters.live_sectors == 0);
  CHECK(device_.segments().free(writer_, segment));
}

void Reclaimer::free_some(SeededRandom& random) {
  CHECK(volume_.commit().try_lock());
  for (std::uint32_t segment = 0; segment < device_.segments().count(); ++segment) {
    if (is_free_to_go(segment) && random.chance(2, 3)) free_segment(segment);
  }
  volume_.commit().unlock();
}

void Reclaimer::forget_all() {
  CHECK(volume_.commit().try_lock());
  auto permit = volume_.index().prepare({{0}, {(8U << 20) / 512}});
  CHECK(permit.has_value());
  volume_.index().erase(std::move(*permit), [&](const Fragment& gone) {
    if (gone.value.kind != ExtentKind::data) return;
    const auto segment =
        device_.layout().segment_of({gone.value.place.value * format::place_bytes});
    device_.segments().counters(*segment).live_sectors.fetch_sub(
        static_cast<std::uint32_t>(gone.range.count.value));
  });
  LogTails tails = device_.volumes()[volume_.slot()].tails;
  tails.key_tail = tails.dirty_tail;
  tails.key_tail_chunk = tails.dirty_tail_chunk;
  CHECK(device_.volumes().set_tails(writer_, volume_.slot(), tails));
  auto& chunks = device_.chunks_of(volume_.slot()).chunks;
  const std::size_t before = chunks.size();
  CHECK(device_.chunks().release_below(writer_, chunks, tails.key_tail_chunk));
  for (std::size_t gone = chunks.size(); gone < before; ++gone) volume_.log().drop_chunk();
  for (std::uint32_t segment = 0; segment < device_.segments().count(); ++segment) {
    if (is_free_to_go(segment)) free_segment(segment);
  }
  volume_.commit().unlock();
}

}  // namespace engine::test
