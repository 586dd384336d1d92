#include "protocol/tls/psk_binder.h"

#include "protocol/tls/hkdf.h"

namespace protocol::tls {

Secret external_psk_binder(Hash hash, const Secret& psk, std::span<const std::byte> truncated) {
  const Secret early = hkdf_extract(hash, psk.bytes());
  const Secret of_nothing = digest(hash, {});
  const Secret binder_key =
      hkdf_expand_label(hash, early.bytes(), "ext binder", of_nothing.bytes(), bytes_of(hash));
  const Secret finished_key =
      hkdf_expand_label(hash, binder_key.bytes(), "finished", {}, bytes_of(hash));
  const Secret transcript = digest(hash, {truncated});
  return hmac(hash, finished_key.bytes(), {transcript.bytes()});
}

}  // namespace protocol::tls
