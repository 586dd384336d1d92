// WriteTimes: when hosts last wrote to each volume, as far as looking at its counters tells.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "engine/foundation/clock.h"

namespace target {

// One thread. The data path has no clock for it: who looks every second knows it to a second.
class WriteTimes {
 public:
  // So many writes of it have been answered by now.
  void look(const std::string& volume, std::uint64_t writes, engine::Instant now);
  // How long ago a look first saw its last write; nullopt: it has none since it was first looked
  // at.
  [[nodiscard]] std::optional<engine::Duration> since_last(const std::string& volume,
                                                           engine::Instant now) const;
  // Forgets all others.
  void keep_only(const std::set<std::string>& volumes) {
    std::erase_if(seen_, [&](const auto& one) { return !volumes.contains(one.first); });
  }

 private:
  struct Seen {
    std::uint64_t writes = 0;
    std::optional<engine::Instant> at;
  };
  std::map<std::string, Seen> seen_;
};

}  // namespace target
