// What main tells the iSCSI side: plain structs, already checked by config and translated from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "target/net/host_change.h"
#include "target/scsi/options.h"

namespace target::iscsi {

// Node names here are iqn., eui. or naa. names in lower case (RFC 7143, 4.2.7).

// A network portal as logins and SendTargets see it; its socket belongs to target/net.
struct ListenerOptions {
  enum class Family : std::uint8_t {
    any,  // "*": both families
    ipv4,
    ipv6,
  };
  std::string name;
  Family family = Family::any;
  // Numeric, without brackets or zone; empty for a wildcard ("*", 0.0.0.0, ::), which SendTargets
  // expands to the address that the asking initiator has reached.
  std::string address;
  std::uint16_t port = 3260;
  // Target portal group tag (RFC 7143, 4.4): portals of one tag lead to the same target port.
  std::uint16_t portal_group = 1;
  friend bool operator==(const ListenerOptions&, const ListenerOptions&) = default;
};

// A CHAP name and secret; the secret is bytes, 12 to 256 of them.
struct ChapAccount {
  std::string user;
  std::string secret;
  friend bool operator==(const ChapAccount&, const ChapAccount&) = default;
};

// What one side has to prove, and, where `mutual` is set, the other one too.
struct ChapOptions {
  ChapAccount initiator;
  std::optional<ChapAccount> mutual;  // the target's, shown to the initiator
  friend bool operator==(const ChapOptions&, const ChapOptions&) = default;
};

// What is known of one initiator, whichever targets it uses.
struct InitiatorOptions {
  std::string name;
  std::optional<ChapOptions> chap;  // it has to prove who it is at every target
  std::vector<std::string>
      networks;  // IpNetwork; it may come from these only; empty: from anywhere
  friend bool operator==(const InitiatorOptions&, const InitiatorOptions&) = default;
};

// Which initiators a target admits.
struct InitiatorRule {
  bool allow_any = false;
  std::vector<std::string> names;  // ignored if allow_any
  friend bool operator==(const InitiatorRule&, const InitiatorRule&) = default;
};

struct NodeOptions {
  std::string name;
  std::string alias;  // TargetAlias; empty: none is told
  InitiatorRule initiators;
  std::vector<std::string> listeners;  // names; reachable through these only
  // Of initiators that have no CHAP of their own; nullopt: those need none.
  std::optional<ChapOptions> chap;
  std::vector<scsi::LunOptions> luns;
};

struct TargetOptions {
  std::vector<ListenerOptions> listeners;
  std::vector<InitiatorOptions> initiators;
  std::vector<NodeOptions> nodes;
  // What discovery sessions have to prove; nullopt: nothing. What they see is filtered all the
  // same.
  std::optional<ChapOptions> discovery_chap;
  HostObserver observe_hosts{};      // may be empty
  std::uint32_t max_sessions = 512;  // of all targets; a login beyond is told "out of resources"
};

}  // namespace target::iscsi
