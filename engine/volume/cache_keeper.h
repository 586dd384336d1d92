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

  // Before start(). Everything outlives the keeper's thread. Returns who is told of the backing.
  // `is_here`: the volume is served through this device from the start; else it may be moved here.
  [[nodiscard]] BackingUser& add(const VolumeSpec& spec, CachedVolume& volume,
                                 BindingKeeper& bindings, bool is_here = true);
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
  void abandon(const std::string& volume, const Uuid& cache, const Engine::GivenUp& done);
  [[nodiscard]] std::optional<VolumeCacheStatus> status_of(const std::string& volume) const;
  // The device has been tried, and every volume whose backing is there is served or refused.
  [[nodiscard]] bool await_idle(Instant deadline);
  // After the last command of any volume: writes down that everything ended well, and ends the
  // thread. False: a backing still holds it at `deadline`.
  [[nodiscard]] bool stop(Instant deadline);

 private:
  class Slot;
  // Something that is asked of a volume.
  struct Wish {
    Slot* slot;
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

  void run();
  [[nodiscard]] bool turn();
  void tick();
  void sleep();
  void wake();
  void ask(Wish wish);
  [[nodiscard]] Slot& slot_of(const std::string& volume) const;
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
  std::vector<std::unique_ptr<Slot>> slots_;  // the list: set before start()
  Reads former_reads_;                        // of volumes that have left
  RetryPace pace_;
  Instant next_tick_{};
  bool busy_ = false;
  bool retiring_ = false;
  bool retired_ = false;

  FileOperation wake_;
  std::atomic<bool> is_woken_{false};

  mutable std::mutex mutex_;  // guards what follows; a leaf
  std::condition_variable changed_;
  std::vector<std::function<void()>> posted_;
  std::vector<Wish> wishes_;
  CacheStatus status_;
  Finding::About trouble_about_ = Finding::About::cache_device;  // if it has a reason
  bool trying_now_ = true;
  bool stopping_ = false;
  bool idle_ = false;
  bool ended_ = true;

  std::thread thread_;
};

}  // namespace engine
