#include "protocol/scsi/transport_id.h"

#include <algorithm>

#include "engine/foundation/byte_cursor.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

struct TransportIdHeader {
  std::uint8_t format_and_protocol;  // FORMAT CODE 7:6, PROTOCOL IDENTIFIER 3:0
  std::uint8_t reserved1;
  wire::be16 additional_length;
};
static_assert(wire::is_wire_struct<TransportIdHeader, 4>);

constexpr std::uint8_t iscsi_protocol = 0x05;
constexpr std::uint8_t device_format = 0x00;
constexpr std::uint8_t port_format = 0x40;
constexpr std::size_t shortest_name_field = 20;
// Between the name and the ISID of a port (RFC 7143, 4.4.1).
constexpr std::string_view isid_separator = ",i,0x";
constexpr std::string_view hex_digits = "0123456789abcdef";

std::optional<unsigned> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

std::optional<std::array<std::byte, 6>> isid_of(std::string_view text) {
  std::array<std::byte, 6> isid{};
  if (text.size() != 2 * isid.size()) return std::nullopt;
  for (std::size_t i = 0; i < isid.size(); ++i) {
    const auto high = hex_value(text[2 * i]);
    const auto low = hex_value(text[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    isid[i] = static_cast<std::byte>(*high << 4 | *low);
  }
  return isid;
}

}  // namespace

Parsed<ParsedTransportId> parse_transport_id(std::span<const std::byte> list, std::size_t at) {
  engine::ByteReader reader(list.subspan(std::min(at, list.size())));
  const auto head = reader.read<TransportIdHeader>();
  if (!head) return sense::parameter_list_length_error;
  const std::uint8_t format = head->format_and_protocol & 0xc0;
  if ((head->format_and_protocol & 0x0f) != iscsi_protocol) return sense::invalid_list(at, 3);
  if (format != device_format && format != port_format) return sense::invalid_list(at, 7);
  const std::size_t field_bytes = head->additional_length;
  if (field_bytes < shortest_name_field || field_bytes % 4 != 0) {
    return sense::invalid_list(at + offsetof(TransportIdHeader, additional_length));
  }
  const auto field = reader.take(field_bytes);
  if (!field) return sense::parameter_list_length_error;

  const std::size_t text_at = at + sizeof(TransportIdHeader);
  std::string_view text(reinterpret_cast<const char*>(field->data()), field->size());
  const auto end = text.find('\0');
  if (end == std::string_view::npos) return sense::invalid_list(text_at);
  text = text.substr(0, end);

  ParsedTransportId made{.bytes = sizeof(TransportIdHeader) + field_bytes};
  made.id.name = text;
  if (format == port_format) {
    const auto separator = text.find(isid_separator);
    if (separator == std::string_view::npos) return sense::invalid_list(text_at);
    made.id.name = text.substr(0, separator);
    made.id.isid = isid_of(text.substr(separator + isid_separator.size()));
    if (!made.id.isid) return sense::invalid_list(text_at + separator);
  }
  if (made.id.name.empty() || made.id.name.size() > max_iscsi_name_bytes) {
    return sense::invalid_list(text_at);
  }
  return made;
}

void put_transport_id(Answer& answer, const TransportId& id) {
  const auto name = id.name.substr(0, max_iscsi_name_bytes);
  std::size_t text_bytes = name.size();
  if (id.isid) text_bytes += isid_separator.size() + 2 * id.isid->size();
  const std::size_t field_bytes = std::max((text_bytes / 4 + 1) * 4, shortest_name_field);
  TransportIdHeader head{};
  head.format_and_protocol =
      static_cast<std::uint8_t>((id.isid ? port_format : device_format) | iscsi_protocol);
  head.additional_length = static_cast<std::uint16_t>(field_bytes);
  answer.put(head);
  answer.put_text(name);
  if (id.isid) {
    answer.put_text(isid_separator);
    for (const std::byte byte : *id.isid) {
      answer.put(hex_digits[static_cast<std::size_t>(byte) >> 4]);
      answer.put(hex_digits[static_cast<std::size_t>(byte) & 15]);
    }
  }
  answer.put_zeros(field_bytes - text_bytes);
}

}  // namespace protocol::scsi
