#include "target/tls/kernel_keys.h"

#include <linux/tls.h>

#include <boost/endian/conversion.hpp>
#include <cstring>

#include "engine/foundation/check.h"

namespace target::tls {
namespace {

// The nonce's first four bytes are the salt, the others the IV; the sequence number is as on the
// wire.
template <class Info>
std::vector<std::byte> kernel_info(const protocol::tls::RecordKeys& keys, std::uint16_t cipher) {
  Info info{};
  info.info.version = TLS_1_3_VERSION;
  info.info.cipher_type = cipher;
  CHECK(keys.key.size == sizeof(info.key));
  static_assert(sizeof(info.salt) + sizeof(info.iv) == sizeof(keys.iv));
  std::memcpy(info.salt, keys.iv.data(), sizeof(info.salt));
  std::memcpy(info.iv, keys.iv.data() + sizeof(info.salt), sizeof(info.iv));
  std::memcpy(info.key, keys.key.bytes().data(), sizeof(info.key));
  const std::uint64_t sequence = boost::endian::native_to_big(keys.sequence);
  static_assert(sizeof(info.rec_seq) == sizeof(sequence));
  std::memcpy(info.rec_seq, &sequence, sizeof(sequence));
  std::vector<std::byte> bytes(sizeof(info));
  std::memcpy(bytes.data(), &info, sizeof(info));
  explicit_bzero(&info, sizeof(info));
  return bytes;
}

}  // namespace

std::vector<std::byte> kernel_keys(const protocol::tls::RecordKeys& keys) {
  return keys.suite == protocol::tls::Hash::sha256
             ? kernel_info<tls12_crypto_info_aes_gcm_128>(keys, TLS_CIPHER_AES_GCM_128)
             : kernel_info<tls12_crypto_info_aes_gcm_256>(keys, TLS_CIPHER_AES_GCM_256);
}

}  // namespace target::tls
