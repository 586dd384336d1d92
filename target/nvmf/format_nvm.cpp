// AdminQueue: Format NVM (Base 2.1). What it leaves is zeros, whatever SES asks for; nobody else
// may have the namespace, and it is answered when every block is done.
#include <utility>

#include "protocol/nvme/identify_controller.h"
#include "protocol/nvme/persistent_event_log.h"
#include "target/block/lba_formats.h"
#include "target/nvmf/admin_queue.h"
#include "target/nvmf/session.h"
#include "target/nvmf/session_handle.h"
#include "target/nvmf/subsystem.h"
#include "target/nvmf/target.h"
#include "target/reactor/log.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using block::VolumeFormatter;
using nvme::Parsed;
using nvme::Refusal;

namespace {

nvme::Status status_of_format(VolumeFormatter::End end) {
  switch (end) {
    case VolumeFormatter::End::done:
      return nvme::status::success;
    case VolumeFormatter::End::in_use:
      return nvme::status::operation_denied;
    case VolumeFormatter::End::in_progress:
      return nvme::status::format_in_progress;
    case VolumeFormatter::End::failed:
      return nvme::status::internal_error;
    case VolumeFormatter::End::stopped:
      return nvme::status::abort_requested;
  }
  return nvme::status::internal_error;
}

// What needs no look at the namespace.
Parsed<void> check_fields(const nvme::FormatNvm& command) {
  // FNA says that not all namespaces can be formatted at once.
  if (command.nsid == nvme::every_namespace) {
    return Refusal{nvme::status::invalid_field, nvme::at_byte(4)};
  }
  if (command.erase == nvme::SecureErase::cryptographic) {
    return Refusal{nvme::status::invalid_field, nvme::at_dword(10, 9)};
  }
  if (command.protection != 0) {
    return Refusal{nvme::status::invalid_format, nvme::at_dword(10, 5)};
  }
  return engine::success();
}

Parsed<void> check_volume(block::BlockVolume& volume) {
  const engine::VolumeCondition now = volume.volume().condition();
  if (now.state != engine::VolumeState::online && now.state != engine::VolumeState::degraded) {
    return Refusal{nvme::status::namespace_not_ready, nvme::at_byte(4)};
  }
  if (!volume.may_format()) return Refusal{nvme::status::operation_denied, nvme::at_byte(4)};
  if (volume.volume().is_formatting()) {
    return Refusal{nvme::status::format_in_progress, nvme::at_byte(4)};
  }
  if (!now.promise.writable) {
    return Refusal{nvme::status::namespace_write_protected, nvme::at_byte(4)};
  }
  const auto reservations = volume.reservations().report();
  if (!reservations) return Refusal{nvme::status::namespace_not_ready, nvme::at_byte(4)};
  if (!reservations->registrants.empty() || volume.reservations().is_unit_reserved()) {
    return Refusal{nvme::status::reservation_conflict, nvme::at_byte(4)};
  }
  return engine::success();
}

}  // namespace

Parsed<AdminQueue::WantedFormat> AdminQueue::wanted_format(const nvme::FormatNvm& command) const {
  TRY(check_fields(command));
  const auto view = controller_->subsystem().view_for(controller_->association().host_nqn);
  const Namespace* const found = view->find(command.nsid.value);
  if (found == nullptr) return Refusal{nvme::status::invalid_namespace, nvme::at_byte(4)};
  const auto blocks = block::lba_formats_of(*found->volume).at(command.lba_format);
  if (!blocks) return Refusal{nvme::status::invalid_format, nvme::at_dword(10)};
  TRY(check_volume(*found->volume));
  return WantedFormat{.volume = found->volume, .blocks = *blocks};
}

void AdminQueue::format_nvm(CommandPermit permit, const nvme::FormatNvm& command) {
  if (target_.formatter() == nullptr) {
    return refuse(std::move(permit), {nvme::status::operation_denied});
  }
  if (format_ != nullptr) return refuse(std::move(permit), {nvme::status::format_in_progress});
  const auto wanted = wanted_format(command);
  if (!wanted) return refuse(std::move(permit), wanted.error());

  nvme::FormatStartEvent started{};
  started.nsid = command.nsid.value;
  started.attributes = nvme::format_attributes;
  started.dword10 = permit.command().entry.cdw10;
  controller_->remember_format(started);
  format_ = &permit.park();
  const std::uint64_t number = ++formats_;
  target_.formatter()->format(
      *wanted.value().volume, controller_->association().host_nqn, wanted.value().blocks,
      [session = session_, controller = controller_, nsid = command.nsid,
       number](VolumeFormatter::End end) {
        nvme::FormatCompletionEvent completed{};
        completed.nsid = nsid.value;
        completed.format_status = end == VolumeFormatter::End::done ? 0 : 1;
        completed.status = nvme::make_completion(0, status_of_format(end), 0).status >> 1;
        controller->remember_format(completed);
        session->post([number, end](Session* owner) {
          if (owner != nullptr) owner->format_ended(number, end);
        });
      });
}

void AdminQueue::format_ended(std::uint64_t number, VolumeFormatter::End end) {
  if (format_ == nullptr || number != formats_) return;  // its host has left it
  CommandPermit permit = CommandPermit::resume(*std::exchange(format_, nullptr));
  const nvme::Status status = status_of_format(end);
  if (status.is_success()) return permit.respond(status);
  refuse(std::move(permit), {status, nvme::at_byte(4)});
}

void AdminQueue::leave_format(nvme::Status status) {
  if (format_ == nullptr) return;
  CommandPermit::resume(*std::exchange(format_, nullptr)).respond(status);
}

}  // namespace target::nvmf
