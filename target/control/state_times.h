// StateTimes: in which state each volume, pool, cache device and listener was last seen, and since
// when.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "engine/foundation/clock.h"

namespace target::control {

// Any thread.
class StateTimes {
 public:
  // `clock` outlives it.
  explicit StateTimes(const engine::Clock& clock) : clock_(clock) {}
  StateTimes(const StateTimes&) = delete;
  StateTimes& operator=(const StateTimes&) = delete;

  enum class News : std::uint8_t { first, same, changed };
  // `kind`: "volume", "pool" ...
  News note(std::string_view kind, std::string_view name, std::string_view state);
  // Forgets those of that kind that are not among `names`: they are gone.
  void keep_only(std::string_view kind, const std::set<std::string>& names);
  // In milliseconds since 1970; 0: never seen.
  [[nodiscard]] std::uint64_t since_ms(std::string_view kind, std::string_view name) const;

 private:
  struct Seen {
    std::string state;
    std::uint64_t since_ms = 0;
  };

  const engine::Clock& clock_;
  mutable std::mutex mutex_;  // guards what follows; a leaf
  std::map<std::pair<std::string, std::string>, Seen> seen_;
};

}  // namespace target::control
