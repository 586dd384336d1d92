// TlsFault: why there is no TLS with a peer, or not any more; and what is counted of TLS.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace target::tls {

enum class TlsFault : std::uint8_t {
  plain_refused,          // it does not speak TLS, and the listener demands it
  malformed,              // no ClientHello, or none that can be read
  old_version,            // TLS 1.2 or older
  no_psk,                 // it offers no PSK, or only one without an exchange of keys
  unknown_identity,       // none of its identities is of a host that has a key here
  unknown_generated_key,  // made by authentication, and forgotten, or its binder is another's
  expired_key,            // the key of a rotation that has ended
  wrong_key,              // the identity is known, and the binder was made with another key
  wrong_hash,         // the key is right, and the binder was made with another hash than the key's
  no_common_suite,    // the key's suite is not among the listener's
  handshake_failed,   // OpenSSL has refused the rest: no group in common, a wrong Finished
  abandoned,          // the peer has left, or was too slow
  bad_record,         // a record that does not open, or is none
  unexpected,         // a message that has no place there
  too_many_updates,   // KeyUpdate upon KeyUpdate
  kernel_key_update,  // the kernel has its records, and cannot change keys
  peer_alert,         // the peer has said that something is wrong
};
inline constexpr std::size_t tls_fault_count = static_cast<std::size_t>(TlsFault::peer_alert) + 1;
// For the log: "the key is not the host's".
[[nodiscard]] const char* text(TlsFault fault);
// For metrics: "wrong_key".
[[nodiscard]] const char* label(TlsFault fault);

// Of all listeners; relaxed, any thread.
struct TlsCounters {
  std::atomic<std::uint64_t> handshakes{0};  // that were completed
  std::atomic<std::uint64_t> key_updates{0};
  std::atomic<std::uint64_t> kernel_connections{0};  // whose records the kernel carries
  std::array<std::atomic<std::uint64_t>, tls_fault_count> failures{};  // by TlsFault

  void count(TlsFault fault) {
    failures[static_cast<std::size_t>(fault)].fetch_add(1, std::memory_order_relaxed);
  }
};

}  // namespace target::tls
