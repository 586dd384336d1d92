// CacheLane: what one lane needs to work on one cache device.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "engine/media/io_lane.h"
#include "engine/volume/cache_command.h"
#include "engine/volume/lane_pool.h"
#include "engine/volume/open_cache.h"

namespace engine {

class CachedRead;
class CachedWrite;
class MissRead;

// The actor of the lane's thread, whose turn ends with the lane's; and the commands that it has
// under way, which come back to this thread whoever has committed them.
class CacheLane final : public LaneGuest, private LaneTask, private CompletionSink {
 public:
  // The lane's own one, made when it first comes. Null: the device takes no more writers. The
  // lane's thread.
  [[nodiscard]] static CacheLane* of(OpenCache& cache, IoLane& lane);
  ~CacheLane() override;

  // The lane's thread, all of it but tell().
  [[nodiscard]] CacheActor& actor() { return *actor_; }
  [[nodiscard]] IoLane& lane() { return lane_; }
  [[nodiscard]] OpenCache& cache() { return cache_; }
  // What the actor has taken is committed at the end of this turn.
  void commit_soon() { lane_.at_turn_end(*this); }

  // No command is under way, and nobody is about to tell of one.
  [[nodiscard]] bool is_quiet() const override;

  // Any thread: the command, which is this lane's, goes on.
  void tell(CacheCommand& command);

  [[nodiscard]] CachedRead& take_read();
  [[nodiscard]] CachedWrite& take_write();
  [[nodiscard]] MissRead& take_miss();
  void give_back(CachedRead& read);
  void give_back(CachedWrite& write);
  void give_back(MissRead& miss);

 private:
  friend class CacheCommand;

  CacheLane(OpenCache& cache, IoLane& lane, std::unique_ptr<CacheActor> actor);
  void end_of_turn() override;
  // Any thread.
  void complete(CommitRecord& record) override;
  void take_told();

  OpenCache& cache_;
  IoLane& lane_;
  const std::unique_ptr<CacheActor> actor_;
  HandOver<CacheCommand> told_;
  std::atomic<bool> is_told_{false};       // tell_ is on its way
  std::atomic<std::uint32_t> tellers_{0};  // threads inside tell()
  FileOperation tell_;

  LanePool<CachedRead> reads_;
  LanePool<CachedWrite> writes_;
  LanePool<MissRead> misses_;
};

}  // namespace engine
