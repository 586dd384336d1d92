// DiskHealth: what one disk has done since the daemon started: operations, errors, and how long
// they took.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/foundation/clock.h"
#include "engine/foundation/spin_lock.h"
#include "engine/foundation/units.h"
#include "engine/media/io_lane.h"
#include "engine/media/latency_histogram.h"

namespace engine {

// What disks take about equally long for.
enum class DiskWork : std::uint8_t { read, write, sync, zero };
inline constexpr std::size_t disk_works = 4;
[[nodiscard]] DiskWork disk_work(FileOperation::Kind kind);
[[nodiscard]] const char* text(DiskWork work);

// An operation that the disk could not do. What the kernel had no room or memory for, or does not
// know, is no fault of the disk's.
struct DiskFault {
  DiskWork work = DiskWork::read;
  int error = 0;                     // errno
  MediaOffset offset{};              // on the file or device that was asked
  std::chrono::milliseconds wall{};  // since 1970-01-01 UTC
  friend bool operator==(const DiskFault&, const DiskFault&) = default;
};

struct DiskWorkCounts {
  std::uint64_t begun = 0;
  std::uint64_t errors = 0;
  std::uint64_t timeouts = 0;       // among the errors, and what took longer than late_answer
  std::chrono::nanoseconds took{};  // all that have ended
  std::chrono::nanoseconds mean{};  // of late: each operation counts a sixty-fourth
  LatencyHistogram latency;

  [[nodiscard]] std::uint64_t ended() const { return latency.count(); }
  [[nodiscard]] std::uint64_t in_flight() const { return begun - ended(); }
};

struct DiskHealthCounts {
  std::array<DiskWorkCounts, disk_works> works;
  std::optional<DiskFault> last_fault;

  [[nodiscard]] const DiskWorkCounts& of(DiskWork work) const {
    return works[static_cast<std::size_t>(work)];
  }
  [[nodiscard]] std::uint64_t errors() const;
  [[nodiscard]] std::uint64_t timeouts() const;
  [[nodiscard]] std::uint64_t in_flight() const;
};

// Any thread, all at once. Counting takes three relaxed additions and a store for an operation, and
// no lock; an error takes a spin lock besides. One that many threads count in may have a mean that
// has missed some of them.
class DiskHealth {
 public:
  // An answer that takes longer is a time-out, whatever it says.
  static constexpr std::chrono::seconds late_answer{30};

  void begins(FileOperation::Kind kind) {
    counters(disk_work(kind)).begun.fetch_add(1, std::memory_order_relaxed);
  }
  // `operation` as it was handed to the lane, `result` as its `done` has it. It has begun before.
  void ended(const FileOperation& operation, int result, std::chrono::nanoseconds took);

  // It has transfers to do and has ended nothing for so long: whoever asks it more only waits, and
  // cannot be called back.
  static constexpr std::chrono::seconds silence{3};
  // Since when, if it is so now. To be asked about once a second: that is how exact it is.
  [[nodiscard]] std::optional<Instant> silent_since(Instant now);

  // Each number is right for itself; they are read one after the other.
  [[nodiscard]] DiskHealthCounts counts() const;

 private:
  struct alignas(64) Counters {
    std::atomic<std::uint64_t> begun{0};
    std::atomic<std::uint64_t> errors{0};
    std::atomic<std::uint64_t> timeouts{0};
    std::atomic<std::uint64_t> took_ns{0};
    std::atomic<std::int64_t> mean_ns{0};
    std::array<std::atomic<std::uint64_t>, LatencyHistogram::steps> steps{};
  };
  [[nodiscard]] Counters& counters(DiskWork work) {
    return counters_[static_cast<std::size_t>(work)];
  }
  void failed(const FileOperation& operation, int error, bool is_late);

  std::array<Counters, disk_works> counters_;
  SpinLock silence_lock_;        // guards what follows; a leaf
  Instant looked_at_;            // last
  Instant answered_by_;          // it had ended something, or had nothing to do, until then
  std::uint64_t answered_ = 0;   // by then
  bool is_silent_ = false;       // when last looked at
  mutable SpinLock fault_lock_;  // guards what follows; a leaf
  std::optional<DiskFault> last_fault_;
};

}  // namespace engine
