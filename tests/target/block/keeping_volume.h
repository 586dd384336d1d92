// KeepingVolume: a volume without data that keeps reservations as a pool does: when the test says.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/volume/volume.h"

namespace target::block {

class KeepingVolume final : public engine::Volume {
 public:
  bool late = false;
  bool holds_saves = false;  // until answer()
  engine::KeptReservations on_media;
  std::size_t saves = 0;

  void answer(bool well) {
    const auto [wanted, done] = std::move(*held_);
    held_.reset();
    if (well) on_media = wanted;
    done(well ? engine::Result<void, std::string>(engine::success())
              : engine::Result<void, std::string>(std::string("the disk is gone")));
  }
  [[nodiscard]] bool is_saving() const { return held_.has_value(); }

  [[nodiscard]] const engine::VolumeIdentity& identity() const override { return identity_; }
  [[nodiscard]] engine::BlockCount size() const override { return {8}; }
  [[nodiscard]] engine::VolumeState state() const override {
    return late ? engine::VolumeState::late : engine::VolumeState::online;
  }
  [[nodiscard]] engine::VolumeCondition condition() const override {
    return {.state = state(), .size = size(), .reason = {}, .promise = {}};
  }
  [[nodiscard]] std::uint64_t changes() const override { return 0; }
  void submit(engine::IoLane&, engine::VolumeIo& io) override {
    io.done(io, engine::IoStatus::unavailable);
  }
  [[nodiscard]] std::optional<engine::KeptReservations> kept_reservations() const override {
    if (late) return std::nullopt;
    return on_media;
  }
  void keep_reservations(const engine::KeptReservations& reservations, KeepDone done) override {
    ++saves;
    held_.emplace(reservations, std::move(done));
    if (!holds_saves) answer(true);
  }

 private:
  engine::VolumeIdentity identity_{"kept", {}, engine::BlockSize{512}};
  std::optional<std::pair<engine::KeptReservations, KeepDone>> held_;
};

}  // namespace target::block
