#include "target/tls/door.h"

#include <utility>

namespace target::tls {
namespace {

constexpr std::uint32_t failure_burst = 20;
constexpr std::uint32_t agreement_burst = 20;
constexpr engine::Duration log_interval = std::chrono::seconds(10);

}  // namespace

Door::Door(std::string listener, Policy policy, protocol::tls::HandshakeOptions options,
           const KeyStore& keys, TlsCounters& counters, HostObserver observe, bool may_use_kernel)
    : listener_(std::move(listener)),
      policy_(policy),
      context_(std::move(options)),
      keys_(keys),
      counters_(counters),
      observe_(std::move(observe)),
      may_use_kernel_(may_use_kernel),
      failures_(failure_burst, log_interval),
      agreements_(agreement_burst, log_interval) {}

void Door::failed(TlsFault fault, const Peer& peer, const std::string& detail,
                  engine::Instant now) {
  counters_.count(fault);
  std::uint64_t more = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!failures_.allows(now)) return;
    more = failures_.suppressed();
  }
  const std::string why =
      std::string(text(fault)) + (detail.empty() ? std::string() : ": " + detail);
  log_warn("tls refused peer={} listener={} host={} reason=\"{}\" more={}", peer.address, listener_,
           peer.host_nqn, why, more);
  // An event is of a host, not of whoever tries a port.
  if (!observe_ || peer.host_nqn.empty()) return;
  observe_({.what = HostChange::What::refused,
            .host = peer.host_nqn,
            .exported = "TLS",
            .peer = peer.address,
            .listener = listener_,
            .why = why});
}

void Door::agreed(const ChosenKey& key, const protocol::tls::HandshakeResult& result,
                  const std::string& address, bool uses_kernel, engine::Instant now) {
  counters_.handshakes.fetch_add(1, std::memory_order_relaxed);
  std::uint64_t more = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!agreements_.allows(now)) return;
    more = agreements_.suppressed();
  }
  log_info(
      "tls agreed peer={} listener={} host={} subsystem={} key={} identity={} derivation=\"{}\" "
      "suite={} group={} records={} more={}",
      address, listener_, key.host_nqn, key.subsystem_nqn, key.name,
      key.version == protocol::tls::IdentityVersion::v0 ? 0 : 1,
      protocol::tls::text_of(key.derivation), protocol::tls::suite_of(result.suite), result.group,
      uses_kernel ? "kernel" : "own", more);
}

}  // namespace target::tls
