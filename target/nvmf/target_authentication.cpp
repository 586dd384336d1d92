// What the target knows of its hosts' keys, and of who has proved to have them.
#include "target/nvmf/subsystem.h"
#include "target/nvmf/target.h"

namespace target::nvmf {

namespace auth = protocol::auth;
using KeysGuard = std::lock_guard<std::mutex>;

void NvmfTarget::set_host_keys(const HostKeys& keys) {
  const KeysGuard guard(mutex_);
  // Who has no key makes no work.
  if (&worker_ == &own_worker_) own_worker_.start();
  host_keys_.insert_or_assign(keys.nqn, keys);
}

void NvmfTarget::remove_host_keys(std::string_view host_nqn) {
  const KeysGuard guard(mutex_);
  const auto found = host_keys_.find(host_nqn);
  if (found != host_keys_.end()) host_keys_.erase(found);
}

AuthenticationDemand NvmfTarget::demand_of(std::string_view host_nqn, std::string_view listener,
                                           const Controller& controller) const {
  const KeysGuard guard(mutex_);
  const auto keys = host_keys_.find(host_nqn);
  const ListenerOptions* through = directory_.listener(listener);
  const bool is_required = keys != host_keys_.end() && keys->second.required &&
                           (!controller.is_discovery() || keys->second.required_at_discovery);
  return {.required = is_required,
          .timeout = through == nullptr ? ListenerOptions{}.authentication_timeout
                                        : through->authentication_timeout};
}

std::optional<auth::DhchapCredentials> NvmfTarget::credentials_of(std::string_view host_nqn) const {
  const KeysGuard guard(mutex_);
  const auto keys = host_keys_.find(host_nqn);
  if (keys == host_keys_.end()) return std::nullopt;
  return keys->second.credentials;
}

void NvmfTarget::authenticated(Controller& controller, std::uint16_t qid, const LinkInfo& link,
                               const auth::DhchapProof& proof) {
  const std::string& host = controller.association().host_nqn;
  {
    const KeysGuard guard(mutex_);
    ++authentications_;
    attempts_.succeeded(host, link.peer_address);
  }
  if (qid == 0) controller.set_authentication(proof.mutual ? "mutual dhchap" : "dhchap");
  if (qid != 0 && !proof.previous_key) return;
  log_info(
      "host authenticated host={} peer={} listener={} subsystem={} cntlid={} queue={} hash={} "
      "group={} mutual={} key={}",
      host, link.peer_address, link.listener, controller.subsystem().nqn(), controller.id().value,
      qid, auth::name_of(proof.hash), auth::name_of(proof.group), proof.mutual ? "yes" : "no",
      proof.previous_key ? "previous" : "current");
}

void NvmfTarget::authentication_failed(const Controller& controller, std::uint16_t qid,
                                       const LinkInfo& link, std::string_view why,
                                       bool host_gave_up) {
  const std::string& host = controller.association().host_nqn;
  std::uint64_t left_out = 0;
  {
    const KeysGuard guard(mutex_);
    ++authentication_failures_;
    ++failed_hosts_.of(host).authentication_failures;
    attempts_.failed(host, link.peer_address, clock_.now());
    if (!refusal_log_.allows(clock_.now())) return;
    left_out = refusal_log_.suppressed();
  }
  const char* who = host_gave_up ? "the host refuses us" : "the host is refused";
  log_warn(
      "authentication failed host={} peer={} listener={} subsystem={} cntlid={} queue={} "
      "side=\"{}\" reason=\"{}\" more={}",
      host, link.peer_address, link.listener, controller.subsystem().nqn(), controller.id().value,
      qid, who, why, left_out);
  tell_of_host({.what = HostChange::What::refused,
                .protocol = "nvme-tcp",
                .host = host,
                .exported = controller.subsystem().nqn(),
                .peer = link.peer_address,
                .listener = link.listener,
                .security = link.security,
                .end = std::nullopt,
                .why = "authentication failed: " + std::string(why)});
}

}  // namespace target::nvmf
