// Answers of SCSI commands, and data to hosts.
#include <algorithm>
#include <utility>

#include "engine/foundation/check.h"
#include "engine/media/buffer_pool.h"
#include "protocol/scsi/sense.h"
#include "target/iscsi/connection.h"
#include "target/scsi/command_outcome.h"

namespace target::iscsi {

namespace iscsi = protocol::iscsi;
using protocol::scsi::Sense;
using protocol::scsi::Status;
using State = TaskSlot::State;

namespace {

// RFC 7143, 11.4.5. `sent`: bytes of data that have gone to the host.
iscsi::Residual residual_of(const TaskSlot& slot, Status status, std::uint32_t sent) {
  const std::uint32_t expected = slot.expected_bytes;
  const bool to_host = slot.direction == scsi::DataDirection::to_host;
  if (status == Status::good || status == Status::condition_met) {
    if (slot.command_bytes > expected) return iscsi::residual_of(expected, slot.command_bytes);
    return iscsi::residual_of(expected, to_host ? sent : slot.command_bytes);
  }
  // What was not moved, whatever the command wanted.
  const std::uint32_t moved = to_host ? sent : std::max(slot.data_bytes, slot.arrived);
  return iscsi::residual_of(expected, std::min(moved, expected));
}

}  // namespace

TaskSlot& Connection::back_from_nexus(scsi::Task& task) {
  auto& slot = static_cast<TaskSlot&>(task);
  CHECK(slot.state == State::executing);
  --with_nexus_;
  command_ended();
  return slot;
}

void Connection::lease_for_host(scsi::Task& task, std::uint32_t bytes) {
  TaskSlot& slot = back_from_nexus(task);
  CHECK(bytes != 0);
  if (bytes > engine::BufferPool::largest.value) {
    return give_up(slot, protocol::scsi::sense::invalid_field_in_cdb);
  }
  forget_arriving(slot);  // data that nobody has asked for
  slot.to_host = true;
  slot.state = State::waiting;
  buffers().wait(slot, bytes);
}

void Connection::respond(scsi::Task& task, Status status) {
  answer(back_from_nexus(task), status, nullptr);
}

void Connection::respond(scsi::Task& task, const Sense& sense) {
  answer(back_from_nexus(task), Status::check_condition, &sense);
}

// Whichever of MaxRecvDataSegmentLength and MaxBurstLength is smaller.
std::uint32_t Connection::data_in_bytes() const {
  return std::min(parameters_.send_data_segment_bytes, parameters_.max_burst_bytes);
}

template <class Part>
void Connection::send_data(TaskSlot& slot, std::uint32_t bytes, bool with_status, Part&& part) {
  std::uint32_t burst = 0;
  for (std::uint32_t offset = 0; offset < bytes;) {
    const std::uint32_t length = std::min(
        {parameters_.send_data_segment_bytes, bytes - offset, parameters_.max_burst_bytes - burst});
    const bool is_last = offset + length == bytes;
    burst = (burst + length) % parameters_.max_burst_bytes;
    iscsi::DataIn data;
    data.initiator_task_tag = slot.tag;
    data.data_sn = slot.next_sn++;
    data.offset = offset;
    data.data_bytes = length;
    data.final = is_last || burst == 0;
    if (is_last && with_status) {
      leave_window(slot);
      data.has_status = true;
      data.status = static_cast<std::uint8_t>(Status::good);
      data.residual = residual_of(slot, Status::good, bytes);
    }
    (void)iscsi::encode_data_in_header(output().append(iscsi::header_bytes(digests_)), digests_,
                                       sequence(data.has_status), data);
    const iscsi::DataDigest digest(part(offset, length, is_last));
    if (const std::size_t trailer = iscsi::data_trailer_bytes(digests_, length); trailer != 0) {
      (void)iscsi::encode_data_trailer(output().append(trailer), digests_, length, digest);
    }
    offset += length;
  }
  send_soon();
}

void Connection::respond_with_data(scsi::Task& task, std::uint32_t bytes, const Sense* sense) {
  TaskSlot& slot = back_from_nexus(task);
  CHECK(bytes <= slot.lease.bytes().size());
  const std::uint32_t sent =
      slot.direction == scsi::DataDirection::to_host ? std::min(bytes, slot.expected_bytes) : 0;
  const Status status = sense == nullptr ? Status::good : Status::check_condition;
  if (!may_answer() || sent == 0) return answer(slot, status, sense);
  const auto data = std::span<const std::byte>(slot.lease.bytes()).first(sent);
  const engine::PieceSums sums = slot.sums.bytes() == sent ? slot.sums.view() : engine::PieceSums();
  buffers().hand_over(slot);
  send_data(slot, sent, sense == nullptr,
            [&](std::uint32_t offset, std::uint32_t length, bool is_last) -> std::uint32_t {
              const auto part = data.subspan(offset, length);
              std::uint32_t crc = 0;
              if (digests_.data) crc = sums.part(offset, length).whole(part);
              if (is_last) {
                output().append_payload(part, std::move(slot.lease));
              } else {
                output().append_payload_part(part);
              }
              return crc;
            });
  if (sense != nullptr) return answer(slot, status, sense, sent);
  count(slot, status, sense, sent);
  release(slot);
}

// In one Data-In: the checksum that comes with the read is that of all of it. A host that takes
// nothing ties up no more than with buffers: what it leaves in the cache may have to be copied.
bool Connection::may_respond_in_place(const scsi::Task& task, std::uint32_t bytes) const {
  return task.direction == scsi::DataDirection::to_host && bytes <= task.expected_bytes &&
         bytes <= data_in_bytes() && bytes <= engine::BufferPool::largest.value &&
         buffers().may_pin(bytes);
}

void Connection::respond_in_place(scsi::Task& task, engine::PinnedRead read) {
  TaskSlot& slot = back_from_nexus(task);
  if (slot.request.io.is_timed) slot.request.began = slot.request.ended = reactor().now();
  const auto bytes = static_cast<std::uint32_t>(read.bytes());
  CHECK(bytes <= slot.expected_bytes && bytes <= data_in_bytes());
  if (!may_answer()) return abandon(slot);
  send_data(slot, bytes, true,
            [&](std::uint32_t /*offset*/, std::uint32_t /*length*/, bool /*is_last*/) {
              const std::uint32_t crc = digests_.data ? read.checksum() : 0;
              output().append_pinned(std::move(read), reactor().now());
              return crc;
            });
  count(slot, Status::good, nullptr, bytes);
  release(slot);
}

void Connection::answer(TaskSlot& slot, Status status, const Sense* sense, std::uint32_t sent) {
  if (may_answer()) {
    leave_window(slot);
    protocol::scsi::SenseBytes encoded;
    if (sense != nullptr) encoded = protocol::scsi::encode_sense(*sense, slot.sense_format);
    const std::size_t bytes = sense == nullptr ? 0 : iscsi::sense_length_bytes + encoded.size;
    const auto space =
        output().append(iscsi::pdu_bytes(digests_, static_cast<std::uint32_t>(bytes)));
    (void)iscsi::encode_scsi_response(space, digests_, sequence(true),
                                      {.initiator_task_tag = slot.tag,
                                       .exp_data_sn = slot.next_sn,
                                       .status = static_cast<std::uint8_t>(status),
                                       .residual = residual_of(slot, status, sent)},
                                      encoded.span());
    send_soon();
  }
  count(slot, status, sense, sent);
  release(slot);
}

void Connection::drop(scsi::Task& task) { abandon(back_from_nexus(task)); }

void Connection::abandon(TaskSlot& slot) {
  count_dropped(slot.request);
  release(slot);
}

void Connection::count(TaskSlot& slot, Status status, const Sense* sense, std::uint32_t sent) {
  if (slot.request.volume == nullptr) return;
  const bool to_host = slot.direction == scsi::DataDirection::to_host;
  const std::uint64_t bytes = to_host ? sent : slot.command_bytes;
  const block::CommandKind kind = scsi::counted_kind(slot.cdb);
  if (status == Status::good && sense == nullptr) [[likely]] {
    return count_success(slot.request, kind, bytes);
  }
  count_answered(slot.request,
                 {.kind = kind, .outcome = scsi::counted_outcome(status, sense), .bytes = bytes});
}

void Connection::answer_without_room(const iscsi::ScsiCommand& command) {
  const bool moves = command.read || command.write;
  append_pdu(0, [&](std::span<std::byte> space) {
    (void)iscsi::encode_scsi_response(
        space, digests_, sequence(true),
        {.initiator_task_tag = command.initiator_task_tag,
         .status = static_cast<std::uint8_t>(Status::task_set_full),
         .residual = iscsi::residual_of(moves ? command.expected_bytes : 0, 0)},
        {});
  });
}

bool Connection::take_back(scsi::Task& task) {
  auto& slot = static_cast<TaskSlot&>(task);
  if (slot.state == State::waiting) {
    (void)buffers().stop_waiting(slot);  // false when the connection has ended: nobody waits then
  } else if (slot.state != State::receiving) {
    return false;
  }
  hand_back(slot);
  return true;
}

// Data that is still on its way for this task is thrown away from here on.
void Connection::forget_arriving(TaskSlot& slot) {
  if (data_slot_ == &slot) {
    data_slot_ = nullptr;
    throw_data_away();
  }
  if (slot.solicited_left != 0 && stage_ != Stage::over) bulk_arrived(slot.solicited_left);
  if (slot.solicited_left != 0 || slot.unsolicited_open) {
    ended_tags_[next_ended_tag_++ % most_ended_tags] = slot.tag;
  }
  slot.solicited_left = 0;
  slot.soliciting = slot.unsolicited_open = false;
}

// Its place in the CmdSN window is free with the PDU that ends it.
void Connection::leave_window(TaskSlot& slot) {
  if (std::exchange(slot.in_window, false)) window_.slot_given_back();
}

void Connection::release(TaskSlot& slot) {
  forget_arriving(slot);
  stop_owing(slot);
  leave_window(slot);
  buffers().release(slot);
  slots_.give_back(slot);
  if (ending() && with_nexus_ == 0) end_nexus_soon();
  if (buffers().has_waiting() || ending()) send_soon();
}

}  // namespace target::iscsi
