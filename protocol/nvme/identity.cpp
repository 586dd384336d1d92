#include "protocol/nvme/identity.h"

#include <algorithm>
#include <boost/endian/conversion.hpp>

namespace protocol::nvme {

Nguid nguid_of(const engine::Uuid& volume) {
  constexpr std::uint64_t multiplier = 0x9e37'79b9'7f4a'7c15;
  const auto* tail_bytes = reinterpret_cast<const unsigned char*>(volume.bytes.data() + 8);
  const std::uint64_t mixed = boost::endian::load_big_u64(tail_bytes) * multiplier;
  Nguid nguid{};
  std::copy_n(volume.bytes.begin(), 8, nguid.begin());
  std::copy(locally_administered_prefix.begin(), locally_administered_prefix.end(),
            nguid.begin() + 8);
  boost::endian::store_big_u40(reinterpret_cast<unsigned char*>(nguid.data() + 11), mixed >> 24);
  return nguid;
}

}  // namespace protocol::nvme
