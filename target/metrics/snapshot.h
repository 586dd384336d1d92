// Snapshot: all that one scrape tells, as plain copies.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/volume/engine.h"
#include "target/block/overload_ladder.h"
#include "target/block/stage_counters.h"
#include "target/block/volume_counters.h"
#include "target/net/connection_counters.h"
#include "target/net/host_counts.h"
#include "target/reactor/latency_counters.h"
#include "target/reactor/reactor.h"
#include "target/tls/tls_fault.h"

namespace target::metrics {

struct VolumeFigures {
  std::string name;
  std::string uuid;
  std::string pool;
  std::string state;  // as status calls it
  bool online = false;
  std::uint64_t size_bytes = 0;
  std::uint64_t lost_bytes = 0;
  block::VolumeCounts counts;
  block::OverloadCounts overload;
  std::optional<engine::VolumeCacheStatus> cache;  // nullopt: without one, or not served
  double consistent_point_age = 0;                 // seconds
  std::optional<block::StageCounts> stages;        // where the configuration asks for them
};

// What a disk says of itself; nullopt: it does not.
struct SmartFigures {
  std::optional<bool> passed;
  std::optional<double> temperature_celsius;
  std::optional<double> power_on_seconds;
  std::optional<double> reallocated_sectors;
  std::optional<double> pending_sectors;
  std::optional<double> wear_ratio;
  std::optional<double> spare_ratio;
};

// Of one protocol.
struct ProtocolFigures {
  HostLedger hosts;
  std::uint64_t logins = 0;
  std::uint64_t refused_logins = 0;
  std::uint64_t failed_authentications = 0;
};

struct ListenerFigures {
  std::string name;
  std::string protocol;  // nvme-tcp, iscsi
  bool up = false;
  std::uint64_t connections = 0;
};

struct ConnectionFigures {
  std::uint64_t opened = 0;
  std::uint64_t closed = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t header_digest_errors = 0;
  std::uint64_t data_digest_errors = 0;
  std::uint64_t protocol_errors = 0;
  std::uint64_t timeouts = 0;
  std::uint64_t buffer_waits = 0;
  std::uint64_t hang_refusals = 0;
  std::uint64_t pins_copied = 0;
  std::array<std::uint64_t, end_reason_count> ended{};
};
// Of both protocols together.
[[nodiscard]] ConnectionFigures figures_of(const CountersByProtocol& counters);

struct TlsFigures {
  std::uint64_t handshakes = 0;
  std::uint64_t key_updates = 0;
  std::uint64_t kernel_connections = 0;
  std::array<std::uint64_t, tls::tls_fault_count> failures{};  // by TlsFault
};
[[nodiscard]] TlsFigures figures_of(const tls::TlsCounters& counters);

struct ReactorFigures {
  ReactorUsage usage;
  block::StageCounts stages;
};

struct ConfigFigures {
  std::string hash;
  bool last_reload_success = true;
  double last_reload_time = 0;  // seconds since 1970
  std::uint64_t overrides = 0;  // what operators have changed beside the file
  bool is_fallback = false;     // the last applied copy runs, because the file was not valid
};

// Of all volumes, since the daemon started: each one's own is in its status.
struct ScrubFigures {
  bool running = false;
  double last_end = 0;              // of one that went to its end, seconds since 1970; 0: none
  std::uint64_t bad_volumes = 0;    // whose last one has found something
  std::uint64_t checked_bytes = 0;  // by those that have ended
  std::uint64_t findings = 0;       // of them
  std::uint64_t bad_blocks = 0;     // found by each volume's last one
  std::uint64_t lost_blocks = 0;    // of these, that nobody else has, and no pool lists as lost yet
};

// Of the API over TCP.
struct ControlFigures {
  std::optional<double> certificate_end;  // seconds since 1970
  std::size_t tokens = 0;
  std::uint64_t refused_without_token = 0;
  std::uint64_t refused_unknown_token = 0;
  std::uint64_t refused_role = 0;
  std::uint64_t refused_blocked = 0;
  std::uint64_t refused_handshake = 0;
};

struct Snapshot {
  std::string version;
  std::string node;
  ConfigFigures config;
  ControlFigures control;
  bool ready = false;
  std::uint64_t memory_used_bytes = 0;
  std::uint64_t memory_limit_bytes = 0;
  std::vector<VolumeFigures> volumes;
  std::vector<engine::CacheStatus> caches;
  std::vector<engine::PoolStatus> pools;
  std::map<std::string, SmartFigures> smart;  // by PoolDisk::whole_device
  ProtocolFigures nvme;
  ProtocolFigures iscsi;
  std::vector<ListenerFigures> listeners;
  ConnectionFigures connections;
  TlsFigures tls;
  std::vector<ReactorFigures> reactors;  // by number
  ScrubFigures scrub;
  double copy_seconds = 0;  // that making this took
};

}  // namespace target::metrics
