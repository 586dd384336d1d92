// Door: what the streams of one listener need for TLS: its policy and suites, the keys, and who is
// told what has come of it.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "protocol/tls/server_handshake.h"
#include "target/net/host_change.h"
#include "target/reactor/log.h"
#include "target/tls/key_store.h"
#include "target/tls/tls_fault.h"

namespace target::tls {

enum class Policy : std::uint8_t {
  permitted,  // a connection's first byte says which it is: 16h is TLS, an ICReq begins with 00h
  required,
};

// Any thread; shared by a listener and its streams.
class Door {
 public:
  // `keys` and `counters` outlive it. `observe` may be empty. `may_use_kernel`: where the kernel
  // can carry records, it does.
  Door(std::string listener, Policy policy, protocol::tls::HandshakeOptions options,
       const KeyStore& keys, TlsCounters& counters, HostObserver observe, bool may_use_kernel);
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  [[nodiscard]] Policy policy() const { return policy_; }
  [[nodiscard]] bool may_use_kernel() const { return may_use_kernel_; }
  [[nodiscard]] const protocol::tls::HandshakeContext& context() const { return context_; }
  [[nodiscard]] const KeyStore& keys() const { return keys_; }
  [[nodiscard]] TlsCounters& counters() const { return counters_; }

  // What streams report; log lines are limited.
  struct Peer {
    const std::string& address;
    const std::string& host_nqn;  // as it says; may be empty
  };
  void failed(TlsFault fault, const Peer& peer, const std::string& detail, engine::Instant now);
  void agreed(const ChosenKey& key, const protocol::tls::HandshakeResult& result,
              const std::string& address, bool uses_kernel, engine::Instant now);

 private:
  const std::string listener_;
  const Policy policy_;
  const protocol::tls::HandshakeContext context_;
  const KeyStore& keys_;
  TlsCounters& counters_;
  const HostObserver observe_;
  const bool may_use_kernel_;
  std::mutex mutex_;  // guards the limits; a leaf
  LogLimit failures_;
  LogLimit agreements_;
};

}  // namespace target::tls
