#include "protocol/scsi/persistent_reservation.h"

#include <algorithm>

#include "engine/foundation/byte_cursor.h"
#include "protocol/scsi/transport_id.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

using Action = PersistentReserveOut::Action;

// SPC-4, "PERSISTENT RESERVE OUT parameter list".
struct ReserveOutList {
  wire::be64 key;
  wire::be64 service_action_key;
  wire::Reserved<4> obsolete16;
  std::uint8_t flags;  // SPEC_I_PT 3, ALL_TG_PT 2, APTPL 0
  std::uint8_t reserved21;
  wire::Reserved<2> obsolete22;
};
static_assert(wire::is_wire_struct<ReserveOutList, 24>);

// SPC-4, "REGISTER AND MOVE parameter list".
struct MoveList {
  wire::be64 key;
  wire::be64 service_action_key;
  std::uint8_t reserved16;
  std::uint8_t flags;  // UNREG 1, APTPL 0
  wire::be16 relative_target_port;
  wire::be32 transport_id_bytes;
};
static_assert(wire::is_wire_struct<MoveList, 24>);

constexpr std::uint8_t specify_ports_bit = 0x08;
constexpr std::uint8_t all_ports_bit = 0x04;
constexpr std::uint8_t persist_bit = 0x01;
constexpr std::uint8_t unregister_bit = 0x02;

struct ReserveInHeader {
  wire::be32 generation;
  wire::be32 additional_length;
};
static_assert(wire::is_wire_struct<ReserveInHeader, 8>);

// SPC-4, "READ RESERVATION parameter data".
struct ReservationDescriptor {
  wire::be64 key;
  wire::Reserved<4> obsolete16;
  std::uint8_t reserved20;
  std::uint8_t scope_and_type;
  wire::Reserved<2> obsolete22;
};
static_assert(wire::is_wire_struct<ReservationDescriptor, 16>);

// SPC-4, "REPORT CAPABILITIES parameter data".
struct CapabilitiesPage {
  wire::be16 length;
  std::uint8_t flags2;  // RLR_C 7, CRH 4, SIP_C 3, ATP_C 2, PTPL_C 0
  std::uint8_t flags3;  // TMV 7, ALLOW COMMANDS 6:4, PTPL_A 0
  wire::be16 types;
  wire::Reserved<2> reserved6;
};
static_assert(wire::is_wire_struct<CapabilitiesPage, 8>);

// SPC-4, "READ FULL STATUS parameter data", a full status descriptor without its TransportID.
struct FullStatusDescriptor {
  wire::be64 key;
  wire::Reserved<4> reserved8;
  std::uint8_t flags;  // ALL_TG_PT 1, R_HOLDER 0
  std::uint8_t scope_and_type;
  wire::Reserved<4> reserved14;
  wire::be16 relative_target_port;
  wire::be32 transport_id_bytes;
};
static_assert(wire::is_wire_struct<FullStatusDescriptor, 24>);

// WR_EX_AR, EX_AC_RO, WR_EX_RO, EX_AC, WR_EX of the first byte, EX_AC_AR of the second.
constexpr std::uint16_t all_types = 0xea01;
constexpr std::uint8_t type_mask_valid = 0x80;

Parsed<ReserveOutParameters> parse_move(std::span<const std::byte> data) {
  const auto list = engine::ByteReader(data).read<MoveList>();
  if (!list) return sense::parameter_list_length_error;
  const std::uint32_t bytes = list->transport_id_bytes;
  if (data.size() != sizeof(MoveList) + std::uint64_t{bytes}) {
    return sense::parameter_list_length_error;
  }
  TRY(auto id, parse_transport_id(data, sizeof(MoveList)));
  if (id.bytes != bytes) return sense::invalid_list(offsetof(MoveList, transport_id_bytes));
  ReserveOutParameters made;
  made.key = list->key;
  made.service_action_key = list->service_action_key;
  made.persist = (list->flags & persist_bit) != 0;
  made.move = ReserveOutParameters::Move{.unregister = (list->flags & unregister_bit) != 0,
                                         .relative_target_port = list->relative_target_port,
                                         .to = id.id};
  return made;
}

// What stands behind the 24 bytes with SPEC_I_PT: a length, and TransportIDs.
Parsed<void> parse_ports(std::span<const std::byte> data, ReserveOutParameters& made) {
  engine::ByteReader reader(data.subspan(sizeof(ReserveOutList)));
  const auto bytes = reader.read<wire::be32>();
  if (!bytes || reader.remaining() != *bytes) return sense::parameter_list_length_error;
  for (std::size_t at = sizeof(ReserveOutList) + sizeof(wire::be32); at < data.size();) {
    if (made.port_count == max_transport_ids) return sense::insufficient_registration_resources;
    TRY(auto id, parse_transport_id(data, at));
    made.ports[made.port_count++] = id.id;
    at += id.bytes;
  }
  return engine::success();
}

}  // namespace

Parsed<ReserveOutParameters> parse_reserve_out_parameters(const PersistentReserveOut& command,
                                                          std::span<const std::byte> data) {
  if (data.size() < command.parameter_bytes) return sense::parameter_list_length_error;
  data = data.first(command.parameter_bytes);
  if (command.action == Action::register_and_move) return parse_move(data);

  const auto list = engine::ByteReader(data).read<ReserveOutList>();
  if (!list) return sense::parameter_list_length_error;
  ReserveOutParameters made;
  made.key = list->key;
  made.service_action_key = list->service_action_key;
  const bool is_register = command.action == Action::register_key ||
                           command.action == Action::register_and_ignore_existing_key;
  if (is_register) {
    made.persist = (list->flags & persist_bit) != 0;
    made.all_target_ports = (list->flags & all_ports_bit) != 0;
  }
  if ((list->flags & specify_ports_bit) == 0) {
    if (data.size() != sizeof(ReserveOutList)) return sense::parameter_list_length_error;
    return made;
  }
  // SPC-4: of REGISTER alone.
  if (command.action != Action::register_key) {
    return sense::invalid_list(offsetof(ReserveOutList, flags), 3);
  }
  made.specify_ports = true;
  TRY(parse_ports(data, made));
  return made;
}

void put_reservation_keys(Answer& answer, std::uint32_t generation,
                          std::span<const std::uint64_t> keys) {
  ReserveInHeader head{};
  head.generation = generation;
  head.additional_length = static_cast<std::uint32_t>(keys.size() * sizeof(wire::be64));
  answer.put(head);
  for (const auto key : keys) answer.put(wire::be64{key});
}

void put_reservation(Answer& answer, std::uint32_t generation,
                     const std::optional<HeldReservation>& held) {
  ReserveInHeader head{};
  head.generation = generation;
  head.additional_length = held ? sizeof(ReservationDescriptor) : 0;
  answer.put(head);
  if (!held) return;
  ReservationDescriptor made{};
  made.key = held->key;
  made.scope_and_type = held->type;
  answer.put(made);
}

void put_reservation_capabilities(Answer& answer, const ReservationCapabilities& capabilities) {
  CapabilitiesPage page{};
  page.length = sizeof(page);
  page.flags2 = static_cast<std::uint8_t>((capabilities.specify_initiator_ports ? 0x08 : 0) |
                                          (capabilities.all_target_ports ? 0x04 : 0) |
                                          (capabilities.persist_capable ? 0x01 : 0));
  page.flags3 = static_cast<std::uint8_t>(type_mask_valid | (capabilities.persists ? 0x01 : 0));
  page.types = all_types;
  answer.put(page);
}

FullStatus::FullStatus(Answer& answer, std::uint32_t generation)
    : answer_(answer), start_(answer.full_bytes()) {
  ReserveInHeader head{};
  head.generation = generation;
  answer_.put(head);
}

void FullStatus::put(const Registrant& registrant) {
  FullStatusDescriptor made{};
  made.key = registrant.key;
  made.flags = static_cast<std::uint8_t>((registrant.all_target_ports ? 0x02 : 0) |
                                         (registrant.holder ? 0x01 : 0));
  if (registrant.holder) made.scope_and_type = registrant.type;
  if (!registrant.all_target_ports) made.relative_target_port = registrant.relative_target_port;
  const std::size_t at = answer_.full_bytes();
  answer_.put(made);
  put_transport_id(answer_, registrant.port);
  made.transport_id_bytes = static_cast<std::uint32_t>(answer_.full_bytes() - at - sizeof(made));
  answer_.put_at(at, made);
}

void FullStatus::end() {
  const std::size_t behind = answer_.full_bytes() - start_ - sizeof(ReserveInHeader);
  answer_.put_at(start_ + offsetof(ReserveInHeader, additional_length),
                 wire::be32{static_cast<std::uint32_t>(behind)});
}

}  // namespace protocol::scsi
