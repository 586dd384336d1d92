// Registrants for tests of pools.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/pool/kept_reservations.h"

namespace engine {

inline KeptRegistrant kept_registrant(std::uint64_t key, std::size_t identity_bytes = 16) {
  return {.key = key,
          .kind = 1,
          .identity = std::vector<std::byte>(identity_bytes, static_cast<std::byte>(key))};
}

// A host that holds a reservation, and others that are registered.
inline KeptReservations kept_reservations(std::size_t registrants, std::uint8_t type = 3) {
  KeptReservations kept{.persists = true};
  if (registrants != 0) kept.type = type;
  for (std::size_t at = 0; at < registrants; ++at) {
    kept.registrants.push_back(kept_registrant(at + 1));
  }
  if (registrants != 0) kept.registrants.front().holder = true;
  return kept;
}

}  // namespace engine
