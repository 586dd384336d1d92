#include "target/tls/tls_fault.h"

namespace target::tls {

const char* text(TlsFault fault) {
  switch (fault) {
    case TlsFault::plain_refused:
      return "it speaks without TLS, which the listener demands (connect with --tls)";
    case TlsFault::malformed:
      return "its first message is no ClientHello that can be read";
    case TlsFault::old_version:
      return "it does not offer TLS 1.3";
    case TlsFault::no_psk:
      return "it offers no pre-shared key together with an exchange of keys";
    case TlsFault::unknown_identity:
      return "no key is configured for the host that it says it is";
    case TlsFault::unknown_generated_key:
      return "its generated key is not known any more; it has to authenticate without TLS anew";
    case TlsFault::expired_key:
      return "its key was to be used no longer (tls_psk_old_until)";
    case TlsFault::wrong_key:
      return "its key is not the one of that host and subsystem";
    case TlsFault::wrong_hash:
      return "it proves a key of SHA-384 with SHA-256, as tlshd with GnuTLS before 3.8.11 does; "
             "give "
             "it a key made with --hmac=1";
    case TlsFault::no_common_suite:
      return "its key's suite is not among the listener's tls_suites";
    case TlsFault::handshake_failed:
      return "the handshake failed";
    case TlsFault::abandoned:
      return "it left before the handshake was done, or took too long";
    case TlsFault::bad_record:
      return "a record cannot be decrypted";
    case TlsFault::unexpected:
      return "a message came that has no place there";
    case TlsFault::too_many_updates:
      return "it does nothing but change its keys";
    case TlsFault::kernel_key_update:
      return "it changes its keys, which this machine's kernel cannot follow (tls_kernel: false)";
    case TlsFault::peer_alert:
      return "it reports an error";
  }
  return "unknown";
}

const char* label(TlsFault fault) {
  switch (fault) {
    case TlsFault::plain_refused:
      return "plain_refused";
    case TlsFault::malformed:
      return "malformed";
    case TlsFault::old_version:
      return "old_version";
    case TlsFault::no_psk:
      return "no_psk";
    case TlsFault::unknown_identity:
      return "unknown_identity";
    case TlsFault::unknown_generated_key:
      return "unknown_generated_key";
    case TlsFault::expired_key:
      return "expired_key";
    case TlsFault::wrong_key:
      return "wrong_key";
    case TlsFault::wrong_hash:
      return "wrong_hash";
    case TlsFault::no_common_suite:
      return "no_common_suite";
    case TlsFault::handshake_failed:
      return "handshake_failed";
    case TlsFault::abandoned:
      return "abandoned";
    case TlsFault::bad_record:
      return "bad_record";
    case TlsFault::unexpected:
      return "unexpected";
    case TlsFault::too_many_updates:
      return "too_many_updates";
    case TlsFault::kernel_key_update:
      return "kernel_key_update";
    case TlsFault::peer_alert:
      return "peer_alert";
  }
  return "unknown";
}

}  // namespace target::tls
