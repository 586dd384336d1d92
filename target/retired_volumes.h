// RetiredVolumes: volumes that the configuration has not any more, until nobody uses them.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "engine/volume/engine.h"
#include "target/block/block_volume.h"

namespace target {

// A command that was under way when its volume was taken out still has it, and so has whoever looks
// at the volume just now. So one is freed in steps, each at a later look():
//   1. nobody holds it or has anything under way with it (block::BlockVolume::is_left());
//   2. since then every reactor has begun another turn: what a turn had of it without a hold is
//      over;
//   3. it is still left: it goes, and when the engine has let go of it too, that forgets it.
// Nothing of this costs a command anything. Control thread only.
class RetiredVolumes {
 public:
  // Runs a task in another turn of each reactor, or, when these end, never.
  using InEachReactor = std::function<void(const std::function<void()>&)>;

  // The engine outlives it. `reactors`: how many there are.
  RetiredVolumes(engine::Engine& engine, std::size_t reactors, InEachReactor in_each_reactor);
  RetiredVolumes(const RetiredVolumes&) = delete;
  RetiredVolumes& operator=(const RetiredVolumes&) = delete;

  // The engine has removed it, and nobody finds it any more.
  void add(std::unique_ptr<block::BlockVolume> volume);
  // To be called now and then.
  void look();
  // The reactors are about to end, and then the engine: what is there stays.
  void stop() { is_stopped_ = true; }
  // That are still there.
  [[nodiscard]] std::size_t count() const { return waiting_.size() + forgotten_.size(); }

 private:
  struct Waiting {
    std::unique_ptr<block::BlockVolume> volume;
    // Reactors that have not begun another turn since it was left; null: it was not.
    std::shared_ptr<std::atomic<std::size_t>> in_old_turn{};
  };
  // True: it may go.
  [[nodiscard]] bool look_at(Waiting& waiting);

  engine::Engine& engine_;
  const std::size_t reactors_;
  const InEachReactor in_each_reactor_;
  std::vector<Waiting> waiting_;
  std::vector<const engine::Volume*> forgotten_;  // but for the engine
  bool is_stopped_ = false;
};

}  // namespace target
