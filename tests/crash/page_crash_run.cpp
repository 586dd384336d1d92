#include "tests/crash/page_crash_run.h"

#include <algorithm>
#include <utility>

#include "engine/cache/page_committer.h"
#include "tests/crash/backing_judge.h"
#include "tests/crash/reclaim_driver.h"
#include "tests/crash/reclaimer.h"
#include "tests/crash/rotten_kset.h"

namespace engine::test {
namespace {

constexpr std::size_t reactors = 3;
constexpr std::uint64_t entry_size = 64;

struct PageRunKilled {};  // kill -9, thrown through the engine

class PageRun final : public CompletionSink {
 public:
  PageRun(const CrashOptions& options, CrashCounts& counts)
      : judge_(options, counts, "PageCrashSuite"),
        options_(judge_.options()),
        random_(options.seed),
        crash_random_(options.seed * 7919 + 1) {
    for (auto& disk : disks_) {
      const VolumeModel::State nothing(world_sectors, 0);
      disk = std::make_unique<CrashDisk>(world_base, BackingImage{.sectors = nothing, .mark = {}});
    }
    const bool crc = random_.chance(1, 2);
    pmem_ = make_world_pages(crc, 20 + static_cast<std::uint32_t>(random_.below(10)));
  }
  ~PageRun() { end_life(); }

  void run() {
    try {
      for (std::uint64_t life = 0; life < options_.lives && !enough() && !is_full_; ++life) {
        live(life);
      }
    } catch (const Violated&) {
    }
  }

  void complete(CommitRecord& record) override {
    auto& command = static_cast<CrashCommand&>(record);
    --in_flight_;
    finish(world_->volume(command.slot), command);
    if (record.outcome() != CommitOutcome::committed) {
      if (!sync_fails_) violate("a command failed");
      return;
    }
    if (!command.is_ordered()) return;
    times_[command.slot].logged(command.index, record.sequence());
    judge_.acknowledge(command, *world_, disks_[command.slot]->current());
    // A kset that a failed sync has lost is saved by recovery as long as the machine runs.
    if (!enough() && (sync_fails_ || crash_random_.chance(1, 16))) {
      LoseEverything lose;
      const auto after = pmem_->crash(lose);
      check(*after, CrashKind::kset_append, 2);
    }
  }

 private:
  [[nodiscard]] bool enough() const { return judge_.enough(); }
  [[noreturn]] void violate(const std::string& what) { judge_.violate(what); }
  void count(CrashKind kind) { judge_.count(kind); }
  std::size_t prefix(CrashWorld& world, std::uint32_t slot, const VolumeModel::State& backing) {
    return judge_.prefix(world, slot, backing);
  }

  // Openings take chunks, and nothing is reclaimed between them: a full device ends the run.
  void look_at(const CrashWorld& world, const char* when) {
    if (world.trouble().empty()) return;
    if (!world.only_lacks_room()) violate(std::string(when) + ": " + world.trouble());
    is_full_ = true;
  }

  // ---- lives
  void live(std::uint64_t life) {
    world_ = std::make_unique<CrashWorld>(*pmem_);
    look_at(*world_, "at the beginning of a life");
    if (is_full_) return;
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      judge_.model(slot).truncate(prefix(*world_, slot, disks_[slot]->current()));
      times_[slot].recovered(judge_.model(slot).order().size(),
                             world_->volume(slot).commit().published());
    }
    committer_ = std::make_unique<PageCommitter>(world_->device());
    for (std::size_t at = 0; at < reactors; ++at) actors_.push_back(CacheActor::make(*committer_));
    own_actor_ = CacheActor::make_for_committer(*committer_);
    journals_ = options_.journalled || (options_.journalled_at_times && life % 3 != 2);
    write_back_ = std::make_unique<CrashWriteBack>(*world_, disks_, random_, journals_);
    for (auto& disk : disks_) {
      disk->fail_some(random_.chance(1, 2));
      disk->on_point([this] { reach_disk(); });
    }
    reclaim_ = std::make_unique<ReclaimDriver>(*world_, *own_actor_,
                                               Reclaim::DirtyTail::write_backs, committer_.get());
    const std::uint64_t end_at = pmem_->persist_points() + 40 + random_.below(400);
    const std::uint64_t dice = random_.below(3);
    kill_at_ = dice == 0 ? end_at : 0;
    fail_at_ = dice == 1 ? end_at : 0;
    pmem_->on_persist_point([this](PersistPoint point) { reach(point); });
    try {
      for (std::uint64_t step = 0; step < options_.steps && !enough(); ++step) top_step();
      finish_rounds();
      if (dice == 2 && life % 2 == 1) stop_clean();
    } catch (const PageRunKilled&) {
    }
    end_life();
    pmem_->reopen();
    power_after_end();
  }

  void stop_clean() {
    quiet_ = true;
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      if (!world_->volume(slot).stop_clean(world_->writer())) violate("no clean stop");
    }
    quiet_ = false;
  }

  void end_life() {
    if (pmem_ != nullptr) pmem_->on_persist_point({});
    write_back_.reset();
    writes_back_ = false;
    reclaim_.reset();
    commands_.clear();
    turn_.clear();
    in_flight_ = 0;
    actors_.clear();
    own_actor_.reset();
    committer_.reset();
    world_.reset();
    sync_fails_ = quiet_ = in_reactor_ = false;
  }

  // Another process recovers what the last one has left, settled or not, or lost by a failed sync;
  // what it serves must survive.
  void power_after_end() {
    std::array<std::size_t, world_volumes> served{};
    CrashWorld recovered(*pmem_);
    look_at(recovered, "another process");
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      served[slot] = prefix(recovered, slot, disks_[slot]->current());
    }
    for (int sample = 0; sample < 12; ++sample) {
      count(CrashKind::kill_then_power);
      LoseEverything lose;
      RandomChooser some(crash_random_);
      const auto after = sample == 0 ? pmem_->crash(lose) : pmem_->crash(some);
      CrashWorld again(*after);
      look_at(again, "power after another process");
      for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
        const BackingImage image = disks_[slot]->crash(crash_random_);
        if (prefix(again, slot, image.sectors) < served[slot]) {
          violate("recovery served what power took");
        }
        backings_.check_alone(slot, image);
      }
    }
  }

  // ---- the workload
  void top_step() {
    if (in_flight_ == 0 && !sync_fails_ && random_.chance(1, 6)) return quiet_work();
    if (random_.chance(1, 2)) return reactor_turn();
    const std::uint64_t dice = options_.focus == CrashFocus::cache ? 3 : random_.below(4);
    if (dice == 0) return write_some_back();
    if (dice == 1) reclaim_some();
    (void)committer_->step();
  }

  // The commit thread's, between two rounds; reactors go on beside it (see reach).
  void write_some_back() {
    const auto slot = static_cast<std::uint32_t>(random_.below(world_volumes));
    writes_back_ = true;
    write_back_->of(slot).set_draining(random_.chance(2, 3));
    for (std::uint64_t turns = 1 + random_.below(24); turns > 0; --turns) write_back_->turn();
    writes_back_ = false;
  }

  // The same; what is logged again comes in the rounds after.
  void reclaim_some() {
    reclaim_->read_some(static_cast<std::uint32_t>(random_.below(world_volumes)), random_);
    reclaim_->step();
    look_at_reclaim();
    if (own_actor_->end_turn()) violate("a turn of reclaim has something left");
  }
  void look_at_reclaim() {
    if (!reclaim_->trouble().empty() && !sync_fails_) violate(reclaim_->trouble());
  }

  // Without failures, for they may go on for ever.
  void write_all_back(std::uint32_t slot) {
    writes_back_ = true;
    disks_[slot]->fail_some(false);
    if (!write_back_->bring(slot)) violate("write-back does not end");
    writes_back_ = false;
    if (disks_[slot]->current() != judge_.model(slot).settled() || disks_[slot]->was_misused()) {
      violate("the backing is not what was acknowledged");
    }
    backings_.check_alone(slot, disks_[slot]->crash(crash_random_));
  }

  void finish_rounds() {
    for (int round = 0; committer_->step(); ++round) {
      if (round == 100) violate("the commit thread never rests");
    }
    if (in_flight_ > 0) violate("commands do not complete");
  }

  void reactor_turn() {
    in_reactor_ = true;
    CacheActor& actor = *actors_[random_.below(reactors)];
    for (std::uint64_t left = 1 + random_.below(4); left > 0; --left) command(actor);
    for (CrashCommand* const command : std::exchange(turn_, {})) {
      if (!command->is_ordered()) continue;
      judge_.append(*command);
      times_[command->slot].queued();
    }
    if (actor.end_turn()) violate("a turn has something left");
    in_reactor_ = false;
  }

  void command(CacheActor& actor) {
    CrashCommand& made =
        *commands_.emplace_back(some_command(random_, *this, next_writer_++, /*churns=*/false));
    const auto taken = submit(world_->volume(made.slot), actor, made, disks_[made.slot]->current());
    if (taken) {
      if (!taken.value()) return;
      if (world_->device().failed()) violate("a device that has failed takes a command");
      ++in_flight_;
      turn_.push_back(&made);
      return;
    }
    if (taken.error() == CacheRefusal::failed && sync_fails_) return;
    if (taken.error() != CacheRefusal::no_space) violate("a command is refused");
    needs_space_ = true;
  }

  // What reclaim, write-back and timers will do, between rounds and with nothing in flight.
  void quiet_work() {
    finish_rounds();
    quiet_ = true;
    const auto slot = static_cast<std::uint32_t>(random_.below(world_volumes));
    if (world_->state(slot, disks_[slot]->current()) != judge_.model(slot).settled()) {
      violate("what is read is not what was acknowledged");
    }
    const std::uint64_t dice = needs_space_ ? 3 : random_.below(4);
    if (dice == 0) {
      CHECK(world_->volume(slot).note_durable(world_->writer()));
    } else {
      write_all_back(slot);
      if (dice == 3) {
        reclaim_->drain(slot);
        look_at_reclaim();
        needs_space_ = random_.chance(1, 2) && needs_space_;
      } else {
        Reclaimer(world_->device(), world_->volume(slot), world_->writer()).free_some(random_);
      }
    }
    quiet_ = false;
    if (dice < 3 && !enough()) rot_last(slot);
  }

  // ---- persist points
  void reach(PersistPoint point) {
    const std::uint64_t bytes = pmem_->counts().bytes;
    if (bytes != bytes_before_) last_write_ = bytes - std::exchange(bytes_before_, bytes);
    if (!enough()) explore();
    if (!quiet_ && !in_reactor_ && random_.chance(1, 24)) reactor_turn();
    if (!quiet_ && fail_at_ != 0 && point.number >= fail_at_) {
      fail_at_ = 0;
      sync_fails_ = true;
      pmem_->fail_next_sync();
    }
    if (kill_at_ != 0 && point.number >= kill_at_) throw PageRunKilled{};
  }

  void reach_disk() {
    if (!enough()) explore();
    if (!quiet_ && !in_reactor_ && random_.chance(1, 24)) reactor_turn();
  }

  [[nodiscard]] CrashKind kind_now() {
    if (writes_back_) return CrashKind::write_back;
    if (reclaim_->works()) {
      return reclaim_->compacts() ? CrashKind::compaction : CrashKind::reclaim;
    }
    if (quiet_) return CrashKind::table_update;
    bool in_kset = false;
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      VolumeCache& volume = world_->volume(slot);
      const auto& chunks = world_->device().chunks_of(slot).chunks;
      if (!chunks.empty() && chunks.back().ordinal != volume.log().chunk_of_next()) {
        return CrashKind::chunk_switch;
      }
      if (volume.commit().try_lock()) {
        volume.commit().unlock();
      } else {
        in_kset = true;
      }
    }
    if (last_write_ == entry_size) return CrashKind::segment_switch;
    return in_kset ? CrashKind::kset_append : CrashKind::data_copy;
  }

  void explore() {
    const CrashKind kind = kind_now();
    const std::uint64_t one_in = kind == CrashKind::data_copy      ? 6
                                 : kind == CrashKind::table_update ? 1
                                 : kind == CrashKind::compaction   ? 1
                                 : kind == CrashKind::write_back   ? 24
                                 : kind == CrashKind::reclaim      ? 6
                                                                   : 2;
    const bool is_entry = kind == CrashKind::segment_switch || kind == CrashKind::chunk_switch;
    const std::uint64_t thin = is_entry ? options_.thin_entries : options_.thin;
    if (!is_looked_at(options_.focus, kind) || !crash_random_.chance(1, one_in * thin)) return;
    if (pmem_->crashes() <= 4) {
      ExhaustiveChooser choose;
      do {
        const auto after = pmem_->crash(choose);
        check(*after, kind, 0);
      } while (choose.next());
    }
    for (int sample = 0; sample < 2 && !enough(); ++sample) {
      RandomChooser choose(crash_random_);
      const auto after = pmem_->crash(choose, SimPmemPages::Tearing::destroys);
      check(*after, kind, 0);
    }
  }

  // Opens what a crash has left; and crashes that too.
  void check(SimPmemPages& after, CrashKind kind, int depth) {
    std::optional<std::uint32_t> rotten;
    if (depth == 0 && crash_random_.chance(1, 8)) {
      kind = CrashKind::rotten_kset;
      rotten = damage(*world_, after, crash_random_);
    } else if (depth < 2 && crash_random_.chance(1, 3)) {
      after.on_persist_point([&](PersistPoint) {
        if (enough() || !crash_random_.chance(1, depth == 0 ? 120 : 60)) return;
        RandomChooser choose(crash_random_);
        const auto second = after.crash(choose);
        check(*second, depth == 0 ? CrashKind::recovery : CrashKind::second_recovery, depth + 1);
      });
    }
    count(kind);
    CrashWorld world(after);
    after.on_persist_point({});
    if (!rotten) {
      const bool was_full = is_full_;
      look_at(world, text(kind));
      is_full_ = was_full;
    }
    std::array<BackingImage, world_volumes> images;
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      images[slot] = disks_[slot]->crash(crash_random_);
      backings_.check_alone(slot, images[slot]);
      backings_.touch_alone(images[slot]);
      if (!world.is_open()) violate(std::string(text(kind)) + ": " + world.trouble());
      if (rotten == slot && world.damaged(slot)) continue;
      (void)prefix(world, slot, images[slot].sectors);
    }
    if (!rotten && world.trouble().empty() && crash_random_.chance(1, 4)) {
      backings_.resume(world, images, journals_);
    }
  }

  // The last kset rots, which something knows to have been durable.
  void rot_last(std::uint32_t slot) {
    const std::vector<std::uint64_t> offsets =
        published_ksets(world_->device(), world_->volume(slot), pmem_->content());
    if (offsets.empty()) return;
    KeepEverything keep;
    const auto after = pmem_->crash(keep);
    rot_kset(*after, world_->volume(slot).log().places(), offsets.back());
    count(CrashKind::rotten_kset);
    CrashWorld world(*after);
    if (!world.is_open()) violate("rotten kset: " + world.trouble());
    if (!world.damaged(slot)) (void)prefix(world, slot, disks_[slot]->current());
  }

  CrashJudge judge_;
  const CrashOptions& options_;
  SeededRandom random_;        // the workload
  SeededRandom crash_random_;  // what power failure leaves
  std::unique_ptr<SimPmemPages> pmem_;
  VolumeTimes times_;
  BackingJudge backings_{judge_, times_, crash_random_};
  CrashDisks disks_;
  Writer next_writer_ = 1;

  std::unique_ptr<CrashWorld> world_;
  std::unique_ptr<PageCommitter> committer_;
  std::vector<std::unique_ptr<CacheActor>> actors_;
  std::unique_ptr<CacheActor> own_actor_;  // the commit thread's
  bool journals_ = false;                  // in this life
  std::unique_ptr<CrashWriteBack> write_back_;
  bool writes_back_ = false;
  std::unique_ptr<ReclaimDriver> reclaim_;
  std::vector<std::unique_ptr<CrashCommand>> commands_;
  std::vector<CrashCommand*> turn_;
  std::size_t in_flight_ = 0;
  std::uint64_t kill_at_ = 0;
  std::uint64_t fail_at_ = 0;
  bool sync_fails_ = false;  // or has failed
  bool quiet_ = false;
  bool in_reactor_ = false;
  bool needs_space_ = false;
  bool is_full_ = false;
  std::uint64_t bytes_before_ = 0;
  std::uint64_t last_write_ = 0;
};

}  // namespace

void run_page_crashes(const CrashOptions& options, CrashCounts& counts) {
  PageRun run(options, counts);
  run.run();
}

}  // namespace engine::test
