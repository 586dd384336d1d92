// SCSI commands and the data that hosts send for them: immediate, unsolicited, and asked for by R2T
// (RFC 7143, 4.2.5.2).
#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/media/buffer_pool.h"
#include "protocol/scsi/sense.h"
#include "target/iscsi/connection.h"
#include "target/scsi/outcome.h"

namespace target::iscsi {

namespace iscsi = protocol::iscsi;
namespace sense = protocol::scsi::sense;
using iscsi::RejectReason;
using protocol::scsi::Sense;
using protocol::scsi::SenseKey;
using protocol::scsi::Status;
using State = TaskSlot::State;

namespace {

// RFC 7143, 11.4.7.2: what goes wrong below SCSI, as sense data.
constexpr Sense unexpected_unsolicited_data{.key = SenseKey::aborted_command,
                                            .code = {.asc = 0x0c, .ascq = 0x0c}};
constexpr Sense protocol_service_crc_error{.key = SenseKey::aborted_command,
                                           .code = {.asc = 0x47, .ascq = 0x05}};

constexpr auto largest_buffer = static_cast<std::uint32_t>(engine::BufferPool::largest.value);

scsi::TaskAttribute attribute_of(iscsi::TaskAttribute attribute) {
  switch (attribute) {
    case iscsi::TaskAttribute::untagged:
      return scsi::TaskAttribute::untagged;
    case iscsi::TaskAttribute::simple:
      return scsi::TaskAttribute::simple;
    case iscsi::TaskAttribute::ordered:
      return scsi::TaskAttribute::ordered;
    case iscsi::TaskAttribute::head_of_queue:
      return scsi::TaskAttribute::head_of_queue;
    case iscsi::TaskAttribute::aca:
      break;
  }
  return scsi::TaskAttribute::aca;
}

}  // namespace

void Connection::begin_command(TaskSlot& slot, const iscsi::ScsiCommand& command) {
  slot.state = State::arriving;
  std::ranges::copy(command.cdb, slot.cdb.begin());
  slot.lun = {command.lun};
  slot.attribute = attribute_of(command.attribute);
  slot.direction = command.write  ? scsi::DataDirection::from_host
                   : command.read ? scsi::DataDirection::to_host
                                  : scsi::DataDirection::none;
  slot.expected_bytes = slot.direction == scsi::DataDirection::none ? 0 : command.expected_bytes;
  slot.command_bytes = 0;
  slot.request.volume = nullptr;
  slot.data_bytes = 0;
  slot.sums.clear();
  slot.sense_format = protocol::scsi::SenseFormat::fixed;
  slot.port = this;
  slot.to_host = slot.owes = slot.failed = slot.soliciting = false;
  slot.arrived = slot.unsolicited_sn = slot.asked = slot.next_sn = slot.solicited_left = 0;
  slot.unsolicited_open = false;
  slot.kept_bytes = 0;

  const std::uint32_t immediate = pdu_data_bytes();
  slot.unsolicited_most =
      command.final ? immediate : std::min(parameters_.first_burst_bytes, slot.expected_bytes);
  const bool unexpected =
      (immediate != 0 && (!parameters_.immediate_data || !command.write)) ||
      immediate > std::min(parameters_.first_burst_bytes, slot.expected_bytes) ||
      (command.write && !command.final && parameters_.initial_r2t);
  slot.unsolicited_open = command.write && !command.final;
  if (unexpected) return answer(slot, Status::check_condition, &unexpected_unsolicited_data);
  // No command here has data both ways, or a CDB of more than 16 bytes.
  if ((command.read && command.write) || !command.cdb_extension.empty()) {
    return answer(slot, Status::check_condition, &sense::invalid_opcode);
  }
  if (block::BlockVolume* const volume = nexus_->volume_of(slot)) {
    block::begin_command(slot.request, *volume, reactor());
  }
  if (slot.unsolicited_most == 0) return execute(slot);
  begin_unsolicited(slot);
}

// The place for what comes unasked must be there now. Best for all of the command's data; if that
// is too much now, or the limits of its volume may hold the command back, for the first burst, for
// which the stream waits.
void Connection::begin_unsolicited(TaskSlot& slot) {
  data_slot_ = &slot;
  arriving_ = Arriving::immediate_data;
  if (!is_limited(slot) &&
      buffers().lease_now(slot, std::min(slot.expected_bytes, largest_buffer))) {
    return stream_granted(slot);
  }
  buffers().wait_in_stream(slot, slot.unsolicited_most);
}

void Connection::stream_granted(BufferHolder& holder) {
  auto& slot = static_cast<TaskSlot&>(holder);
  if (digests_.data) {
    (void)slot.sums.begin(std::min(slot.expected_bytes, largest_buffer));
  }
  if (pdu_data_bytes() != 0) return receive_data_of(slot, Arriving::immediate_data, 0);
  data_slot_ = nullptr;
  arriving_ = Arriving::nothing;
  execute(slot);
}

void Connection::stream_refused(BufferHolder& holder) {
  auto& slot = static_cast<TaskSlot&>(holder);
  counters().hang_refusals.fetch_add(1, std::memory_order_relaxed);
  if (pdu_data_bytes() == 0) return send_back(slot);
  data_slot_ = &slot;
  arriving_ = Arriving::refused_data;
}

// Its volume hangs, and what it has of the buffers is all it may have: the host tries again.
void Connection::send_back(TaskSlot& slot) {
  data_slot_ = nullptr;
  arriving_ = Arriving::nothing;
  answer(slot, Status::busy, nullptr);
}

void Connection::receive_data_of(TaskSlot& slot, Arriving what, std::uint32_t offset) {
  data_slot_ = &slot;
  arriving_ = what;
  receive_into(slot.lease.bytes().data() + offset, engine::PieceSummer(slot.sums.view(), offset));
}

void Connection::give_to_nexus(TaskSlot& slot) {
  slot.state = State::executing;
  ++with_nexus_;
  command_began();
}

// Its volume, and not the host, may decide how long it has its buffer.
bool Connection::is_limited(const TaskSlot& slot) {
  return slot.request.volume != nullptr && slot.request.volume->limiter().is_limiting();
}

void Connection::execute(TaskSlot& slot) {
  if (slot.arrived == slot.expected_bytes || is_limited(slot)) buffers().give_to_volume(slot);
  give_to_nexus(slot);
  nexus_->execute(scsi::TaskPermit(slot));
}

void Connection::deliver(TaskSlot& slot) {
  buffers().give_to_volume(slot);
  give_to_nexus(slot);
  nexus_->data_ready(scsi::TaskPermit(slot));
}

bool Connection::has_ended_lately(std::uint32_t tag) const {
  return std::ranges::find(ended_tags_, tag) != ended_tags_.end();
}

// 11.7: in order, and no more than the first burst. At ErrorRecoveryLevel 0 nothing that is missing
// can be asked for again, so that what is wrong ends the session (7.9).
void Connection::take_unsolicited(TaskSlot& slot, const iscsi::DataOut& data) {
  const std::uint32_t bytes = pdu_data_bytes();
  if (data.offset != slot.arrived) {
    return fail(RejectReason::protocol_error, "unsolicited data out of order");
  }
  if (bytes > slot.unsolicited_most - slot.arrived) {
    return fail(RejectReason::protocol_error, "unsolicited data beyond the first burst");
  }
  if (data.data_sn != slot.unsolicited_sn++) slot.failed = true;  // see take_solicited()
  data_is_final_ = data.final;
  const bool wanted = slot.lease && slot.arrived + bytes <= slot.lease.bytes().size() &&
                      !slot.to_host && slot.data_bytes == 0;
  if (bytes == 0) {
    data_slot_ = nullptr;
    return unsolicited_arrived(slot);
  }
  if (wanted) return receive_data_of(slot, Arriving::unsolicited_data, slot.arrived);
  data_slot_ = &slot;  // thrown away, but counted
  arriving_ = Arriving::unsolicited_data;
}

void Connection::unsolicited_arrived(TaskSlot& slot) {
  slot.arrived += pdu_data_bytes();
  if (data_is_final_ || slot.arrived == slot.unsolicited_most) slot.unsolicited_open = false;
  if (slot.state == State::receiving) go_on_receiving(slot);
}

void Connection::take_solicited(const iscsi::DataOut& data) {
  std::size_t window = 0;
  TaskSlot* slot = slots_.by_transfer_tag(data.target_transfer_tag, window);
  if (slot == nullptr || slot->tag != data.initiator_task_tag || !slot->soliciting) {
    if (!has_ended_lately(data.initiator_task_tag)) reject(RejectReason::invalid_pdu_field);
    return;
  }
  const std::uint32_t bytes = pdu_data_bytes();
  const auto expected = slot->transfer.expect(window, data.offset, bytes, data.final);
  if (!expected) {
    if (expected.error() == HostDataFault::unknown_transfer) {
      return reject(RejectReason::invalid_pdu_field);
    }
    return fail(RejectReason::protocol_error, "data that no R2T asked for in this way");
  }
  // 7.9: so a PDU before was lost, and at ErrorRecoveryLevel 0 it cannot be asked for again. Its
  // task fails alone, as after a wrong data digest.
  if (data.data_sn != slot->data_sn[window]++) slot->failed = true;
  if (bytes != 0) receive_data_of(*slot, Arriving::solicited_data, data.offset);
}

void Connection::solicited_arrived(TaskSlot& slot) {
  const std::uint32_t bytes = pdu_data_bytes();
  bulk_arrived(bytes);
  slot.solicited_left -= bytes;
  if (slot.failed) slot.transfer.fail();
  slot.transfer.arrived(bytes);
  go_on_receiving(slot);
}

void Connection::go_on_receiving(TaskSlot& slot) {
  if (slot.soliciting) {
    if (!slot.transfer.complete()) return solicit(slot);
  } else if (slot.arrived < slot.asked) {
    if (slot.unsolicited_open) return;
    if (!slot.failed) return begin_soliciting(slot);
  }
  stop_owing(slot);
  if (slot.failed) return give_up(slot, protocol_service_crc_error);
  if (slot.sums.bytes() != slot.asked) slot.sums.clear();  // its last piece is another
  slot.data_bytes = slot.asked;
  deliver(slot);
  if (buffers().has_waiting()) send_soon();  // the connection may hold more for other volumes
}

void Connection::begin_soliciting(TaskSlot& slot) {
  const std::uint32_t windows =
      std::min<std::uint32_t>(parameters_.max_outstanding_r2t, HostTransfer::most_windows);
  // One at a time asks for everything it may: pieces would only cost round trips.
  const std::uint32_t largest =
      std::min(parameters_.max_burst_bytes, windows > 1 ? solicited_bytes : largest_buffer);
  slot.soliciting = true;
  slot.transfer.begin(slot.asked, largest, windows, slot.arrived);
  solicit(slot);
}

void Connection::solicit(TaskSlot& slot) {
  while (const auto request = slot.transfer.next_request()) {
    expect_bulk(request->length);
    slot.solicited_left += request->length;
    slot.data_sn[request->window] = 0;
    const auto space = output().append(iscsi::header_bytes(digests_));
    (void)iscsi::encode_r2t(space, digests_, sequence(false),
                            {.lun = slot.lun.field,
                             .initiator_task_tag = slot.tag,
                             .target_transfer_tag = slot.transfer_tag(request->window),
                             .r2t_sn = slot.next_sn++,
                             .offset = request->offset,
                             .length = request->length});
    send_soon();
  }
}

void Connection::stop_owing(TaskSlot& slot) {
  if (!std::exchange(slot.owes, false) || stage_ == Stage::over) return;
  data_arrived();
}

void Connection::give_up(TaskSlot& slot, const Sense& why) {
  hand_back(slot);
  nexus_->data_failed(scsi::TaskPermit(slot), why);
}

void Connection::give_up(TaskSlot& slot, Status status) {
  hand_back(slot);
  nexus_->data_failed(scsi::TaskPermit(slot), status);
}

// The nexus's again, whatever its data was waiting for.
void Connection::hand_back(TaskSlot& slot) {
  forget_arriving(slot);
  stop_owing(slot);
  give_to_nexus(slot);
}

// The nexus wants data, or a buffer to fill.
void Connection::buffer_granted(BufferHolder& holder) {
  auto& slot = static_cast<TaskSlot&>(holder);
  if (slot.to_host) return deliver(slot);
  if (digests_.data) (void)slot.sums.begin(slot.asked);
  slot.state = State::receiving;
  slot.owes = true;
  data_asked_for();
  go_on_receiving(slot);
  watch_for_stall();
}

void Connection::receive_from_host(scsi::Task& task, std::uint32_t bytes) {
  TaskSlot& slot = back_from_nexus(task);
  slot.asked =
      std::min(bytes, slot.direction == scsi::DataDirection::from_host ? slot.expected_bytes : 0);
  if (slot.asked == 0) {
    slot.data_bytes = 0;
    return deliver(slot);
  }
  if (slot.asked > largest_buffer) {
    return give_up(slot, sense::invalid_field_in_cdb);
  }
  slot.to_host = false;
  if (!slot.lease) {
    slot.state = State::waiting;
    return buffers().wait(slot, slot.asked);
  }
  if (slot.lease.bytes().size() < slot.asked && !grow(slot)) {
    return give_up(slot, scsi::status_without_room(slot));
  }
  slot.state = State::receiving;
  slot.owes = true;
  data_asked_for();
  go_on_receiving(slot);
  watch_for_stall();
}

// What has come unasked moves into a buffer for all of the data. False: there is none now, and
// nobody waits for one while holding another.
bool Connection::grow(TaskSlot& slot) {
  // Nothing moves under data that is arriving: the host tries again.
  if (data_slot_ == &slot) return false;
  slot.kept_bytes = slot.arrived;
  const bool grown = buffers().lease_now(slot, slot.asked);
  slot.kept_bytes = 0;
  return grown;
}

}  // namespace target::iscsi
