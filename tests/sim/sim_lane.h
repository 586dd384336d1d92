// SimLane: the IoLane over simulated disks, in virtual order: tests decide when and how operations
// end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/foundation/random.h"
#include "engine/media/io_lane.h"
#include "tests/sim/sim_disk.h"

namespace engine {

// A descriptor is a number that `attach` gives to a disk. By default everything handed over ends at
// the next reap(), in an order of the seed's choice. An operation takes effect when it ends; one
// that is under way at a crash has taken effect in any subset of its sectors. One thread, but
// post().
class SimLane final : public IoLane {
 public:
  explicit SimLane(MemoryBudget& budget, std::uint64_t seed = 1);
  ~SimLane() override;

  // The disk behind a new descriptor; outlives the lane.
  [[nodiscard]] int attach(SimDisk& disk);

  void start(FileOperation& operation) override { started_.push_back(&operation); }
  void submit() override;
  std::size_t reap() override;
  void post(FileOperation& operation) override;
  [[nodiscard]] std::size_t in_flight() const override { return started_.size() + handed_.size(); }
  [[nodiscard]] int wake_descriptor() const override { return -1; }
  void clear_wake() override {}
  [[nodiscard]] BufferPool& buffers() override { return buffers_; }

  // While holding, reap() ends nothing; release() ends one operation of the seed's choice at the
  // next reap().
  void hold(bool holding) { holding_ = holding; }
  void release(std::size_t count = 1) { released_ += count; }
  // The next operation of this kind ends with -error, without effect. Several calls queue up.
  void fail_next(FileOperation::Kind kind, int error) { failures_[kind].push_back(error); }
  // Every operation of this kind ends with -error from now on; 0: works again.
  void fail_all(FileOperation::Kind kind, int error) { broken_kinds_[kind] = error; }
  // Transfers end short, after whole units of `granularity` bytes, one time in `out_of`; 0: never.
  void shorten(std::uint64_t out_of, std::uint64_t granularity = SimDisk::sector_bytes) {
    shorten_out_of_ = out_of;
    shorten_granularity_ = granularity;
  }
  // Mutant: RWF_DSYNC is forgotten on the way.
  void forget_durability(bool forget) { forgetful_ = forget; }

  // Power loss for every attached disk: what is under way is torn, unsynced sectors are lost. Then
  // everything that was or is started ends with -EIO until nothing is left; ignore those answers.
  void crash();

  [[nodiscard]] std::size_t ended() const { return ended_; }
  [[nodiscard]] std::size_t count(FileOperation::Kind kind) const {
    const auto found = counts_.find(kind);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  [[nodiscard]] std::size_t take_posted();
  void end_one();
  [[nodiscard]] int perform(FileOperation& operation);
  [[nodiscard]] int transfer(FileOperation& operation, SimDisk& disk);
  [[nodiscard]] std::optional<int> injected(FileOperation::Kind kind);
  void tear(const FileOperation& operation);

  BufferPool buffers_;
  SeededRandom random_;
  std::map<int, SimDisk*> disks_;
  int last_descriptor_ = 1000;
  std::vector<FileOperation*> started_;
  std::vector<FileOperation*> handed_;
  std::mutex post_mutex_;  // guards posted_
  std::deque<FileOperation*> posted_;

  bool holding_ = false;
  bool dead_ = false;
  bool forgetful_ = false;
  std::size_t released_ = 0;
  std::uint64_t shorten_out_of_ = 0;
  std::uint64_t shorten_granularity_ = SimDisk::sector_bytes;
  std::map<FileOperation::Kind, std::deque<int>> failures_;
  std::map<FileOperation::Kind, int> broken_kinds_;
  std::map<FileOperation::Kind, std::size_t> counts_;
  std::size_t ended_ = 0;
};

}  // namespace engine
