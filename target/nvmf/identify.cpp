#include "target/nvmf/identify.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/foundation/byte_cursor.h"
#include "protocol/nvme/identify_lists.h"
#include "protocol/nvme/identify_namespace.h"
#include "target/nvmf/limits.h"
#include "target/nvmf/subsystem.h"

namespace target::nvmf {

namespace nvme = protocol::nvme;
using nvme::Parsed;
using nvme::Refusal;

namespace {

template <class Page>
IdentifyPageBytes page_bytes(const Page& page) {
  static_assert(sizeof(Page) == nvme::identify_page_bytes);
  IdentifyPageBytes bytes;
  std::memcpy(bytes.data(), &page, sizeof(page));
  return bytes;
}

Refusal invalid_namespace() { return {nvme::status::invalid_namespace, nvme::at_byte(4)}; }
Refusal unknown_page() { return {nvme::status::invalid_field, nvme::at_dword(10)}; }

// A namespace that is there; nullopt for an NSID that could be but is not. A volume whose identity
// cannot be told yet keeps its NSID in the lists, and this answer makes a host wait with it: what
// it knew of the namespace stays (Linux takes a namespace away if it is not listed, or if its
// identifiers have changed).
Parsed<std::optional<NamespaceFacts>> find(const Controller& controller, nvme::NamespaceId nsid) {
  Subsystem& subsystem = controller.subsystem();
  if (nsid.value == 0 || nsid.value > subsystem.highest_nsid()) return invalid_namespace();
  auto facts = subsystem.describe(nsid.value, controller.association().host_nqn);
  if (facts && facts->uuid.is_nil())
    return Refusal{nvme::status::ana_inaccessible, nvme::at_byte(4)};
  return facts;
}

nvme::NamespaceIdentity identity_of(const NamespaceFacts& facts) {
  const std::uint32_t granularity = block::preferred_granularity_bytes / facts.block_size.bytes;
  return {
      .size = facts.size,
      .used = facts.size,
      .block_size = facts.block_size,
      .formats = {facts.formats.sizes.begin(), facts.formats.sizes.begin() + facts.formats.count},
      .nguid = nvme::nguid_of(facts.uuid),
      .ana_group = facts.ana_group,
      .shared = true,
      .write_protected = facts.write_protected,
      .deallocated_reads_zero = true,
      .write_zeroes_deallocates = true,
      // Late volumes too: their ANA state says it, and a host that is told "not ready" looks
      // again only when the namespace's attributes change.
      .ready = true,
      .format_left_percent = facts.format_left_percent,
      .copy_range_blocks =
          static_cast<std::uint32_t>(largest_copy_range.value / facts.block_size.bytes),
      .copy_blocks = static_cast<std::uint32_t>(largest_copy.value / facts.block_size.bytes),
      .copy_ranges = most_copy_ranges,
      .hints = {.preferred_write_granularity = granularity,
                .preferred_write_alignment = granularity,
                .preferred_deallocate_granularity = granularity,
                .preferred_deallocate_alignment = granularity,
                .optimal_write_size = granularity}};
}

// What is kept whole when power fails. Through the log of a cache that is whatever one command can
// write, wherever it begins; of a disk its physical block, and a write across its border is not
// promised anything. Linux shows the smaller of this and NPWG as the physical block, because file
// systems rely on one being atomic. What a fused Compare and Write writes is a write as any other.
void promise_atomic_writes(nvme::IdentifyNamespacePage& page, const NamespaceFacts& facts,
                           engine::ByteCount max_transfer) {
  constexpr std::uint8_t own_atomicity = 1 << 1;  // NSFEAT: NAWUN, NAWUPF and NACWU are defined
  constexpr std::uint64_t most = 1 << 16;         // blocks that the fields can name
  const auto zeros_based = [&](std::uint64_t bytes) {
    const std::uint64_t blocks = std::min(bytes / facts.block_size.bytes, most);
    return static_cast<std::uint16_t>(blocks - 1);
  };
  const std::uint64_t bytes = std::min<std::uint64_t>(facts.atomic.bytes, max_transfer.value);
  if (bytes <= facts.block_size.bytes) return;
  page.nsfeat |= own_atomicity;
  page.nawun = page.nawupf = page.nacwu = zeros_based(bytes);
  // 0: there is no border (NVM Command Set, "Atomic Boundaries").
  if (facts.atomic.boundary_bytes == 0) return;
  page.nabsn = page.nabspf = zeros_based(facts.atomic.boundary_bytes);
}

Parsed<IdentifyPageBytes> identify_namespace(const Controller& controller,
                                             const nvme::Identify& command) {
  TRY(const auto facts, find(controller, command.nsid));
  if (!facts) return page_bytes(nvme::IdentifyNamespacePage{});  // an inactive NSID is all zeros
  auto page = nvme::build_identify_namespace(identity_of(*facts));
  promise_atomic_writes(page, *facts, controller.subsystem().limits().max_transfer);
  return page_bytes(page);
}

Parsed<IdentifyPageBytes> identify_independent_namespace(const Controller& controller,
                                                         const nvme::Identify& command) {
  TRY(const auto facts, find(controller, command.nsid));
  if (!facts) return page_bytes(nvme::IdentifyIndependentNamespacePage{});
  return page_bytes(nvme::build_identify_independent_namespace(identity_of(*facts)));
}

Parsed<IdentifyPageBytes> namespace_list(const Controller& controller,
                                         const nvme::Identify& command) {
  std::vector<nvme::NamespaceId> ascending;
  for (const auto nsid : controller.subsystem().namespaces_of(controller.association().host_nqn)) {
    ascending.push_back({nsid});
  }
  TRY(const auto page, nvme::build_namespace_list(ascending, command.nsid));
  return page_bytes(page);
}

Parsed<IdentifyPageBytes> namespace_descriptors(const Controller& controller,
                                                const nvme::Identify& command) {
  TRY(const auto facts, find(controller, command.nsid));
  if (!facts) return invalid_namespace();
  return page_bytes(nvme::build_namespace_descriptors(facts->uuid));
}

Parsed<void> require_nvm_command_set(const nvme::Identify& command) {
  if (command.command_set != nvme::nvm_command_set) {
    return Refusal{nvme::status::invalid_field, nvme::at_dword(11, 24)};
  }
  return engine::success();
}

IdentifyPageBytes nvm_controller() {
  return page_bytes(
      nvme::build_identify_nvm_controller({.verify = {},
                                           .write_zeroes = write_zeroes_limit,
                                           .dataset_ranges = 256,
                                           .dataset_range_blocks = dataset_range_blocks,
                                           .dataset_total_blocks = dataset_range_blocks}));
}

Parsed<IdentifyPageBytes> command_set_combinations(const Controller& controller,
                                                   const nvme::Identify& command) {
  const nvme::ControllerId asked = command.controller;
  if (asked.value != 0xffff && asked != controller.id()) {
    return Refusal{nvme::status::invalid_field, nvme::at_dword(10, 16)};
  }
  return page_bytes(nvme::build_command_set_combinations());
}

}  // namespace

nvme::IdentifyControllerPage identify_controller(const Controller& controller) {
  const Subsystem& subsystem = controller.subsystem();
  const bool discovery = controller.is_discovery();
  nvme::ControllerIdentity identity;
  identity.type = discovery ? nvme::ControllerType::discovery : nvme::ControllerType::io;
  identity.serial_number = subsystem.serial();
  identity.model_number = subsystem.model();
  identity.firmware_revision = subsystem.firmware_revision();
  identity.subsystem_nqn = subsystem.nqn();
  identity.controller = controller.id();
  identity.max_transfer = subsystem.limits().max_transfer;
  identity.in_capsule_data = controller.association().in_capsule_data;
  identity.max_outstanding_commands = static_cast<std::uint16_t>(
      discovery ? admin_queue_entries : subsystem.limits().max_queue_entries);
  identity.abort_limit = abort_limit;
  identity.async_event_limit = async_event_limit;
  identity.error_log_entries = error_log_entries;
  identity.keep_alive_granularity_100ms =
      static_cast<std::uint16_t>(keep_alive_granularity / std::chrono::milliseconds(100));
  for (std::size_t i = 0; i < std::size(retry_delays); ++i) {
    identity.retry_delays_100ms[i] =
        static_cast<std::uint16_t>(retry_delays[i] / std::chrono::milliseconds(100));
  }
  identity.warning_temperature_kelvin = warning_temperature_kelvin;
  identity.critical_temperature_kelvin = critical_temperature_kelvin;
  identity.highest_namespace = subsystem.highest_nsid();
  identity.max_namespaces = max_namespaces;
  identity.max_ana_groups = max_namespaces;
  identity.ana_groups = max_namespaces;
  auto page = nvme::build_identify_controller(identity);
  // Base 2.1, "Discovery Controller": it does not support Disconnect.
  if (discovery) page.ofcs = 0;
  return page;
}

Parsed<IdentifyPageBytes> identify(const Controller& controller, const nvme::Identify& command) {
  const auto page = static_cast<nvme::IdentifyPage>(command.cns);
  if (page == nvme::IdentifyPage::controller) return page_bytes(identify_controller(controller));
  if (controller.is_discovery()) return unknown_page();
  switch (page) {
    case nvme::IdentifyPage::nvm_namespace:
      return identify_namespace(controller, command);
    case nvme::IdentifyPage::controller:
      break;
    case nvme::IdentifyPage::active_namespaces:
      return namespace_list(controller, command);
    case nvme::IdentifyPage::namespace_descriptors:
      return namespace_descriptors(controller, command);
    case nvme::IdentifyPage::command_set_namespace: {
      TRY(require_nvm_command_set(command));
      TRY(find(controller, command.nsid));
      return page_bytes(nvme::IdentifyNvmNamespacePage{});
    }
    case nvme::IdentifyPage::command_set_controller: {
      TRY(require_nvm_command_set(command));
      return nvm_controller();
    }
    case nvme::IdentifyPage::command_set_active_namespaces: {
      TRY(require_nvm_command_set(command));
      return namespace_list(controller, command);
    }
    case nvme::IdentifyPage::independent_namespace:
      return identify_independent_namespace(controller, command);
    case nvme::IdentifyPage::command_set_combinations:
      return command_set_combinations(controller, command);
  }
  return unknown_page();
}

}  // namespace target::nvmf
