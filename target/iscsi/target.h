// IscsiTarget: every iSCSI target node of the daemon, the portals they are reached through, and
// their sessions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/clock.h"
#include "engine/foundation/result.h"
#include "protocol/iscsi/login.h"
#include "target/iscsi/connection_options.h"
#include "target/iscsi/directory.h"
#include "target/iscsi/options.h"
#include "target/iscsi/session_table.h"
#include "target/iscsi/target_status.h"
#include "target/net/byte_stream.h"
#include "target/net/connection_registry.h"
#include "target/net/host_change.h"
#include "target/net/link_info.h"
#include "target/reactor/log.h"
#include "target/scsi/target_device.h"

namespace target::iscsi {

enum class LunError : std::uint8_t {
  no_node,     // no such target
  bad_lun,     // beyond scsi::max_lun
  in_use,      // take the other one away first
  table_full,  // scsi::max_luns
  not_found,
};

// Any thread, unless a method says otherwise. Reconfiguration by one thread at a time, which ends
// before the reactors do.
class IscsiTarget {
 public:
  // The options are checked by config: names that are used twice end the process. `clock` outlives
  // the target.
  IscsiTarget(const TargetOptions& options, const engine::Clock& clock);
  IscsiTarget(const IscsiTarget&) = delete;
  IscsiTarget& operator=(const IscsiTarget&) = delete;
  // Every session has ended.
  ~IscsiTarget();

  // Serves `stream` until it ends. Thread of the registry's reactor; the target and the registry
  // outlive the connection.
  void serve(ConnectionRegistry& registry, std::unique_ptr<ByteStream> stream,
             const ConnectionOptions& options);

  // Looks at every volume's state, size and identity: initiators are told (unit attentions, and the
  // next commands' status). Call it when a volume has changed (VolumeObserver hands it on).
  void refresh_volumes();

  // Changes while initiators are logged in. Those that a change does not concern see no event.
  // False: no such name, or it exists already.
  bool add_listener(const ListenerOptions& listener);
  bool remove_listener(std::string_view name);  // its sessions end
  // A listener that cannot listen yet is left out of SendTargets.
  // As NvmfTarget::set_path_state(). A target port (portal group) that several listeners lead to
  // has the worst of their states.
  void set_path_state(std::string_view listener, block::AccessState state);
  void announce_listener(std::string_view name, bool listening);
  bool add_node(const NodeOptions& options);
  bool remove_node(std::string_view name);  // its sessions are asked to log out, then end
  // Those not admitted any more end.
  bool set_initiators(std::string_view node, const InitiatorRule& initiators);
  // Alias, listeners and CHAP: for the next logins; sessions through listeners that are none of it
  // any more end.
  bool set_node(const NodeOptions& node);
  // Of the next discovery sessions, and of the next logins.
  void set_discovery_chap(const std::optional<ChapOptions>& chap);
  void set_max_sessions(std::uint32_t max_sessions);
  // What is known of one initiator: for its next login; sessions go on, unless its networks forbid
  // them now.
  void set_initiator(const InitiatorOptions& initiator);
  bool remove_initiator(std::string_view name);
  // Initiators that see the LUN are told by Async Message (SCSI event) and unit attention.
  [[nodiscard]] engine::Result<void, LunError> add_lun(std::string_view node,
                                                       const scsi::LunOptions& options);
  [[nodiscard]] engine::Result<void, LunError> remove_lun(std::string_view node, std::uint16_t lun);
  // The same volume has come back with other blocks: initiators find that in the unit's place.
  [[nodiscard]] engine::Result<void, LunError> replace_lun(std::string_view node,
                                                           const scsi::LunOptions& options);
  // Which initiators see the LUN from now on; nullopt: all that the node admits. Those that gain or
  // lose it are told.
  [[nodiscard]] engine::Result<void, LunError> set_lun_initiators(
      std::string_view node, std::uint16_t lun,
      const std::optional<std::vector<std::string>>& initiators);

  // Asks every initiator to log out and ends every session; what is under way is still answered.
  void end_sessions();

  [[nodiscard]] TargetStatus status() const;

  // For connections.

  // Decides about a login when it has named who wants what; `why` is the log's.
  [[nodiscard]] protocol::iscsi::LoginAdmission admit(
      const protocol::iscsi::LoginIdentity& identity, const LinkInfo& link, std::string& why) const;
  struct Start {
    protocol::iscsi::LoginStatus status = protocol::iscsi::LoginStatus::success;
    bool waits = false;  // for the end of another one: Connection::session_admitted()
  };
  // A login is through: its session gets its handle (entry->tsih), unless another one must end
  // first, which is seen to.
  [[nodiscard]] Start begin_session(const std::shared_ptr<SessionEntry>& entry,
                                    const LinkInfo& link, std::string& why);
  // What a login is answered that wants to join the session `tsih`: it cannot.
  [[nodiscard]] protocol::iscsi::LoginStatus refuse_to_join(const SessionKey& key,
                                                            std::uint16_t tsih) const;
  // `snapshot` is called by any thread until session_ended().
  void session_opened(SessionEntry& entry, std::function<SessionSnapshot()> snapshot);
  // None of its tasks is left; or it does not want to wait any more.
  void session_ended(const std::shared_ptr<SessionEntry>& entry);
  // Every session of a target: TARGET COLD RESET.
  void end_sessions_of(std::string_view node, EndReason reason);
  // nullptr: the target has gone.
  [[nodiscard]] std::shared_ptr<scsi::TargetDevice> device_of(std::string_view node) const;
  // SendTargets, to an initiator that has come by `link`; only of one target, unless `only` is
  // empty.
  void write_targets(protocol::iscsi::TextWriter& answer, std::string_view initiator,
                     const LinkInfo& link, std::string_view only) const;
  void count_refusal(protocol::iscsi::LoginStatus status, const std::string& initiator);
  void count_digest_error(const std::string& initiator);
  void count_nop_timeout(const std::string& initiator);
  void tell_of_host(const HostChange& change) const {
    if (observe_hosts_) observe_hosts_(change);
  }
  // False while refusals come faster than a log should grow; `left_out` counts them when one is let
  // through.
  [[nodiscard]] bool may_log_refusal(std::uint64_t& left_out);

 private:
  void insert(const NodeOptions& options);
  void set_target_ports();
  void set_port_states();
  // Of the sessions that `which` chooses.
  void ask_for_logout(EndReason reason, const std::function<bool(const SessionEntry&)>& which);

  const engine::Clock& clock_;
  const HostObserver observe_hosts_;

  // Guards everything below; nothing but TargetDevice's locks and a reactor's queue of posted
  // functions is locked under it.
  mutable std::mutex mutex_;
  std::map<std::string, block::AccessState, std::less<>> path_states_;  // of listeners
  Directory directory_;
  std::map<std::string, std::shared_ptr<scsi::TargetDevice>, std::less<>> devices_;
  std::optional<ChapOptions> discovery_chap_;
  SessionTable sessions_;
  std::uint64_t logins_ = 0;
  std::uint64_t refused_logins_ = 0;
  std::uint64_t failed_authentications_ = 0;
  std::uint64_t reinstated_sessions_ = 0;
  std::uint64_t nop_timeouts_ = 0;
  HostLedger hosts_;  // what they have begun, and done in sessions that have ended
  LogLimit refusal_log_;
};

}  // namespace target::iscsi
