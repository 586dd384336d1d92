#include "target/retired_volumes.h"

#include <utility>

namespace target {

RetiredVolumes::RetiredVolumes(engine::Engine& engine, std::size_t reactors,
                               InEachReactor in_each_reactor)
    : engine_(engine), reactors_(reactors), in_each_reactor_(std::move(in_each_reactor)) {}

void RetiredVolumes::add(std::unique_ptr<block::BlockVolume> volume) {
  waiting_.push_back({.volume = std::move(volume)});
}

void RetiredVolumes::look() {
  if (is_stopped_) return;
  std::erase_if(waiting_, [this](Waiting& waiting) {
    if (!look_at(waiting)) return false;
    forgotten_.push_back(&waiting.volume->volume());
    waiting.volume.reset();
    return true;
  });
  std::erase_if(forgotten_, [this](const auto* volume) { return engine_.forget(*volume); });
}

bool RetiredVolumes::look_at(Waiting& waiting) {
  if (waiting.in_old_turn != nullptr) {
    if (waiting.in_old_turn->load(std::memory_order_acquire) != 0) return false;
    if (waiting.volume->is_left()) return true;
    waiting.in_old_turn.reset();  // a turn of then has begun something
  }
  if (!waiting.volume->is_left()) return false;
  waiting.in_old_turn = std::make_shared<std::atomic<std::size_t>>(reactors_);
  in_each_reactor_([left = waiting.in_old_turn] { left->fetch_sub(1, std::memory_order_acq_rel); });
  return false;
}

}  // namespace target
