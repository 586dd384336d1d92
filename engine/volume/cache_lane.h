// CacheLane: what one lane needs to work on one cache device.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/media/io_lane.h"
#include "engine/volume/cache_command.h"
#include "engine/volume/cache_lanes.h"
#include "engine/volume/lane_pool.h"
#include "engine/volume/open_cache.h"

namespace engine {

class CacheFront;
class CachedPins;
class CachedRead;
class CachedScrub;
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
  // Among those of the device: what it counts as, see CacheTraffic. Never changes.
  [[nodiscard]] std::uint32_t number() const { return number_; }
  void set_number(std::uint32_t number) { number_ = number; }  // CacheLanes, once
  // What the actor has taken is committed at the end of this turn.
  void commit_soon() { lane_.at_turn_end(*this); }

  // No command is under way, and nobody is about to tell of one.
  [[nodiscard]] bool is_quiet() const override;

  // Any thread: the command, which is this lane's, goes on.
  void tell(CacheCommand& command);

  // What is taken counts until it is given back.
  [[nodiscard]] CommandTicket ticket_for(const CacheFront& front) const;
  [[nodiscard]] CachedRead& take_read(CommandTicket ticket);
  [[nodiscard]] CachedWrite& take_write(CommandTicket ticket);
  [[nodiscard]] MissRead& take_miss(CommandTicket ticket);
  [[nodiscard]] CachedPins& take_pins(CommandTicket ticket);
  [[nodiscard]] CachedScrub& take_scrub(CommandTicket ticket);
  void give_back(CachedRead& read);
  void give_back(CachedWrite& write);
  void give_back(MissRead& miss);
  void give_back(CachedPins& pins);
  void give_back(CachedScrub& scrub);

  // The device's keeper: whether the answer is known to be yes. Asks, unless it has asked that.
  [[nodiscard]] bool says(const LaneQuestion& question);
  void forget(const LaneQuestion& question);

 private:
  friend class CacheCommand;
  CacheLane(OpenCache& cache, IoLane& lane, std::unique_ptr<CacheActor> actor);
  void end_of_turn() override;
  // Any thread.
  void complete(CommitRecord& record) override;
  void take_told();

  OpenCache& cache_;
  bool is_time_told_ = false;  // of this turn's commit
  IoLane& lane_;
  std::unique_ptr<CacheActor> actor_;  // null: the device is closed
  std::uint32_t number_ = 0;
  HandOver<CacheCommand> told_;
  std::atomic<bool> is_told_{false};       // tell_ is on its way
  std::atomic<std::uint32_t> tellers_{0};  // threads inside tell()
  FileOperation tell_;

  template <class Item>
  [[nodiscard]] Item& take(LanePool<Item>& from, CommandTicket ticket) {
    ++out(ticket);
    Item& item = from.take(*this);
    item.ticket = ticket;
    return item;
  }
  template <class Item>
  void give_back(LanePool<Item>& to, Item& item) {
    --out(item.ticket);
    to.give_back(item);
  }
  void answer();
  [[nodiscard]] bool is_so(const LaneQuestion& question) const;
  [[nodiscard]] std::uint32_t& out(CommandTicket ticket) { return out_[ticket.slot][ticket.era]; }

  FileOperation ask_;
  std::atomic<bool> is_asked_{false};  // ask_ is on its way
  std::mutex question_mutex_;          // guards what follows
  struct Asked {
    LaneQuestion question;
    bool is_answered = false;
  };
  std::vector<Asked> asked_;

  std::vector<std::array<std::uint32_t, 2>> out_;  // commands, by the volume's slot and by era
  LanePool<CachedRead> reads_;
  LanePool<CachedWrite> writes_;
  LanePool<MissRead> misses_;
  LanePool<CachedPins> pins_;
  LanePool<CachedScrub> scrubs_;
};

}  // namespace engine
