#include "engine/pool/registrant_entries.h"

#include <algorithm>

#include "engine/foundation/guard.h"
#include "engine/pool/checked_struct.h"

namespace engine {
namespace {

constexpr std::uint8_t most_types = 6;

static_assert(KeptRegistrant::most_identity_bytes == sizeof(format::RegistrantEntry::identity));

bool valid(const KeptRegistrant& registrant) {
  return registrant.key != 0 && registrant.kind != 0 && !registrant.identity.empty() &&
         registrant.identity.size() <= KeptRegistrant::most_identity_bytes;
}

}  // namespace

bool valid(const KeptReservations& reservations) {
  const auto& registrants = reservations.registrants;
  if (!reservations.persists) return reservations == KeptReservations{};
  return reservations.type <= most_types &&
         registrants.size() <= KeptReservations::most_registrants &&
         std::ranges::all_of(registrants, [](const auto& each) { return valid(each); }) &&
         std::ranges::any_of(registrants, &KeptRegistrant::holder) == (reservations.type != 0);
}

void encode_reservations(const KeptReservations& reservations, format::VolumeEntry& entry) {
  if (reservations.persists) entry.flags = entry.flags | format::flag_reservations_persist;
  entry.reservation_type = reservations.type;
  entry.registrants = static_cast<std::uint32_t>(reservations.registrants.size());
}

KeptReservations decode_reservations(const format::VolumeEntry& entry) {
  // What does not fit is no type that valid() knows.
  const std::uint32_t type = std::min<std::uint32_t>(entry.reservation_type, UINT8_MAX);
  return {.persists = (entry.flags & format::flag_reservations_persist) != 0,
          .type = static_cast<std::uint8_t>(type),
          .registrants = {}};
}

void append_registrants(const KeptReservations& reservations, std::size_t volume,
                        std::vector<std::byte>& to) {
  for (const KeptRegistrant& each : reservations.registrants) {
    format::RegistrantEntry entry{};
    entry.volume = static_cast<std::uint32_t>(volume);
    entry.key = each.key;
    entry.kind = each.kind;
    entry.holder = each.holder ? 1 : 0;
    entry.port = each.port;
    entry.identity_length = static_cast<std::uint16_t>(each.identity.size());
    std::ranges::copy(each.identity, entry.identity.begin());
    seal(entry);
    append(to, entry);
  }
}

std::optional<KeptRegistrant> decode_registrant(const format::RegistrantEntry& entry) {
  if (GUARD("registrant crc") && !is_sealed(entry)) return std::nullopt;
  const std::size_t length = entry.identity_length;
  if (length > entry.identity.size() || entry.holder > 1 || !all_zero(entry.reserved)) {
    return std::nullopt;
  }
  const auto rest = std::span(entry.identity).subspan(length);
  if (!all_zero(rest)) return std::nullopt;
  return KeptRegistrant{.key = entry.key,
                        .kind = entry.kind,
                        .holder = entry.holder != 0,
                        .port = entry.port,
                        .identity = {entry.identity.begin(),
                                     entry.identity.begin() + static_cast<std::ptrdiff_t>(length)}};
}

}  // namespace engine
