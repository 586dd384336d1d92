#include "protocol/nvme_tcp/data_digest.h"

#include <cstring>

#include "engine/foundation/crc32c.h"

namespace protocol::nvme_tcp {

void DataDigest::update(std::span<const std::byte> piece) {
  crc_ = engine::crc32c_extend(crc_, piece);
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

}  // namespace protocol::nvme_tcp
