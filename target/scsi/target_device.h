// TargetDevice: one SCSI target device (an iSCSI node): its target ports, its logical units, who
// sees them, and the nexuses that are there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/foundation/result.h"
#include "target/block/access_state.h"
#include "target/scsi/lun_map.h"
#include "target/scsi/options.h"
#include "target/scsi/task_counters.h"

namespace target::scsi {

class NexusHandle;

struct LunSnapshot {
  std::uint16_t lun = 0;
  std::string volume;
  std::uint64_t size_blocks = 0;
  std::uint32_t block_bytes = 0;
  std::vector<std::string> initiators;  // that see it; empty: all
  bool write_protected = false;         // by its operator, or by MODE SELECT (SWP)
  std::size_t nexuses = 0;
  TaskCounts counts;  // of all nexuses there have been
};

// Any thread. Owned by a shared_ptr: nexuses keep it until they have ended, even when the
// configuration has taken it away.
class TargetDevice {
 public:
  // LUNs that are impossible or used twice end the process: config has checked them.
  explicit TargetDevice(const DeviceOptions& options);
  TargetDevice(const TargetDevice&) = delete;
  TargetDevice& operator=(const TargetDevice&) = delete;
  // No nexus is left.
  ~TargetDevice();

  // Never change.
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& product_revision() const { return product_revision_; }

  // Initiators that see the LUN get a unit attention, and their NexusObserver is told. Of a LUN
  // that is taken away, commands under way still end; those that come later find no unit.
  [[nodiscard]] engine::Result<void, LunError> add_lun(const LunOptions& options);
  [[nodiscard]] engine::Result<void, LunError> remove_lun(std::uint16_t lun);
  // The same volume has come back with other blocks: initiators are told by a unit attention that
  // its capacity and what it says of itself have changed, and not that units come and go.
  [[nodiscard]] engine::Result<void, LunError> replace_lun(const LunOptions& options);
  // Which initiators see the LUN from now on; nullopt: all.
  [[nodiscard]] engine::Result<void, LunError> set_lun_initiators(
      std::uint16_t lun, std::optional<std::vector<std::string>> initiators);
  // At most max_target_ports; what REPORT TARGET PORT GROUPS shows.
  void set_target_ports(std::vector<std::uint16_t> target_ports);
  [[nodiscard]] std::vector<std::uint16_t> target_ports() const;
  // How it is reached by each of its target ports; by those that are not there: optimized. All
  // nexuses get a unit attention, if anything has changed, and those of the ports concerned are
  // served so, each from one of its reactor's next turns on.
  using PortStates = std::map<std::uint16_t, block::AccessState>;
  void set_port_states(PortStates states);
  [[nodiscard]] block::AccessState port_state(std::uint16_t target_port) const;
  // Compares with the volumes' states, sizes and identities; initiators get unit attentions.
  void refresh_volumes();

  // Ascending.
  [[nodiscard]] std::vector<LunSnapshot> luns() const;

  // For nexuses.

  // True if a nexus of this initiator port and target port has been here before, as far as is
  // remembered: then it has lost one, and not begun.
  [[nodiscard]] bool join(const NexusIdentity& identity, std::shared_ptr<NexusHandle> handle);
  void leave(const NexusHandle& handle);
  // The ports (ISIDs) by which an initiator has been here, as far as is remembered, whether it is
  // here now or not.
  [[nodiscard]] std::vector<std::array<std::byte, 6>> ports_of(std::string_view initiator) const;
  // Changes whenever units_for() would return something else; no lock.
  [[nodiscard]] std::uint64_t luns_version() const { return luns_.version(); }
  // Ascending.
  [[nodiscard]] std::vector<std::shared_ptr<LogicalUnit>> units_for(
      std::string_view initiator) const;
  [[nodiscard]] std::vector<std::shared_ptr<LogicalUnit>> all_units() const;

 private:
  void tell_of_luns() const;

  const std::string name_;
  const std::string product_revision_;

  // Guards everything below but luns_.version(). Before LogicalUnit::mutex_ and what posts to a
  // reactor.
  mutable std::mutex mutex_;
  std::vector<std::uint16_t> target_ports_;
  PortStates port_states_;
  LunMap luns_;
  std::vector<std::shared_ptr<NexusHandle>> nexuses_;
  std::set<std::string> known_ports_;  // initiator and target ports that have been here
};

}  // namespace target::scsi
