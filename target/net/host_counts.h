// HostCounts: what one host has done since the daemon started, over all of its sessions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace target {

struct HostCounts {
  std::uint64_t sessions = 0;  // now: NVMe controllers without those of discovery, iSCSI sessions
  std::uint64_t connections = 0;  // now, in them
  std::uint64_t connects = 0;     // sessions that it has begun
  std::uint64_t reconnects = 0;   // of them, when it had fewer than it has had at once
  std::uint64_t most_sessions = 0;
  std::uint64_t keep_alive_expiries = 0;  // sessions that were ended because it was silent
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t read_bytes = 0;
  std::uint64_t written_bytes = 0;
  std::uint64_t media_errors = 0;
  std::uint64_t digest_errors = 0;            // PDUs of its sessions with a wrong digest
  std::uint64_t authentication_failures = 0;  // of whoever called himself so

  void begin_session() {
    if (sessions < most_sessions) ++reconnects;
    ++connects;
    most_sessions = std::max(most_sessions, ++sessions);
  }
  void end_session() { --sessions; }
  HostCounts& operator+=(const HostCounts& other) {
    sessions += other.sessions;
    connections += other.connections;
    connects += other.connects;
    keep_alive_expiries += other.keep_alive_expiries;
    reads += other.reads;
    writes += other.writes;
    read_bytes += other.read_bytes;
    written_bytes += other.written_bytes;
    media_errors += other.media_errors;
    reconnects += other.reconnects;
    most_sessions += other.most_sessions;
    digest_errors += other.digest_errors;
    authentication_failures += other.authentication_failures;
    return *this;
  }
};

// By the host's name. Hosts choose their names, so there is a bound: the rest is counted together.
// Not thread-safe.
class HostLedger {
 public:
  static constexpr std::size_t most_hosts = 1024;
  static constexpr const char* others = "other";

  [[nodiscard]] HostCounts& of(const std::string& host) {
    const auto found = hosts_.find(host);
    if (found != hosts_.end()) return found->second;
    return hosts_[hosts_.size() < most_hosts ? host : others];
  }
  [[nodiscard]] const std::map<std::string, HostCounts>& all() const { return hosts_; }
  void add(const HostLedger& other) {
    for (const auto& [host, counts] : other.hosts_) of(host) += counts;
  }

 private:
  std::map<std::string, HostCounts> hosts_;
};

}  // namespace target
