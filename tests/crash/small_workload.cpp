#include "tests/crash/small_workload.h"

#include <algorithm>
#include <utility>

#include "tests/crash/backing_judge.h"
#include "tests/crash/reclaim_driver.h"

namespace engine::test {
namespace {

constexpr std::uint64_t most_combinations = 512;  // looked at one by one
constexpr std::uint64_t most_in_recovery = 16;    // the same
constexpr int few_samples = 2;
constexpr int samples = 16;  // where there are more

// A command of the story; sectors count from the beginning of the model.
struct Told {
  CrashCommand::Kind kind = CrashCommand::Kind::write;
  std::uint32_t slot = 0;
  std::uint64_t at = 0;
  std::uint64_t count = 1;
};

class SmallWorkload final : public CompletionSink {
 public:
  SmallWorkload(const CrashOptions& options, CrashCounts& counts, SmallWorkloadFigures& figures)
      : judge_(options, counts, "SmallWorkload"),
        figures_(figures),
        random_(options.seed + 1),
        pmem_(make_world_pmem(options.seed % 2 == 0, 14)) {
    for (auto& disk : disks_) {
      const VolumeModel::State nothing(world_sectors, 0);
      disk = std::make_unique<CrashDisk>(world_base, BackingImage{.sectors = nothing, .mark = {}});
      disk->on_point([this] { reach_disk(); });
    }
    world_ = std::make_unique<CrashWorld>(*pmem_);
    for (auto& actor : actors_) actor = CacheActor::make(world_->device()).value();
    write_back_ = std::make_unique<CrashWriteBack>(*world_, disks_, random_, options.journalled);
    reclaim_ = std::make_unique<ReclaimDriver>(*world_, *actors_[0]);
    pmem_->on_persist_point([this](PersistPoint point) { reach(point); });
  }
  ~SmallWorkload() { pmem_->on_persist_point({}); }

  bool run() {
    try {
      return tell();
    } catch (const Violated&) {
      return true;
    }
  }

  void complete(CommitRecord& record) override {
    auto& command = static_cast<CrashCommand&>(record);
    --in_flight_;
    if (record.outcome() != CommitOutcome::committed) judge_.violate("a command failed");
    times_[command.slot].logged(command.index, record.sequence());
    judge_.acknowledge(command, *world_, disks_[command.slot]->current());
  }

 private:
  using Kind = CrashCommand::Kind;

  // ---- the story
  bool tell() {
    // A segment of which the first eight sectors live alone, behind what is written back.
    turn(0, {{.at = 0, .count = 120}});
    turn(0, {{.at = 120, .count = 16}});
    turn(1, {{.at = 8, .count = 112}});
    write_back(0);
    explores_ = true;
    const std::vector<Told> theirs{{.at = 201, .count = 2}, {.slot = 1, .at = 0}};
    const std::uint64_t seed = judge_.options().seed;
    inside_ = theirs;
    inside_at_ = seed;
    turn(0, {{.at = 202}});
    if (seed != 0) {
      const bool came = inside_at_ == 0;
      finish();
      return came;
    }
    turn(1, theirs);
    turn(1, {{.kind = Kind::zeroes, .at = 200, .count = 10}});
    turn(0, {{.at = 203}});
    overwritten_at_ = 4;
    write_back(0);
    heat();
    reclaim_->drain(0);
    if (!reclaim_->trouble().empty()) judge_.violate(reclaim_->trouble());
    if (reclaim_->moved() == 0) judge_.violate("nothing was moved");
    turn(1, {{.at = 4}});
    finish();
    return true;
  }

  void heat() {
    std::vector<std::byte> bytes(8 * sector_size);
    world_->volume(0).read({world_base, {8}}, bytes, ExtentIndex::Heat::warm,
                           [](const CacheGap&) {});
  }

  void write_back(std::uint32_t slot) {
    writes_back_ = true;
    if (!write_back_->bring(slot)) judge_.violate("write-back does not end");
    writes_back_ = false;
    if (disks_[slot]->current() != judge_.model(slot).settled() || disks_[slot]->was_misused()) {
      judge_.violate("the backing is not what was acknowledged");
    }
  }

  void finish() {
    for (int round = 0; round < 10 && in_flight_ > 0; ++round) {
      for (const auto& actor : actors_) (void)actor->end_turn();
    }
    if (in_flight_ > 0) judge_.violate("commands do not complete");
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      if (world_->state(slot, disks_[slot]->current()) != judge_.model(slot).settled()) {
        judge_.violate("what is read is not what was acknowledged");
      }
    }
  }

  // ---- turns: from the fence on their commands are in the queues, in this order
  struct Turn {
    std::vector<CrashCommand*> commands;
    bool ending = false;
    bool queued = false;
  };

  void turn(std::size_t actor, const std::vector<Told>& told) {
    Turn now;
    turns_.push_back(&now);
    bool stores = false;
    for (const Told& one : told) {
      CrashCommand& made = *commands_.emplace_back(make(one));
      stores = stores || one.kind == Kind::write;
      CHECK(submit(world_->volume(one.slot), *actors_[actor], made, disks_[one.slot]->current()));
      now.commands.push_back(&made);
      ++in_flight_;
    }
    if (!stores) queue(now);
    now.ending = true;
    bool left = actors_[actor]->end_turn();
    // Who has interrupted another's commit goes on behind it.
    for (int round = 0; turns_.size() == 1 && (left || round == 0) && round < 100; ++round) {
      left = false;
      for (const auto& one : actors_) left = one->end_turn() || left;
    }
    if (!now.queued) judge_.violate("no fence before the records were queued");
    turns_.pop_back();
  }

  std::unique_ptr<CrashCommand> make(const Told& one) {
    auto command = std::make_unique<CrashCommand>(*this, one.slot);
    const Writer writer = next_writer_++;
    command->kind = one.kind;
    command->space = VolumeCache::ZeroedSpace::given_back;
    command->model = {.writer = writer,
                      .ranges = {{{world_base.value + one.at}, {one.count}}},
                      .zeroes = one.kind == Kind::zeroes};
    if (one.kind == Kind::write) {
      command->data =
          data_of(command->model.ranges.front(), [writer](std::uint64_t) { return writer; });
    }
    return command;
  }

  void queue(Turn& now) {
    now.queued = true;
    for (CrashCommand* const command : now.commands) {
      judge_.append(*command);
      times_[command->slot].queued();
    }
  }

  // ---- points
  void reach(PersistPoint point) {
    if (explores_) explore();
    if (inside_at_ != 0 && explores_ && --inside_at_ == 0) turn(1, std::exchange(inside_, {}));
    if (point.kind != PersistPoint::Kind::settle || turns_.empty()) return;
    if (turns_.back()->ending && !turns_.back()->queued) queue(*turns_.back());
  }

  void reach_disk() {
    if (!explores_) return;
    explore_disks();
    if (overwritten_at_ != 0 && --overwritten_at_ == 0) turn(0, {{.at = 201}});
  }

  [[nodiscard]] CrashKind kind_now() const {
    if (reclaim_->works()) {
      return reclaim_->compacts() ? CrashKind::compaction : CrashKind::reclaim;
    }
    if (turns_.empty()) return writes_back_ ? CrashKind::write_back : CrashKind::table_update;
    return turns_.back()->queued ? CrashKind::kset_append : CrashKind::data_copy;
  }
  [[nodiscard]] bool looks(CrashKind kind) const {
    return !judge_.enough() && is_looked_at(judge_.options().focus, kind);
  }

  // Every combination, or where those are too many: all, nothing, one alone and all but one.
  template <class Look>
  bool for_choices(std::uint64_t combinations, std::uint64_t most, std::size_t units, Look look) {
    if (combinations <= most) {
      ExhaustiveChooser every;
      do {
        look(every);
      } while (every.next());
      look_at_some(few_samples, look);
      return true;
    }
    LoseEverything nothing;
    look(nothing);
    KeepEverything all;
    look(all);
    for (std::size_t one = 0; one < units; ++one) {
      AllButOne alone(one, AllButOne::Others::lost);
      look(alone);
      AllButOne missing(one, AllButOne::Others::kept);
      look(missing);
    }
    look_at_some(samples, look);
    return false;
  }
  // Units that are torn are among them.
  template <class Look>
  void look_at_some(int count, Look look) {
    for (; count > 0; --count) {
      RandomChooser some(random_);
      look(some);
    }
  }

  void explore() {
    const CrashKind kind = kind_now();
    if (!looks(kind)) return;
    ++figures_.points;
    bool first = true;
    const auto look = [&](CrashChooser& choose) {
      const auto after = pmem_->crash(choose);
      std::array<BackingImage, world_volumes> images;
      for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
        images[slot] = disks_[slot]->crash(random_);
      }
      check(*after, kind, images, std::exchange(first, false) ? 2 : 0);
    };
    const bool all = for_choices(pmem_->crashes(), most_combinations, pmem_->unsettled(), look);
    figures_.exhaustive += all ? 1 : 0;
    KeepEverything keep;
    const auto after = pmem_->crash(keep);
    check(*after, kind, {disks_[0]->crash(random_), disks_[1]->crash(random_)}, 1);
  }

  // Nothing but the disk of volume 0 has a choice.
  void explore_disks() {
    const CrashKind kind = kind_now();
    if (!looks(kind)) return;
    ++figures_.points;
    const auto look = [&](CrashChooser& choose) {
      LoseEverything lose;
      const auto after = pmem_->crash(lose);
      check(*after, kind, {disks_[0]->crash(choose), disks_[1]->crash(random_)}, 0);
    };
    const bool all = for_choices(disks_[0]->crashes(), most_combinations, 0, look);
    figures_.exhaustive += all ? 1 : 0;
  }

  // Opens what a crash has left, and crashes that too: `deeper` times.
  void check(SimPmem& after, CrashKind kind, const std::array<BackingImage, world_volumes>& images,
             int deeper) {
    bool first = true;
    if (deeper > 0) {
      after.on_persist_point([&](PersistPoint) {
        const CrashKind next = kind == CrashKind::recovery || kind == CrashKind::second_recovery
                                   ? CrashKind::second_recovery
                                   : CrashKind::recovery;
        const auto look = [&](CrashChooser& choose) {
          const auto again = after.crash(choose);
          check(*again, next, images, std::exchange(first, false) ? deeper - 1 : 0);
        };
        (void)for_choices(after.crashes(), most_in_recovery, after.unsettled(), look);
      });
    }
    judge_.count(kind);
    CrashWorld world(after);
    after.on_persist_point({});
    if (!world.trouble().empty()) judge_.violate(std::string(text(kind)) + ": " + world.trouble());
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      backings_.check_alone(slot, images[slot]);
      (void)judge_.prefix(world, slot, images[slot].sectors);
    }
    if (kind == CrashKind::write_back || (deeper == 1 && kind != CrashKind::recovery)) {
      backings_.resume(world, images, judge_.options().journalled);
    }
  }

  CrashJudge judge_;
  SmallWorkloadFigures& figures_;
  SeededRandom random_;
  std::unique_ptr<SimPmem> pmem_;
  VolumeTimes times_;
  BackingJudge backings_{judge_, times_, random_};
  CrashDisks disks_;
  std::unique_ptr<CrashWorld> world_;
  std::array<std::unique_ptr<CacheActor>, 2> actors_;
  std::unique_ptr<CrashWriteBack> write_back_;
  std::unique_ptr<ReclaimDriver> reclaim_;
  std::vector<std::unique_ptr<CrashCommand>> commands_;
  Writer next_writer_ = 1;
  std::size_t in_flight_ = 0;
  std::vector<Turn*> turns_;  // the one that goes on last
  bool explores_ = false;
  bool writes_back_ = false;
  std::vector<Told> inside_;  // the second actor's turn
  std::uint64_t inside_at_ = 0;
  std::uint64_t overwritten_at_ = 0;
};

}  // namespace

bool run_small_workload(const CrashOptions& options, CrashCounts& counts,
                        SmallWorkloadFigures& figures) {
  SmallWorkload workload(options, counts, figures);
  return workload.run();
}

}  // namespace engine::test
