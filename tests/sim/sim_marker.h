// SimMarker: the simulated twin of BackingMarker.
#pragma once

#include <optional>
#include <vector>

#include "engine/foundation/check.h"
#include "engine/media/backing_marker.h"

namespace engine {

// A write ends at once, at the lane's next reap(), or when the test lets it; durable when it ends.
// One thread.
class SimMarker final : public BackingMarker {
 public:
  ~SimMarker() override { CHECK(held_ == nullptr); }

  void write(IoLane& lane, MarkerWrite& write) override {
    CHECK(held_ == nullptr);
    held_ = &write;
    lane_ = &lane;
    if (!holding_) release();
  }

  [[nodiscard]] const BackingMark& stands() const override { return stands_; }

  void hold(bool holding) { holding_ = holding; }
  [[nodiscard]] bool is_held() const { return held_ != nullptr; }
  // Ends the write that is held; every write fails as long as `status` is not ok.
  void release() {
    MarkerWrite& write = *std::exchange(held_, nullptr);
    if (status_ == IoStatus::ok) {
      history_.push_back(write.mark);
      stands_ = write.mark;
    }
    ended_ = &write;
    answer_ = status_;
    operation_.context = this;
    operation_.done = [](FileOperation& operation, int) noexcept {
      auto& self = *static_cast<SimMarker*>(operation.context);
      self.ended_->done(*self.ended_, self.answer_);
    };
    lane_->post(operation_);
  }
  void fail(IoStatus status) { status_ = status; }

  // What is durable now.
  [[nodiscard]] std::optional<BackingMark> mark() const {
    return history_.empty() ? std::nullopt : std::optional(history_.back());
  }
  [[nodiscard]] const std::vector<BackingMark>& history() const { return history_; }

 private:
  std::vector<BackingMark> history_;
  BackingMark stands_;
  bool holding_ = false;
  IoStatus status_ = IoStatus::ok;
  MarkerWrite* held_ = nullptr;
  IoLane* lane_ = nullptr;
  MarkerWrite* ended_ = nullptr;
  IoStatus answer_ = IoStatus::ok;
  FileOperation operation_;
};

}  // namespace engine
