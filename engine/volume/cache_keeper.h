// CacheKeeper: one cache device and the volumes that are served through it, kept by a thread of its
// own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/cache/recovery_workers.h"
#include "engine/foundation/clock.h"
#include "engine/foundation/hold_count.h"
#include "engine/media/memory_reservation.h"
#include "engine/media/uring_lane.h"
#include "engine/volume/backing_user.h"
#include "engine/volume/binding_keeper.h"
#include "engine/volume/cache_opening.h"
#include "engine/volume/cached_volume.h"
#include "engine/volume/engine.h"
#include "engine/volume/open_cache.h"
#include "engine/volume/retry_pace.h"
#include "engine/volume/volume_upkeep.h"

namespace engine {

// The thread opens the device, joins volumes to it as their backings come, and from then on does
// whatever the device needs beside the hosts' commands: write-back, reclaim, tails; in page
// granularity it is also the commit thread. Its way to the disks is a lane of its own, so a backing
// that hangs takes no worker from any reactor.
class CacheKeeper final {
 public:
  // `memory` and `workers`, who read its volumes' logs, outlive it. Nothing happens before start().
  CacheKeeper(CacheSpec spec, MemoryBudget& memory, RecoveryWorkers& workers);
  CacheKeeper(const CacheKeeper&) = delete;
  CacheKeeper& operator=(const CacheKeeper&) = delete;
  // After stop() has succeeded, and after every lane that has carried requests.
  ~CacheKeeper();

  // Any thread, before start() or later. Everything outlives the keeper's thread, or, after
  // erase(), `hold`.
  // Returns who is told of the backing. `is_here`: the volume is served through this device from
  // the start; else it may be moved here.
  [[nodiscard]] BackingUser& add(const VolumeSpec& spec, CachedVolume& volume,
                                 BindingKeeper& bindings, bool is_here = true,
                                 HoldCount::Hold hold = {});
  void start();

  // Any thread, from here on.
  [[nodiscard]] const std::string& name() const { return spec_.name; }
  [[nodiscard]] CacheStatus status() const;
  [[nodiscard]] std::vector<Finding> findings() const;
  void try_now();
  // What follows is done on the keeper's thread; `done` runs there, or in here.
  // The volume's backing has grown: so does the volume, or when it is served.
  void follow_growth(const std::string& volume, Engine::Done done);
  // As Engine.
  void set_mode(const std::string& volume, CacheMode mode, Engine::Done done);
  void drain(const std::string& volume, Engine::Done done);
  void cancel_drain(const std::string& volume, Engine::Done done);
  void give_up_lost(const std::string& volume, Engine::Done done);
  void detach(const std::string& volume, Engine::Done done);
  void retire(Engine::Done done);
  // Takes over what the pool has told of a volume that has been detached, on the keeper's thread;
  // null, and why, if it has not been.
  using Released = std::function<void(std::shared_ptr<BackingArrival>, std::string)>;
  void release(const std::string& volume, Released then);
  // The volume joins the device with that; `done`: it has, or why not. It may be released again.
  void join(const std::string& volume, std::shared_ptr<BackingArrival> arrival, Engine::Done done);
  // What the device has of a volume that is not served through it is gone, and its space free; how
  // much that is, without its log; nullopt: it has nothing. Error: the device is not open, or the
  // volume is here.
  using Forgotten = Result<std::optional<ByteCount>, std::string>;
  void forget(const Uuid& volume, std::function<void(Forgotten)> done);
  // As Engine: it is meant by either name from then on.
  void rename(const std::string& volume, const std::string& to, Engine::Done done);
  void abandon(const std::string& volume, const Uuid& cache, const Engine::GivenUp& done);
  [[nodiscard]] std::optional<VolumeCacheStatus> status_of(const std::string& volume) const;
  // Another journal for a volume's write-back, or none; or, not wanted, the one before.
  struct JournalChange {
    bool is_wanted = false;
    std::unique_ptr<BackingJournal> journal{};
  };
  // As Engine. Of a volume that is away: when it joins.
  void set_cache(const std::string& volume, const VolumeCacheSpec& spec,
                 std::shared_ptr<JournalChange> journal, Engine::Done done);
  // Its face is closed; when its commands have ended nothing of it works here any more, and `done`
  // runs: what its backing lacks is kept, else the device forgets it. Error: it joins or leaves the
  // device just now, and nothing has changed.
  void remove_volume(const std::string& volume, Engine::Done done);
  // Whom add() has returned; after remove_volume(), or of a volume that is away, when nobody tells
  // him anything any more.
  void erase(BackingUser& user);
  // No volume is on the device: closes it, and ends the thread; `done` runs there. Error: some is,
  // or it has what the image of a retained one lacks.
  void remove(Engine::Done done);
  // Why not, but for volumes that are `leaving`; empty: nothing speaks against it.
  [[nodiscard]] std::string why_not_remove(const std::vector<std::string>& leaving) const;
  // The volume is served, or to be, through this device.
  [[nodiscard]] bool has_here(const std::string& volume) const;
  // After remove(): what the thread needed goes, too. False: it has not ended yet.
  [[nodiscard]] bool let_go();
  // The device has been tried, and every volume whose backing is there is served or refused.
  [[nodiscard]] bool await_idle(Instant deadline);
  // After the last command of any volume: writes down that everything ended well, and ends the
  // thread. False: a backing still holds it at `deadline`.
  [[nodiscard]] bool stop(Instant deadline);

 private:
  class Slot;
  // Something that is asked of a volume.
  struct Wish {
    std::string volume;
    std::function<Result<void, std::string>(Slot&)> work;
    Engine::Done done;
    Result<void, std::string> at_the_end;  // the answer when the keeper has ended
  };

  // See CacheStatus.
  struct Reads {
    std::uint64_t healed = 0;
    std::uint64_t lost = 0;
    std::uint64_t in_place = 0;
    ByteCount bytes_in_place;
    void add(const CacheFront& front);
  };
  struct Reclaimed {
    std::uint64_t segments = 0;
    ByteCount dropped;
    ByteCount kept;
    void add(const VolumeUpkeep& upkeep);
  };

  void run();
  [[nodiscard]] bool turn();
  void tick();
  void sleep();
  void wake();
  void ask(Wish wish);
  // The keeper's thread, or under slots_mutex_, by any name that it has had; null: there is no such
  // volume.
  [[nodiscard]] Slot* find(const std::string& volume) const;
  [[nodiscard]] static std::string is_unknown(const std::string& volume);
  [[nodiscard]] Forgotten forget_now(const Uuid& volume);
  void list_newcomers();
  void begin_removal(const Engine::Done& done);
  void end_removal(Result<void, std::string> outcome);
  void publish_retained();
  // The same; false: the keeper has ended.
  [[nodiscard]] bool post_if_running(std::function<void()> task);
  [[nodiscard]] Result<void, std::string> begin_retiring();
  void go_on_retiring();
  void close();
  // Runs it on the keeper's thread.
  void post(std::function<void()> task);
  [[nodiscard]] bool run_posted();

  void open();
  [[nodiscard]] Result<void, Finding> open_device();
  [[nodiscard]] Result<void, std::string> start_work(OpenedCache opened);
  void publish_open();
  void publish_error(const std::string& reason,
                     Finding::About about = Finding::About::cache_device);
  void finish_leaving();
  // Why the volumes are late while the device is.
  [[nodiscard]] std::string late_reason() const;
  [[nodiscard]] bool take_trying_now();
  [[nodiscard]] bool has_ended(bool more);
  void look_idle(bool more);

  const CacheSpec spec_;
  MemoryBudget& budget_;
  RecoveryWorkers& workers_;
  const SystemClock clock_;
  std::unique_ptr<UringLane> lane_;
  std::string lane_error_;
  MemoryReservation reserved_{budget_};  // for the indexes

  // The keeper's thread; each may use those before it.
  OpenCache cache_;
  std::optional<DurableWriter> writer_;
  std::unique_ptr<CacheActor> actor_;
  std::vector<std::unique_ptr<Slot>> slots_;  // changed under slots_mutex_
  Reads former_reads_;                        // of volumes that have left
  Reclaimed former_reclaimed_;                // the same
  RetryPace pace_;
  Instant next_tick_{};
  Instant next_survey_{};  // of the segments
  SegmentTable::Uses uses_;
  Instant opening_began_{};
  bool busy_ = false;
  bool retiring_ = false;
  bool retired_ = false;
  Engine::Done removed_;  // while it is to be removed
  bool retained_have_changed_ = true;

  FileOperation wake_;
  std::atomic<bool> is_woken_{false};

  mutable std::mutex slots_mutex_;  // guards changes of the list; before the slots' own
  mutable std::mutex mutex_;        // guards what follows; a leaf
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Slot>> newcomers_;
  std::vector<std::function<void()>> posted_;
  std::vector<Wish> wishes_;
  CacheStatus status_;
  std::string retained_;  // volumes that nobody serves, and whose images lack what is here
  Finding::About trouble_about_ = Finding::About::cache_device;  // if it has a reason
  bool trying_now_ = true;
  bool stopping_ = false;
  bool idle_ = false;
  bool ended_ = true;

  std::thread thread_;
};

}  // namespace engine
