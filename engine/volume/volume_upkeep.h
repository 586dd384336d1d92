// VolumeUpkeep: what a volume's cache needs done beside its commands: write-back, reclaim, tails.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cache/reclaim.h"
#include "engine/cache/recovery.h"
#include "engine/cache/write_back.h"
#include "engine/volume/cache_front.h"
#include "engine/volume/dirty_age.h"
#include "engine/volume/lag_age.h"

namespace engine {

// On the thread of the cache's keeper, which calls turn() in each of its turns, and tick() some ten
// times a second.
class VolumeUpkeep final : private DirtyTailWaiter {
 public:
  // All outlive it. `lane`, `writer`, `actor`: the thread's. `report`: how the volume was found.
  // `journal`: null, or write-back keeps one.
  VolumeUpkeep(CacheFront& front, std::unique_ptr<BackingMarker> marker, IoLane& lane,
               DurableWriter& writer, CacheActor& actor, const Clock& clock, RecoveryReport report,
               const WriteBackLimits& limits, std::unique_ptr<BackingJournal> journal = nullptr);
  VolumeUpkeep(const VolumeUpkeep&) = delete;
  VolumeUpkeep& operator=(const VolumeUpkeep&) = delete;
  ~VolumeUpkeep();

  // As the front's mode is now: whatever the backing lacks goes there at once in all but
  // write-back.
  void follow_mode();
  // Thresholds and age from now on.
  void set_limits(const WriteBackLimits& limits) { write_back_.set_thresholds(limits); }
  // From the next batch on; null: without.
  void set_journal(std::unique_ptr<BackingJournal> journal);
  // Everything published by now goes to the backing, as soon as it can.
  void drain();
  void cancel_drain();
  [[nodiscard]] bool is_draining() const { return drain_.has_value(); }
  // Of that, or of all that is dirty: as it was at the last tick, and how long it will take;
  // nullopt: not known, or it does not get on.
  [[nodiscard]] ByteCount drain_left() const { return drain_left_; }
  [[nodiscard]] std::optional<Duration> drain_time() const { return drain_time_; }

  // True: there is more to do at once. May have freed space.
  [[nodiscard]] bool turn();
  void tick();

  // The operator has decided: whatever is logged now, and stops write-back because nobody has it
  // any more, is written down as lost in the volume's record in its pool, and write-back goes on
  // without it. Error: nothing of the kind stops it; a sentence for the operator.
  [[nodiscard]] Result<void, std::string> give_up_lost();

  // Before the end of it.
  [[nodiscard]] std::unique_ptr<BackingMarker> take_marker() { return std::move(marker_); }
  [[nodiscard]] std::unique_ptr<BackingJournal> take_journal() { return std::move(journal_); }

  // Nothing new is begun; what is under way ends.
  void stop() {
    stopping_ = true;
    write_back_.stop();
  }
  [[nodiscard]] bool is_quiet() const {
    return write_back_.is_quiet() && reclaim_.is_at_rest() && !giving_up_.is_under_way;
  }
  // After the last command, quiet: writes down where the log ends. True: nothing waits for the
  // backing any more.
  [[nodiscard]] bool end_clean();

  [[nodiscard]] const WriteBackStatus& status() const { return status_; }
  // How long the oldest of what is dirty has been so; zero: nothing is.
  [[nodiscard]] Duration dirty_age() const { return dirty_age_.at(clock_.now()); }
  // See LagAge::at().
  [[nodiscard]] std::optional<Duration> lag_age() const { return lag_age_.at(clock_.now()); }
  [[nodiscard]] const Reclaim::Figures& reclaimed() const { return reclaim_.figures(); }
  // What is not well, as a sentence for the operator; empty: all is.
  [[nodiscard]] std::string trouble() const;
  // Commands have changed something since the last tick, or wait.
  [[nodiscard]] bool is_busy() const { return busy_ || !front_.space().empty(); }
  // Nobody waits so long while the backing gets on: if somebody does, something is wrong.
  static constexpr Duration longest_wait = std::chrono::seconds(10);

 private:
  void written_back() override {}
  void look_at_progress();
  void set_pace(bool gets_on);
  void drop_former_journal();
  void look_at_losses();
  void look_at_drain();
  void measure_drain();
  [[nodiscard]] std::string why_read_only() const;

  CacheFront& front_;
  VolumeCache& volume_;
  DurableWriter& writer_;
  CacheActor& actor_;
  const Clock& clock_;
  RecoveryReport report_;
  std::unique_ptr<BackingMarker> marker_;
  std::unique_ptr<BackingJournal> journal_;
  std::vector<std::unique_ptr<BackingJournal>> former_journals_;  // until write-back has left them
  Reclaim reclaim_;
  WriteBack write_back_;
  WriteBackStatus status_;
  DirtyAge dirty_age_;
  LagAge lag_age_;
  std::uint64_t published_ = 0;  // at the last tick
  std::uint64_t missed_ = 0;     // reads that the cache did not have whole, then
  bool busy_ = false;
  bool stopping_ = false;
  bool waits_too_long_ = false;
  struct GivingUp {
    std::uint64_t up_to = 0;  // a kset
    bool is_under_way = false;
    std::string error;  // of the last time
    std::atomic<bool> has_ended{false};
    std::optional<std::string> outcome;  // the error, before has_ended
  };
  GivingUp giving_up_;
  struct Drain {
    std::uint64_t to = 0;  // a kset
    SectorCount end;       // how much will have been written back then, at most
  };
  std::optional<Drain> drain_;
  ByteCount drain_left_;
  std::optional<Duration> drain_time_;
  Instant noted_;  // when the log's end was last written down
};

}  // namespace engine
