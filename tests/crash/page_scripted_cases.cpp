// What a random workload on pages would meet too seldom.
#include <algorithm>
#include <array>
#include <deque>

#include "engine/cache/page_committer.h"
#include "tests/crash/page_crash_run.h"

namespace engine::test {
namespace {

// Whatever is not settled.
class DestroyEverything final : public CrashChooser {
 public:
  bool tear() override { return false; }
  std::size_t pick(std::size_t versions) override {
    return versions == PageMemory::destroying_ways ? PageMemory::destroying_choice : 0;
  }
};

// Each command is an actor's first, which takes a segment for it, and writes a sector of its own.
class NewSegments final : public CompletionSink {
 public:
  NewSegments(CrashCounts& counts, std::uint64_t seed)
      : counts_(counts),
        random_(seed),
        pmem_(make_world_pages(false, 48)),
        world_(*pmem_),
        committer_(world_.device()) {}
  ~NewSegments() { pmem_->on_persist_point({}); }

  // Every third round begins a chunk, and brings the entries with it that reactors have left since
  // the round began with some.
  void run() {
    pmem_->on_persist_point([this](PersistPoint) { reach(); });
    write();
    for (int round = 0; round < 16 && counts_.violations == 0; ++round) {
      takes_one_inside_ = true;
      (void)committer_.step();
    }
    pmem_->on_persist_point({});
    while (committer_.step()) {
    }
  }

  void complete(CommitRecord& record) override {
    if (record.outcome() != CommitOutcome::committed) violate("a command failed");
    ++acknowledged_;
  }

 private:
  void violate(const std::string& what) {
    if (counts_.violations++ == 0) counts_.first_violation = "segments of a round: " + what;
  }

  void write() {
    const Sector at{world_base.value + commands_.size()};
    auto& data = data_.emplace_back();
    fill_sector(data, static_cast<Writer>(commands_.size() + 1), at.value);
    actors_.push_back(CacheActor::make(committer_));
    CHECK(world_.volume(0).write(*actors_.back(), commands_.emplace_back(*this), {at, {1}}, data));
    CHECK(!actors_.back()->end_turn());
  }

  void reach() {
    DestroyEverything all;
    look(all);
    RandomChooser some(random_);
    look(some);
    if (random_.chance(1, 2) && std::exchange(takes_one_inside_, false)) write();
  }

  void look(CrashChooser& choose) {
    if (counts_.violations > 0) return;
    counts_.count(CrashKind::segment_switch);
    const auto after = pmem_->crash(choose, SimPmemPages::Tearing::destroys);
    CrashWorld world(*after);
    if (!world.trouble().empty()) return violate(world.trouble());
    const VolumeModel::State state = world.state(0, VolumeModel::State(world_sectors, 0));
    for (std::size_t at = 0; at < acknowledged_; ++at) {
      if (state[at] != at + 1) return violate("command " + std::to_string(at + 1) + " is lost");
    }
  }

  CrashCounts& counts_;
  SeededRandom random_;
  std::unique_ptr<SimPmemPages> pmem_;
  CrashWorld world_;
  PageCommitter committer_;
  std::deque<std::array<std::byte, sector_size>> data_;
  std::deque<CommitRecord> commands_;
  std::vector<std::unique_ptr<CacheActor>> actors_;
  std::size_t acknowledged_ = 0;
  bool takes_one_inside_ = false;
};

}  // namespace

void run_segments_of_a_round(CrashCounts& counts) {
  for (std::uint64_t seed = 1; seed <= 3 && counts.violations == 0; ++seed) {
    NewSegments(counts, seed).run();
  }
}

}  // namespace engine::test
