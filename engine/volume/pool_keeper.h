// PoolKeeper: one pool and its volumes, kept open by a thread of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/media/memory_device.h"
#include "engine/pool/lossy_backing.h"
#include "engine/pool/opened_volume.h"
#include "engine/pool/pool.h"
#include "engine/volume/backed_volume.h"
#include "engine/volume/backing_user.h"
#include "engine/volume/binding_keeper.h"
#include "engine/volume/engine.h"
#include "engine/volume/known_volumes.h"
#include "engine/volume/member_openings.h"
#include "engine/volume/reservation_keeper.h"
#include "engine/volume/retry_pace.h"

namespace engine {

// Everything that may wait for the pool's disk (opening, making, growing, measuring) happens on the
// keeper's own thread, which is the only one that brings volumes of the pool up. Others ask, are
// told what was last found, and never wait for the disk: a pool that hangs holds up nothing but
// itself.
class PoolKeeper final : private VolumeObserver,
                         public BindingKeeper,
                         public LostKeeper,
                         public ReservationKeeper {
 public:
  using GrowDone = std::function<void(Result<void, std::string>)>;
  using ArrivalDone = std::function<void(Result<BackingArrival, std::string>)>;

  // `known` outlives it. Nothing happens before start().
  PoolKeeper(PoolSpec spec, KnownVolumes& known);
  PoolKeeper(const PoolKeeper&) = delete;
  PoolKeeper& operator=(const PoolKeeper&) = delete;
  // Waits for the disk if it must; see stop().
  ~PoolKeeper();

  // Before start(), or any thread later. The volume is late, and outlives the keeper, as does
  // whoever stands between it and the hosts. Who has no cache in the specification hears of no
  // arrival.
  void add(const VolumeSpec& spec, BackedVolume& volume, BackingUser& user);
  // Makes the first attempt, on the keeper's thread.
  void start();

  // Any thread, from here on.
  [[nodiscard]] const std::string& name() const { return spec_.name; }
  [[nodiscard]] bool takes_caches() const { return is_on_disk(); }
  [[nodiscard]] PoolStatus status() const;
  // Why it is not open, or else which of its volumes are not as specified.
  [[nodiscard]] std::vector<Finding> findings() const;
  // As it had them when it was last open.
  [[nodiscard]] std::vector<PoolDisk> disks() const;
  [[nodiscard]] std::uint64_t backing_errors_of(const std::string& volume) const;
  [[nodiscard]] LossStatus losses_of(const std::string& volume) const;
  // Whatever is late or failed is tried at once, whenever it would have been.
  void try_now();
  // True when all that was asked for before has been done.
  [[nodiscard]] bool await_idle(Instant deadline);
  void grow(const std::string& volume, ByteCount size, GrowDone done);
  // Whether it has a volume of that name and UUID that is not in the configuration.
  [[nodiscard]] bool retains(const std::string& volume, const Uuid& uuid) const;
  // Of one that it retains. A second time it is done already.
  void rename(const std::string& volume, const Uuid& uuid, const std::string& to,
              Engine::Done done);
  // Of one that is served, as Engine::rename_volume() and Engine::keep_names().
  void rename_served(const std::string& volume, const std::string& to, Engine::Done done);
  void keep_names();
  // Of a file pool. As rename().
  void adopt(const Adoption& adoption, Engine::AdoptDone done);
  // Of a device pool: see Engine::add_member.
  void add_member(const std::string& disk, const std::vector<std::string>& permitted,
                  Engine::AddMemberDone done);
  // Of one that it retains; `cache`: nil, or the one that it belongs together with.
  struct DestroyRequest {
    std::string volume;
    Uuid uuid;
    Uuid cache{};
    Engine::Done done{};
  };
  void destroy(DestroyRequest wanted, Engine::Done done);
  // Whether that may be; then what its cache has that its image lacks, empty: it belongs to none.
  void look_at(const DestroyRequest& wanted, const Engine::GivenUp& done);
  // Also carried out when the keeper is told to stop before it has come to it.
  void bind(const std::string& volume, const CacheBinding& binding, BindDone done) override;
  // As bind().
  void set_lost(const std::string& volume, const LostRanges& lost, LostDone done) override;
  // As bind().
  void keep_reservations(const std::string& volume, const KeptReservations& reservations,
                         KeepDone done) override;
  // As bind().
  void keep_write_protection(const std::string& volume, bool write_protected,
                             KeepDone done) override;
  // As bind().
  void keep_formatting(const std::string& volume, std::optional<BlockSize> blocks,
                       KeepDone done) override;
  [[nodiscard]] bool keeps_across_starts() const override { return is_on_disk(); }
  // Of a volume that nobody has cached yet, and that is to get a cache. `done`: on the keeper's
  // thread, or in here.
  void find_arrival(const std::string& volume, ArrivalDone done);
  // As bind(), but not when the keeper is told to stop.
  void abandon(const std::string& volume, const GivenUpCache& cache, AbandonDone done) override;
  // Of a volume that nobody caches, and that misses `cache`: see Engine::abandon_cache.
  void abandon_cache(const std::string& volume, const Uuid& cache, Engine::GivenUp done);
  // Of a volume in which no request begins any more, and which no cache uses: as soon as `is_quiet`
  // (none is under way) its data is let go of, and the pool retains it. On the keeper's thread.
  void remove(const std::string& volume, std::function<bool()> is_quiet, Engine::Done done);
  // No volume is left: lets go of the pool, and ends the thread. `done` runs there.
  void remove_pool(Engine::Done done);
  // After remove_pool(). False: the thread has not ended yet.
  [[nodiscard]] bool let_go();
  // As Engine::set_volume_size().
  void set_size(const std::string& volume, ByteCount size, GrowDone done);
  // What its specification says of the cache, when the volume comes the next time. If it is there,
  // and its write-back is to have a journal: that.
  using FoundJournal = Result<std::shared_ptr<std::unique_ptr<BackingJournal>>, std::string>;
  using JournalDone = std::function<void(FoundJournal)>;
  void set_cache(const std::string& volume, const VolumeCacheSpec& spec, bool wants_journal,
                 JournalDone done);
  // As Engine::set_pool_space(), and what of it can be told without the disk.
  void set_space(const PoolSpec& spec, Engine::Done done);
  [[nodiscard]] std::string why_not_set_space(const PoolSpec& spec) const;
  // Ends the thread. False: it still waits for the disk at `deadline`.
  [[nodiscard]] bool stop(Instant deadline);

 private:
  struct Slot {
    VolumeSpec spec;
    BackedVolume& volume;
    BackingUser& user;
    std::vector<std::string> former_names{};  // by which it may still be meant, as `spec`
    bool is_cached = false;  // its record is its user's, not this pool's; the keeper's thread
    // Which kind of backing it has, once online; the volume owns that.
    std::unique_ptr<VolumeSpace> space{};  // null: it has all its space
    std::unique_ptr<OpenedVolume> opened{};
    MemoryDevice* memory = nullptr;
    LossyBacking* lossy = nullptr;  // around what has been opened; of mutex_
  };
  struct GrowRequest {
    std::string volume;
    ByteCount size;
    bool is_specified = false;  // from now on
    GrowDone done;
  };

  // Of the specification. `done`: the answer when the keeper has ended; may be empty.
  struct SpecChange {
    std::function<void()> work;
    Engine::Done done;
  };

  // See remove().
  struct Removal {
    std::string volume;
    std::function<bool()> is_quiet;
    Engine::Done done;
  };

  struct RenameRequest {
    std::string volume;
    Uuid uuid;
    std::string to;
    Engine::Done done;
  };

  struct AdoptRequest {
    Adoption adoption;
    Engine::AdoptDone done;
  };

  struct MemberRequest {
    std::string disk;
    std::vector<std::string> permitted;
    Engine::AddMemberDone done;
  };

  struct BindRequest {
    std::string volume;
    CacheBinding binding;
    BindDone done;
  };

  struct AbandonRequest {
    std::string volume;
    GivenUpCache cache;
    std::function<void(const Result<std::shared_ptr<Abandoned>, std::string>&)> done;
  };

  struct SpaceRequest {
    Slot* slot;
    SpaceQuestion* question;
    void done(const std::string& /*why*/) const {
      VolumeSpace::answer(*question, SpaceQuestion::Answer::unknown);
    }
  };

  struct LostRequest {
    std::string volume;
    LostRanges lost;
    LostDone done;
  };

  struct ReservationRequest {
    std::string volume;
    struct Protection {
      bool is_protected = false;
    };
    struct Formatting {
      std::optional<BlockSize> blocks;
    };
    std::variant<KeptReservations, Protection, Formatting> kept;
    KeepDone done;
  };

  struct ArrivalRequest {
    std::string volume;
    ArrivalDone done;
  };

  // A reactor's thread when a flush has failed; else the keeper's.
  void volume_changed(Volume& volume) noexcept override;

  void run();
  // `lock` is of mutex_, and held again on return; `what` the disk is asked for meanwhile.
  template <class Work>
  void without_lock(std::unique_lock<std::mutex>& lock, const char* what, const Work& work);
  [[nodiscard]] Instant next_wake() const;  // under mutex_
  [[nodiscard]] bool is_asked() const {     // the same: somebody waits for an answer
    return !grows_.empty() || !destroys_.empty() || !binds_.empty() || !losses_.empty() ||
           !reservations_.empty() || !renames_.empty() || !adoptions_.empty() || !spaces_.empty() ||
           !abandons_.empty() || !arrivals_.empty() || !newcomers_.empty() || !changes_.empty() ||
           !removals_.empty() || !arriving_.empty();
  }
  [[nodiscard]] bool has_lost_a_member() const;  // the same; the keeper's thread
  void begin(const char* what);                  // what the disk is asked for from now on

  // The keeper's thread, without the lock.
  void attempt();
  [[nodiscard]] Result<std::unique_ptr<Pool>, PoolError> open_as_specified();
  [[nodiscard]] Result<std::unique_ptr<Pool>, PoolError> open_disks();
  // Of a device pool: what the specification names, and what has come since.
  [[nodiscard]] std::vector<std::string> member_paths() const;
  [[nodiscard]] Result<GrownPool, std::string> add_member_now(const MemberRequest& request);
  // What its members want of the operator.
  void publish_advice();
  [[nodiscard]] Result<void, PoolError> open_pool();
  void publish_error(const PoolError& error);
  void publish_open();
  void begin_waiting();  // under mutex_, or before start()
  void bring_up(const std::vector<Slot*>& down);
  // Returns those that stay down since their space is not zeroed yet.
  [[nodiscard]] std::vector<Slot*> ensure(const std::vector<Slot*>& down);
  void bring_up_memory(Slot& slot);
  void bring_up_opened(Slot& slot, const VolumeRecord& record);
  // Waits until the deadline for what an earlier daemon has asked of it.
  [[nodiscard]] Result<std::unique_ptr<OpenedVolume>, PoolError> open_volume(
      const Slot& slot, const VolumeRecord& record, IoSource source);
  void make_space(Slot& slot, const VolumeRecord& record);
  void measure();
  // What of the free space anybody may be promised.
  [[nodiscard]] ByteCount room_in(ByteCount free) const;
  [[nodiscard]] ByteCount owed() const;
  // Nobody is promised anything until the next measure(), so that space can be taken otherwise.
  [[nodiscard]] ByteCount hold_budget();
  void answer_now(const std::deque<SpaceRequest>& requests);
  template <class Request, class Answer>
  void answer_measured(const Request& request, const Answer& answer);
  [[nodiscard]] Result<void, std::string> grow_now(const GrowRequest& request);
  void publish_retained();
  [[nodiscard]] Result<WhatIsLeft, std::string> look_at_now(const DestroyRequest& request);
  [[nodiscard]] Result<void, std::string> destroy_now(const DestroyRequest& request);
  [[nodiscard]] Result<void, std::string> rename_now(const RenameRequest& request);
  [[nodiscard]] Result<RetainedVolume, std::string> adopt_now(const Adoption& adoption);
  // Any thread: hands it to the keeper's, or answers that there is none any more.
  template <class Request>
  void ask(std::deque<Request>& queue, Request request);
  void bind_now(const std::deque<BindRequest>& requests);
  void set_lost_now(const std::deque<LostRequest>& requests);
  [[nodiscard]] Result<void, std::string> keep_now(const ReservationRequest& request);
  [[nodiscard]] Result<BackingArrival, std::string> arrival_now(const std::string& volume);
  void refuse_requests();
  [[nodiscard]] std::shared_ptr<Abandoned> abandon_now(const AbandonRequest& request);
  // Adds what is left of the volume.
  [[nodiscard]] Result<CacheBinding, std::string> abandon_cache_of(Slot& slot,
                                                                   const GivenUpCache& cache,
                                                                   std::string& what_is_left);
  [[nodiscard]] std::string is_not_there(const std::string& volume) const;
  // What trying found; a volume that cannot be as configured is refused.
  void stay_down(Slot& slot, const PoolError& error);
  void stay_down(Slot& slot, const std::string& reason);
  // What the volume of `size` does not promise, and where it differs from the configuration.
  [[nodiscard]] VolumePromise promise_of(const Slot& slot, ByteCount size);
  static void learn_identity(Slot& slot, const VolumeRecord* record);
  // What it is served with, which its pool has perhaps changed for the next time.
  [[nodiscard]] static BlockSize served_blocks(const Slot& slot) {
    return slot.volume.identity().block_size;
  }
  [[nodiscard]] VolumeWish wish_for(const Slot& slot) const;
  [[nodiscard]] bool is_configured(const std::string& volume) const;
  // What its pool has of that name is a volume's that is specified.
  [[nodiscard]] bool serves(const VolumeRecord& record) const;
  [[nodiscard]] Result<void, std::string> rename_served_now(const std::string& volume,
                                                            const std::string& to);
  // What the pool's table calls a volume, whatever it is called here.
  [[nodiscard]] std::string name_in_pool(const std::string& volume) const;
  void write_names();
  // The keeper's thread, or under mutex_, by any name that it has had; null: there is no such
  // volume.
  [[nodiscard]] Slot* slot_of(const std::string& volume) const;
  void list(std::unique_ptr<Slot> slot);
  void list_arriving(std::vector<std::unique_ptr<Slot>> arriving);
  [[nodiscard]] std::optional<Removal> take_quiet();  // under mutex_
  void remove_now(const std::string& volume);
  void end();
  [[nodiscard]] Result<void, std::string> set_space_now(const PoolSpec& spec);
  void keep_reserve();
  // PoolSpec::queue_depth, of what is open.
  void limit_depth(std::uint32_t depth);
  [[nodiscard]] FoundJournal journal_now(const std::string& volume, const VolumeCacheSpec& spec,
                                         bool wants_journal);
  // By any of its names.
  [[nodiscard]] const VolumeRecord* record_of(const std::string& volume) const;
  [[nodiscard]] const VolumeRecord* record_called(const std::string& name) const;
  [[nodiscard]] bool is_on_disk() const { return spec_.kind != PoolSpec::Kind::memory; }

  static constexpr Duration measure_period = std::chrono::seconds(5);
  static constexpr Duration removal_period = std::chrono::milliseconds(5);
  static constexpr const char* stopping_answer = "the daemon is stopping";

  PoolSpec spec_;                       // name, kind and place never change; the rest under mutex_
  const std::uint32_t backing_number_;  // IoSource::backing: what hangs together
  const SystemClock clock_;
  KnownVolumes& known_;
  std::vector<std::unique_ptr<Slot>> slots_;  // changed under mutex_, and their specifications

  // The keeper's thread alone. `pool_` stays once it is there: its lock is held as long as a
  // volume may have I/O under way. `former_` are those whose lock the newly opened one does not
  // have (another file system, or another disk, stands there now).
  std::unique_ptr<Pool> pool_;
  std::vector<std::unique_ptr<Pool>> former_;
  MemberOpenings openings_;
  std::vector<MemberState> members_seen_;   // when it was last tried
  std::vector<std::string> added_members_;  // since the start, and not in the specification
  bool may_zero_ = true;
  bool keeps_names_ = true;  // of volumes that are called otherwise now
  SpaceBudget budget_;
  ByteCount retained_owed_;  // to volumes that nobody serves
  bool is_thin_ = false;     // of some volume
  Instant lock_deadline_{};  // until when images are waited for that a dead process holds

  // Guards what follows; a leaf but for a volume's reason, never held while the disk is asked.
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  PoolStatus status_;
  std::vector<PoolDisk> disks_;
  std::optional<PoolError> error_;  // why it is not open
  std::vector<Finding> name_errors_;
  std::string opening_;  // since when its volumes have been waited for
  std::deque<SpaceRequest> spaces_;
  std::deque<GrowRequest> grows_;
  std::deque<DestroyRequest> destroys_;
  std::deque<RenameRequest> renames_;
  std::deque<AdoptRequest> adoptions_;
  std::deque<BindRequest> binds_;
  std::deque<LostRequest> losses_;
  std::deque<ReservationRequest> reservations_;
  std::deque<AbandonRequest> abandons_;
  std::deque<ArrivalRequest> arrivals_;
  std::deque<MemberRequest> newcomers_;
  std::vector<std::unique_ptr<Slot>> arriving_;  // added since the start, and not listed yet
  std::deque<SpecChange> changes_;
  std::vector<Removal> removals_;
  Engine::Done removed_;  // while the pool is to be removed
  RetryPace pace_;
  Instant next_measure_{};
  bool trying_now_ = true;
  bool stopping_ = false;
  bool ended_ = false;
  const char* doing_ = nullptr;  // null: idle
  Instant busy_since_{};

  std::thread thread_;
};

}  // namespace engine
