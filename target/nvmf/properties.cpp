#include "target/nvmf/properties.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using nvme::ControllerConfiguration;

nvme::Parsed<std::uint64_t> Properties::get(const nvme::PropertyGet& command) const {
  const auto refused = nvme::Refusal{nvme::status::invalid_field, nvme::at_dword(11)};
  if (command.offset == nvme::property::cap) {
    if (command.size_bytes != 8) return refused;
    return capabilities_.encode();
  }
  if (command.size_bytes != 4) return refused;
  switch (command.offset) {
    case nvme::property::vs:
      return std::uint64_t{nvme::version_2_1};
    case nvme::property::cc:
      return std::uint64_t{configuration_.encode()};
    case nvme::property::csts:
      return std::uint64_t{status_.encode()};
    case nvme::property::nssr:
      return std::uint64_t{0};
    case nvme::property::crto:
      return std::uint64_t{nvme::make_ready_timeouts(capabilities_.timeout_500ms, 0)};
    default:
      return refused;
  }
}

// NSSR is refused too: one host's reset of the subsystem would take every other host's controllers
// away, so CAP.NSSRS is 0 (Base 2.1, "NVM Subsystem Reset", leaves the capability to the
// implementation).
nvme::Parsed<Properties::Effect> Properties::set(const nvme::PropertySet& command) {
  if (command.offset != nvme::property::cc || command.size_bytes != 4) {
    return nvme::Refusal{nvme::status::invalid_field, nvme::at_dword(11)};
  }
  return configure(ControllerConfiguration::decode(static_cast<std::uint32_t>(command.value)));
}

bool Properties::possible(const ControllerConfiguration& wanted) const {
  const auto set = static_cast<nvme::CommandSetSelect>(wanted.command_set);
  const bool known_set =
      (set == nvme::CommandSetSelect::nvm && capabilities_.nvm_command_set) ||
      (set == nvme::CommandSetSelect::all_supported && capabilities_.all_io_command_sets) ||
      (set == nvme::CommandSetSelect::admin_only && capabilities_.no_io_command_set);
  // Entry sizes may stay 0 until I/O queues are used; hosts over Fabrics may not set them at all.
  const bool entry_sizes =
      (wanted.submission_entry_log2 == 0 || wanted.submission_entry_log2 == 6) &&
      (wanted.completion_entry_log2 == 0 || wanted.completion_entry_log2 == 4);
  return known_set && entry_sizes && wanted.memory_page_size == 0 && wanted.arbitration == 0 &&
         !wanted.ready_independent_of_media;
}

Properties::Effect Properties::configure(const ControllerConfiguration& wanted) {
  const ControllerConfiguration before = configuration_;
  configuration_ = wanted;
  if (before.enable && !wanted.enable) {
    // A Controller Level Reset ends a shutdown and a fatal status too.
    status_ = {};
    return Effect::disabled;
  }
  if (!before.enable && wanted.enable) {
    if (!possible(wanted)) {
      status_.fatal = true;
      return Effect::failed;
    }
    // A shutdown that was asked for while it was disabled ends here.
    status_.shutdown = nvme::ShutdownStatus::normal_operation;
    status_.ready = true;
    if (wanted.shutdown == nvme::ShutdownNotification::none) return Effect::enabled;
  }
  const bool shuts_down = wanted.shutdown != nvme::ShutdownNotification::none &&
                          wanted.shutdown != nvme::ShutdownNotification::reserved &&
                          status_.shutdown == nvme::ShutdownStatus::normal_operation;
  if (!shuts_down) return Effect::none;
  // Whatever was acknowledged is durable already: there is nothing to wait for.
  status_.shutdown = nvme::ShutdownStatus::complete;
  return Effect::shut_down;
}

}  // namespace target::nvmf
