// What main tells the NVMe side: plain structs, already checked by config and translated from it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/foundation/units.h"
#include "protocol/auth/dhchap_authenticator.h"
#include "target/block/block_volume.h"
#include "target/block/volume_formatter.h"
#include "target/net/generated_keys.h"
#include "target/net/host_change.h"

namespace target::nvmf {

class JobTaker;
class PersistentLog;

// Who has the Persistent Event logs of subsystems from start to start.
class EventLogs {
 public:
  // The log of this NQN, the same one as long as there is one: what is on disk is read. May wait
  // for a disk; not by a reactor.
  [[nodiscard]] virtual std::shared_ptr<PersistentLog> log_of(const std::string& nqn) = 0;

 protected:
  ~EventLogs() = default;
};

// A listener as Connect and the discovery log see it; its socket belongs to target/net.
struct ListenerOptions {
  enum class Family : std::uint8_t {
    any,  // "*": both families
    ipv4,
    ipv6,
  };
  enum class Discovery : std::uint8_t {
    also,  // the discovery subsystem beside the I/O subsystems
    only,  // nothing else
    none,  // Connect to a discovery NQN is refused
  };
  enum class Tls : std::uint8_t { none, permitted, required };
  std::string name;
  Family family = Family::any;
  // Numeric, without brackets or zone; empty for a wildcard ("*", 0.0.0.0, ::), which the discovery
  // log expands to the address that the asking host has reached.
  std::string address;
  std::uint16_t port = 4420;
  Discovery discovery = Discovery::also;
  Tls tls = Tls::none;                      // as the discovery log tells it
  engine::ByteCount in_capsule_data{8192};  // of I/O queues; told to hosts as IOCCSZ
  // Of the suites that it has: hashes with which secure concatenation makes PSKs. Empty: it has no
  // TLS.
  std::vector<protocol::auth::DhchapHash> concatenation_hashes{};
  // From Connect to the end of authentication, where that is required; also of one that follows.
  engine::Duration authentication_timeout = std::chrono::seconds(30);
  friend bool operator==(const ListenerOptions&, const ListenerOptions&) = default;
};

struct NamespaceOptions {
  std::uint32_t nsid = 0;                // 1 .. FFFFFFFEh, unique in its subsystem
  block::BlockVolume* volume = nullptr;  // outlives the target
  // NQNs of the hosts that see it; nullopt: every host of the subsystem.
  std::optional<std::vector<std::string>> hosts;
  friend bool operator==(const NamespaceOptions&, const NamespaceOptions&) = default;
};

// Which hosts a subsystem admits.
struct HostRule {
  bool allow_any = false;
  std::vector<std::string> nqns;  // ignored if allow_any
  friend bool operator==(const HostRule&, const HostRule&) = default;
};

// Whether authentication may make the PSK with which the host comes back inside TLS.
enum class ConcatenationPolicy : std::uint8_t { none, permitted, required };

// A host that has keys for DH-HMAC-CHAP.
struct HostKeys {
  std::string nqn;
  bool required = true;                // it must prove who it is, at every subsystem
  bool required_at_discovery = false;  // and there, where nvme-cli has no key to prove
  ConcatenationPolicy concatenation = ConcatenationPolicy::permitted;
  protocol::auth::DhchapCredentials credentials;
  friend bool operator==(const HostKeys&, const HostKeys&) = default;
};

inline constexpr std::uint32_t max_namespaces = 1024;  // in one subsystem; MNAN, ANAGRPMAX

struct SubsystemOptions {
  std::string nqn;
  std::string serial;             // empty: made from the NQN
  std::string model = "Forebay";  // at most 40 printable ASCII characters
  HostRule hosts;
  std::vector<std::string> listeners;  // names; reachable through these only
  std::uint16_t cntlid_min = 1;
  std::uint16_t cntlid_max = 0xffef;
  std::uint16_t max_io_queues = 128;         // for each controller
  std::uint32_t max_queue_entries = 1024;    // CAP.MQES is one less
  engine::ByteCount max_transfer{1U << 20};  // MDTS: a power of two, 4 KiB .. BufferPool::largest
  std::vector<NamespaceOptions> namespaces;  // at most max_namespaces
};

struct TargetOptions {
  // The NQN that is this discovery service's own, beside the well-known one. Must stay the same
  // from start to start: see make_discovery_nqn().
  std::string discovery_nqn;
  std::string firmware_revision = FOREBAY_VERSION;  // Identify shows the first 8 characters
  std::vector<ListenerOptions> listeners;
  std::vector<SubsystemOptions> subsystems;
  std::vector<HostKeys> host_keys;
  HostObserver observe_hosts{};             // may be empty
  GeneratedKeys* generated_keys = nullptr;  // outlives the target; nullptr: no concatenation
  JobTaker* worker = nullptr;               // outlives the target; nullptr: a thread of its own
  EventLogs* event_logs = nullptr;          // outlives the target; nullptr: they end with it
  block::VolumeFormatter* formatter =
      nullptr;  // outlives the target; nullptr: nothing is formatted
};

// "nqn.2014-08.org.nvmexpress:uuid:..." derived from `seed` alone, for example the machine's
// identity: the same seed gives the same NQN, for ever.
[[nodiscard]] std::string make_discovery_nqn(std::string_view seed);
// 20 characters from the NQN alone; the serial number of a subsystem that is given none.
[[nodiscard]] std::string make_serial(std::string_view subsystem_nqn);

}  // namespace target::nvmf
