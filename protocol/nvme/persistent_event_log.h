// Persistent Event log page (0Dh): its header, and its events as they are kept and reported.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "protocol/nvme/counter128.h"
#include "protocol/nvme/entries.h"
#include "protocol/nvme/fabrics_command.h"
#include "protocol/nvme/features.h"
#include "protocol/nvme/identifiers.h"

namespace protocol::nvme {

// LSP, bits 1:0 (Base 2.1, "Persistent Event Log Specific Parameter Field").
enum class PersistentLogAction : std::uint8_t {
  read = 0,              // of the reporting context that there is
  establish = 1,         // makes one, and reads it
  release = 2,           // no error if there is none
  establish_header = 3,  // makes one unless there is one, and reads its first 512 bytes
};

// Event Type; those that are recorded here.
enum class PersistentEventType : std::uint8_t {
  smart_snapshot = 0x01,
  timestamp_change = 0x03,
  power_on_or_reset = 0x04,
  hardware_error = 0x05,
  change_namespace = 0x06,
  format_start = 0x07,
  format_completion = 0x08,
  set_feature = 0x0b,
  vendor_specific = 0xde,
};

inline constexpr std::uint64_t persistent_log_unit_bytes = 65536;  // of PELS

struct PersistentLogHeader {
  std::uint8_t log_id;  // 0Dh
  std::uint8_t reserved1[3];
  wire_types::U32 events;  // TNEV
  wire_types::U64 length;  // TLL: of the whole page
  std::uint8_t revision;   // LREV: 3
  std::uint8_t reserved17;
  wire_types::U16 header_length;  // LHL: what follows this field
  TimestampData timestamp;
  Counter128 power_on_hours;
  wire_types::U64 power_cycles;
  wire_types::U16 vid;
  wire_types::U16 ssvid;
  char serial_number[20];
  char model_number[40];
  char subsystem_nqn[nqn_field_bytes];
  wire_types::U16 generation;
  wire_types::U32 context;  // RCI
  std::uint8_t reserved378[102];
  std::uint8_t supported_events[32];
};
static_assert(sizeof(PersistentLogHeader) == 512 && alignof(PersistentLogHeader) == 1);
static_assert(offsetof(PersistentLogHeader, length) == 8);
static_assert(offsetof(PersistentLogHeader, header_length) == 18);
static_assert(offsetof(PersistentLogHeader, timestamp) == 20);
static_assert(offsetof(PersistentLogHeader, power_on_hours) == 28);
static_assert(offsetof(PersistentLogHeader, power_cycles) == 44);
static_assert(offsetof(PersistentLogHeader, serial_number) == 56);
static_assert(offsetof(PersistentLogHeader, subsystem_nqn) == 116);
static_assert(offsetof(PersistentLogHeader, generation) == 372);
static_assert(offsetof(PersistentLogHeader, context) == 374);
static_assert(offsetof(PersistentLogHeader, supported_events) == 480);

struct PersistentEventHeader {
  std::uint8_t type;
  std::uint8_t revision;
  std::uint8_t header_length;  // EHL: what follows this field
  std::uint8_t port_type;      // PIT 1:0
  wire_types::U16 controller;  // FFFFh: no controller's
  TimestampData timestamp;
  wire_types::U16 port;  // PELPID
  std::uint8_t reserved16[4];
  wire_types::U16 vendor_length;  // VSIL
  wire_types::U16 length;         // EL: what follows the header
};
static_assert(sizeof(PersistentEventHeader) == 24 && alignof(PersistentEventHeader) == 1);
static_assert(offsetof(PersistentEventHeader, controller) == 4);
static_assert(offsetof(PersistentEventHeader, timestamp) == 6);
static_assert(offsetof(PersistentEventHeader, port) == 14);
static_assert(offsetof(PersistentEventHeader, vendor_length) == 20);
static_assert(offsetof(PersistentEventHeader, length) == 22);

// 03h.
struct TimestampChangeEvent {
  TimestampData previous;
  wire_types::U64 milliseconds_since_reset;
};
static_assert(sizeof(TimestampChangeEvent) == 16 && alignof(TimestampChangeEvent) == 1);

// 04h: the firmware's revision, and one of these for each controller that was reset.
struct ControllerResetInfo {
  wire_types::U16 controller;
  std::uint8_t firmware_activation;
  std::uint8_t operation_in_progress;
  std::uint8_t reserved4[12];
  wire_types::U32 power_cycles;
  wire_types::U64 power_on_milliseconds;
  TimestampData timestamp;
};
static_assert(sizeof(ControllerResetInfo) == 36 && alignof(ControllerResetInfo) == 1);
static_assert(offsetof(ControllerResetInfo, power_cycles) == 16);
static_assert(offsetof(ControllerResetInfo, timestamp) == 28);

// 05h: a code and what it says more.
enum class HardwareErrorCode : std::uint16_t {
  unexpected_power_loss = 0x08,
  controller_fatal_status = 0x09,
  media_and_data_integrity = 0x0a,  // more: the completion entry
};
struct UnexpectedPowerLoss {
  Counter128 unsafe_shutdowns;
  std::uint8_t out_of_band;
};
static_assert(sizeof(UnexpectedPowerLoss) == 17 && alignof(UnexpectedPowerLoss) == 1);

// 06h.
struct ChangeNamespaceEvent {
  wire_types::U32 management_dword10;  // SEL 3:0: 0 created, 1 deleted
  std::uint8_t reserved4[4];
  wire_types::U64 size;  // blocks
  std::uint8_t reserved16[8];
  wire_types::U64 capacity;
  std::uint8_t formatted_size;  // FLBAS
  std::uint8_t protection;
  std::uint8_t sharing;  // NMIC
  std::uint8_t reserved35;
  wire_types::U32 ana_group;
  wire_types::U16 nvm_set;
  std::uint8_t reserved42[2];
  wire_types::U32 nsid;
};
static_assert(sizeof(ChangeNamespaceEvent) == 48 && alignof(ChangeNamespaceEvent) == 1);
static_assert(offsetof(ChangeNamespaceEvent, capacity) == 24);
static_assert(offsetof(ChangeNamespaceEvent, ana_group) == 36);
static_assert(offsetof(ChangeNamespaceEvent, nsid) == 44);

// 07h.
struct FormatStartEvent {
  wire_types::U32 nsid;
  std::uint8_t attributes;  // FNA
  std::uint8_t reserved5[3];
  wire_types::U32 dword10;  // of the command
};
static_assert(sizeof(FormatStartEvent) == 12 && alignof(FormatStartEvent) == 1);

// 08h.
struct FormatCompletionEvent {
  wire_types::U32 nsid;
  std::uint8_t smallest_progress;  // FPI
  std::uint8_t format_status;      // bit 0: it is not as it was asked for
  wire_types::U16 completion_information;
  wire_types::U32 status;  // the completion's status field, without its phase tag
};
static_assert(sizeof(FormatCompletionEvent) == 12 && alignof(FormatCompletionEvent) == 1);

// DEh: what each descriptor of ours begins with.
struct VendorEventDescriptor {
  wire_types::U16 code;
  std::uint8_t data_type;
  std::uint8_t uuid_index;
  wire_types::U16 length;
};
static_assert(sizeof(VendorEventDescriptor) == 6 && alignof(VendorEventDescriptor) == 1);
enum class VendorEventCode : std::uint16_t { host_connected = 1, host_disconnected = 2 };

// Where something has happened.
struct EventPlace {
  ControllerId controller{0xffff};  // FFFFh: of no controller
  std::uint16_t port = 0;           // 0: by no port
};

// An event as a whole, at `at` (milliseconds since 1970).
[[nodiscard]] std::vector<std::byte> build_persistent_event(PersistentEventType type,
                                                            const EventPlace& place,
                                                            std::chrono::milliseconds at,
                                                            std::span<const std::byte> data);
// Whether these bytes are one event and nothing else.
[[nodiscard]] bool is_persistent_event(std::span<const std::byte> bytes);

// What stands in events, by their type.
[[nodiscard]] std::vector<std::byte> power_on_or_reset_data(
    std::string_view firmware_revision, std::span<const ControllerResetInfo> controllers);
[[nodiscard]] std::vector<std::byte> hardware_error_data(HardwareErrorCode code,
                                                         std::span<const std::byte> more);
// Of a Set Features command: its dwords from 10 on.
[[nodiscard]] std::vector<std::byte> set_feature_data(const SubmissionEntry& command);
// The event's name, and what it is about: both are cut at 255 characters.
[[nodiscard]] std::vector<std::byte> vendor_event_data(VendorEventCode code, std::string_view name,
                                                       std::string_view text);

struct PersistentLogFacts {
  std::uint32_t events = 0;
  std::uint64_t length = 0;
  std::chrono::milliseconds at{0};  // since 1970
  std::uint64_t power_on_hours = 0;
  std::uint64_t power_cycles = 0;
  std::string_view serial_number{};
  std::string_view model_number{};
  std::string_view subsystem_nqn{};
  std::uint16_t generation = 0;
  bool context_existed = false;  // before the command that reads this
  std::uint16_t port = 0;        // that the context was established by
};
[[nodiscard]] PersistentLogHeader build_persistent_log_header(const PersistentLogFacts& facts);

}  // namespace protocol::nvme
