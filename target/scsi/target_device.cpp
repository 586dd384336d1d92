#include "target/scsi/target_device.h"

#include <algorithm>
#include <span>

#include "engine/foundation/check.h"
#include "target/scsi/nexus.h"
#include "target/scsi/nexus_handle.h"

namespace target::scsi {

namespace {

// More are forgotten all at once: a host is then told of a power on where it has lost a nexus,
// which is the graver news.
constexpr std::size_t most_known_ports = 4096;

// What keys of an initiator begin with; no name has a NUL in it.
std::string key_prefix(std::string_view initiator) {
  std::string key(initiator);
  key.push_back('\0');
  return key;
}

std::string port_key(const NexusIdentity& identity) {
  std::string key = key_prefix(identity.initiator);
  key.append(reinterpret_cast<const char*>(identity.isid.data()), identity.isid.size());
  key += static_cast<char>(identity.target_port >> 8);
  key += static_cast<char>(identity.target_port & 0xff);
  return key;
}

}  // namespace

TargetDevice::TargetDevice(const DeviceOptions& options)
    : name_(options.name),
      product_revision_(options.product_revision),
      target_ports_(options.target_ports) {
  for (const LunOptions& lun : options.luns) CHECK(luns_.add(lun).has_value());
}

TargetDevice::~TargetDevice() { CHECK(nexuses_.empty()); }

void TargetDevice::tell_of_luns() const {
  for (const auto& handle : nexuses_) {
    handle->post([](Nexus* nexus) {
      if (nexus != nullptr) nexus->refresh_units();
    });
  }
}

engine::Result<void, LunError> TargetDevice::add_lun(const LunOptions& options) {
  const std::lock_guard lock(mutex_);
  TRY(luns_.add(options));
  tell_of_luns();
  return engine::success();
}

engine::Result<void, LunError> TargetDevice::remove_lun(std::uint16_t lun) {
  const std::lock_guard lock(mutex_);
  TRY(luns_.remove(lun));
  tell_of_luns();
  return engine::success();
}

engine::Result<void, LunError> TargetDevice::replace_lun(const LunOptions& options) {
  const std::lock_guard lock(mutex_);
  TRY(luns_.replace(options));
  tell_of_luns();
  return engine::success();
}

engine::Result<void, LunError> TargetDevice::set_lun_initiators(
    std::uint16_t lun, std::optional<std::vector<std::string>> initiators) {
  const std::lock_guard lock(mutex_);
  TRY(luns_.set_initiators(lun, std::move(initiators)));
  tell_of_luns();
  return engine::success();
}

void TargetDevice::set_target_ports(std::vector<std::uint16_t> target_ports) {
  const std::lock_guard lock(mutex_);
  target_ports_ = std::move(target_ports);
}

std::vector<std::uint16_t> TargetDevice::target_ports() const {
  const std::lock_guard lock(mutex_);
  return target_ports_;
}

void TargetDevice::set_port_states(PortStates states) {
  const std::lock_guard lock(mutex_);
  if (states == port_states_) return;
  port_states_ = std::move(states);
  for (const auto& handle : nexuses_) {
    handle->post([](Nexus* nexus) {
      if (nexus != nullptr) nexus->access_changed();
    });
  }
}

block::AccessState TargetDevice::port_state(std::uint16_t target_port) const {
  const std::lock_guard lock(mutex_);
  const auto found = port_states_.find(target_port);
  return found == port_states_.end() ? block::AccessState::optimized : found->second;
}

void TargetDevice::refresh_volumes() {
  for (const auto& unit : all_units()) unit->refresh();
}

std::vector<LunSnapshot> TargetDevice::luns() const {
  const std::lock_guard lock(mutex_);
  std::vector<LunSnapshot> shown;
  luns_.for_each([&](const LogicalUnit& unit, const auto& initiators) {
    const engine::Volume& volume = unit.volume().volume();
    LunSnapshot& lun = shown.emplace_back();
    lun.lun = unit.lun();
    lun.volume = volume.identity().name;
    lun.size_blocks = volume.size().value;
    lun.block_bytes = volume.identity().block_size.bytes;
    if (initiators) lun.initiators.assign(initiators->begin(), initiators->end());
    lun.write_protected = unit.write_protect();
    lun.nexuses = unit.nexuses();
    lun.counts = unit.counts();
  });
  return shown;
}

bool TargetDevice::join(const NexusIdentity& identity, std::shared_ptr<NexusHandle> handle) {
  const std::lock_guard lock(mutex_);
  nexuses_.push_back(std::move(handle));
  if (known_ports_.size() >= most_known_ports) known_ports_.clear();
  return !known_ports_.insert(port_key(identity)).second;
}

void TargetDevice::leave(const NexusHandle& handle) {
  const std::lock_guard lock(mutex_);
  std::erase_if(nexuses_, [&](const auto& other) { return other.get() == &handle; });
}

std::vector<std::array<std::byte, 6>> TargetDevice::ports_of(std::string_view initiator) const {
  const std::string prefix = key_prefix(initiator);
  std::vector<std::array<std::byte, 6>> ports;
  const std::lock_guard lock(mutex_);
  for (auto it = known_ports_.lower_bound(prefix);
       it != known_ports_.end() && it->starts_with(prefix); ++it) {
    auto& isid = ports.emplace_back();
    const auto bytes = std::as_bytes(std::span(*it)).subspan(prefix.size(), isid.size());
    std::copy(bytes.begin(), bytes.end(), isid.begin());
    // By several target ports: one behind the other.
    if (ports.size() > 1 && ports[ports.size() - 2] == isid) ports.pop_back();
  }
  return ports;
}

std::vector<std::shared_ptr<LogicalUnit>> TargetDevice::units_for(
    std::string_view initiator) const {
  const std::lock_guard lock(mutex_);
  return luns_.units_for(initiator);
}

std::vector<std::shared_ptr<LogicalUnit>> TargetDevice::all_units() const {
  const std::lock_guard lock(mutex_);
  return luns_.all();
}

}  // namespace target::scsi
