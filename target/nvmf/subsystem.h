// Subsystem: one NVM subsystem (or the discovery subsystem): its identity, namespaces and
// controllers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "target/net/host_counts.h"
#include "target/nvmf/controller.h"
#include "target/nvmf/namespace_table.h"
#include "target/nvmf/options.h"
#include "target/nvmf/persistent_log.h"

namespace target::nvmf {

// Any thread. Always owned by a shared_ptr: a controller keeps its subsystem until its last session
// has ended, even when the configuration has taken it away.
class Subsystem : public std::enable_shared_from_this<Subsystem> {
 public:
  enum class Kind : std::uint8_t { nvm, discovery };

  struct Limits {
    std::uint16_t max_io_queues = 0;
    std::uint32_t max_queue_entries = 0;
    engine::ByteCount max_transfer;
    std::uint16_t cntlid_min = 1;
    std::uint16_t cntlid_max = 0xffef;
  };

  // NSIDs that are impossible or used twice end the process: config has checked them.
  // `events`: nullptr for the discovery subsystem, which keeps none.
  Subsystem(const SubsystemOptions& options, Kind kind, std::string firmware_revision,
            std::shared_ptr<PersistentLog> events);
  Subsystem(const Subsystem&) = delete;
  Subsystem& operator=(const Subsystem&) = delete;
  ~Subsystem();

  // Never change.
  [[nodiscard]] const std::string& nqn() const { return nqn_; }
  [[nodiscard]] const std::string& serial() const { return serial_; }
  [[nodiscard]] const std::string& model() const { return model_; }
  [[nodiscard]] const std::string& firmware_revision() const { return firmware_revision_; }
  [[nodiscard]] bool is_discovery() const { return kind_ == Kind::discovery; }
  [[nodiscard]] const Limits& limits() const { return limits_; }
  // nullptr: the discovery subsystem's. Any thread.
  [[nodiscard]] PersistentLog* events() const { return events_.get(); }

  // A controller with an identifier of its own, least recently used first; nullptr if all are
  // taken.
  [[nodiscard]] std::shared_ptr<Controller> make_controller(Association association,
                                                            std::shared_ptr<SessionHandle> admin);
  // nullptr: there is none.
  [[nodiscard]] std::shared_ptr<Controller> find_controller(protocol::nvme::ControllerId id) const;
  // The association has ended. Called by the controller.
  void release(const Controller& controller, EndReason reason);
  [[nodiscard]] std::vector<std::shared_ptr<Controller>> controllers() const;
  // What hosts have done by controllers of now and of before; of a discovery subsystem, nothing.
  [[nodiscard]] HostLedger hosts() const;

  // Each is one step: what Identify and the log pages say, what I/O is answered and who is told
  // change together.
  [[nodiscard]] engine::Result<void, NamespaceError> add_namespace(const NamespaceOptions& options);
  [[nodiscard]] engine::Result<void, NamespaceError> remove_namespace(std::uint32_t nsid);
  [[nodiscard]] engine::Result<void, NamespaceError> replace_namespace(
      const NamespaceOptions& options);
  [[nodiscard]] engine::Result<void, NamespaceError> set_namespace_hosts(
      std::uint32_t nsid, const std::optional<std::vector<std::string>>& hosts);
  void refresh_volumes();
  // See NvmfTarget.
  void forget_removed_namespaces();
  // Of everything that is reached by this listener: the log, what I/O is answered and who is told.
  void set_path_state(std::string_view listener, AnaState state);

  // Namespaces as one host sees them.

  // Changes whenever view_for() would return something else; no lock.
  [[nodiscard]] std::uint64_t namespaces_version() const { return namespaces_.version(); }
  [[nodiscard]] std::shared_ptr<const NamespaceView> view_for(std::string_view host_nqn) const;
  [[nodiscard]] std::vector<std::uint32_t> namespaces_of(std::string_view host_nqn) const;
  [[nodiscard]] std::optional<NamespaceFacts> describe(std::uint32_t nsid,
                                                       std::string_view host_nqn) const;
  [[nodiscard]] AnaReport ana_report(const Controller& controller) const;
  [[nodiscard]] std::uint32_t highest_nsid() const;
  // The backing of a volume that this host sees fails: SMART says so.
  [[nodiscard]] bool has_failing(std::string_view host_nqn) const;
  [[nodiscard]] std::vector<NamespaceSnapshot> namespaces() const;

 private:
  void tell(std::span<const NamespaceChange> changes) const;
  // In the Persistent Event log.
  void record_namespace(std::uint32_t nsid, bool deleted) const;

  const std::string nqn_;
  const std::string serial_;
  const std::string model_;
  const std::string firmware_revision_;
  const Kind kind_;
  const Limits limits_;
  const std::shared_ptr<PersistentLog> events_;

  // Guards everything below. After NvmfTarget::mutex_, before Controller::mutex_.
  mutable std::mutex mutex_;
  NamespaceTable namespaces_;
  std::map<std::uint16_t, std::shared_ptr<Controller>> controllers_;
  std::uint16_t next_controller_;
  HostLedger hosts_;  // what they have begun, and done by controllers that have ended
};

}  // namespace target::nvmf
