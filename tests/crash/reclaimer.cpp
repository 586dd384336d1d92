#include "tests/crash/reclaimer.h"

#include <vector>

#include "engine/foundation/check.h"

namespace engine::test {

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

}  // namespace engine::test
