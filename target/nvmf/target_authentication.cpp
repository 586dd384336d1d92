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

namespace {

bool is_generated(const LinkInfo& link) {
  return link.proved != nullptr && !link.proved->generated_identity.empty();
}

// Made on a plain Admin queue, replaced on one inside TLS.
auth::ConcatenationRule concatenation_rule(const HostKeys& keys, const ListenerOptions& listener,
                                           const LinkInfo& link, bool is_required) {
  auth::ConcatenationRule rule;
  if (keys.concatenation == ConcatenationPolicy::none) return rule;
  if (listener.concatenation_hashes.empty()) return rule;
  rule.hashes = listener.concatenation_hashes;
  if (is_generated(link)) {
    rule.offered = auth::Concatenation::replace_psk;
  } else if (link.proved == nullptr) {
    rule.offered = auth::Concatenation::new_psk;
    rule.is_demanded = is_required && keys.concatenation == ConcatenationPolicy::required;
  }
  return rule;
}

}  // namespace

AuthenticationDemand NvmfTarget::demand_of(std::string_view host_nqn, const LinkInfo& link,
                                           std::uint16_t qid, const Controller& controller) const {
  const KeysGuard guard(mutex_);
  AuthenticationDemand demand{.timeout = ListenerOptions{}.authentication_timeout};
  const ListenerOptions* through = directory_.listener(link.listener);
  if (through != nullptr) demand.timeout = through->authentication_timeout;
  const auto keys = host_keys_.find(host_nqn);
  if (keys == host_keys_.end()) return demand;
  // Who has a generated PSK has proved the key when it was made.
  demand.required = keys->second.required && !is_generated(link) &&
                    (!controller.is_discovery() || keys->second.required_at_discovery);
  if (qid == 0 && through != nullptr && generated_keys_ != nullptr) {
    demand.concatenation = concatenation_rule(keys->second, *through, link, demand.required);
  }
  return demand;
}

std::string_view NvmfTarget::misses_concatenation(const ConnectRequest& request,
                                                  const ListenerOptions& listener) const {
  if (request.link.proved != nullptr || directory_.is_discovery_nqn(request.data.subsystem_nqn)) {
    return {};
  }
  const auto keys = host_keys_.find(request.data.host_nqn);
  if (keys == host_keys_.end()) return {};
  if (keys->second.concatenation != ConcatenationPolicy::required) return {};
  if (listener.concatenation_hashes.empty()) {
    return "it is to use secure concatenation, and the listener has no TLS";
  }
  if (request.command.queue_id == 0) return {};
  return "it is to use secure concatenation: its I/O queues are inside TLS alone";
}

void NvmfTarget::key_generated(Controller& controller, const LinkInfo& link,
                               std::string_view subsystem_nqn, const auth::GeneratedPsk& psk) {
  const auto bytes = psk.psk.bytes();
  const engine::Instant now = clock_.now();
  const std::string identity =
      generated_keys_->keep({.host_nqn = controller.association().host_nqn,
                             .subsystem_nqn = std::string(subsystem_nqn),
                             .is_sha384 = psk.hash == auth::DhchapHash::sha384,
                             .psk = {bytes.begin(), bytes.end()}},
                            now);
  if (link.proved != nullptr) controller.hold_key(generated_keys_->hold(identity, now));
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
      "group={} mutual={} key={} concatenation={}",
      host, link.peer_address, link.listener, controller.subsystem().nqn(), controller.id().value,
      qid, auth::name_of(proof.hash), auth::name_of(proof.group), proof.mutual ? "yes" : "no",
      proof.previous_key ? "previous" : "current", proof.generated ? "yes" : "no");
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
