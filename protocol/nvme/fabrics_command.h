// Fabrics commands (opcode 7Fh), parsed into a closed variant, and Connect's data and answers
// (Base 2.1, "Fabrics Command Set").
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "protocol/nvme/entries.h"
#include "protocol/nvme/features.h"
#include "protocol/nvme/identifiers.h"
#include "protocol/nvme/nqn.h"
#include "protocol/nvme/refusal.h"
#include "protocol/nvme/sgl.h"

namespace protocol::nvme {

inline constexpr std::uint8_t fabrics_opcode = 0x7f;

enum class FabricsType : std::uint8_t {
  property_set = 0x00,
  connect = 0x01,
  property_get = 0x04,
  authentication_send = 0x05,
  authentication_receive = 0x06,
  disconnect = 0x08,
};

// CATTR, byte 46.
namespace connect_attribute {
inline constexpr std::uint8_t priority_mask = 0x03;
inline constexpr std::uint8_t disable_sq_flow_control = 1 << 2;
inline constexpr std::uint8_t delete_io_queues =
    1 << 3;  // the host may send Disconnect on this queue
}  // namespace connect_attribute

struct Connect {
  std::uint16_t queue_id = 0;       // 0 is the Admin queue
  std::uint32_t queue_entries = 0;  // honest: SQSIZE + 1, 2..65536
  std::uint8_t priority = 0;        // 0 urgent .. 3 low; not used
  bool sq_flow_control_disabled = false;
  bool may_delete_queue = false;
  std::uint32_t keep_alive_ms = 0;  // KATO; Admin queue only
  DataPointer data{};               // at least connect_data_bytes
};

struct PropertyGet {
  std::uint32_t offset = 0;
  std::uint8_t size_bytes = 4;  // 4 or 8
};
struct PropertySet {
  std::uint32_t offset = 0;
  std::uint8_t size_bytes = 4;  // 4 or 8
  std::uint64_t value = 0;      // upper half 0 when size_bytes is 4
};
struct Disconnect {};

// Decoded so that a refusal is a decision; secp E9h is NVMe in-band authentication.
struct AuthenticationSend {
  std::uint8_t protocol = 0;            // SECP
  std::uint16_t protocol_specific = 0;  // SPSP1:SPSP0
  std::uint32_t transfer_bytes = 0;     // TL
  DataPointer data{};
};
struct AuthenticationReceive {
  std::uint8_t protocol = 0;
  std::uint16_t protocol_specific = 0;
  std::uint32_t allocation_bytes = 0;  // AL
  DataPointer data{};
};

using FabricsCommand = std::variant<Connect, PropertyGet, PropertySet, Disconnect,
                                    AuthenticationSend, AuthenticationReceive>;

// Parses an entry whose opcode is fabrics_opcode. Byte 1 (FUSE, PSDT) is reserved in Fabrics
// commands and ignored. Refusals: invalid_opcode (FCTYPE), connect_incompatible_format (RECFMT of
// Connect and Disconnect), connect_invalid_parameters with its dword0 (SQSIZE 0), invalid_field
// (property size), sgl_*, data_sgl_length_invalid.
[[nodiscard]] Parsed<FabricsCommand> parse_fabrics_command(const SubmissionEntry& entry);

// The data of a Connect command.
struct ConnectDataWire {
  std::uint8_t host_id[16];
  wire_types::U16 controller_id;
  std::uint8_t reserved18[238];
  char subsystem_nqn[nqn_field_bytes];
  char host_nqn[nqn_field_bytes];
  std::uint8_t reserved768[256];
};
inline constexpr std::uint32_t connect_data_bytes = 1024;
static_assert(sizeof(ConnectDataWire) == connect_data_bytes && alignof(ConnectDataWire) == 1);
static_assert(offsetof(ConnectDataWire, controller_id) == 16);
static_assert(offsetof(ConnectDataWire, subsystem_nqn) == 256);
static_assert(offsetof(ConnectDataWire, host_nqn) == 512);

// What a Connect names wrongly. The value is dword 0 of the refusal: IPO in 15:0, IATTR in bit 16
// (0: in the submission entry, 1: in the data).
enum class ConnectParameter : std::uint32_t {
  queue_id = 42,
  queue_size = 44,
  attributes = 46,
  keep_alive = 48,
  host_id = 0x1'0000,
  controller_id = 0x1'0000 + 16,
  subsystem_nqn = 0x1'0000 + 256,
  host_nqn = 0x1'0000 + 512,
};
[[nodiscard]] constexpr Refusal connect_invalid_parameter(ConnectParameter parameter) {
  return {status::connect_invalid_parameters, {}, static_cast<std::uint32_t>(parameter)};
}
// The same with IPO and IATTR for a host that the subsystem's list does not admit (Connect Invalid
// Host).
[[nodiscard]] constexpr Refusal connect_invalid_host() {
  return {status::connect_invalid_host, {}, static_cast<std::uint32_t>(ConnectParameter::host_nqn)};
}

// Views the bytes it was parsed from.
struct ConnectData {
  HostId host_id{};
  ControllerId controller{};  // dynamic_controller on the Admin queue of the dynamic model
  std::string_view subsystem_nqn{};
  std::string_view host_nqn{};
};

// Refusals: data_sgl_length_invalid (fewer than 1024 bytes); connect_invalid_parameters with the
// offset of a zero host identifier or of a name that is not a well-formed NQN.
[[nodiscard]] Parsed<ConnectData> parse_connect_data(std::span<const std::byte> data);

// Dword 0 of a successful Connect: CNTLID in 15:0, AUTHREQ in 31:16.
struct AuthenticationRequirements {
  bool transaction_required = false;     // ATR, bit 17
  bool secure_channel_required = false;  // ASCR, bit 18
};
[[nodiscard]] constexpr std::uint32_t connect_result(
    ControllerId controller, AuthenticationRequirements authentication = {}) {
  return controller.value | (authentication.transaction_required ? 1u << 17 : 0u) |
         (authentication.secure_channel_required ? 1u << 18 : 0u);
}

}  // namespace protocol::nvme
