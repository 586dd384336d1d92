// ScsiVolume: a volume in memory with a name of its own, whose state, size and promise the test
// sets, whose blocks can go bad, and whose requests wait if they are to.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/volume/volume.h"
#include "tests/target/net/fake_pins.h"

namespace target::scsi {

// State, size and promise are set on one thread and read from any; the rest is one thread's.
class ScsiVolume final : public engine::Volume {
 public:
  ScsiVolume(std::string name, std::uint8_t id, std::uint32_t block_bytes, std::uint64_t blocks)
      : identity_{std::move(name), {}, engine::BlockSize{block_bytes}},
        bytes_(blocks * block_bytes),
        blocks_(blocks) {
    identity_.uuid.bytes.fill(std::byte{id});
  }

  std::atomic<engine::VolumeState> now_state{engine::VolumeState::online};
  std::atomic<std::uint32_t> atomic_write_bytes{0};
  std::atomic<bool> is_atomic_anywhere{false};
  std::atomic<bool> writable{true};
  bool hold = false;
  engine::IoStatus outcome = engine::IoStatus::ok;
  std::set<std::uint64_t> bad_blocks;
  bool gives_out = false;
  std::vector<engine::VolumeIo::Kind> seen;
  std::size_t longest_request_blocks = 0;

  void grow(std::uint64_t blocks) {
    bytes_.resize(blocks * identity_.block_size.bytes);
    blocks_ = blocks;
  }
  void set_uuid(const engine::Uuid& uuid) { identity_.uuid = uuid; }
  [[nodiscard]] std::deque<engine::VolumeIo*>& held() { return held_; }
  void end_first() {
    engine::VolumeIo* const io = held_.front();
    held_.pop_front();
    finish(*io);
  }
  [[nodiscard]] std::span<std::byte> block(std::uint64_t lba) {
    return std::span(bytes_).subspan(lba * identity_.block_size.bytes, identity_.block_size.bytes);
  }
  void fill(std::uint64_t lba, std::uint64_t blocks, int value) {
    for (std::uint64_t i = lba; i < lba + blocks; ++i) {
      std::memset(block(i).data(), value, block(i).size());
    }
  }

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
                        .writable = writable}};
  }
  [[nodiscard]] std::uint64_t changes() const override { return 0; }
  [[nodiscard]] engine::PinnedRead read_in_place(engine::IoLane&,
                                                 const engine::ReadInPlace& read) override {
    if (!gives_out) return {};
    const auto bytes = std::span(bytes_).subspan(read.lba.value * identity_.block_size.bytes,
                                                 read.blocks.value * identity_.block_size.bytes);
    return given_out_.emplace_back(std::vector<std::byte>(bytes.begin(), bytes.end()), 4096).read();
  }
  void submit(engine::IoLane&, engine::VolumeIo& io) override {
    seen.push_back(io.kind);
    longest_request_blocks = std::max<std::size_t>(longest_request_blocks, io.blocks.value);
    if (hold) {
      held_.push_back(&io);
    } else {
      finish(io);
    }
  }

 private:
  void finish(engine::VolumeIo& io) {
    using Kind = engine::VolumeIo::Kind;
    const auto bad = bad_blocks.lower_bound(io.lba.value);
    if (bad != bad_blocks.end() && *bad < (io.lba + io.blocks).value) {
      return io.done(io, engine::IoStatus::media_error);
    }
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
  std::atomic<std::uint64_t> blocks_;
  std::deque<engine::VolumeIo*> held_;
  std::deque<target::FakePins> given_out_;
};

}  // namespace target::scsi
