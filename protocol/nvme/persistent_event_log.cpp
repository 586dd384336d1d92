#include "protocol/nvme/persistent_event_log.h"

#include <algorithm>
#include <cstring>

#include "engine/foundation/byte_cursor.h"
#include "protocol/nvme/ascii_field.h"
#include "protocol/nvme/log_pages.h"

namespace protocol::nvme {

namespace {

constexpr std::uint8_t port_of_subsystem = 1;
constexpr std::uint8_t port_not_reported = 0;
constexpr std::uint8_t no_port_concerned = 3;

constexpr PersistentEventType recorded_types[] = {
    PersistentEventType::smart_snapshot,    PersistentEventType::timestamp_change,
    PersistentEventType::power_on_or_reset, PersistentEventType::hardware_error,
    PersistentEventType::change_namespace,  PersistentEventType::set_feature,
    PersistentEventType::vendor_specific,
};

std::uint8_t revision_of(PersistentEventType type) {
  return type == PersistentEventType::hardware_error ? 2 : 1;
}

void append_to(std::vector<std::byte>& data, std::span<const std::byte> more) {
  data.insert(data.end(), more.begin(), more.end());
}

void append_text(std::vector<std::byte>& data, VendorEventCode code, std::uint8_t type,
                 std::string_view text) {
  text = text.substr(0, 255);
  VendorEventDescriptor descriptor{};
  descriptor.code = static_cast<std::uint16_t>(code);
  descriptor.data_type = type;
  descriptor.length = static_cast<std::uint16_t>(text.size());
  append_to(data, engine::bytes_of(descriptor));
  append_to(data, std::as_bytes(std::span(text)));
}

}  // namespace

std::vector<std::byte> build_persistent_event(PersistentEventType type, const EventPlace& place,
                                              std::chrono::milliseconds at,
                                              std::span<const std::byte> data) {
  PersistentEventHeader header{};
  header.type = static_cast<std::uint8_t>(type);
  header.revision = revision_of(type);
  header.header_length = sizeof(header) - offsetof(PersistentEventHeader, port_type);
  const bool of_controller = place.controller.value != 0xffff;
  if (place.port != 0) {
    header.port_type = port_of_subsystem;
  } else {
    header.port_type = of_controller ? port_not_reported : no_port_concerned;
  }
  header.controller = place.controller.value;
  // The value alone: where it comes from stands in the log's own header.
  header.timestamp = encode_timestamp(at, TimestampOrigin::cleared_at_reset);
  header.port = place.port;
  header.length = static_cast<std::uint16_t>(data.size());
  std::vector<std::byte> event;
  event.reserve(sizeof(header) + data.size());
  append_to(event, engine::bytes_of(header));
  append_to(event, data);
  return event;
}

bool is_persistent_event(std::span<const std::byte> bytes) {
  engine::ByteReader reader(bytes);
  const auto header = reader.read<PersistentEventHeader>();
  return header && header->type != 0 &&
         header->header_length == sizeof(*header) - offsetof(PersistentEventHeader, port_type) &&
         header->length.value() == reader.remaining();
}

std::vector<std::byte> power_on_or_reset_data(std::string_view firmware_revision,
                                              std::span<const ControllerResetInfo> controllers) {
  char revision[8];
  put_ascii(revision, firmware_revision);
  std::vector<std::byte> data;
  append_to(data, std::as_bytes(std::span(revision)));
  append_to(data, std::as_bytes(controllers));
  return data;
}

std::vector<std::byte> hardware_error_data(HardwareErrorCode code,
                                           std::span<const std::byte> more) {
  struct {
    wire_types::U16 code;
    std::uint8_t reserved[2];
  } head{};
  head.code = static_cast<std::uint16_t>(code);
  std::vector<std::byte> data;
  append_to(data, engine::bytes_of(head));
  append_to(data, more);
  return data;
}

std::vector<std::byte> set_feature_data(const SubmissionEntry& command) {
  constexpr std::size_t from = offsetof(SubmissionEntry, cdw10);
  constexpr std::uint32_t dwords = (sizeof(SubmissionEntry) - from) / 4;
  wire_types::U32 layout;
  layout = dwords;
  std::vector<std::byte> data;
  append_to(data, engine::bytes_of(layout));
  append_to(data, engine::bytes_of(command).subspan(from));
  return data;
}

std::vector<std::byte> vendor_event_data(VendorEventCode code, std::string_view name,
                                         std::string_view text) {
  constexpr std::uint8_t event_name = 1;
  constexpr std::uint8_t ascii = 2;
  std::vector<std::byte> data;
  append_text(data, code, event_name, name);
  append_text(data, code, ascii, text);
  return data;
}

PersistentLogHeader build_persistent_log_header(const PersistentLogFacts& facts) {
  constexpr std::uint32_t context_exists = 1u << 18;
  PersistentLogHeader header{};
  header.log_id = static_cast<std::uint8_t>(LogPage::persistent_event);
  header.events = facts.events;
  header.length = facts.length;
  header.revision = 3;
  header.header_length = sizeof(header) - offsetof(PersistentLogHeader, timestamp);
  header.timestamp = encode_timestamp(facts.at, TimestampOrigin::set_by_host);
  header.power_on_hours.low = facts.power_on_hours;
  header.power_cycles = facts.power_cycles;
  put_ascii(header.serial_number, facts.serial_number);
  put_ascii(header.model_number, facts.model_number);
  put_nul_padded(header.subsystem_nqn, facts.subsystem_nqn);
  header.generation = facts.generation;
  if (facts.context_existed) {
    header.context = context_exists | std::uint32_t{port_of_subsystem} << 16 | facts.port;
  }
  for (const PersistentEventType type : recorded_types) {
    const auto number = static_cast<unsigned>(type);
    header.supported_events[number / 8] |= static_cast<std::uint8_t>(1u << (number % 8));
  }
  return header;
}

}  // namespace protocol::nvme
