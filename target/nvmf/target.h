// NvmfTarget: every NVMe subsystem of the daemon, the listeners they are reached through, and the
// discovery service over both.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/clock.h"
#include "target/nvmf/attempt_limit.h"
#include "target/nvmf/background_worker.h"
#include "target/nvmf/command.h"
#include "target/nvmf/connect_request.h"
#include "target/nvmf/directory.h"
#include "target/nvmf/options.h"
#include "target/nvmf/queue_authentication.h"
#include "target/nvmf/subsystem.h"
#include "target/nvmf/target_status.h"
#include "target/reactor/log.h"

namespace target::nvmf {

// Any thread, unless a method says otherwise. Reconfiguration by one thread at a time, which ends
// before the reactors do.
//
// Locks, in this order: NvmfTarget::mutex_, Subsystem::mutex_, Controller::mutex_, a reactor's
// queue of posted functions. None is held while a command is answered. An I/O command that is
// carried out takes none of them: an I/O queue has a view of its namespaces of its own, renewed
// (under Subsystem::mutex_) when the table's version has changed. One that is refused takes
// Controller::mutex_, for its entry in the error log.
class NvmfTarget {
 public:
  // The options are checked by config: names that are used twice end the process. `clock` outlives
  // the target.
  NvmfTarget(const TargetOptions& options, const engine::Clock& clock);
  NvmfTarget(const NvmfTarget&) = delete;
  NvmfTarget& operator=(const NvmfTarget&) = delete;
  // Every session has ended.
  ~NvmfTarget();

  // What a new connection's commands mean: a Connection::ExecutorFactory. Reactor thread of
  // `port`, before its first byte is read; the target and the port outlive the session.
  [[nodiscard]] std::unique_ptr<CommandExecutor> make_session(CommandPort& port);

  // Looks at every volume's state, size and identity: hosts are told (ANA change, namespace
  // attribute changed) and the status of I/O follows, in one step. Call it when a volume has
  // changed (VolumeObserver hands it on).
  void refresh_volumes();
  // To be called now and then: what queues and controllers keep of namespaces that have been
  // removed goes as soon as no command is under way there, also of hosts that send nothing.
  void forget_removed_namespaces();

  // Changes while hosts are connected. Hosts that a change does not concern see no event.
  // False: no such name, or it exists already.
  bool add_listener(const ListenerOptions& listener);
  bool remove_listener(std::string_view name);  // its associations end
  // Other options, for those who connect from now on: nobody is disconnected.
  bool update_listener(const ListenerOptions& listener);
  // Hosts that have come by this listener, and those that come, reach everything only so: they are
  // told (ANA change), and the status of their I/O follows, in one step. Also of a listener that is
  // yet to come; a listener that is taken away keeps its state for when it comes again.
  void set_path_state(std::string_view listener, AnaState state);
  // A listener that cannot listen yet is left out of discovery; hosts are told when it can.
  void announce_listener(std::string_view name, bool listening);
  bool add_subsystem(const SubsystemOptions& options);
  bool remove_subsystem(std::string_view nqn);                  // its associations end
  bool set_hosts(std::string_view nqn, const HostRule& hosts);  // those not admitted any more end
  // Reached through these only from now on; what came through others ends.
  bool set_listeners(std::string_view nqn, const std::vector<std::string>& listeners);
  // The same NQN with other limits or another identity, in one step: its associations end, and a
  // host that comes back finds the new one.
  bool replace_subsystem(const SubsystemOptions& options);
  [[nodiscard]] engine::Result<void, NamespaceError> add_namespace(std::string_view nqn,
                                                                   const NamespaceOptions& options);
  [[nodiscard]] engine::Result<void, NamespaceError> remove_namespace(std::string_view nqn,
                                                                      std::uint32_t nsid);
  // The same volume has come back with other blocks: hosts find that in the namespace's place, and
  // are told that its attributes have changed.
  [[nodiscard]] engine::Result<void, NamespaceError> replace_namespace(
      std::string_view nqn, const NamespaceOptions& options);
  // Which hosts see it from now on; nullopt: every host of the subsystem. Those that gain or lose
  // it are told.
  [[nodiscard]] engine::Result<void, NamespaceError> set_namespace_hosts(
      std::string_view nqn, std::uint32_t nsid,
      const std::optional<std::vector<std::string>>& hosts);

  // For transactions that begin from now on: nobody is disconnected, and no other host concerned.
  void set_host_keys(const HostKeys& keys);
  void remove_host_keys(std::string_view host_nqn);

  // Now and then: the health of controllers goes to the Persistent Event logs, once a day.
  void remember_health() const;

  // Ends every association; what is under way is still answered.
  void end_associations(EndReason reason);

  [[nodiscard]] TargetStatus status() const;

  // For sessions.

  // Decides about a Connect: makes the controller of an Admin queue, joins an I/O queue to its
  // controller. The refusal is the host's answer, `why` the log's.
  [[nodiscard]] protocol::nvme::Parsed<std::shared_ptr<Controller>> admit(
      const ConnectRequest& request, std::shared_ptr<SessionHandle> session, std::string& why);
  // Log page 70h for a host that reached us at `local_address`.
  [[nodiscard]] std::vector<std::byte> discovery_log(std::string_view host_nqn,
                                                     std::string_view local_address) const;
  // False while refusals come faster than a log should grow; `left_out` counts them when one is let
  // through.
  [[nodiscard]] bool may_log_refusal(std::uint64_t& left_out);
  void count_keep_alive_timeout();
  // What a host that came so has to prove on queue `qid` of that controller.
  [[nodiscard]] AuthenticationDemand demand_of(std::string_view host_nqn, const LinkInfo& link,
                                               std::uint16_t qid,
                                               const Controller& controller) const;
  // nullopt: it has no keys.
  [[nodiscard]] std::optional<protocol::auth::DhchapCredentials> credentials_of(
      std::string_view host_nqn) const;
  [[nodiscard]] JobTaker& worker() { return worker_; }
  // nullptr: nothing can be formatted.
  [[nodiscard]] block::VolumeFormatter* formatter() const { return formatter_; }
  // Hosts that have a controller now by which they see the volume, each once.
  [[nodiscard]] std::set<std::string> hosts_of(const block::BlockVolume& volume) const;
  // Secure concatenation on an Admin queue has come to this PSK. On a plain one the host comes back
  // with it inside TLS; inside TLS the controller holds it in the place of the one before.
  void key_generated(Controller& controller, const LinkInfo& link, std::string_view subsystem_nqn,
                     const protocol::auth::GeneratedPsk& psk);
  // A transaction on queue `qid` has ended: counts it, and tells of it.
  void authenticated(Controller& controller, std::uint16_t qid, const LinkInfo& link,
                     const protocol::auth::DhchapProof& proof);
  void authentication_failed(const Controller& controller, std::uint16_t qid, const LinkInfo& link,
                             std::string_view why, bool host_gave_up);
  void tell_of_host(const HostChange& change) const {
    if (observe_hosts_) observe_hosts_(change);
  }

 private:
  using SubsystemMap = std::map<std::string, std::shared_ptr<Subsystem>, std::less<>>;

  // The subsystem that this Connect names, if its listener and host may use it.
  [[nodiscard]] protocol::nvme::Parsed<std::shared_ptr<Subsystem>> reachable(
      const ConnectRequest& request, std::string& why) const;
  [[nodiscard]] protocol::nvme::Parsed<std::shared_ptr<Controller>> admit_admin(
      const ConnectRequest& request, Subsystem& subsystem, std::shared_ptr<SessionHandle> session,
      std::string& why);
  [[nodiscard]] std::shared_ptr<Subsystem> find(std::string_view nqn) const;
  [[nodiscard]] std::vector<std::shared_ptr<Controller>> all_controllers() const;
  // What keeps a host that is to use secure concatenation from this Connect; empty: nothing.
  [[nodiscard]] std::string_view misses_concatenation(const ConnectRequest& request,
                                                      const ListenerOptions& listener) const;
  // May wait for a disk: before the lock.
  [[nodiscard]] std::shared_ptr<PersistentLog> events_of(const std::string& nqn) const;
  void insert(const SubsystemOptions& options, std::shared_ptr<PersistentLog> events);
  void tell_discovery() const;

  const engine::Clock& clock_;
  const std::string firmware_revision_;
  const HostObserver observe_hosts_;
  EventLogs* const event_logs_;
  const std::shared_ptr<Subsystem> discovery_;
  BackgroundWorker own_worker_;
  JobTaker& worker_;
  GeneratedKeys* const generated_keys_;
  block::VolumeFormatter* const formatter_;

  // Guards everything below; the first of all locks here.
  mutable std::mutex mutex_;
  Directory directory_;
  SubsystemMap subsystems_;
  std::map<std::string, AnaState, std::less<>> path_states_;  // of listeners; optimized: not there
  std::uint64_t connects_ = 0;
  std::uint64_t refused_connects_ = 0;
  std::uint64_t keep_alive_timeouts_ = 0;
  std::map<std::string, HostKeys, std::less<>> host_keys_;
  AttemptLimit attempts_;
  std::uint64_t authentications_ = 0;
  std::uint64_t authentication_failures_ = 0;
  HostLedger failed_hosts_;  // their authentication_failures, and nothing else
  LogLimit refusal_log_;
};

}  // namespace target::nvmf
