// HostView: what the status has of one host, brought together: what it may see and by which paths,
// and by which of them it is there.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace cli {

// One way to a volume's export: a subsystem or target by one listener.
struct HostPath {
  std::string exported;  // its NQN or name
  std::string listener;
  // Of the connection by it.
  bool connected = false;
  std::string address{};  // of the host's end
  std::string security{};
  std::uint64_t queues = 0;  // I/O queues; of iSCSI 1
  std::uint64_t connected_seconds = 0;
};

struct HostVolume {
  std::string exported;
  std::uint64_t number = 0;  // NSID or LUN
  std::string volume;
  std::uint64_t size_bytes = 0;
};

struct HostView {
  std::string name;  // in the configuration; without one its NQN or initiator name
  std::string id;    // the NQN or initiator name
  bool known = false;
  bool is_iscsi = false;
  std::vector<HostPath> paths{};
  std::vector<HostVolume> volumes{};

  [[nodiscard]] std::size_t connected_paths() const;
};

// Those of the configuration, and those that are there without it; NVMe before iSCSI. A host of
// both protocols is two.
[[nodiscard]] std::vector<HostView> host_views(const boost::json::value& status);
// Of one that is named by its name, NQN or initiator name, or that a subsystem or target admits
// because it admits everybody. Empty: there is none.
[[nodiscard]] std::vector<HostView> views_of(const boost::json::value& status,
                                             const std::string& host);

}  // namespace cli
