#include "target/scsi/unit_commands.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "protocol/scsi/capacity.h"
#include "protocol/scsi/defect_list.h"
#include "protocol/scsi/inquiry.h"
#include "protocol/scsi/lba_status.h"
#include "protocol/scsi/log_page.h"
#include "protocol/scsi/mode_page.h"
#include "protocol/scsi/report_luns.h"
#include "protocol/scsi/supported_opcodes.h"
#include "protocol/scsi/target_port_group.h"
#include "protocol/scsi/vpd.h"
#include "target/block/block_status.h"
#include "target/scsi/block_range.h"
#include "target/scsi/data_phase.h"
#include "target/scsi/outcome.h"
#include "target/scsi/target_device.h"
#include "target/scsi/unit_limits.h"

namespace target::scsi {

namespace command = protocol::scsi;
namespace sense = protocol::scsi::sense;
using protocol::scsi::Answer;
using protocol::scsi::Sense;
using Refusal = std::optional<Sense>;

namespace {

protocol::scsi::Peripheral peripheral_of(const Task& task) {
  if (task.itl != nullptr) return protocol::scsi::Peripheral::block_device;
  if (task.lun == protocol::scsi::report_luns_unit) {
    return protocol::scsi::Peripheral::well_known_unit;
  }
  return protocol::scsi::Peripheral::absent;
}

protocol::scsi::ModeFacts mode_facts(const ItlNexus& itl) {
  return {.size = size_of(itl),
          .block_size = block_size(itl),
          .write_protected = !itl.unit().volume_writable()};
}

protocol::scsi::Capacity capacity_of(const ItlNexus& itl) {
  return {.size = size_of(itl),
          .block_size = block_size(itl),
          .physical_block_bytes = itl.unit().atomic_writes().physical_block_bytes(block_size(itl)),
          .lowest_aligned = {},
          .unmap = features_of(&itl).unmap,
          .unmapped_reads_zero = true};
}

// SPC-4, "Echo buffer descriptor mode": EBOS, as nobody else overwrites what was left, and BUFFER
// CAPACITY.
void put_echo_descriptor(Answer& answer) {
  constexpr std::uint8_t overwriting_is_known = 0x01;
  answer.put(overwriting_is_known);
  answer.put_zeros(1);
  answer.put(static_cast<std::uint8_t>(command::echo_buffer_bytes >> 8));
  answer.put(static_cast<std::uint8_t>(command::echo_buffer_bytes & 0xff));
}

}  // namespace

protocol::scsi::UnitFeatures features_of(const ItlNexus* itl) {
  protocol::scsi::UnitFeatures features;
  if (itl != nullptr) {
    features.write_atomic = atomic_blocks(itl->unit().atomic_writes(), block_size(*itl)).value != 0;
  }
  return features;
}

void UnitCommands::run(TaskPermit permit, const command::Inquiry& inquiry, bool ready) {
  const Task& task = permit.task();
  answer_from_memory(
      sink_, std::move(permit), inquiry.allocation_bytes, ready, [&](Answer& answer) -> Refusal {
        const auto peripheral = peripheral_of(task);
        if (!inquiry.vital_product_data) {
          put_standard_inquiry(answer,
                               {.peripheral = peripheral, .revision = device_.product_revision()});
          return std::nullopt;
        }
        protocol::scsi::UnitPages pages;
        pages.peripheral = peripheral;
        pages.features = features_of(task.itl);
        pages.target_name = device_.name();
        pages.target_port_group = identity_.target_port;
        pages.relative_target_port = identity_.target_port;
        if (task.itl != nullptr) {
          pages.volume = task.itl->volume().volume().identity().uuid;
          // Its pool is not there, so nobody knows yet which volume it is: a made-up name could be
          // taken for another volume's.
          const auto page = static_cast<protocol::scsi::VpdPage>(inquiry.page);
          const bool tells_names = page == protocol::scsi::VpdPage::unit_serial_number ||
                                   page == protocol::scsi::VpdPage::device_identification;
          if (tells_names && pages.volume.is_nil()) return sense::not_ready_becoming_ready;
          pages.limits = block_limits(block_size(*task.itl), task.itl->unit().atomic_writes());
        }
        if (!put_vpd_page(answer, inquiry.page, pages)) return sense::invalid_cdb(2);
        return std::nullopt;
      });
}

void UnitCommands::run(TaskPermit permit, const command::ReportLuns& report, bool ready,
                       std::span<const std::shared_ptr<ItlNexus>> units) {
  std::vector<protocol::scsi::Lun> luns;
  for (const auto& itl : units) {
    luns.push_back(protocol::scsi::Lun::of_unit(itl->unit().lun()));
    if (ready) itl->attentions().clear(sense::luns_changed.code);
  }
  answer_from_memory(sink_, std::move(permit), report.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       put_report_luns(answer, report.select, luns);
                       return std::nullopt;
                     });
}

// SPC-4, "REQUEST SENSE command": a unit attention that waits is told as parameter data, and is
// over then.
void UnitCommands::run(TaskPermit permit, const command::RequestSense& request, bool ready) {
  ItlNexus* const itl = permit.task().itl;
  Sense found = sense::none;
  if (itl == nullptr) {
    if (permit.task().lun != protocol::scsi::report_luns_unit) found = sense::unit_not_supported;
  } else if (const auto code = ready ? itl->attentions().take() : itl->attentions().peek()) {
    found = {.key = protocol::scsi::SenseKey::unit_attention, .code = *code};
  } else if (const auto why = not_ready(itl->volume().volume())) {
    found = *why;
  }
  const auto format = request.descriptor_format ? protocol::scsi::SenseFormat::descriptor
                                                : protocol::scsi::SenseFormat::fixed;
  answer_from_memory(sink_, std::move(permit), request.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       answer.put_bytes(encode_sense(found, format).span());
                       return std::nullopt;
                     });
}

void UnitCommands::run(TaskPermit permit, const command::TestUnitReady&, bool /*ready*/) {
  sink_.good(std::move(permit));
}

void UnitCommands::run(TaskPermit permit, const command::ReadCapacity10&, bool ready) {
  const ItlNexus& itl = *permit.task().itl;
  answer_from_memory(sink_, std::move(permit), protocol::scsi::read_capacity10_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       put_read_capacity10(answer, capacity_of(itl));
                       return std::nullopt;
                     });
}

void UnitCommands::run(TaskPermit permit, const command::ReadCapacity16& capacity, bool ready) {
  const ItlNexus& itl = *permit.task().itl;
  answer_from_memory(sink_, std::move(permit), capacity.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       put_read_capacity16(answer, capacity_of(itl));
                       return std::nullopt;
                     });
}

// SBC-4 lets a device say "mapped" of what it does not know to be otherwise.
void UnitCommands::run(TaskPermit permit, const command::GetLbaStatus& status, bool ready) {
  const ItlNexus& itl = *permit.task().itl;
  const engine::Lba end{size_of(itl).value};
  if (status.first >= end) return sink_.answer(std::move(permit), sense::lba_out_of_range);
  constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
  const block::Extent extent = block::mapped_from(itl.volume().volume(), status.first);
  const protocol::scsi::LbaStatus mapped{
      .blocks = {status.first, {std::min(most, (extent.end - status.first).value)}},
      .status = protocol::scsi::ProvisioningStatus::mapped};
  answer_from_memory(sink_, std::move(permit), status.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       put_lba_status(answer, {&mapped, 1});
                       return std::nullopt;
                     });
}

void UnitCommands::run(TaskPermit permit, const command::ReadDefectData& defects, bool ready) {
  answer_from_memory(sink_, std::move(permit), defects.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       put_empty_defect_list(answer, defects);
                       return std::nullopt;
                     });
}

void UnitCommands::run(TaskPermit permit, const command::ModeSense& mode, bool ready) {
  const ItlNexus& itl = *permit.task().itl;
  answer_from_memory(sink_, std::move(permit), mode.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       return put_mode_sense(answer, mode, itl.unit().mode(), mode_facts(itl));
                     });
}

void UnitCommands::run(TaskPermit permit, const command::ModeSelect& select, bool ready) {
  ItlNexus& itl = *permit.task().itl;
  if (select.parameter_bytes > protocol::scsi::max_mode_select_bytes) {
    return sink_.answer(std::move(permit), sense::parameter_list_length_error);
  }
  std::span<const std::byte> list;
  if (select.parameter_bytes != 0) {
    const auto data = host_data(sink_, permit, select.parameter_bytes, ready);
    if (!data) return;
    list = *data;
  }
  const auto mode = parse_mode_select(select, list, itl.unit().mode(), mode_facts(itl));
  if (!mode) return sink_.answer(std::move(permit), mode.error());
  itl.unit().set_mode(mode.value(), itl);
  sink_.good(std::move(permit));
}

void UnitCommands::run(TaskPermit permit, const command::LogSense& log, bool ready) {
  answer_from_memory(sink_, std::move(permit), log.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal { return put_log_page(answer, log, {}); });
}

// The self-test is whether the volume is there: its disks are looked after all the time, and what
// is wrong with them is the daemon's to tell.
void UnitCommands::run(TaskPermit permit, const command::SendDiagnostic& diagnostic,
                       bool /*ready*/) {
  if (diagnostic.self_test) {
    if (const auto why = not_ready(permit.task().itl->volume().volume())) {
      return sink_.answer(std::move(permit), *why);
    }
  }
  sink_.good(std::move(permit));
}

void UnitCommands::run(TaskPermit permit, const command::ReadBuffer& read, bool ready) {
  using Mode = command::ReadBuffer::Mode;
  const bool is_left_here = !echo_.empty() && echo_lun_ == permit.task().itl->unit().lun();
  answer_from_memory(sink_, std::move(permit), read.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       switch (read.mode) {
                         case Mode::descriptor:
                           answer.put_zeros(4);  // no capacity: there is no such buffer
                           break;
                         case Mode::echo:
                           if (!is_left_here) return sense::command_sequence_error;
                           answer.put_bytes(echo_);
                           break;
                         case Mode::echo_descriptor:
                           put_echo_descriptor(answer);
                           break;
                       }
                       return std::nullopt;
                     });
}

void UnitCommands::run(TaskPermit permit, const command::WriteBuffer& write, bool ready) {
  if (write.parameter_bytes == 0) return sink_.good(std::move(permit));
  const auto data = host_data(sink_, permit, write.parameter_bytes, ready);
  if (!data) return;
  echo_.assign(data->begin(), data->end());
  echo_lun_ = permit.task().itl->unit().lun();
  sink_.good(std::move(permit));
}

// A volume is shared: whoever stopped it would stop it for others. So stopping and starting succeed
// and change nothing, as SBC-4 lets a device without power conditions do.
void UnitCommands::run(TaskPermit permit, const command::StartStopUnit&, bool /*ready*/) {
  sink_.good(std::move(permit));
}

void UnitCommands::run(TaskPermit permit, const command::PreventAllowMediumRemoval&,
                       bool /*ready*/) {
  sink_.good(std::move(permit));  // no medium can be removed anyway
}

void UnitCommands::run(TaskPermit permit, const command::ReportSupportedOpcodes& report,
                       bool ready) {
  const ItlNexus* const itl = permit.task().itl;
  answer_from_memory(sink_, std::move(permit), report.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       return put_supported_opcodes(answer, report, features_of(itl));
                     });
}

void UnitCommands::run(TaskPermit permit, const command::ReportSupportedTaskManagement& report,
                       bool ready) {
  answer_from_memory(sink_, std::move(permit), report.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       put_supported_task_management(answer, report);
                       return std::nullopt;
                     });
}

namespace {

// A volume that is late says so itself (04/01), the same through every port.
protocol::scsi::AccessState scsi_state_of(block::AccessState state) {
  using protocol::scsi::AccessState;
  switch (state) {
    case block::AccessState::optimized:
      return AccessState::active_optimized;
    case block::AccessState::non_optimized:
      return AccessState::active_non_optimized;
    case block::AccessState::inaccessible:
    case block::AccessState::persistent_loss:
      return AccessState::unavailable;
    case block::AccessState::change:
      return AccessState::transitioning;
  }
  return AccessState::unavailable;
}

}  // namespace

// Each target port is a group of its own: all lead to the same memory, and what differs is what the
// operator has said of the listeners.
void UnitCommands::run(TaskPermit permit, const command::ReportTargetPortGroups& report,
                       bool ready) {
  constexpr std::uint8_t altered_implicitly = 2;
  const std::vector<std::uint16_t> ports = device_.target_ports();
  std::vector<protocol::scsi::TargetPortGroup> groups;
  for (const std::uint16_t& port : ports) {
    const auto state = device_.port_state(port);
    const bool is_usual = state == block::AccessState::optimized;
    groups.push_back({.group = port,
                      .state = scsi_state_of(state),
                      .status_code = is_usual ? std::uint8_t{0} : altered_implicitly,
                      .relative_target_ports = {&port, 1}});
  }
  answer_from_memory(sink_, std::move(permit), report.allocation_bytes, ready,
                     [&](Answer& answer) -> Refusal {
                       put_target_port_groups(answer, report, groups);
                       return std::nullopt;
                     });
}

void UnitCommands::run(TaskPermit permit, const command::SetTargetPortGroups& set, bool ready) {
  if (set.parameter_bytes > protocol::scsi::max_set_target_port_groups_bytes) {
    return sink_.answer(std::move(permit), sense::parameter_list_length_error);
  }
  if (set.parameter_bytes == 0) return sink_.good(std::move(permit));
  const auto data = host_data(sink_, permit, set.parameter_bytes, ready);
  if (!data) return;
  const auto list = protocol::scsi::parse_set_target_port_groups(*data);
  if (!list) return sink_.answer(std::move(permit), list.error());
  const std::vector<std::uint16_t> ports = device_.target_ports();
  for (const auto& entry : list.value().span()) {
    if (std::find(ports.begin(), ports.end(), entry.group) == ports.end()) {
      return sink_.answer(std::move(permit), sense::invalid_field_in_list);
    }
    // What it is already; the operator alone makes it something else.
    if (entry.state != scsi_state_of(device_.port_state(entry.group))) {
      return sink_.answer(std::move(permit), sense::set_target_port_groups_failed);
    }
  }
  sink_.good(std::move(permit));
}

}  // namespace target::scsi
