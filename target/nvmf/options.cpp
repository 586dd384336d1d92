#include "target/nvmf/options.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "engine/foundation/uuid.h"
#include "protocol/nvme/nqn.h"

namespace target::nvmf {

namespace {

// FNV-1a, 64 bits, with a finisher (splitmix64) that spreads the last characters. Names are short
// and chosen by an administrator: two that collide would have to be looked for. Never changes.
std::uint64_t hash(std::string_view text, std::uint64_t basis) {
  std::uint64_t state = basis;
  for (const char c : text) {
    state ^= static_cast<unsigned char>(c);
    state *= 0x0000'0100'0000'01b3;
  }
  state ^= state >> 30;
  state *= 0xbf58'476d'1ce4'e5b9;
  state ^= state >> 27;
  state *= 0x94d0'49bb'1331'11eb;
  return state ^ (state >> 31);
}
constexpr std::uint64_t first_basis = 0xcbf2'9ce4'8422'2325;
constexpr std::uint64_t second_basis = 0x6c62'272e'07bb'0142;

}  // namespace

std::string make_discovery_nqn(std::string_view seed) {
  engine::Uuid uuid;
  const std::array<std::uint64_t, 2> halves{hash(seed, first_basis), hash(seed, second_basis)};
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    uuid.bytes[i] = static_cast<std::byte>(halves[i / 8] >> (56 - 8 * (i % 8)));
  }
  // RFC 9562: version 8 (made in a way of our own), variant 10b.
  uuid.bytes[6] = (uuid.bytes[6] & std::byte{0x0f}) | std::byte{0x80};
  uuid.bytes[8] = (uuid.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  return std::string(protocol::nvme::uuid_nqn_prefix) + uuid.text();
}

std::string make_serial(std::string_view subsystem_nqn) {
  return fmt::format("FB{:016X}{:02X}", hash(subsystem_nqn, first_basis),
                     hash(subsystem_nqn, second_basis) & 0xffU);
}

}  // namespace target::nvmf
