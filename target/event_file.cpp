#include "target/event_file.h"

#include <boost/endian/arithmetic.hpp>
#include <cstring>
#include <optional>
#include <span>

#include "engine/foundation/byte_cursor.h"
#include "engine/foundation/crc32c.h"

namespace target {
namespace {

using boost::endian::little_uint32_t;
using boost::endian::little_uint64_t;

enum class RecordKind : std::uint32_t { subsystem = 1, event = 2, end = 3 };

constexpr std::uint32_t record_magic = 0x56454246;  // "FBEV"

struct RecordHead {
  little_uint32_t magic;
  little_uint32_t kind;
  little_uint32_t payload_bytes;
  little_uint32_t payload_crc;
  little_uint64_t power_cycles;
  little_uint64_t powered_ms;
  little_uint64_t unsafe_shutdowns;
  little_uint32_t reserved;
  little_uint32_t head_crc;  // of all before it
};
static_assert(sizeof(RecordHead) == 48 && alignof(RecordHead) == 1);
static_assert(offsetof(RecordHead, head_crc) == 44);

std::uint32_t crc_of_head(const RecordHead& head) {
  return engine::crc32c(engine::bytes_of(head).first(offsetof(RecordHead, head_crc)));
}

std::string record_of(RecordKind kind, const nvmf::SubsystemLives& lives,
                      std::span<const std::byte> payload) {
  RecordHead head{};
  head.magic = record_magic;
  head.kind = static_cast<std::uint32_t>(kind);
  head.payload_bytes = static_cast<std::uint32_t>(payload.size());
  head.payload_crc = engine::crc32c(payload);
  head.power_cycles = lives.power_cycles;
  head.powered_ms = lives.powered_ms;
  head.unsafe_shutdowns = lives.unsafe_shutdowns;
  head.head_crc = crc_of_head(head);
  std::string record(reinterpret_cast<const char*>(&head), sizeof(head));
  record.append(reinterpret_cast<const char*>(payload.data()), payload.size());
  return record;
}

struct FoundRecord {
  RecordHead head{};
  std::span<const std::byte> payload{};
};

// The record that begins here, if one does and is as it was written.
std::optional<FoundRecord> record_at(std::span<const std::byte> bytes) {
  engine::ByteReader reader(bytes);
  const auto head = reader.read<RecordHead>();
  if (!head || head->magic != record_magic || head->head_crc != crc_of_head(*head)) {
    return std::nullopt;
  }
  const auto payload = reader.take(head->payload_bytes);
  if (!payload || engine::crc32c(*payload) != head->payload_crc) return std::nullopt;
  return FoundRecord{*head, *payload};
}

}  // namespace

std::string event_file_begin(std::string_view subsystem_nqn) {
  return record_of(RecordKind::subsystem, {}, std::as_bytes(std::span(subsystem_nqn)));
}

std::string event_file_record(const nvmf::SubsystemLives& lives, std::span<const std::byte> event) {
  return record_of(RecordKind::event, lives, event);
}

std::string event_file_end(const nvmf::SubsystemLives& lives) {
  return record_of(RecordKind::end, lives, {});
}

EventFile parse_event_file(std::string_view content, std::string_view subsystem_nqn) {
  EventFile file;
  std::span<const std::byte> rest = std::as_bytes(std::span(content));
  while (!rest.empty()) {
    const auto record = record_at(rest);
    if (!record) {
      file.is_whole = false;
      rest = rest.subspan(1);
      continue;
    }
    rest = rest.subspan(sizeof(RecordHead) + record->payload.size());
    const auto kind = static_cast<RecordKind>(record->head.kind.value());
    if (kind == RecordKind::subsystem) {
      const std::string_view nqn(reinterpret_cast<const char*>(record->payload.data()),
                                 record->payload.size());
      if (nqn != subsystem_nqn) return {.is_whole = false};
      continue;
    }
    file.lives = {.power_cycles = record->head.power_cycles,
                  .powered_ms = record->head.powered_ms,
                  .unsafe_shutdowns = record->head.unsafe_shutdowns};
    file.ended_well = kind == RecordKind::end;
    if (kind != RecordKind::event) continue;
    if (protocol::nvme::is_persistent_event(record->payload)) {
      file.events.emplace_back(record->payload.begin(), record->payload.end());
    } else {
      file.is_whole = false;
    }
  }
  return file;
}

}  // namespace target
