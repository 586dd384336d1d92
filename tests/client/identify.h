// The identify structures and log pages that the client itself reads; tests look at the raw bytes
// for the rest.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/client/bytes.h"
#include "tests/client/error.h"

namespace client {

// CNS 01h, Base 2.0 figure "Identify Controller".
struct ControllerData {
  std::string serial_number;
  std::string model_number;
  std::string firmware_revision;
  std::uint8_t mdts = 0;  // in units of the minimum page, power of two; 0 is no limit
  std::uint16_t cntlid = 0;
  std::uint32_t version = 0;
  std::uint16_t kas = 0;  // keep-alive granularity, 100 ms
  std::uint16_t max_cmd = 0;
  std::uint32_t namespaces = 0;
  std::uint8_t volatile_write_cache = 0;
  std::string subsystem_nqn;
  std::uint32_t ioccsz = 0;  // 16 bytes
  std::uint32_t iorcsz = 0;  // 16 bytes
  std::uint16_t icdoff = 0;

  // Bytes of data that fit the capsule of an I/O queue.
  [[nodiscard]] std::uint32_t in_capsule_bytes() const;
  // Largest data transfer in bytes (4 KiB pages assumed, as CAP.MPSMIN 0 says).
  [[nodiscard]] std::uint64_t largest_transfer_bytes() const;
};
// `page` has 4096 bytes.
[[nodiscard]] ControllerData parse_controller_data(std::span<const std::byte> page);

// CNS 00h, NVM Command Set 1.0 figure "Identify Namespace".
struct NamespaceData {
  std::uint64_t blocks = 0;    // NSZE
  std::uint64_t capacity = 0;  // NCAP
  std::uint32_t block_bytes = 0;
  std::uint16_t metadata_bytes = 0;
  std::uint32_t ana_group = 0;
  std::uint8_t shared = 0;       // NMIC
  bool write_protected = false;  // NSATTR, bit 0
  std::array<std::byte, 16> nguid{};
  std::array<std::byte, 8> eui64{};
};
[[nodiscard]] NamespaceData parse_namespace_data(std::span<const std::byte> page);

// CNS 02h: ascending, ended by 0.
[[nodiscard]] std::vector<std::uint32_t> parse_namespace_list(std::span<const std::byte> page);

// Log page 70h, Base 2.0 figure "Discovery Log Page Entry".
struct DiscoveryEntry {
  std::uint8_t transport_type = 0;  // 3 is TCP
  std::uint8_t address_family = 0;  // 1 IPv4, 2 IPv6
  std::uint8_t subsystem_type = 0;  // 1 referral, 2 NVM, 3 current discovery subsystem
  std::uint8_t transport_requirements = 0;
  std::uint16_t port_id = 0;
  std::uint16_t controller_id = 0;
  std::uint16_t admin_queue_entries = 0;
  std::uint16_t flags = 0;
  std::string service_id;  // the port, decimal
  std::string subsystem_nqn;
  std::string address;
  std::uint8_t security_type = 0;
};
struct DiscoveryLog {
  std::uint64_t generation = 0;
  std::uint16_t record_format = 0;
  std::vector<DiscoveryEntry> entries;
};
constexpr std::size_t discovery_header_bytes = 1024;
constexpr std::size_t discovery_entry_bytes = 1024;
// Violation: `log` is shorter than its own count of records.
[[nodiscard]] Result<DiscoveryLog> parse_discovery_log(std::span<const std::byte> log);

}  // namespace client
