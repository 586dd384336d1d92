#include "target/iscsi/directory.h"

#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"

namespace target::iscsi {

namespace {

// Where an initiator that has reached us at `reached` finds this portal; nullopt if that cannot be
// told: a wildcard of the other family.
std::optional<std::string> address_of(const ListenerOptions& portal,
                                      const std::optional<IpAddress>& reached) {
  using Family = ListenerOptions::Family;
  if (!portal.address.empty()) return portal.address;
  if (!reached) return std::nullopt;
  const bool fits =
      portal.family == Family::any || (portal.family == Family::ipv6) == reached->is_ipv6();
  return fits ? std::optional(reached->text()) : std::nullopt;
}

}  // namespace

const char* text(Access access) {
  switch (access) {
    case Access::granted:
      return "granted";
    case Access::no_listener:
      return "the listener is not configured any more";
    case Access::no_target:
      return "there is no such target";
    case Access::not_here:
      return "the target is not reached through this listener";
    case Access::not_admitted:
      return "the initiator is not among the target's hosts";
    case Access::foreign_network:
      return "the initiator may not come from this address";
  }
  return "unknown";
}

bool Directory::add_listener(const ListenerOptions& listener) {
  return portals_.emplace(listener.name, Portal{.options = listener}).second;
}

bool Directory::remove_listener(std::string_view name) {
  const auto found = portals_.find(name);
  if (found == portals_.end()) return false;
  portals_.erase(found);
  return true;
}

bool Directory::announce_listener(std::string_view name, bool listening) {
  const auto found = portals_.find(name);
  if (found == portals_.end()) return false;
  found->second.announced = listening;
  return true;
}

bool Directory::add_node(const NodeOptions& node) {
  if (nodes_.contains(node.name)) return false;
  Node& added = nodes_[node.name];
  added.alias = node.alias;
  added.listeners.insert(node.listeners.begin(), node.listeners.end());
  added.chap = node.chap;
  return set_initiators(node.name, node.initiators);
}

bool Directory::set_node(const NodeOptions& node) {
  const auto found = nodes_.find(node.name);
  if (found == nodes_.end()) return false;
  found->second.alias = node.alias;
  found->second.listeners = {node.listeners.begin(), node.listeners.end()};
  found->second.chap = node.chap;
  return true;
}

bool Directory::remove_node(std::string_view name) {
  const auto found = nodes_.find(name);
  if (found == nodes_.end()) return false;
  nodes_.erase(found);
  return true;
}

bool Directory::set_initiators(std::string_view node, const InitiatorRule& rule) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return false;
  found->second.allow_any = rule.allow_any;
  found->second.initiators.clear();
  if (!rule.allow_any) found->second.initiators.insert(rule.names.begin(), rule.names.end());
  return true;
}

void Directory::set_initiator(const InitiatorOptions& initiator) {
  Initiator known{.chap = initiator.chap, .networks = {}};
  for (const std::string& network : initiator.networks) {
    const auto parsed = IpNetwork::parse(network);
    CHECK(parsed.has_value());
    known.networks.push_back(*parsed);
  }
  initiators_.insert_or_assign(initiator.name, std::move(known));
}

bool Directory::remove_initiator(std::string_view name) {
  const auto found = initiators_.find(name);
  if (found == initiators_.end()) return false;
  initiators_.erase(found);
  return true;
}

const ListenerOptions* Directory::listener(std::string_view name) const {
  const auto found = portals_.find(name);
  return found == portals_.end() ? nullptr : &found->second.options;
}

const Directory::Node* Directory::node(std::string_view name) const {
  const auto found = nodes_.find(name);
  return found == nodes_.end() ? nullptr : &found->second;
}

bool Directory::may_come_from(std::string_view initiator, std::string_view peer) const {
  const auto known = initiators_.find(initiator);
  if (known == initiators_.end() || known->second.networks.empty()) return true;
  const auto address = IpAddress::of_endpoint(peer);
  return address &&
         std::any_of(known->second.networks.begin(), known->second.networks.end(),
                     [&](const IpNetwork& network) { return network.contains(*address); });
}

Access Directory::access(std::string_view node, std::string_view initiator,
                         std::string_view listener, std::string_view peer) const {
  if (!portals_.contains(listener)) return Access::no_listener;
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return Access::no_target;
  if (!found->second.listeners.contains(listener)) return Access::not_here;
  if (!admits(found->second, initiator)) return Access::not_admitted;
  return may_come_from(initiator, peer) ? Access::granted : Access::foreign_network;
}

const ChapOptions* Directory::chap_of(std::string_view node, std::string_view initiator) const {
  const auto known = initiators_.find(initiator);
  if (known != initiators_.end() && known->second.chap) return &*known->second.chap;
  const auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.chap ? &*found->second.chap : nullptr;
}

std::vector<TargetRecord> Directory::targets_for(std::string_view initiator, std::string_view peer,
                                                 std::string_view local,
                                                 std::string_view only) const {
  std::vector<TargetRecord> records;
  if (!may_come_from(initiator, peer)) return records;
  const auto reached = IpAddress::of_endpoint(local);
  for (const auto& [name, node] : nodes_) {
    if (!admits(node, initiator) || (!only.empty() && only != name)) continue;
    TargetRecord record{.name = name, .portals = {}};
    for (const std::string& listener : node.listeners) {
      const auto found = portals_.find(listener);
      if (found == portals_.end() || !found->second.announced) continue;
      const ListenerOptions& portal = found->second.options;
      if (auto host = address_of(portal, reached)) {
        record.portals.push_back({std::move(*host), portal.port, portal.portal_group});
      }
    }
    // Without an address an initiator would take the one it asked at for the target's.
    if (!record.portals.empty()) records.push_back(std::move(record));
  }
  return records;
}

std::vector<std::uint16_t> Directory::portal_groups(std::string_view node) const {
  std::set<std::uint16_t> groups;
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return {};
  for (const std::string& listener : found->second.listeners) {
    const auto portal = portals_.find(listener);
    if (portal != portals_.end()) groups.insert(portal->second.options.portal_group);
  }
  return {groups.begin(), groups.end()};
}

}  // namespace target::iscsi
