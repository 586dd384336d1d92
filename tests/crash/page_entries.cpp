#include "tests/crash/page_entries.h"

#include "tests/crash/crash_world.h"

namespace engine::test {

void run_page_entries(CrashCounts& counts) {
  constexpr int samples = 128;  // both of two pages are destroyed in one of 36
  const auto pmem = make_world_pages(false, 20);
  CrashWorld world(*pmem);
  SegmentTable& segments = world.device().segments();
  SeededRandom random(1);
  pmem->on_persist_point([&](PersistPoint) {
    if (pmem->unsettled() < 2) return;  // one page holds one replica
    for (int sample = 0; sample < samples && counts.violations == 0; ++sample) {
      RandomChooser choose(random);
      const auto after = pmem->crash(choose, SimPmemPages::Tearing::destroys);
      ++counts.states[static_cast<std::size_t>(CrashKind::table_update)];
      const CrashWorld again(*after);
      if (again.trouble().empty()) continue;
      ++counts.violations;
      counts.first_violation = "entries of one round: " + again.trouble();
    }
  });
  auto later = DurableWriter::later();
  DurableWriter& writer = world.writer();
  const std::uint32_t tag = world.volume(0).tag();
  for (int round = 0; round < 4; ++round) {
    CHECK(segments.allocate(later, format::SegmentUse::data, tag));
    CHECK(segments.allocate(later, format::SegmentUse::data, tag));
    CHECK(segments.write_waiting(writer));
    const auto at_once = segments.allocate(writer, format::SegmentUse::log, 0);
    CHECK(at_once);
    CHECK(writer.settle());
    segments.finish_waiting();
    CHECK(segments.free(writer, at_once.value()));
    CHECK(writer.settle());
  }
  pmem->on_persist_point({});
}

}  // namespace engine::test
