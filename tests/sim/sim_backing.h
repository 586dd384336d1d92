// SimBacking: the simulated twin of BackingDevice, for whatever is tested above a disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/media/backing_device.h"
#include "tests/sim/sim_disk.h"

namespace engine {

// Keeps what was not made durable in SimDisk's volatile cache. An operation takes effect, and its
// `done` is posted to its lane, when it is released: at once by default, or when the test says so,
// in the order it says. Any thread.
class SimBacking final : public BackingDevice {
 public:
  explicit SimBacking(ByteCount size, std::uint64_t seed = 1) : disk_(size, seed), random_(seed) {}
  ~SimBacking() override;

  [[nodiscard]] ByteCount size() const override;
  void submit(IoLane& lane, BackingIo& io) override;
  [[nodiscard]] bool needs_reopen() const override;
  [[nodiscard]] LossRecord* losses() override { return losses_; }
  // Outlives it.
  void keep_losses(LossRecord* losses) { losses_ = losses; }

  // While holding (or hung), operations collect here.
  void hold(bool holding);
  [[nodiscard]] std::size_t held() const;
  // A power loss may leave any part of them. Valid until they are released.
  [[nodiscard]] std::vector<const BackingIo*> held_operations() const;
  // Releases the oldest; false if there is none.
  bool release_oldest();
  // Releases one of the seed's choice; false if there is none.
  bool release_any();
  void release_all();
  // A hung disk: nothing is released, not even by release_*(), until it works again and releases
  // all.
  void hang(bool hung);

  // The nth operation submitted from now (1: the next) ends with `status`, without effect.
  void fail_nth(std::size_t n, IoStatus status);
  // Syncs, and durable operations, fail from now on.
  void fail_syncs(bool fail);
  void break_sector(std::uint64_t sector);
  // Flushes are reported, not done.
  void swallow_flushes(bool swallow);
  // After a failed sync: usable again.
  void reopen();
  void grow(ByteCount size);
  // Operations of this kind that have been submitted.
  [[nodiscard]] std::size_t count(BackingIo::Kind kind) const;

  // Power loss. What was held is torn and ends with `unavailable`; ignore those answers.
  void crash();
  // The medium itself, for what SimBacking does not offer. Not while others use the backing.
  [[nodiscard]] SimDisk& disk() { return disk_; }

 private:
  void release_at(std::size_t position);
  void end(BackingIo& io, IoStatus status);
  [[nodiscard]] IoStatus perform(BackingIo& io);
  [[nodiscard]] IoStatus transfer(BackingIo& io);

  LossRecord* losses_ = nullptr;
  mutable std::mutex mutex_;  // guards everything below; taken before a lane's post mutex
  SimDisk disk_;
  SeededRandom random_;
  std::vector<BackingIo*> held_;
  bool holding_ = false;
  bool hung_ = false;
  bool syncs_fail_ = false;
  bool poisoned_ = false;
  std::size_t submitted_ = 0;
  std::map<BackingIo::Kind, std::size_t> counts_;
  std::map<std::size_t, IoStatus> failures_;  // by the count of submitted operations
};

}  // namespace engine
