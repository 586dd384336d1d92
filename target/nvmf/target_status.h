// What the NVMe side looks like at one moment, for the control socket and metrics: plain copies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "target/net/host_counts.h"
#include "target/nvmf/io_queue.h"

namespace target::nvmf {

struct QueueSnapshot {
  std::uint16_t qid = 0;
  std::uint32_t entries = 0;
  std::string peer_address;
  std::string local_address;
  bool header_digest = false;
  bool data_digest = false;
};

// One association: a host's controller and its queues.
struct ControllerSnapshot {
  std::string subsystem_nqn;
  bool discovery = false;
  std::uint16_t cntlid = 0;
  std::string host_nqn;
  std::string host_id;  // as a UUID
  std::string listener;
  std::string security = "none";
  bool ready = false;
  std::uint32_t keep_alive_ms = 0;
  engine::Duration connected_for{};
  std::vector<QueueSnapshot> queues;  // the Admin queue first
  std::uint64_t read_commands = 0;
  std::uint64_t write_commands = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t media_errors = 0;
};

struct NamespaceSnapshot {
  std::uint32_t nsid = 0;
  std::string volume;
  AnaState ana_state = AnaState::optimized;
  std::uint64_t size_blocks = 0;
  std::uint32_t block_bytes = 0;
};

struct SubsystemSnapshot {
  std::string nqn;
  std::string serial;
  bool allow_any_host = false;
  std::vector<std::string> hosts;
  std::vector<std::string> listeners;
  std::vector<NamespaceSnapshot> namespaces;
};

struct TargetStatus {
  std::vector<SubsystemSnapshot> subsystems;  // without the discovery subsystem
  std::vector<ControllerSnapshot> controllers;
  HostLedger hosts;            // over all subsystems that are there; without discovery
  std::uint64_t connects = 0;  // of Admin queues, accepted since the start; discovery too
  std::uint64_t refused_connects = 0;
  std::uint64_t keep_alive_timeouts = 0;
  std::uint64_t authentications = 0;  // of queues, that have ended well
  std::uint64_t authentication_failures = 0;
};

}  // namespace target::nvmf
