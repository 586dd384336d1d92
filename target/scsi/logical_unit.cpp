#include "target/scsi/logical_unit.h"

#include <algorithm>

#include "engine/foundation/check.h"
#include "target/scsi/itl_nexus.h"
#include "target/scsi/nexus.h"

namespace target::scsi {

namespace sense = protocol::scsi::sense;
using protocol::scsi::ModeState;
using protocol::scsi::SenseCode;

LogicalUnit::LogicalUnit(std::uint16_t lun, block::BlockVolume& volume)
    : lun_(lun), volume_(volume) {
  const engine::VolumeCondition now = volume.volume().condition();
  size_ = now.size;
  uuid_ = volume.volume().identity().uuid;
  atomic_writes_ = block::atomic_writes_of(now.promise);
  volume_writable_ = now.promise.writable;
}

LogicalUnit::~LogicalUnit() { CHECK(nexuses_.empty()); }

ModeState LogicalUnit::mode() const {
  const std::lock_guard lock(mutex_);
  return {.descriptor_sense = descriptor_sense_.load(std::memory_order_relaxed),
          .software_write_protect = software_write_protect_.load(std::memory_order_relaxed)};
}

void LogicalUnit::set_mode(const ModeState& mode, const ItlNexus& by) {
  const std::lock_guard lock(mutex_);
  const bool changes = descriptor_sense_.exchange(mode.descriptor_sense) != mode.descriptor_sense;
  const bool protects =
      software_write_protect_.exchange(mode.software_write_protect) != mode.software_write_protect;
  if (!changes && !protects) return;
  for (const auto& nexus : nexuses_) {
    if (nexus.get() != &by) nexus->attentions().establish(sense::mode_parameters_changed.code);
  }
}

void LogicalUnit::refresh() {
  const engine::VolumeCondition now = volume_.volume().condition();
  const engine::Uuid uuid = volume_.volume().identity().uuid;
  const engine::BlockSize block_size = volume_.volume().identity().block_size;
  const std::lock_guard lock(mutex_);
  bool measured = std::exchange(size_, now.size) != now.size;
  const block::AtomicWrites promised = block::atomic_writes_of(now.promise);
  const block::AtomicWrites before = atomic_writes_.exchange(promised);
  // READ CAPACITY (16) shows the physical block, too.
  measured |= promised.physical_block_bytes(block_size) != before.physical_block_bytes(block_size);
  const bool described = (std::exchange(uuid_, uuid) != uuid) || promised != before;
  const bool protects = volume_writable_.exchange(now.promise.writable) != now.promise.writable;
  for (const auto& nexus : nexuses_) {
    if (measured) nexus->attentions().establish(sense::capacity_changed.code);
    if (described) nexus->attentions().establish(sense::inquiry_data_changed.code);
    if (protects) nexus->attentions().establish(sense::mode_parameters_changed.code);
  }
}

void LogicalUnit::attach(std::shared_ptr<ItlNexus> nexus) {
  const std::lock_guard lock(mutex_);
  nexuses_.push_back(std::move(nexus));
}

void LogicalUnit::detach(const ItlNexus& nexus) {
  const std::lock_guard lock(mutex_);
  ended_ += nexus.counters.counts();
  std::erase_if(nexuses_, [&](const auto& other) { return other.get() == &nexus; });
}

void LogicalUnit::establish(SenseCode unit_attention, const ItlNexus* but) {
  const std::lock_guard lock(mutex_);
  for (const auto& nexus : nexuses_) {
    if (nexus.get() != but) nexus->attentions().establish(unit_attention);
  }
}

std::vector<std::shared_ptr<ItlNexus>> LogicalUnit::attached() const {
  const std::lock_guard lock(mutex_);
  return nexuses_;
}

void LogicalUnit::reset(const block::AbortTicket& ticket, SenseCode unit_attention) {
  volume_.reservations().reset();
  {
    const std::lock_guard lock(mutex_);
    descriptor_sense_ = false;
    software_write_protect_ = false;
    for (const auto& nexus : nexuses_) nexus->attentions().establish(unit_attention);
  }
  // Not under the lock: tasks end in here.
  for (const auto& nexus : attached()) nexus->abort_tasks(ticket);
}

TaskCounts LogicalUnit::counts() const {
  const std::lock_guard lock(mutex_);
  TaskCounts sum = ended_;
  for (const auto& nexus : nexuses_) sum += nexus->counters.counts();
  return sum;
}

std::size_t LogicalUnit::nexuses() const {
  const std::lock_guard lock(mutex_);
  return nexuses_.size();
}

void ItlNexus::abort_tasks(block::AbortTicket ticket) {
  nexus_->run([self = shared_from_this(), ticket = std::move(ticket)](Nexus* nexus) mutable {
    if (nexus != nullptr) nexus->abort_tasks(*self, std::move(ticket), Nexus::Abort::all);
  });
}

void ItlNexus::reservation_notice(block::ReservationNotice notice) noexcept {
  switch (notice) {
    case block::ReservationNotice::registration_preempted:
      return attentions_.establish(sense::registrations_preempted.code);
    case block::ReservationNotice::reservation_released:
      return attentions_.establish(sense::reservations_released.code);
    case block::ReservationNotice::reservation_preempted:
      return attentions_.establish(sense::reservations_preempted.code);
  }
}

// Under the lock of the reservations: always in a later turn.
void ItlNexus::abort_commands(block::AbortTicket ticket) noexcept {
  nexus_->post([self = shared_from_this(), ticket = std::move(ticket)](Nexus* nexus) mutable {
    if (nexus != nullptr) nexus->abort_tasks(*self, std::move(ticket), Nexus::Abort::preempted);
  });
}

}  // namespace target::scsi
