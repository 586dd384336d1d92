// SegmentShares: whether a volume may take another data segment of the cache device.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <mutex>

#include "engine/foundation/result.h"

namespace engine {

// In segments of data. What lies between the two is lent, and comes back.
struct SegmentShare {
  static constexpr std::uint32_t unlimited = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t minimum = 0;  // always to be had, whatever others do
  std::uint32_t maximum = unlimited;
  friend bool operator==(const SegmentShare&, const SegmentShare&) = default;
};

// Why shares cannot be promised.
enum class ShareFault : std::uint8_t {
  contradiction,  // a maximum of nothing, or below the minimum
  too_much,       // all minima, what the logs need and the reserve are more than the device has
};

// Any thread; one lock, a leaf, held for a walk over the volumes (a segment is taken once for every
// MiB that is written).
//
// A volume has its minimum for certain. Beyond it, it is lent to as long as what is free, and what
// can be had back without asking a disk, still covers the minima that others have not used and the
// reserve; what has to come back for somebody's minimum is not lent again. Dirty space cannot be
// had back, so it is lent only to volumes whose write-back gets on.
//
// Logs take segments without asking, as long as they are few; the segments that all of them
// together may need so are kept from data.
//
// Invariants: the minima, what the logs need and the reserve fit the device; dirty <= used.
class SegmentShares {
 public:
  // Segments that data leaves alone: the logs of a full cache must go on, and opening one takes a
  // new chunk.
  static constexpr std::uint32_t device_reserve = 2;

  SegmentShares() = default;
  SegmentShares(const SegmentShares&) = delete;
  SegmentShares& operator=(const SegmentShares&) = delete;

  // How many segments the device has. It does not shrink.
  void set_capacity(std::uint32_t segments);
  // What the logs of all volumes may need; none until told. As for set_share().
  [[nodiscard]] Result<void, ShareFault> set_log_need(std::uint32_t segments);
  // Of a volume that is attached or configured anew; the default is no minimum and no maximum.
  // Takes effect with the next segment. Nothing changes on an error.
  [[nodiscard]] Result<void, ShareFault> set_share(std::uint32_t volume_tag, SegmentShare share);
  // How many segments the device would lack for that minimum, beside the others'; 0: none.
  [[nodiscard]] std::uint64_t lacking(std::uint32_t volume_tag, std::uint32_t minimum) const;
  [[nodiscard]] SegmentShare share(std::uint32_t volume_tag) const;
  // The volume has left: nothing is kept for it. What it still uses stays counted.
  void forget(std::uint32_t volume_tag);

  // True: the segment is the volume's, and counts as dirty until a count says otherwise. `free`:
  // how many are, this one among them.
  [[nodiscard]] bool take(std::uint32_t volume_tag, std::uint32_t free);
  // One that opening has found to be the volume's.
  void count_in(std::uint32_t volume_tag);
  void give_back(std::uint32_t volume_tag);

  // A segment has become a log's, or has been one.
  void log_took();
  void log_gave_back();
  // Whether with so many free a log may have more than a few chunks: nobody else counts on them.
  [[nodiscard]] bool lends_to_logs(std::uint32_t free) const;

  // A count of a volume's dirty segments: what begin_count() returned goes into end_count(), so
  // that segments taken meanwhile are not forgotten.
  [[nodiscard]] std::uint64_t begin_count(std::uint32_t volume_tag) const;
  void end_count(std::uint32_t volume_tag, std::uint64_t begun, std::uint32_t dirty);
  // Whether its write-back gets on; true until told otherwise.
  void set_progress(std::uint32_t volume_tag, bool gets_on);

  // How many more segments the volume may count on with so many free. Below its minimum: what is
  // missing, even if others have to give something back first.
  [[nodiscard]] std::uint32_t room(std::uint32_t volume_tag, std::uint32_t free) const;
  [[nodiscard]] std::uint32_t used(std::uint32_t volume_tag) const;
  void check_invariants() const;  // for tests

 private:
  struct Use {
    SegmentShare share;
    std::uint32_t used = 0;
    std::uint32_t dirty = 0;
    std::uint64_t taken = 0;  // ever
    bool gets_on = true;
    bool waits = false;  // was refused what its minimum promises: what comes back is its
  };

  // With the lock held.
  [[nodiscard]] std::uint32_t room_of(const Use& use, std::uint32_t free) const;
  [[nodiscard]] const Use* find(std::uint32_t volume_tag) const;
  [[nodiscard]] std::uint64_t lacking_for(std::uint32_t volume_tag, std::uint32_t minimum) const;
  [[nodiscard]] std::uint64_t minima() const;
  // The reserve, and what logs may still need.
  [[nodiscard]] std::uint32_t kept_for_logs() const;

  mutable std::mutex mutex_;
  std::uint32_t capacity_ = 0;
  std::uint32_t log_need_ = 0;
  std::uint32_t log_used_ = 0;
  std::map<std::uint32_t, Use> uses_;  // by tag
};

}  // namespace engine
