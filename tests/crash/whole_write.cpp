#include "tests/crash/whole_write.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "engine/cache/page_committer.h"
#include "tests/crash/crash_world.h"
#include "tests/sim/crash_chooser.h"

namespace engine::test {
namespace {

struct Ends final : CompletionSink {
  void complete(CommitRecord& record) override {
    CHECK(record.outcome() == CommitOutcome::committed);
    ++acknowledged;
  }
  Writer acknowledged = 0;
};

// Each of them all that there is: over the border of two stripes, and over segments.
constexpr SectorRange all_of_it{world_base, {world_sectors}};
constexpr Writer writes = 3;

template <class Pmem>
class WholeWrites {
 public:
  WholeWrites(std::unique_ptr<Pmem> pmem, CrashCounts& counts)
      : counts_(counts), pmem_(std::move(pmem)), world_(*pmem_) {
    CHECK(world_.trouble().empty());
    if (pmem_->guarantee().granularity == PmemGranularity::page) {
      committer_ = std::make_unique<PageCommitter>(world_.device());
    }
  }
  ~WholeWrites() { pmem_->on_persist_point({}); }

  void run() {
    pmem_->on_persist_point([this](PersistPoint) { reach(); });
    auto actor = committer_ != nullptr ? CacheActor::make(*committer_)
                                       : CacheActor::make(world_.device()).value();
    std::vector<std::byte> data(world_sectors * sector_size);
    for (Writer writer = 1; writer <= writes && counts_.violations == 0; ++writer) {
      for (std::uint64_t at = 0; at < world_sectors; ++at) {
        fill_sector(std::span(data).subspan(at * sector_size, sector_size), writer,
                    world_base.value + at);
      }
      CommitRecord record(ends_);
      begun_ = writer;
      CHECK(world_.volume(0).write(*actor, record, all_of_it, data));
      // Turns that are left to the mutant that cuts it.
      while (actor->end_turn() || (committer_ != nullptr && committer_->step())) {
      }
      if (ends_.acknowledged != writer) violate("it is not acknowledged");
    }
    pmem_->on_persist_point({});
  }

 private:
  void violate(const std::string& what) {
    if (counts_.violations++ == 0) counts_.first_violation = "whole writes: " + what;
  }

  void reach() {
    LoseEverything nothing;
    look(nothing);
    KeepEverything all;
    look(all);
    for (int sample = 0; sample < 2; ++sample) {
      RandomChooser some(random_);
      look(some);
    }
  }

  void look(CrashChooser& choose) {
    if (counts_.violations > 0) return;
    counts_.count(CrashKind::kset_append);
    const auto after = pmem_->crash(choose);
    CrashWorld world(*after);
    if (!world.trouble().empty()) return violate(world.trouble());
    const VolumeModel::State state = world.state(0, VolumeModel::State(world_sectors, 0));
    const Writer found = state.front();
    if (std::ranges::any_of(state, [found](Writer writer) { return writer != found; })) {
      return violate("a part of write " + std::to_string(begun_) + " is there");
    }
    if (found < ends_.acknowledged || found > begun_) violate("another write is there");
  }

  CrashCounts& counts_;
  SeededRandom random_{1};
  const std::unique_ptr<Pmem> pmem_;
  CrashWorld world_;
  std::unique_ptr<PageCommitter> committer_;
  Ends ends_;
  Writer begun_ = 0;
};

}  // namespace

void run_whole_writes(CrashCounts& counts) {
  for (const bool crc : {false, true}) {
    if (counts.violations == 0) WholeWrites(make_world_pmem(crc, 40), counts).run();
  }
}

void run_whole_writes_on_pages(CrashCounts& counts) {
  for (const bool crc : {false, true}) {
    if (counts.violations == 0) WholeWrites(make_world_pages(crc, 40), counts).run();
  }
}

}  // namespace engine::test
