#include "protocol/iscsi/digests.h"

#include <array>
#include <cstring>

#include "engine/foundation/check.h"
#include "engine/foundation/crc32c.h"
#include "protocol/wire/endian.h"

namespace protocol::iscsi {

void DataDigest::update(std::span<const std::byte> piece) {
  crc_ = engine::crc32c_extend(crc_, piece);
}

void DataDigest::pad(std::uint32_t pad_bytes) {
  constexpr std::array<std::byte, 3> zeros{};
  CHECK(pad_bytes <= zeros.size());
  update(std::span(zeros).first(pad_bytes));
}

bool DataDigest::matches(std::span<const std::byte, digest_bytes> received) const {
  wire::le32 digest;
  std::memcpy(&digest, received.data(), sizeof(digest));
  return digest == crc_;
}

void DataDigest::write(std::span<std::byte, digest_bytes> space) const {
  const wire::le32 digest = crc_;
  std::memcpy(space.data(), &digest, sizeof(digest));
}

}  // namespace protocol::iscsi
