// A configuration file as a test puts it together; what is not set is left out of the file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/client/connection.h"

namespace end_to_end {

constexpr const char* default_subsystem = "nqn.2026-11.com.example:store";
constexpr const char* default_target = "iqn.2026-11.com.example:store";

struct ListenerText {
  std::string name = "lo";
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  std::string options = {};  // "digests: refused, max_r2t: 1"
  std::string protocol = "nvme-tcp";
};

struct CacheText {
  std::string name = "front";
  std::string path = {};
};

struct PoolText {
  std::string name = "mem";
  std::string directory = {};  // empty: a memory pool, unless it has members
  std::string options = {};    // "provisioning: thin, reserve: 1GiB"
  std::string members = {};    // "[/a, /b]", of a device pool
  std::string layout = {};     // of it: "linear"
};

struct VolumeText {
  std::string name;
  std::string pool = "mem";
  std::string size = "64MiB";
  std::uint32_t block_size = 4096;
  std::string cache = {};     // "device: front, max_dirty_age: 1s"; empty: none
  std::string qos = {};       // "write_iops: 500, burst: 1s"; empty: no limits
  std::string overload = {};  // "hold: 500ms, retries: 2"; empty: as it is by default
  bool allow_format = false;
  std::string was = {};  // its name before
};

struct NamespaceText {
  std::uint32_t nsid = 1;
  std::string volume;
  std::string hosts = {};  // "[a, b]"; empty: every host
};

struct SubsystemText {
  std::string nqn = default_subsystem;
  std::string listeners = "[lo]";
  std::string hosts = {};    // "[a, b]"; empty: allow_any_host
  std::string options = {};  // lines without their indent, each ended: "max_io_queues: 4\n"
  std::vector<NamespaceText> namespaces = {};
};

struct LunText {
  std::uint32_t lun = 0;
  std::string volume;
  std::string hosts = {};  // "[a, b]"; empty: every host of the target
};

struct TargetText {
  std::string iqn = default_target;
  std::string listeners = "[scsi]";
  std::string hosts = {};    // "[a, b]"; empty: allow_any_host
  std::string options = {};  // as a subsystem's
  std::vector<LunText> luns = {};
};

struct HostText {
  std::string name;
  std::string nqn = {};
  std::string iqn = {};
  std::string chap = {};     // "user: a, secret: \"file:/path\""
  std::string options = {};  // as a subsystem's
};

struct ConfigText {
  std::string node = "test";
  std::uint32_t reactors = 1;
  std::string memory = "512MiB";
  std::vector<ListenerText> listeners = {};
  std::vector<CacheText> caches = {};
  std::vector<PoolText> pools = {};
  std::vector<VolumeText> volumes = {};
  std::vector<HostText> hosts = {};
  std::vector<SubsystemText> subsystems = {};
  std::vector<TargetText> targets = {};
  std::uint16_t metrics_port = 0;  // on 127.0.0.1; 0: none
  std::string control_socket = {};
  std::string log_level = "info";

  // In the order of the lists above.
  [[nodiscard]] std::string yaml() const;
  // Where the listener at `index` is reached from this machine ("*" by IPv4).
  [[nodiscard]] client::Endpoint endpoint(std::size_t index = 0) const;
};

}  // namespace end_to_end
