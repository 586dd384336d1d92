#include "engine/volume/retry_pace.h"

#include <algorithm>

namespace engine {

void RetryPace::tried(Instant now, Outcome outcome) {
  last_try_ = now;
  tries_ = outcome == Outcome::well ? 0 : tries_ + 1;
  const bool slower = outcome == Outcome::still_down || after_failure_;
  if (slower) delay_ = std::clamp(2 * delay_, shortest, longest);
  switch (outcome) {
    case Outcome::well:
      next_ = never;
      after_failure_ = false;
      break;
    case Outcome::not_there:
      next_ = now + shortest;
      break;
    case Outcome::still_down:
      next_ = now + delay_;
      break;
  }
}

void RetryPace::failed(Instant now) {
  after_failure_ = true;
  if (now - last_try_ > forgiving) delay_ = {};
  next_ = std::min(next_, std::max(now, last_try_ + delay_));
}

}  // namespace engine
