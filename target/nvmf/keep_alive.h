// KeepAlive: decides when a host has been silent for too long (Base 2.1, "Keep Alive"). Pure: no
// timer, no clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "engine/foundation/clock.h"

namespace target::nvmf {

// Rounds a Keep Alive Timeout up to the granularity that KAS reports; saturates at the largest
// multiple that 32 bits hold. 0 stays 0.
[[nodiscard]] std::uint32_t round_keep_alive_ms(std::uint32_t keep_alive_ms);

// One thread. Traffic based (CTRATT.TBKAS): commands count as much as Keep Alive commands do, but
// are looked at only when the timeout ends, so that the data path pays one flag for it.
class KeepAlive {
 public:
  // Starts, restarts or (0) disables the watch.
  void set_timeout(engine::Duration timeout, engine::Instant now);
  [[nodiscard]] engine::Duration timeout() const { return timeout_; }
  // A Keep Alive command was processed.
  void renew(engine::Instant now) { renewed_ = now; }

  // When check() is due; nullopt while disabled.
  [[nodiscard]] std::optional<engine::Instant> deadline() const;

  enum class Verdict : std::uint8_t { alive, expired };
  // At or after the deadline. `traffic`: a command was processed since the last call.
  // A call that comes late enough to say that this thread was held up grants the host one more
  // moment: its command may lie in the socket, unread. alive: deadline() says when to come again.
  [[nodiscard]] Verdict check(engine::Instant now, bool traffic);

  static constexpr engine::Duration held_up_after = std::chrono::milliseconds(250);
  static constexpr engine::Duration grace = std::chrono::seconds(1);

 private:
  engine::Duration timeout_{};
  engine::Instant renewed_{};
  bool in_grace_ = false;
  engine::Instant grace_end_{};
};

}  // namespace target::nvmf
