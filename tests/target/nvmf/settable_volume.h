// SettableVolume: a volume without data whose state, size and identity the test sets.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "engine/volume/volume.h"

namespace target::nvmf {

// Set on one thread, read from any.
class SettableVolume final : public engine::Volume {
 public:
  SettableVolume(std::string name, engine::Uuid uuid, std::uint32_t block, std::uint64_t blocks)
      : identity_{std::move(name), uuid, engine::BlockSize{block}}, blocks_(blocks) {}

  std::atomic<engine::VolumeState> now_state{engine::VolumeState::online};
  // As engine::VolumePromise.
  std::atomic<std::uint32_t> atomic_write_bytes{0};
  std::atomic<bool> is_atomic_anywhere{false};
  void set_blocks(std::uint64_t blocks) { blocks_ = blocks; }
  // Before hosts are there, or while they are late: nobody reads it meanwhile.
  void set_uuid(engine::Uuid uuid) { identity_.uuid = uuid; }

  [[nodiscard]] const engine::VolumeIdentity& identity() const override { return identity_; }
  [[nodiscard]] engine::BlockCount size() const override { return {blocks_.load()}; }
  [[nodiscard]] engine::VolumeState state() const override { return now_state; }
  [[nodiscard]] engine::VolumeCondition condition() const override {
    return {.state = state(),
            .size = size(),
            .reason = {},
            .promise = {.note = {},
                        .atomic_write_bytes = atomic_write_bytes,
                        .is_atomic_anywhere = is_atomic_anywhere,
                        .writable = protection == engine::WriteProtection::none}};
  }
  [[nodiscard]] std::uint64_t changes() const override { return 0; }
  // Kept, or not if `keeps` is false.
  std::atomic<engine::WriteProtection> protection{engine::WriteProtection::none};
  std::atomic<bool> keeps{true};
  // Before hosts are there.
  std::vector<engine::LostBlocks> lost;
  [[nodiscard]] std::vector<engine::LostBlocks> lost_blocks() const override { return lost; }
  [[nodiscard]] engine::WriteProtection write_protection() const override { return protection; }
  void protect(engine::WriteProtection wanted, KeepDone done) override {
    if (!keeps) return done(std::string("the disk is gone"));
    protection = wanted;
    done(boost::outcome_v2::success());
  }
  std::atomic<bool> takes_other_blocks{false};
  [[nodiscard]] bool can_have_blocks(engine::BlockSize blocks) const override {
    return blocks == identity_.block_size || takes_other_blocks;
  }
  std::atomic<bool> formatting{false};
  [[nodiscard]] bool is_formatting() const override { return formatting; }
  // How what is submitted ends while it is online.
  std::atomic<engine::IoStatus> outcome{engine::IoStatus::ok};
  void submit(engine::IoLane&, engine::VolumeIo& io) override {
    io.done(io, now_state == engine::VolumeState::online ? outcome.load()
                                                         : engine::IoStatus::unavailable);
  }

 private:
  engine::VolumeIdentity identity_;
  std::atomic<std::uint64_t> blocks_;
};

}  // namespace target::nvmf
