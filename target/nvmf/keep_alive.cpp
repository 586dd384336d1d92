#include "target/nvmf/keep_alive.h"

#include "target/nvmf/limits.h"

namespace target::nvmf {

std::uint32_t round_keep_alive_ms(std::uint32_t keep_alive_ms) {
  constexpr std::uint64_t unit = keep_alive_granularity.count();
  constexpr std::uint64_t largest = 0xffff'ffffULL / unit * unit;
  const std::uint64_t rounded = (std::uint64_t{keep_alive_ms} + unit - 1) / unit * unit;
  return static_cast<std::uint32_t>(rounded < largest ? rounded : largest);
}

void KeepAlive::set_timeout(engine::Duration timeout, engine::Instant now) {
  timeout_ = timeout;
  renewed_ = now;
  in_grace_ = false;
}

std::optional<engine::Instant> KeepAlive::deadline() const {
  if (timeout_ == engine::Duration::zero()) return std::nullopt;
  return in_grace_ ? grace_end_ : renewed_ + timeout_;
}

KeepAlive::Verdict KeepAlive::check(engine::Instant now, bool traffic) {
  if (timeout_ == engine::Duration::zero()) return Verdict::alive;
  if (traffic) renewed_ = now;
  const engine::Instant end = renewed_ + timeout_;
  if (now < end) {
    in_grace_ = false;
    return Verdict::alive;
  }
  if (in_grace_) return now < grace_end_ ? Verdict::alive : Verdict::expired;
  if (now - end < held_up_after) return Verdict::expired;
  in_grace_ = true;
  grace_end_ = now + grace;
  return Verdict::alive;
}

}  // namespace target::nvmf
