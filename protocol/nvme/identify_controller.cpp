#include "protocol/nvme/identify_controller.h"

#include <bit>

#include "protocol/nvme/ascii_field.h"

namespace protocol::nvme {

namespace {

constexpr std::uint8_t several_ports = 1 << 0;
constexpr std::uint8_t several_controllers = 1 << 1;
constexpr std::uint8_t ana_reporting = 1 << 3;

constexpr std::uint32_t host_identifier_128_bit = 1u << 0;
constexpr std::uint32_t traffic_based_keep_alive = 1u << 6;

// Bit 5 (LIDs 00h, 12h, 13h and scopes in 05h) stays clear: there is no 13h page.
constexpr std::uint8_t command_effects_log = 1 << 1;
constexpr std::uint8_t log_page_offsets = 1 << 2;
constexpr std::uint8_t persistent_event_log = 1 << 4;  // of I/O controllers

constexpr std::uint8_t firmware_one_slot_read_only = 0x03;
constexpr std::uint8_t no_write_cache_flush_all =
    0x06;  // bit 0: no cache; 2:1 = 11b: FFFFFFFFh may be flushed
constexpr std::uint8_t entry_sizes_64_and_64 = 0x66;
constexpr std::uint8_t entry_sizes_16_and_16 = 0x44;

constexpr std::uint32_t sgl_supported = 1u << 0;  // without alignment or granularity rules
constexpr std::uint32_t sgl_may_be_longer = 1u << 18;
constexpr std::uint32_t sgl_offset_addresses = 1u << 20;  // in-capsule data
constexpr std::uint32_t sgl_transport_blocks = 1u << 21;

constexpr std::uint16_t copy_format_0 = 1 << 0;
constexpr std::uint16_t copy_format_2 = 1 << 2;
constexpr std::uint16_t fused_compare_and_write = 1 << 0;
constexpr std::uint8_t write_protection = 1 << 0;
constexpr std::uint8_t write_protection_until_power_cycle = 1 << 1;
constexpr std::uint16_t disconnect_supported = 1 << 0;
constexpr std::uint8_t direct_discovery_controller = 1;

// A 0's based byte from an honest count of 1..256.
std::uint8_t zeroes_based_count(std::uint32_t count) {
  return static_cast<std::uint8_t>(count - 1);
}

void put_io_controller(IdentifyControllerPage& page, const ControllerIdentity& identity) {
  page.oaes = oaes_bit::namespace_attribute | oaes_bit::ana_change | oaes_bit::normal_shutdown;
  page.oacs = oacs_bit::get_lba_status | oacs_bit::format_nvm;
  for (std::size_t i = 0; i < identity.retry_delays_100ms.size(); ++i) {
    page.crdt[i] = identity.retry_delays_100ms[i];
  }
  page.lpa |= persistent_event_log;
  page.pels = identity.persistent_log_units;
  page.anatt = identity.ana_transition_seconds;
  page.anacap = identity.ana_capabilities;
  page.anagrpmax = identity.max_ana_groups;
  page.nanagrpid = identity.ana_groups;
  page.sqes = entry_sizes_64_and_64;
  page.cqes = entry_sizes_16_and_16;
  page.nn = identity.highest_namespace;
  page.mnan = identity.max_namespaces;
  page.oncs = identity.optional_commands;
  page.fuses = fused_compare_and_write;
  page.fna = format_attributes;
  page.cdfs = copy_format_0 | copy_format_2;
  page.nwpc = write_protection | write_protection_until_power_cycle;
  page.vwc = no_write_cache_flush_all;
}

}  // namespace

std::uint8_t transfer_limit_log2(engine::ByteCount limit) {
  if (limit.value < memory_page_bytes) return 0;
  return static_cast<std::uint8_t>(std::bit_width(limit.value / memory_page_bytes) - 1);
}

IdentifyControllerPage build_identify_controller(const ControllerIdentity& identity) {
  IdentifyControllerPage page{};
  put_ascii(page.sn, identity.serial_number);
  put_ascii(page.mn, identity.model_number);
  put_ascii(page.fr, identity.firmware_revision);
  page.cmic = several_ports | several_controllers;
  page.mdts = transfer_limit_log2(identity.max_transfer);
  page.cntlid = identity.controller.value;
  page.ver = identity.version;
  page.ctratt = host_identifier_128_bit | traffic_based_keep_alive;
  page.cntrltype = static_cast<std::uint8_t>(identity.type);
  page.acl = zeroes_based_count(identity.abort_limit);
  page.aerl = zeroes_based_count(identity.async_event_limit);
  page.frmw = firmware_one_slot_read_only;
  page.lpa = command_effects_log | log_page_offsets;
  page.elpe = zeroes_based_count(identity.error_log_entries);
  page.wctemp = identity.warning_temperature_kelvin;
  page.cctemp = identity.critical_temperature_kelvin;
  page.kas = identity.keep_alive_granularity_100ms;
  page.maxcmd = identity.max_outstanding_commands;
  page.sgls = sgl_supported | sgl_may_be_longer | sgl_offset_addresses | sgl_transport_blocks;
  put_nul_padded(page.subnqn, identity.subsystem_nqn);
  page.ioccsz =
      static_cast<std::uint32_t>((sizeof(SubmissionEntry) + identity.in_capsule_data.value) / 16);
  page.iorcsz = sizeof(CompletionEntry) / 16;
  page.msdbd = 1;
  page.ofcs = disconnect_supported;
  if (identity.type == ControllerType::discovery) {
    page.oaes = oaes_bit::discovery_log_change;
    page.dctype = direct_discovery_controller;
  } else {
    page.cmic |= ana_reporting;
    put_io_controller(page, identity);
  }
  return page;
}

IdentifyNvmControllerPage build_identify_nvm_controller(const NvmCommandLimits& limits) {
  IdentifyNvmControllerPage page{};
  page.vsl = transfer_limit_log2(limits.verify);
  page.wzsl = transfer_limit_log2(limits.write_zeroes);
  page.dmrl = limits.dataset_ranges > 255 ? std::uint8_t{0}
                                          : static_cast<std::uint8_t>(limits.dataset_ranges);
  page.dmrsl = limits.dataset_range_blocks;
  page.dmsl = limits.dataset_total_blocks;
  return page;
}

}  // namespace protocol::nvme
