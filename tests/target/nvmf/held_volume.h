// HeldVolume: a volume in memory whose requests wait until the test lets them end, in any order.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "engine/volume/volume.h"
#include "tests/target/net/fake_pins.h"

namespace target::nvmf {

class HeldVolume : public engine::Volume {
 public:
  HeldVolume(engine::BlockSize block_size, std::uint64_t blocks)
      : identity_{"held", engine::Uuid{}, block_size}, bytes_(blocks * block_size.bytes) {}

  // While true, requests stay in held() until end() is called on them; otherwise they end inside
  // submit().
  bool hold = false;
  // What the next requests end with.
  engine::IoStatus outcome = engine::IoStatus::ok;

  [[nodiscard]] std::deque<engine::VolumeIo*>& held() { return held_; }
  void end(engine::VolumeIo& io) {
    std::erase(held_, &io);
    finish(io);
  }
  [[nodiscard]] std::span<std::byte> block(std::uint64_t lba) {
    return std::span(bytes_).subspan(lba * identity_.block_size.bytes, identity_.block_size.bytes);
  }
  // Its disk answers nobody: what would have to ask it gives way.
  bool is_silent = false;
  // While true, what it is asked to give out in place is.
  bool gives_out = false;
  // Requests that reached the volume, in order.
  std::vector<engine::VolumeIo::Kind> seen;

  [[nodiscard]] const engine::VolumeIdentity& identity() const override { return identity_; }
  [[nodiscard]] engine::BlockCount size() const override {
    return {bytes_.size() / identity_.block_size.bytes};
  }
  [[nodiscard]] engine::VolumeState state() const override { return engine::VolumeState::online; }
  [[nodiscard]] engine::VolumeCondition condition() const override {
    return {.state = state(), .size = size(), .reason = {}, .promise = {}};
  }
  [[nodiscard]] std::uint64_t changes() const override { return 0; }
  [[nodiscard]] bool is_backing_silent() const override { return is_silent; }
  [[nodiscard]] engine::PinnedRead read_in_place(engine::IoLane&,
                                                 const engine::ReadInPlace& read) override {
    asked_in_place.push_back(read);
    if (!gives_out) return {};
    const auto bytes = std::span(bytes_).subspan(read.lba.value * identity_.block_size.bytes,
                                                 read.blocks.value * identity_.block_size.bytes);
    return given_out_.emplace_back(std::vector<std::byte>(bytes.begin(), bytes.end()), 4096).read();
  }
  std::vector<engine::ReadInPlace> asked_in_place;
  void submit(engine::IoLane&, engine::VolumeIo& io) override {
    if (is_silent && io.gives_way) return io.done(io, engine::IoStatus::no_answer);
    seen.push_back(io.kind);
    if (hold) {
      held_.push_back(&io);
    } else {
      finish(io);
    }
  }

 private:
  void finish(engine::VolumeIo& io) {
    using Kind = engine::VolumeIo::Kind;
    if (outcome == engine::IoStatus::ok) {
      const auto at = std::span(bytes_).subspan(io.lba.value * identity_.block_size.bytes,
                                                io.blocks.value * identity_.block_size.bytes);
      if (io.kind == Kind::read) std::memcpy(io.data.data(), at.data(), at.size());
      if (io.kind == Kind::write) std::memcpy(at.data(), io.data.data(), at.size());
      if (io.kind == Kind::write_zeroes || io.kind == Kind::deallocate) {
        std::memset(at.data(), 0, at.size());
      }
    }
    io.done(io, outcome);
  }

  engine::VolumeIdentity identity_;
  std::vector<std::byte> bytes_;
  std::deque<engine::VolumeIo*> held_;
  std::deque<FakePins> given_out_;
};

}  // namespace target::nvmf
