// KeptReservations: what a volume's record in its pool says of who may use it. What a registrant is
// called is its protocol's to say; here it is bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace engine {

struct KeptRegistrant {
  std::uint64_t key = 0;              // not 0
  std::uint8_t kind = 0;              // of `identity`; not 0
  bool holder = false;                // of the reservation
  std::uint16_t port = 0;             // through which it comes, where that is part of who it is
  std::vector<std::byte> identity{};  // 1 to most_identity_bytes

  static constexpr std::size_t most_identity_bytes = 230;
  friend bool operator==(const KeptRegistrant&, const KeptRegistrant&) = default;
};

struct KeptReservations {
  // Through a restart and a power loss. If not, there is nothing else.
  bool persists = false;
  std::uint8_t type = 0;  // 1 to 6; 0: no reservation, and nobody holds one
  std::vector<KeptRegistrant> registrants{};

  static constexpr std::size_t most_registrants = 128;
  friend bool operator==(const KeptReservations&, const KeptReservations&) = default;
};

// True for what a volume's record may say.
[[nodiscard]] bool valid(const KeptReservations& reservations);

}  // namespace engine
