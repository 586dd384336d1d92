#include "tests/crash/crash_run.h"

#include <algorithm>
#include <utility>

#include "tests/crash/backing_judge.h"
#include "tests/crash/reclaim_driver.h"
#include "tests/crash/reclaimer.h"
#include "tests/crash/rotten_kset.h"

namespace engine::test {
namespace {

constexpr std::size_t actors = 3;
constexpr std::size_t deepest = 2;  // actors that interrupt each other

struct Killed {};  // kill -9, thrown through the engine

// What one actor is doing; the last one that was interrupted is on top.
struct Turn {
  std::size_t actor = 0;
  std::vector<CrashCommand*> commands;
  bool stores = false;  // data besides that of its commands: reclaim moves some
  bool ending = false;
  bool queued = false;
};

class Run final : public CompletionSink {
 public:
  Run(const CrashOptions& options, CrashCounts& counts)
      : judge_(options, counts, "CrashSuite"),
        options_(judge_.options()),
        random_(options.seed),
        crash_random_(options.seed * 7919 + 1) {
    for (auto& disk : disks_) {
      const VolumeModel::State nothing(world_sectors, 0);
      disk = std::make_unique<CrashDisk>(world_base, BackingImage{.sectors = nothing, .mark = {}});
    }
    crc_ = random_.chance(1, 2);
    pmem_ = make_world_pmem(crc_, 14 + static_cast<std::uint32_t>(random_.below(10)));
  }
  ~Run() { end_life(); }

  void run() {
    try {
      for (std::uint64_t life = 0; life < options_.lives && !enough(); ++life) live(life);
    } catch (const Violated&) {
    }
  }

  void complete(CommitRecord& record) override {
    auto& command = static_cast<CrashCommand&>(record);
    --in_flight_;
    finish(world_->volume(command.slot), command);
    if (record.outcome() != CommitOutcome::committed) violate("a command failed");
    if (!command.is_ordered()) return;
    times_[command.slot].logged(command.index, record.sequence());
    judge_.acknowledge(command, *world_, disks_[command.slot]->current());
  }

 private:
  [[nodiscard]] bool enough() const { return judge_.enough(); }
  [[noreturn]] void violate(const std::string& what) { judge_.violate(what); }
  void count(CrashKind kind) { judge_.count(kind); }
  std::size_t prefix(CrashWorld& world, std::uint32_t slot, const VolumeModel::State& backing) {
    return judge_.prefix(world, slot, backing);
  }

  // ---- lives
  void live(std::uint64_t life) {
    world_ = std::make_unique<CrashWorld>(*pmem_);
    if (!world_->trouble().empty()) violate("at the beginning of a life: " + world_->trouble());
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      judge_.model(slot).truncate(prefix(*world_, slot, disks_[slot]->current()));
      times_[slot].recovered(judge_.model(slot).order().size(),
                             world_->volume(slot).commit().published());
    }
    for (std::size_t at = 0; at < actors; ++at) {
      actors_.push_back(CacheActor::make(world_->device()).value());
    }
    journals_ = options_.journalled || (options_.journalled_at_times && life % 3 != 2);
    write_back_ = std::make_unique<CrashWriteBack>(*world_, disks_, random_, journals_);
    for (auto& disk : disks_) {
      disk->fail_some(random_.chance(1, 2));
      disk->on_point([this] { reach_disk(); });
    }
    reclaim_ = std::make_unique<ReclaimDriver>(*world_, *actors_[0]);
    pmem_->on_persist_point([this](PersistPoint point) { reach(point); });
    kill_at_ = random_.chance(1, 2) ? pmem_->persist_points() + 40 + random_.below(600) : 0;
    try {
      for (std::uint64_t step = 0; step < options_.steps && !enough(); ++step) top_step();
      finish_turns();
      if (kill_at_ == 0 && life % 2 == 1) {
        for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
          if (!world_->volume(slot).stop_clean(world_->writer())) violate("no clean stop");
        }
      }
      pmem_->on_persist_point({});
      end_life();
      pmem_->kill_process();
    } catch (const Killed&) {
      pmem_->on_persist_point({});
      end_life();
      pmem_->kill_process();
      power_after_kill();
    }
  }

  void end_life() {
    if (pmem_ != nullptr) pmem_->on_persist_point({});
    write_back_.reset();
    writes_back_.reset();
    stack_.clear();
    reclaim_.reset();
    commands_.clear();
    in_flight_ = 0;
    actors_.clear();
    world_.reset();
  }

  // Another process recovers what the killed one has left; what it serves must survive.
  void power_after_kill() {
    std::array<std::size_t, world_volumes> served{};
    {
      CrashWorld recovered(*pmem_);
      if (!recovered.trouble().empty()) violate("after a kill: " + recovered.trouble());
      for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
        served[slot] = prefix(recovered, slot, disks_[slot]->current());
      }
      for (int sample = 0; sample < 20; ++sample) {
        count(CrashKind::kill_then_power);
        LoseEverything lose;
        RandomChooser some(crash_random_);
        const auto after = sample == 0 ? pmem_->crash(lose) : pmem_->crash(some);
        CrashWorld again(*after);
        if (!again.trouble().empty()) violate("power after a kill: " + again.trouble());
        for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
          const BackingImage image = disks_[slot]->crash(crash_random_);
          if (prefix(again, slot, image.sectors) < served[slot]) {
            violate("recovery served what power took");
          }
          backings_.check_alone(slot, image);
        }
      }
    }
    pmem_->kill_process();
  }

  // ---- the workload
  void top_step() {
    if (in_flight_ == 0 && random_.chance(1, options_.churns ? 4 : 6)) {
      quiet_work();
      return;
    }
    if (options_.focus != CrashFocus::cache && random_.chance(1, 3)) return write_some_back();
    step(random_.below(actors));
  }

  // A reactor beside the actors: they go on inside of it (see reach).
  void write_some_back() {
    const auto slot = static_cast<std::uint32_t>(random_.below(world_volumes));
    writes_back_ = slot;
    write_back_->of(slot).set_draining(random_.chance(2, 3));
    for (std::uint64_t turns = 1 + random_.below(24); turns > 0; --turns) write_back_->turn();
    writes_back_.reset();
  }

  // Without failures, for they may go on for ever.
  void write_all_back(std::uint32_t slot) {
    writes_back_ = slot;
    disks_[slot]->fail_some(false);
    if (!write_back_->bring(slot)) violate("write-back does not end");
    writes_back_.reset();
    if (disks_[slot]->current() != judge_.model(slot).settled() || disks_[slot]->was_misused()) {
      violate("the backing is not what was acknowledged");
    }
    backings_.check_alone(slot, disks_[slot]->crash(crash_random_));
  }

  void step(std::size_t actor) {
    Turn turn;
    turn.actor = actor;
    stack_.push_back(&turn);
    // The home lane does one thing at a time.
    if (actor == 0 && !writes_back_ && random_.chance(1, 2)) turn.stores = reclaim();
    const std::uint64_t most = options_.churns ? 1 : 4;
    for (std::uint64_t left = 1 + random_.below(most); left > 0; --left) command(turn);
    end_turn(turn);
    stack_.pop_back();
  }

  // The home lane's turn: readers, and a step of reclaim. True: it has stored data.
  [[nodiscard]] bool reclaim() {
    const std::uint64_t moved = reclaim_->moved();
    reclaim_->read_some(static_cast<std::uint32_t>(random_.below(world_volumes)), random_);
    reclaim_->step();
    if (!reclaim_->trouble().empty()) violate(reclaim_->trouble());
    return reclaim_->moved() != moved;
  }

  // Also of what reclaim has logged again, which nobody waits for: its data counts as live until it
  // is committed or dropped.
  void finish_turns() {
    bool is_left = true;
    for (int round = 0; round < 100 && (is_left || in_flight_ > 0); ++round) {
      is_left = false;
      for (auto& actor : actors_) is_left = actor->end_turn() || is_left;
    }
    if (is_left || in_flight_ > 0) violate("commands do not complete");
  }

  void command(Turn& turn) {
    CrashCommand& made =
        *commands_.emplace_back(some_command(random_, *this, next_writer_++, options_.churns));
    free_before_ = world_->device().segments().free_count();
    const auto taken =
        submit(world_->volume(made.slot), *actors_[turn.actor], made, disks_[made.slot]->current());
    free_before_.reset();
    if (!taken) {
      if (taken.error() != CacheRefusal::no_space) violate("a command is refused");
      needs_space_ = true;
      return;
    }
    if (!taken.value()) return;
    ++in_flight_;
    turn.commands.push_back(&made);
  }

  // From the fence on, its commands are in the queues, in this order.
  void queue(Turn& turn) {
    turn.queued = true;
    for (CrashCommand* command : turn.commands) {
      if (!command->is_ordered()) continue;
      judge_.append(*command);
      times_[command->slot].queued();
    }
  }

  void end_turn(Turn& turn) {
    turn.ending = true;
    const bool stores =
        turn.stores || std::ranges::any_of(turn.commands, [](const CrashCommand* command) {
          return !command->model.zeroes;
        });
    if (!stores || !options_.data_is_fenced) queue(turn);
    bool left = actors_[turn.actor]->end_turn();
    if (!turn.queued) violate("no fence before the records were queued");
    // Whom it has interrupted may have the commit lock: then a later turn commits them.
    for (int round = 0; left && round < 8; ++round) left = actors_[turn.actor]->end_turn();
  }

  // With nothing in flight: what reclaim, write-back and timers will do.
  void quiet_work() {
    finish_turns();
    quiet_ = true;
    const auto slot = static_cast<std::uint32_t>(random_.below(world_volumes));
    if (world_->state(slot, disks_[slot]->current()) != judge_.model(slot).settled()) {
      violate("what is read is not what was acknowledged");
    }
    Reclaimer reclaimer(world_->device(), world_->volume(slot), world_->writer());
    const std::uint64_t dice = needs_space_ || options_.churns ? 3 : random_.below(4);
    if (dice == 0) {
      CHECK(world_->volume(slot).note_durable(world_->writer()));
    } else if (dice < 3) {
      write_all_back(slot);
      reclaimer.free_some(random_);
    } else {
      write_all_back(slot);
      reclaim_->drain(slot);
      if (!reclaim_->trouble().empty()) violate(reclaim_->trouble());
      needs_space_ = random_.chance(1, 2) && needs_space_;
    }
    quiet_ = false;
    if (dice < 3 && !enough()) rot_last(slot);
  }

  // ---- persist points
  void reach(PersistPoint point) {
    if (!enough()) explore();
    const bool others_go_on = !stack_.empty() || writes_back_.has_value();
    if (!quiet_ && stack_.size() < deepest && others_go_on && random_.chance(1, 24)) {
      std::size_t other = random_.below(actors);
      if (std::ranges::none_of(stack_, [other](Turn* turn) { return turn->actor == other; })) {
        const auto before = std::exchange(free_before_, std::nullopt);
        step(other);
        free_before_ = before;
      }
    }
    if (point.kind == PersistPoint::Kind::settle && !stack_.empty()) {
      Turn& turn = *stack_.back();
      if (turn.ending && !turn.queued) queue(turn);
    }
    if (kill_at_ != 0 && point.number >= kill_at_) throw Killed{};
  }

  void reach_disk() {
    if (!enough()) explore();
  }

  [[nodiscard]] CrashKind kind_now() {
    if (writes_back_ && stack_.empty()) return CrashKind::write_back;
    if (reclaim_->works()) {
      return reclaim_->compacts() ? CrashKind::compaction : CrashKind::reclaim;
    }
    if (quiet_) return CrashKind::table_update;
    if (free_before_ && world_->device().segments().free_count() != *free_before_) {
      return CrashKind::segment_switch;
    }
    if (!stack_.empty() && stack_.back()->stores && stack_.back()->ending) {
      return CrashKind::compaction;
    }
    if (stack_.empty() || !stack_.back()->queued) return CrashKind::data_copy;
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      const auto& chunks = world_->device().chunks_of(slot).chunks;
      const VolumeLog& log = world_->volume(slot).log();
      if (!chunks.empty() && chunks.back().ordinal != log.chunk_of_next()) {
        return CrashKind::chunk_switch;
      }
    }
    return CrashKind::kset_append;
  }

  void explore() {
    const CrashKind kind = kind_now();
    const std::uint64_t one_in = kind == CrashKind::data_copy        ? 16
                                 : kind == CrashKind::write_back     ? 24
                                 : kind == CrashKind::table_update   ? 6
                                 : kind == CrashKind::reclaim        ? 12
                                 : kind == CrashKind::compaction     ? 4
                                 : kind == CrashKind::segment_switch ? 8
                                 : kind == CrashKind::kset_append    ? 4
                                                                     : 1;
    const bool is_entry = kind == CrashKind::table_update || kind == CrashKind::segment_switch;
    const std::uint64_t thin = is_entry ? options_.thin_entries : options_.thin;
    if (!is_looked_at(options_.focus, kind) || !crash_random_.chance(1, one_in * thin)) return;
    if (pmem_->crashes() <= 4) {
      ExhaustiveChooser choose;
      do {
        const auto after = pmem_->crash(choose);
        check(*after, kind, 0);
      } while (choose.next());
    }
    const int samples = kind == CrashKind::chunk_switch ? 10 : 2;
    for (int sample = 0; sample < samples && !enough(); ++sample) {
      RandomChooser choose(crash_random_);
      const auto after = pmem_->crash(choose);
      check(*after, kind, 0);
    }
  }

  // Opens what a crash has left; and crashes that too.
  void check(SimPmem& after, CrashKind kind, int depth) {
    std::optional<std::uint32_t> rotten;
    if (depth == 0 && crash_random_.chance(1, 6)) {
      kind = CrashKind::rotten_kset;
      rotten = damage(*world_, after, crash_random_);
    } else if (depth < 2 && crash_random_.chance(1, 3)) {
      after.on_persist_point([&](PersistPoint) {
        if (enough() || !crash_random_.chance(1, depth == 0 ? 40 : 30)) return;
        RandomChooser choose(crash_random_);
        const auto second = after.crash(choose);
        check(*second, depth == 0 ? CrashKind::recovery : CrashKind::second_recovery, depth + 1);
      });
    }
    count(kind);
    CrashWorld world(after);
    after.on_persist_point({});
    // Openings that were cut off have taken what is kept for one: writes wait for reclaim.
    const bool lacks_room = depth > 0 && world.only_lacks_room();
    std::array<BackingImage, world_volumes> images;
    for (std::uint32_t slot = 0; slot < world_volumes; ++slot) {
      images[slot] = disks_[slot]->crash(crash_random_);
      backings_.check_alone(slot, images[slot]);
      backings_.touch_alone(images[slot]);
      if (rotten == slot && world.is_open() && world.damaged(slot)) continue;
      if (!rotten && !world.trouble().empty() && !lacks_room) {
        violate(std::string(text(kind)) + ": " + world.trouble());
      }
      if (!world.is_open()) violate(std::string(text(kind)) + ": " + world.trouble());
      (void)prefix(world, slot, images[slot].sectors);
    }
    const bool resumes = options_.focus == CrashFocus::write_back || crash_random_.chance(1, 4);
    if (!rotten && !lacks_room && resumes && options_.focus != CrashFocus::cache) {
      backings_.resume(world, images, journals_);
    }
  }

  // The last kset rots, which something knows to have been durable.
  void rot_last(std::uint32_t slot) {
    const VolumeLog& log = world_->volume(slot).log();
    std::optional<std::uint64_t> last;
    for (const std::uint64_t offset :
         published_ksets(world_->device(), world_->volume(slot), pmem_->content()))
      last = offset;
    if (!last) return;
    KeepEverything keep;
    const auto after = pmem_->crash(keep);
    rot_kset(*after, log.places(), *last);
    count(CrashKind::rotten_kset);
    CrashWorld world(*after);
    if (!world.is_open()) violate("rotten kset: " + world.trouble());
    if (!world.damaged(slot)) (void)prefix(world, slot, disks_[slot]->current());
  }

  CrashJudge judge_;
  const CrashOptions& options_;
  SeededRandom random_;        // the workload
  SeededRandom crash_random_;  // what power failure leaves
  bool crc_ = false;
  std::unique_ptr<SimPmem> pmem_;
  VolumeTimes times_;
  BackingJudge backings_{judge_, times_, crash_random_};
  CrashDisks disks_;
  Writer next_writer_ = 1;

  std::unique_ptr<CrashWorld> world_;
  std::vector<std::unique_ptr<CacheActor>> actors_;
  bool journals_ = false;  // in this life
  std::unique_ptr<CrashWriteBack> write_back_;
  std::optional<std::uint32_t> writes_back_;  // the volume, while its lane has a turn
  std::unique_ptr<ReclaimDriver> reclaim_;
  std::vector<std::unique_ptr<CrashCommand>> commands_;
  std::vector<Turn*> stack_;
  std::size_t in_flight_ = 0;
  std::uint64_t kill_at_ = 0;
  bool quiet_ = false;
  bool needs_space_ = false;
  std::optional<std::uint32_t> free_before_;
};

}  // namespace

void run_crashes(const CrashOptions& options, CrashCounts& counts) {
  Run run(options, counts);
  run.run();
}

}  // namespace engine::test
