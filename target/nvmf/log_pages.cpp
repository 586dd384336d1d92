#include "target/nvmf/log_pages.h"

#include <algorithm>

#include "engine/foundation/byte_cursor.h"
#include "protocol/nvme/ana_log.h"
#include "protocol/nvme/changed_namespaces_log.h"
#include "protocol/nvme/command_effects_log.h"
#include "protocol/nvme/firmware_log.h"
#include "protocol/nvme/smart_log.h"
#include "target/nvmf/limits.h"
#include "target/nvmf/subsystem.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using nvme::LogPage;
using nvme::Parsed;
using nvme::Refusal;

namespace {

using Page = std::vector<std::byte>;

template <class T>
Page page_of(const T& page) {
  const auto bytes = engine::bytes_of(page);
  return {bytes.begin(), bytes.end()};
}

nvme::EffectsOf effects_of(const Controller& controller) {
  return controller.is_discovery() ? nvme::EffectsOf::discovery_controller
                                   : nvme::EffectsOf::io_controller;
}

// As large as NANAGRPID and MNAN let a host expect, zeros behind the groups: nvme-cli before 2.4
// reads all of it, piece by piece, and an offset behind the page would be refused.
constexpr std::size_t ana_page_bytes =
    sizeof(nvme::AnaLogHeader) +
    max_namespaces * (sizeof(nvme::AnaGroupDescriptor) + sizeof(std::uint32_t));

// Linux reads it in one piece or switches ANA off: config holds MDTS to at least this.
static_assert(ana_page_bytes <= 64U << 10);

Page ana_page(const Controller& controller, bool groups_only) {
  const AnaReport report = controller.subsystem().ana_report(controller);
  std::vector<nvme::NamespaceId> members;
  members.reserve(report.groups.size());
  std::vector<nvme::AnaGroup> groups;
  for (const auto& group : report.groups) {
    members.push_back({group.nsid});
    groups.push_back({.id = group.id,
                      .change_count = group.changes,
                      .state = static_cast<nvme::AnaState>(group.state),
                      .namespaces = std::span(&members.back(), 1)});
  }
  Page page = nvme::build_ana_log(report.changes, groups, groups_only);
  page.resize(std::max(page.size(), ana_page_bytes));
  return page;
}

// SMART is kept for the controller alone (LPA bit 0), persistent events for the subsystem.
Parsed<void> require_controller_scope(const nvme::GetLogPage& command) {
  const std::uint32_t nsid = command.nsid.value;
  if (nsid == 0 || nsid == nvme::every_namespace.value) return engine::success();
  return Refusal{nvme::status::invalid_field, nvme::at_byte(4)};
}

}  // namespace

nvme::SmartLogPage smart_log(const Controller& controller, engine::Instant now) {
  const auto value = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  const IoCounters& counters = controller.counters();
  const auto age = now - controller.association().connected_at;
  nvme::SmartCounters smart;
  if (controller.temperature_warning())
    smart.critical_warning = nvme::critical_warning::temperature;
  if (controller.subsystem().has_failing(controller.association().host_nqn)) {
    smart.critical_warning |= nvme::critical_warning::reliability_degraded;
  }
  smart.temperature_kelvin = nominal_temperature_kelvin;
  smart.bytes_read = value(counters.bytes_read);
  smart.bytes_written = value(counters.bytes_written);
  smart.read_commands = value(counters.read_commands);
  smart.write_commands = value(counters.write_commands);
  smart.busy_milliseconds = controller.busy_ms();
  // The controller is made with its association: that is its life so far.
  smart.power_cycles = 1;
  smart.powered_seconds =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(age).count());
  smart.media_errors = value(counters.media_errors);
  smart.error_log_entries = controller.error_count();
  return nvme::build_smart_log(smart);
}

std::span<const LogPage> log_pages_of(const Controller& controller) {
  return controller.is_discovery() ? nvme::discovery_controller_log_pages()
                                   : nvme::io_controller_log_pages();
}

Parsed<Page> log_page(Controller& controller, const nvme::GetLogPage& command, bool begins,
                      bool clears, engine::Instant now) {
  if (!nvme::has_log_page(log_pages_of(controller), command.log_id)) {
    return Refusal{nvme::status::invalid_log_page, nvme::at_dword(10)};
  }
  switch (static_cast<LogPage>(command.log_id)) {
    case LogPage::supported_log_pages:
      return page_of(nvme::build_supported_log_pages(log_pages_of(controller)));
    case LogPage::error_information:
      return controller.error_page();
    case LogPage::smart: {
      TRY(require_controller_scope(command));
      return page_of(smart_log(controller, now));
    }
    case LogPage::firmware_slot:
      return page_of(nvme::build_firmware_log(controller.subsystem().firmware_revision()));
    case LogPage::changed_namespaces:
      return page_of(nvme::build_changed_namespaces(clears ? controller.take_changed_namespaces()
                                                           : controller.changed_namespaces()));
    case LogPage::command_effects:
      if (command.command_set != nvme::nvm_command_set) {
        return Refusal{nvme::status::invalid_field, nvme::at_dword(14, 24)};
      }
      return page_of(nvme::build_command_effects(effects_of(controller)));
    case LogPage::ana:
      return ana_page(controller, (command.log_specific & nvme::ana_groups_only) != 0);
    case LogPage::persistent_event: {
      TRY(require_controller_scope(command));
      const auto action = static_cast<nvme::PersistentLogAction>(command.log_specific & 3u);
      return controller.persistent_page(action, begins);
    }
    case LogPage::feature_effects:
      return page_of(nvme::build_feature_effects(effects_of(controller)));
    case LogPage::reservation_notification:
      return controller.reservation_page(clears);
    case LogPage::discovery:
      break;  // read through its snapshot
  }
  return Refusal{nvme::status::invalid_log_page, nvme::at_dword(10)};
}

}  // namespace target::nvmf
