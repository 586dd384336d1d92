// What the iSCSI side looks like at one moment, for the control socket and metrics: plain copies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/foundation/clock.h"
#include "target/net/host_counts.h"
#include "target/scsi/target_device.h"
#include "target/scsi/task_counters.h"

namespace target::iscsi {

struct SessionSnapshot {
  std::string target_name;  // empty: a discovery session
  bool discovery = false;
  std::string initiator_name;
  std::string initiator_alias;
  std::uint64_t isid = 0;  // 48 bits
  std::uint16_t tsih = 0;
  std::uint16_t portal_group = 0;
  std::string listener;
  std::string peer_address;
  std::string local_address;
  bool header_digest = false;
  bool data_digest = false;
  std::string authentication = "none";  // "CHAP", "mutual CHAP"
  engine::Duration connected_for{};
  std::uint32_t queue_depth = 0;
  scsi::TaskCounts counts;
};

struct NodeSnapshot {
  std::string name;
  std::string alias;
  bool allow_any_initiator = false;
  std::vector<std::string> initiators;
  std::vector<std::string> listeners;
  std::vector<scsi::LunSnapshot> luns;
};

struct TargetStatus {
  std::vector<NodeSnapshot> nodes;
  std::vector<SessionSnapshot> sessions;  // discovery sessions included
  HostLedger hosts;                       // without discovery sessions
  std::uint64_t logins = 0;               // accepted since the start
  std::uint64_t refused_logins = 0;
  std::uint64_t failed_authentications = 0;  // of the refused ones
  std::uint64_t reinstated_sessions = 0;
  std::uint64_t nop_timeouts = 0;
};

}  // namespace target::iscsi
