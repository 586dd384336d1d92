// Time as a seam: production reads the kernel's clocks, simulation turns its own.
#pragma once

#include <chrono>

namespace engine {

using Duration = std::chrono::nanoseconds;
// Monotonic; only differences mean anything.
struct Instant {
  Duration since_start{};
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means the default's own zero.
  friend constexpr auto operator<=>(Instant, Instant) = default;
};
constexpr Instant operator+(Instant at, Duration later) { return {at.since_start + later}; }
constexpr Duration operator-(Instant later, Instant earlier) {
  return later.since_start - earlier.since_start;
}

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  [[nodiscard]] virtual Instant now() const = 0;
  // Milliseconds since 1970-01-01 UTC, as NVMe feature 0Eh (Timestamp) and kset times count.
  [[nodiscard]] virtual std::chrono::milliseconds wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Instant now() const override;
  [[nodiscard]] std::chrono::milliseconds wall() const override;
};

}  // namespace engine
