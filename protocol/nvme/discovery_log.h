// Discovery (log page 70h): what a host can connect to, and how.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "protocol/nvme/entries.h"
#include "protocol/nvme/identifiers.h"
#include "protocol/nvme/nqn.h"

namespace protocol::nvme {

enum class AddressFamily : std::uint8_t { ipv4 = 1, ipv6 = 2 };
enum class SubsystemType : std::uint8_t {
  other_discovery = 1,  // a referral to another discovery service
  nvm = 2,
  current_discovery = 3,  // the discovery subsystem that answers this page
};
// TREQ bits 1:0.
enum class SecureChannel : std::uint8_t { not_specified = 0, required = 1, not_required = 2 };
// TSAS byte 0 for TCP.
enum class SecurityType : std::uint8_t { none = 0, tls_1_2 = 1, tls_1_3 = 2 };

inline constexpr std::uint8_t transport_type_tcp = 3;
inline constexpr std::uint8_t treq_sq_flow_control_disable =
    1 << 2;                 // the port can do without SQ flow control
namespace discovery_flag {  // EFLAGS
inline constexpr std::uint16_t duplicate_information =
    1 << 0;  // DUPRETINFO: every port of this subsystem tells the same
inline constexpr std::uint16_t persistent_connections =
    1 << 1;  // EPCSD: explicit persistent connections supported
}  // namespace discovery_flag

struct DiscoveryLogHeader {
  wire_types::U64 generation;
  wire_types::U64 record_count;
  wire_types::U16 record_format;  // 0
  std::uint8_t reserved18[1006];
};
static_assert(sizeof(DiscoveryLogHeader) == 1024 && alignof(DiscoveryLogHeader) == 1);
static_assert(offsetof(DiscoveryLogHeader, record_count) == 8);
static_assert(offsetof(DiscoveryLogHeader, record_format) == 16);

struct DiscoveryLogRecord {
  std::uint8_t transport_type;
  std::uint8_t address_family;
  std::uint8_t subsystem_type;
  std::uint8_t transport_requirements;
  wire_types::U16 port_id;
  wire_types::U16 controller_id;
  wire_types::U16 admin_queue_entries;  // ASQSZ: an honest count
  wire_types::U16 flags;
  std::uint8_t reserved12[20];
  char service_id[32];  // TRSVCID, space padded
  std::uint8_t reserved64[192];
  char subsystem_nqn[nqn_field_bytes];  // NUL padded
  char address[256];                    // TRADDR, space padded
  std::uint8_t security_type;           // TSAS byte 0 for TCP
  std::uint8_t transport_specific[255];
};
static_assert(sizeof(DiscoveryLogRecord) == 1024 && alignof(DiscoveryLogRecord) == 1);
static_assert(std::is_trivially_copyable_v<DiscoveryLogRecord>);
static_assert(offsetof(DiscoveryLogRecord, port_id) == 4);
static_assert(offsetof(DiscoveryLogRecord, controller_id) == 6);
static_assert(offsetof(DiscoveryLogRecord, admin_queue_entries) == 8);
static_assert(offsetof(DiscoveryLogRecord, flags) == 10);
static_assert(offsetof(DiscoveryLogRecord, service_id) == 32);
static_assert(offsetof(DiscoveryLogRecord, subsystem_nqn) == 256);
static_assert(offsetof(DiscoveryLogRecord, address) == 512);
static_assert(offsetof(DiscoveryLogRecord, security_type) == 768);

// One way to reach one subsystem. The strings are borrowed while the page is built.
struct DiscoveryRecord {
  SubsystemType type = SubsystemType::nvm;
  AddressFamily family = AddressFamily::ipv4;
  std::string_view address{};  // numeric, without brackets or zone
  std::uint16_t port = 4420;
  std::uint16_t port_id = 0;
  ControllerId controller = dynamic_controller;
  std::string_view subsystem_nqn{};
  std::uint16_t admin_queue_entries = 32;  // at least 32
  std::uint16_t flags = 0;                 // discovery_flag
  SecureChannel secure_channel = SecureChannel::not_specified;
  SecurityType security = SecurityType::none;
  bool sq_flow_control_may_be_disabled = true;
};
[[nodiscard]] DiscoveryLogRecord build_discovery_record(const DiscoveryRecord& record);

// The whole page. Serve all offset reads of one host from one such page: it is then atomic against
// `generation`.
[[nodiscard]] std::vector<std::byte> build_discovery_log(std::uint64_t generation,
                                                         std::span<const DiscoveryRecord> records);
// GENCTR of a whole page.
[[nodiscard]] std::uint64_t discovery_log_generation(std::span<const std::byte> page);

}  // namespace protocol::nvme
