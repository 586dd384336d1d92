// DiskJudge: what there is to say against a disk, from when on, and until when.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/media/disk_health.h"
#include "engine/media/disk_watch.h"

namespace engine {

// Of the disks that one is compared with, by work.
using PeerPaces = std::array<std::vector<DiskPace>, disk_works>;

// As it was when it began, and unchanged until it is over: what it has come to is in the counts.
struct DiskTrouble {
  enum class Kind : std::uint8_t {
    errors,    // it has not done what it was asked
    timeouts,  // it was late with an answer, or the kernel has given up waiting
    silent,    // it does not answer at all
    slow,      // an outlier
  };
  Kind kind = Kind::errors;
  std::chrono::milliseconds since{};     // 1970-01-01 UTC
  std::optional<DiskFault> fault{};      // errors
  std::optional<DiskOutlier> outlier{};  // slow
};
inline constexpr std::size_t disk_trouble_kinds = 4;

// Looks every ten seconds or so, and does not change its mind at each: what is told to an operator
// begins once and ends once. Errors and time-outs begin with the first, an outlier when it was one
// in three looks running; all of them are over after thirty looks without. Silence begins after
// DiskWatch::silence and is over with the first answer.
//
// An outlier is one among its peers, as many as have done enough of the same work; being slower
// than it was does not count then, since all of them are when they have more to do. One without
// such peers is measured by its own past alone, must be ten times as slow in one look (with the
// next that is its past), and is so until it is less than four times as slow as it was. One thread.
class DiskJudge {
 public:
  static constexpr unsigned slow_looks = 3;
  static constexpr unsigned calm_looks = 30;
  static constexpr unsigned times_past_alone = 10;

  // Of the same disk each time.
  void look(const DiskHealthCounts& counts, Instant now, std::chrono::milliseconds wall);
  // Behind look(), when its peers have been looked at as well.
  void compare(const PeerPaces& peers, std::chrono::milliseconds wall);

  [[nodiscard]] const DiskPace& pace(DiskWork work) const { return watch_.pace(work); }
  // By kind, in their order.
  [[nodiscard]] std::vector<DiskTrouble> troubles() const;

 private:
  struct Episode {
    std::optional<DiskTrouble> told;  // nullopt: all is well
    unsigned bad = 0;                 // looks running
    unsigned calm = 0;                // the same

    // True: it begins with this look.
    [[nodiscard]] bool seen(bool is_bad, unsigned looks_to_begin, unsigned looks_to_end);
  };
  [[nodiscard]] Episode& of(DiskTrouble::Kind kind) {
    return episodes_[static_cast<std::size_t>(kind)];
  }

  DiskWatch watch_;
  std::array<Episode, disk_trouble_kinds> episodes_;
};

}  // namespace engine
