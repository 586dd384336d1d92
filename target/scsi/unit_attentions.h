// UnitAttentions: what a nexus is to be told of a logical unit, in order (SAM-5, "Unit attention
// conditions").
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>

#include "protocol/scsi/sense.h"

namespace target::scsi {

// Any thread; a leaf lock, which the data path takes only when there is something to tell.
//
// Invariants: no condition is in it twice; at most one reset (29h), in front of all others.
class UnitAttentions {
 public:
  // Each condition is told once, however often it is established meanwhile. Of resets only the
  // gravest is told: SAM-5, table "Unit attention additional sense codes" and their precedence.
  void establish(protocol::scsi::SenseCode code);
  // The next to be told; it is over then.
  [[nodiscard]] std::optional<protocol::scsi::SenseCode> take();
  // The next to be told, which stays (REQUEST SENSE of others does not clear it).
  [[nodiscard]] std::optional<protocol::scsi::SenseCode> peek() const;
  // It has been told in another way.
  void clear(protocol::scsi::SenseCode code);

  [[nodiscard]] bool any() const { return any_.load(std::memory_order_acquire); }

 private:
  void remove_at(std::size_t index);

  // As many as there are different ones here, and more.
  static constexpr std::size_t capacity = 24;

  mutable std::mutex mutex_;
  std::array<protocol::scsi::SenseCode, capacity> codes_{};
  std::size_t count_ = 0;
  std::atomic<bool> any_{false};
};

}  // namespace target::scsi
