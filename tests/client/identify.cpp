#include "tests/client/identify.h"

#include <fmt/format.h>

#include <algorithm>

namespace client {

std::uint32_t ControllerData::in_capsule_bytes() const {
  const std::uint32_t capsule = ioccsz * 16;
  return capsule > 64 ? capsule - 64 : 0;
}

std::uint64_t ControllerData::largest_transfer_bytes() const {
  return mdts == 0 || mdts > 40 ? ~std::uint64_t{0} : std::uint64_t{4096} << mdts;
}

ControllerData parse_controller_data(std::span<const std::byte> page) {
  return {.serial_number = get_text(page.subspan(4, 20)),
          .model_number = get_text(page.subspan(24, 40)),
          .firmware_revision = get_text(page.subspan(64, 8)),
          .mdts = get<std::uint8_t>(page, 77),
          .cntlid = get<std::uint16_t>(page, 78),
          .version = get<std::uint32_t>(page, 80),
          .kas = get<std::uint16_t>(page, 320),
          .max_cmd = get<std::uint16_t>(page, 514),
          .namespaces = get<std::uint32_t>(page, 516),
          .volatile_write_cache = get<std::uint8_t>(page, 525),
          .subsystem_nqn = get_text(page.subspan(768, 256)),
          .ioccsz = get<std::uint32_t>(page, 1792),
          .iorcsz = get<std::uint32_t>(page, 1796),
          .icdoff = get<std::uint16_t>(page, 1800)};
}

NamespaceData parse_namespace_data(std::span<const std::byte> page) {
  NamespaceData data;
  data.blocks = get<std::uint64_t>(page, 0);
  data.capacity = get<std::uint64_t>(page, 8);
  const auto flbas = get<std::uint8_t>(page, 26);
  const std::size_t format = (flbas & 0xfu) | (flbas >> 1 & 0x30u);
  const auto lbaf = get<std::uint32_t>(page, 128 + format * 4);
  const unsigned shift = lbaf >> 16 & 0xff;
  data.block_bytes = shift < 32 ? 1u << shift : 0;
  data.metadata_bytes = static_cast<std::uint16_t>(lbaf & 0xffff);
  data.shared = get<std::uint8_t>(page, 30);
  data.ana_group = get<std::uint32_t>(page, 92);
  data.write_protected = (get<std::uint8_t>(page, 99) & 1) != 0;
  std::copy_n(page.begin() + 104, 16, data.nguid.begin());
  std::copy_n(page.begin() + 120, 8, data.eui64.begin());
  return data;
}

std::vector<std::uint32_t> parse_namespace_list(std::span<const std::byte> page) {
  std::vector<std::uint32_t> list;
  for (std::size_t at = 0; at + 4 <= page.size(); at += 4) {
    const auto nsid = get<std::uint32_t>(page, at);
    if (nsid == 0) break;
    list.push_back(nsid);
  }
  return list;
}

Result<DiscoveryLog> parse_discovery_log(std::span<const std::byte> log) {
  if (log.size() < discovery_header_bytes) {
    return Error{ErrorKind::violation, "the discovery log is shorter than its header"};
  }
  DiscoveryLog parsed{.generation = get<std::uint64_t>(log, 0),
                      .record_format = get<std::uint16_t>(log, 16),
                      .entries = {}};
  const auto records = get<std::uint64_t>(log, 8);
  if (records > (log.size() - discovery_header_bytes) / discovery_entry_bytes) {
    return Error{
        ErrorKind::violation,
        fmt::format("the discovery log has {} records but only {} bytes", records, log.size())};
  }
  for (std::uint64_t i = 0; i < records; ++i) {
    const auto entry =
        log.subspan(discovery_header_bytes + i * discovery_entry_bytes, discovery_entry_bytes);
    parsed.entries.push_back({.transport_type = get<std::uint8_t>(entry, 0),
                              .address_family = get<std::uint8_t>(entry, 1),
                              .subsystem_type = get<std::uint8_t>(entry, 2),
                              .transport_requirements = get<std::uint8_t>(entry, 3),
                              .port_id = get<std::uint16_t>(entry, 4),
                              .controller_id = get<std::uint16_t>(entry, 6),
                              .admin_queue_entries = get<std::uint16_t>(entry, 8),
                              .flags = get<std::uint16_t>(entry, 10),
                              .service_id = get_text(entry.subspan(32, 32)),
                              .subsystem_nqn = get_text(entry.subspan(256, 256)),
                              .address = get_text(entry.subspan(512, 256)),
                              .security_type = get<std::uint8_t>(entry, 768)});
  }
  return parsed;
}

}  // namespace client
