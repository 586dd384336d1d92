// AttemptLimit: who has failed to authenticate too often is turned away for a while.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "engine/foundation/clock.h"

namespace target::nvmf {

// Counts by host and address: a stranger who uses a host's name locks nobody out but himself.
// Guarded by its owner's lock.
class AttemptLimit {
 public:
  static constexpr std::uint32_t most_failures = 10;
  static constexpr engine::Duration interval = std::chrono::minutes(1);  // in which they count
  static constexpr std::size_t most_remembered = 4096;

  // `peer`: an address with its port, which does not count.
  [[nodiscard]] bool allows(std::string_view host_nqn, std::string_view peer,
                            engine::Instant now) const;
  void failed(std::string_view host_nqn, std::string_view peer, engine::Instant now);
  void succeeded(std::string_view host_nqn, std::string_view peer);

  [[nodiscard]] std::size_t remembered() const { return failures_.size(); }

 private:
  using Key = std::pair<std::string, std::string>;
  struct Failures {
    engine::Instant since{};
    std::uint32_t count = 0;
  };
  [[nodiscard]] static Key key_of(std::string_view host_nqn, std::string_view peer);
  void forget_one(engine::Instant now);

  std::map<Key, Failures> failures_;
};

}  // namespace target::nvmf
