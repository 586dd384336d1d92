// FakePins: a read that lies somewhere in pieces, and counts whether it is still kept.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/foundation/crc32c.h"
#include "engine/volume/pinned_read.h"

namespace target {

class FakePins final : public engine::ReadPins {
 public:
  // `bytes` in pieces of `piece_bytes`, the last one perhaps shorter.
  FakePins(std::vector<std::byte> bytes, std::size_t piece_bytes) : bytes_(std::move(bytes)) {
    for (std::span<const std::byte> left = bytes_; !left.empty();) {
      places_.push_back(left.first(std::min(piece_bytes, left.size())));
      left = left.subspan(places_.back().size());
    }
    pieces_ = places_;
    checksum_ = engine::crc32c(bytes_);
  }
  // Once.
  [[nodiscard]] engine::PinnedRead read() {
    is_pinned = true;
    return engine::PinnedRead(*this);
  }

  [[nodiscard]] bool copy(std::span<const std::byte> part, std::span<std::byte> to) override {
    if (is_bad) return false;
    std::memcpy(to.data(), part.data(), part.size());
    return true;
  }
  // What was pinned is somebody else's from then on.
  void let_go() noexcept override {
    is_pinned = false;
    std::ranges::fill(bytes_, std::byte{0xee});
  }

  bool is_pinned = false;
  bool is_bad = false;

 private:
  std::vector<std::byte> bytes_;
  std::vector<std::span<const std::byte>> places_;
};

}  // namespace target
