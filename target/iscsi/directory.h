// Directory: which targets, portals and initiators exist, who may use what, and what SendTargets
// tells an initiator.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "target/iscsi/options.h"
#include "target/net/ip_network.h"

namespace target::iscsi {

// Whether an initiator may log in to a target here, and if not why.
enum class Access : std::uint8_t {
  granted,
  no_listener,      // the listener is not configured any more
  no_target,        // there is no such target
  not_here,         // the target is not reached through this listener
  not_admitted,     // the initiator is not among the target's
  foreign_network,  // the initiator may not come from there
};
[[nodiscard]] const char* text(Access access);

// A target and where it is found.
struct TargetRecord {
  struct Portal {
    std::string host;  // numeric, without brackets
    std::uint16_t port = 0;
    std::uint16_t group = 0;
  };
  std::string name;
  std::vector<Portal> portals;
};

// Value; node names are given in lower case.
class Directory {
 public:
  using Names = std::set<std::string, std::less<>>;
  struct Portal {
    ListenerOptions options;
    bool announced = true;  // it listens
  };
  struct Initiator {
    std::optional<ChapOptions> chap;
    std::vector<IpNetwork> networks;
  };
  struct Node {
    std::string alias;
    bool allow_any = false;
    Names initiators;
    Names listeners;
    std::optional<ChapOptions> chap;
  };

  // False: no such name, or it exists already.
  bool add_listener(const ListenerOptions& listener);
  bool remove_listener(std::string_view name);
  bool announce_listener(std::string_view name, bool listening);
  bool add_node(const NodeOptions& node);
  bool remove_node(std::string_view name);
  bool set_initiators(std::string_view node, const InitiatorRule& rule);
  // Alias, listeners and CHAP of a node that is there; who may use it stays.
  bool set_node(const NodeOptions& node);
  void set_initiator(const InitiatorOptions& initiator);
  bool remove_initiator(std::string_view name);

  [[nodiscard]] const ListenerOptions* listener(std::string_view name) const;
  [[nodiscard]] const Node* node(std::string_view name) const;

  // `peer`: where the initiator comes from, as ByteStream shows it.
  [[nodiscard]] Access access(std::string_view node, std::string_view initiator,
                              std::string_view listener, std::string_view peer) const;
  // What an initiator has to prove at a target; nullptr: nothing. Its own comes first.
  [[nodiscard]] const ChapOptions* chap_of(std::string_view node, std::string_view initiator) const;

  // The targets that an initiator may use, each with all of its portals; it has reached us at
  // `local`. Only the one called `only`, unless that is empty.
  [[nodiscard]] std::vector<TargetRecord> targets_for(std::string_view initiator,
                                                      std::string_view peer, std::string_view local,
                                                      std::string_view only) const;
  // Tags of the portal groups through which a target is reached, ascending.
  [[nodiscard]] std::vector<std::uint16_t> portal_groups(std::string_view node) const;

 private:
  [[nodiscard]] bool admits(const Node& node, std::string_view initiator) const {
    return node.allow_any || node.initiators.contains(initiator);
  }
  [[nodiscard]] bool may_come_from(std::string_view initiator, std::string_view peer) const;

  std::map<std::string, Portal, std::less<>> portals_;
  std::map<std::string, Node, std::less<>> nodes_;
  std::map<std::string, Initiator, std::less<>> initiators_;
};

}  // namespace target::iscsi
