#include "target/exports.h"

#include <algorithm>
#include <iterator>

#include "engine/foundation/check.h"

namespace target {
namespace {

// The one of that key; nullptr: there is none.
template <class Options, class Key>
const Options* find_in(const std::vector<Options>& all, const Options& like, Key key) {
  const auto found = std::ranges::find(all, like.*key, key);
  return found == all.end() ? nullptr : &*found;
}

// Calls `come` with each option of `to` and what stands for it in `from` (nullptr: it is new).
template <class Options, class Key, class Come>
void for_each_of(const std::vector<Options>& from, const std::vector<Options>& to, Key key,
                 Come come) {
  for (const Options& wanted : to) come(find_in(from, wanted, key), wanted);
}

// Calls `go` with each of `from` that `to` has not.
template <class Options, class Key, class Go>
void for_each_gone(const std::vector<Options>& from, const std::vector<Options>& to, Key key,
                   Go go) {
  for (const Options& old : from) {
    if (find_in(to, old, key) == nullptr) go(old);
  }
}

// Who is let in by both rules: while what is seen is changed, nobody may see what neither shows.
template <class Rule>
Rule common(const Rule& a, const Rule& b, std::vector<std::string> Rule::*names) {
  if (a.allow_any) return b;
  if (b.allow_any) return a;
  Rule both;
  std::ranges::copy_if(a.*names, std::back_inserter(both.*names), [&](const std::string& name) {
    return std::ranges::find(b.*names, name) != (b.*names).end();
  });
  return both;
}

// The same volume, which has been taken out and put in again.
bool is_renewed(const block::BlockVolume& before, const block::BlockVolume& now) {
  return &before != &now && before.volume().identity().name == now.volume().identity().name;
}

class NvmfChange {
 public:
  NvmfChange(nvmf::NvmfTarget& target, const nvmf::TargetOptions& from,
             const nvmf::TargetOptions& to)
      : target_(target), from_(from), to_(to) {}

  void come() {
    for_each_of(from_.listeners, to_.listeners, &nvmf::ListenerOptions::name,
                [&](const auto* old, const auto& wanted) { listen(old, wanted); });
    for_each_of(from_.host_keys, to_.host_keys, &nvmf::HostKeys::nqn,
                [&](const auto* old, const auto& wanted) {
                  if (old == nullptr || *old != wanted) target_.set_host_keys(wanted);
                });
    for_each_of(from_.subsystems, to_.subsystems, &nvmf::SubsystemOptions::nqn,
                [&](const auto* old, const auto& wanted) { serve(old, wanted); });
  }

  void go() {
    for_each_gone(from_.host_keys, to_.host_keys, &nvmf::HostKeys::nqn,
                  [&](const auto& old) { target_.remove_host_keys(old.nqn); });
    for_each_gone(from_.subsystems, to_.subsystems, &nvmf::SubsystemOptions::nqn,
                  [&](const auto& old) { CHECK(target_.remove_subsystem(old.nqn)); });
    for_each_gone(from_.listeners, to_.listeners, &nvmf::ListenerOptions::name,
                  [&](const auto& old) { CHECK(target_.remove_listener(old.name)); });
  }

 private:
  void listen(const nvmf::ListenerOptions* old, const nvmf::ListenerOptions& wanted) {
    if (old == nullptr) {
      CHECK(target_.add_listener(wanted));
      return;
    }
    if (*old == wanted) return;
    auto as_wanted = *old;
    as_wanted.discovery = wanted.discovery;
    as_wanted.tls = wanted.tls;
    as_wanted.authentication_timeout = wanted.authentication_timeout;
    if (as_wanted == wanted) {
      CHECK(target_.update_listener(wanted));
      return;
    }
    CHECK(target_.remove_listener(old->name));
    CHECK(target_.add_listener(wanted));
  }

  void serve(const nvmf::SubsystemOptions* old, const nvmf::SubsystemOptions& wanted) {
    if (old == nullptr) {
      CHECK(target_.add_subsystem(wanted));
      return;
    }
    if (has_other_limits(*old, wanted)) {
      CHECK(target_.replace_subsystem(wanted));
      return;
    }
    const nvmf::HostRule narrow = common(old->hosts, wanted.hosts, &nvmf::HostRule::nqns);
    if (narrow != old->hosts) CHECK(target_.set_hosts(wanted.nqn, narrow));
    if (old->listeners != wanted.listeners) {
      CHECK(target_.set_listeners(wanted.nqn, wanted.listeners));
    }
    for_each_gone(old->namespaces, wanted.namespaces, &nvmf::NamespaceOptions::nsid,
                  [&](const auto& gone) { remove(wanted.nqn, gone.nsid); });
    for_each_of(old->namespaces, wanted.namespaces, &nvmf::NamespaceOptions::nsid,
                [&](const auto* before, const auto& space) { show(wanted.nqn, before, space); });
    if (narrow != wanted.hosts) CHECK(target_.set_hosts(wanted.nqn, wanted.hosts));
  }

  static bool has_other_limits(const nvmf::SubsystemOptions& old,
                               const nvmf::SubsystemOptions& wanted) {
    return old.cntlid_min != wanted.cntlid_min || old.cntlid_max != wanted.cntlid_max ||
           old.max_io_queues != wanted.max_io_queues ||
           old.max_queue_entries != wanted.max_queue_entries ||
           old.max_transfer != wanted.max_transfer;
  }

  void show(const std::string& nqn, const nvmf::NamespaceOptions* old,
            const nvmf::NamespaceOptions& wanted) {
    if (old != nullptr && *old == wanted) return;
    if (old != nullptr && old->volume == wanted.volume) {
      CHECK(target_.set_namespace_hosts(nqn, wanted.nsid, wanted.hosts).has_value());
      return;
    }
    if (old != nullptr && is_renewed(*old->volume, *wanted.volume)) {
      CHECK(target_.replace_namespace(nqn, wanted).has_value());
      return;
    }
    if (old != nullptr) remove(nqn, old->nsid);
    CHECK(target_.add_namespace(nqn, wanted).has_value());
  }

  void remove(const std::string& nqn, std::uint32_t nsid) {
    CHECK(target_.remove_namespace(nqn, nsid).has_value());
  }

  nvmf::NvmfTarget& target_;
  const nvmf::TargetOptions& from_;
  const nvmf::TargetOptions& to_;
};

class IscsiChange {
 public:
  IscsiChange(iscsi::IscsiTarget& target, const iscsi::TargetOptions& from,
              const iscsi::TargetOptions& to)
      : target_(target), from_(from), to_(to) {}

  void come() {
    if (from_.discovery_chap != to_.discovery_chap) target_.set_discovery_chap(to_.discovery_chap);
    if (from_.max_sessions != to_.max_sessions) target_.set_max_sessions(to_.max_sessions);
    for_each_of(from_.listeners, to_.listeners, &iscsi::ListenerOptions::name,
                [&](const auto* old, const auto& wanted) {
                  if (old != nullptr && *old == wanted) return;
                  if (old != nullptr) CHECK(target_.remove_listener(old->name));
                  CHECK(target_.add_listener(wanted));
                });
    for_each_of(from_.initiators, to_.initiators, &iscsi::InitiatorOptions::name,
                [&](const auto* old, const auto& wanted) {
                  if (old == nullptr || *old != wanted) target_.set_initiator(wanted);
                });
    for_each_of(from_.nodes, to_.nodes, &iscsi::NodeOptions::name,
                [&](const auto* old, const auto& wanted) { serve(old, wanted); });
  }

  void go() {
    for_each_gone(from_.nodes, to_.nodes, &iscsi::NodeOptions::name,
                  [&](const auto& old) { CHECK(target_.remove_node(old.name)); });
    for_each_gone(from_.initiators, to_.initiators, &iscsi::InitiatorOptions::name,
                  [&](const auto& old) { CHECK(target_.remove_initiator(old.name)); });
    for_each_gone(from_.listeners, to_.listeners, &iscsi::ListenerOptions::name,
                  [&](const auto& old) { CHECK(target_.remove_listener(old.name)); });
  }

 private:
  void serve(const iscsi::NodeOptions* old, const iscsi::NodeOptions& wanted) {
    if (old == nullptr) {
      CHECK(target_.add_node(wanted));
      return;
    }
    if (old->alias != wanted.alias || old->listeners != wanted.listeners ||
        old->chap != wanted.chap) {
      CHECK(target_.set_node(wanted));
    }
    const iscsi::InitiatorRule narrow =
        common(old->initiators, wanted.initiators, &iscsi::InitiatorRule::names);
    if (narrow != old->initiators) CHECK(target_.set_initiators(wanted.name, narrow));
    for_each_gone(old->luns, wanted.luns, &scsi::LunOptions::lun, [&](const auto& gone) {
      CHECK(target_.remove_lun(wanted.name, gone.lun).has_value());
    });
    for_each_of(old->luns, wanted.luns, &scsi::LunOptions::lun,
                [&](const auto* before, const auto& unit) { show(wanted.name, before, unit); });
    if (narrow != wanted.initiators) {
      CHECK(target_.set_initiators(wanted.name, wanted.initiators));
    }
  }

  void show(const std::string& node, const scsi::LunOptions* old, const scsi::LunOptions& wanted) {
    if (old != nullptr && *old == wanted) return;
    if (old != nullptr && old->volume == wanted.volume) {
      CHECK(target_.set_lun_initiators(node, wanted.lun, wanted.initiators).has_value());
      return;
    }
    if (old != nullptr && is_renewed(*old->volume, *wanted.volume)) {
      CHECK(target_.replace_lun(node, wanted).has_value());
      return;
    }
    if (old != nullptr) CHECK(target_.remove_lun(node, old->lun).has_value());
    CHECK(target_.add_lun(node, wanted).has_value());
  }

  iscsi::IscsiTarget& target_;
  const iscsi::TargetOptions& from_;
  const iscsi::TargetOptions& to_;
};

}  // namespace

void change_exports(nvmf::NvmfTarget& nvmf, iscsi::IscsiTarget& iscsi, const Exports& from,
                    const Exports& to) {
  NvmfChange of_nvmf(nvmf, from.nvmf, to.nvmf);
  IscsiChange of_iscsi(iscsi, from.iscsi, to.iscsi);
  of_nvmf.come();
  of_iscsi.come();
  of_nvmf.go();
  of_iscsi.go();
}

}  // namespace target
