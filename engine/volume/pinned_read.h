// PinnedRead: what a read has found in the cache, to be sent from where it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "engine/foundation/units.h"

namespace engine {

// A read that is answered without a copy, if it can be.
struct ReadInPlace {
  Lba lba{};
  BlockCount blocks{};
  bool is_use = true;           // as VolumeIo::is_use
  bool needs_checksum = false;  // of all its bytes
};

// Who keeps the pieces of one read where they are, and as they are. The thread of its lane.
class ReadPins {
 public:
  ReadPins(const ReadPins&) = delete;
  ReadPins& operator=(const ReadPins&) = delete;

  [[nodiscard]] std::span<const std::span<const std::byte>> pieces() const { return pieces_; }
  [[nodiscard]] std::uint32_t checksum() const { return checksum_; }
  // As PinnedRead::copy().
  [[nodiscard]] virtual bool copy(std::span<const std::byte> part, std::span<std::byte> to) = 0;
  // Nobody looks at the pieces any more.
  virtual void let_go() noexcept = 0;

 protected:
  ReadPins() = default;
  ~ReadPins() = default;

  std::span<const std::span<const std::byte>> pieces_;
  std::uint32_t checksum_ = 0;
};

// A duty: while it lives its bytes stay as they are, the cache keeps the space below them, and
// whoever detaches the volume or closes the device waits; so it is for as long as a socket needs,
// and not for ever. On the thread of the lane that it was read on, and gone before that.
//
// The bytes were readable when they were checked. Memory may go bad afterwards: the kernel copes
// with that (a system call fails), a load of one's own ends the process; copy() copes.
class [[nodiscard]] PinnedRead {
 public:
  PinnedRead() = default;
  explicit PinnedRead(ReadPins& pins) : pins_(&pins) {}
  PinnedRead(PinnedRead&& other) noexcept : pins_(std::exchange(other.pins_, nullptr)) {}
  PinnedRead& operator=(PinnedRead&& other) noexcept {
    if (this != &other) {
      release();
      pins_ = std::exchange(other.pins_, nullptr);
    }
    return *this;
  }
  ~PinnedRead() { release(); }

  [[nodiscard]] explicit operator bool() const { return pins_ != nullptr; }
  void release() {
    if (pins_ != nullptr) std::exchange(pins_, nullptr)->let_go();
  }

  // Not of an empty one, from here on. Few and none of them empty; their order is the read's.
  [[nodiscard]] std::span<const std::span<const std::byte>> pieces() const {
    return pins_->pieces();
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& piece : pieces()) sum += piece.size();
    return sum;
  }
  // CRC-32C of all the bytes, if that was asked for.
  [[nodiscard]] std::uint32_t checksum() const { return pins_->checksum(); }
  // Copies a part of one piece to as many bytes. False: it cannot be read any more.
  [[nodiscard]] bool copy(std::span<const std::byte> part, std::span<std::byte> to) const {
    return pins_->copy(part, to);
  }

 private:
  ReadPins* pins_ = nullptr;
};

}  // namespace engine
