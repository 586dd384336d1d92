// Admin commands, parsed from a submission entry into a closed variant (Base 2.1, "Admin Command
// Set").
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "engine/foundation/units.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/features.h"
#include "protocol/nvme/identifiers.h"
#include "protocol/nvme/refusal.h"
#include "protocol/nvme/sgl.h"

namespace protocol::nvme {

enum class AdminOpcode : std::uint8_t {
  get_log_page = 0x02,
  identify = 0x06,
  abort = 0x08,
  set_features = 0x09,
  get_features = 0x0a,
  async_event_request = 0x0c,
  keep_alive = 0x18,
  format_nvm = 0x80,
  get_lba_status = 0x86,
};

struct GetLogPage {
  NamespaceId nsid{};
  std::uint8_t log_id = 0;          // LID
  std::uint8_t log_specific = 0;    // LSP, 7 bits
  bool retain_async_event = false;  // RAE
  engine::ByteCount length{};       // from NUMD: honest, a multiple of 4, at least 4
  std::uint64_t offset = 0;         // LPO in bytes, a multiple of 4; an index when offset_is_index
  bool offset_is_index = false;     // OT
  std::uint16_t log_specific_id = 0;  // LSI
  std::uint8_t uuid_index = 0;        // 7 bits
  std::uint8_t command_set = 0;       // CSI
  DataPointer data{};                 // at least `length` bytes
};

struct Identify {
  NamespaceId nsid{};
  std::uint8_t cns = 0;
  ControllerId controller{};          // CNTID
  std::uint16_t cns_specific_id = 0;  // CNSSID
  std::uint8_t command_set = 0;       // CSI
  std::uint8_t uuid_index = 0;
  DataPointer data{};  // at least identify_page_bytes
};
inline constexpr std::uint32_t identify_page_bytes = 4096;

// Asks to abort command `command_id` of submission queue `queue_id`. Completion dword 0 bit 0: 0 if
// it was aborted.
struct Abort {
  std::uint16_t queue_id = 0;
  std::uint16_t command_id = 0;
};
inline constexpr std::uint32_t abort_done = 0;
inline constexpr std::uint32_t abort_not_done = 1;

// `data` is there exactly for the features that transfer a structure (feature_data_bytes).
struct SetFeatures {
  NamespaceId nsid{};
  std::uint8_t feature_id = 0;
  bool save = false;  // SV
  std::uint32_t dword11 = 0;
  std::uint32_t dword12 = 0;
  std::uint32_t dword13 = 0;
  std::uint32_t dword14 = 0;
  std::uint32_t dword15 = 0;
  std::optional<DataPointer> data{};
};

enum class FeatureSelect : std::uint8_t {
  current = 0,
  by_default = 1,
  saved = 2,
  capabilities = 3
};

struct GetFeatures {
  NamespaceId nsid{};
  std::uint8_t feature_id = 0;
  FeatureSelect select = FeatureSelect::current;  // SEL
  std::uint32_t dword11 = 0;
  std::uint8_t uuid_index = 0;
  std::optional<DataPointer> data{};  // never with FeatureSelect::capabilities
};

// ATYPE.
enum class LbaStatusAction : std::uint8_t {
  allocated = 0x02,
  scan = 0x10,     // potentially unrecoverable blocks, after looking for more of them
  tracked = 0x11,  // those that are known already
};

struct GetLbaStatus {
  NamespaceId nsid{};
  engine::Lba first{};
  engine::BlockCount blocks{};  // RL: 0 is up to the namespace's end
  LbaStatusAction action = LbaStatusAction::tracked;
  engine::ByteCount length{};  // from MNDW: honest, a multiple of 4
  DataPointer data{};          // at least `length` bytes
};

// SES.
enum class SecureErase : std::uint8_t { none = 0, user_data = 1, cryptographic = 2 };

// Format NVM. That there are no metadata here, MSET and PIL say nothing of.
struct FormatNvm {
  NamespaceId nsid{};
  std::uint8_t lba_format = 0;  // an index into LBAF: LBAFL, and LBAFU above it
  std::uint8_t protection = 0;  // PI: the type of protection information, 0 is none
  SecureErase erase = SecureErase::none;
};

struct AsyncEventRequest {};
struct KeepAlive {};

using AdminCommand = std::variant<GetLogPage, Identify, Abort, SetFeatures, GetFeatures,
                                  AsyncEventRequest, KeepAlive, GetLbaStatus, FormatNvm>;

// Parses an entry of the Admin queue (opcode 7Fh belongs to parse_fabrics_command and is refused
// here). Refusals: invalid_opcode; invalid_field (fused, PSDT, reserved SEL, misaligned LPO, other
// ATYPEs, reserved SES); sgl_*; data_sgl_length_invalid when the SGL is shorter than the page, log
// or feature asked for.
[[nodiscard]] Parsed<AdminCommand> parse_admin_command(const SubmissionEntry& entry);

// For log lines: "identify", "keep alive", ...; "unknown" for the rest.
[[nodiscard]] const char* admin_opcode_name(std::uint8_t opcode);

}  // namespace protocol::nvme
