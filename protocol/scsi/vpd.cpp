#include "protocol/scsi/vpd.h"

#include <array>
#include <string>

#include "protocol/scsi/command_table.h"
#include "protocol/scsi/identity.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

struct VpdHeader {
  std::uint8_t peripheral;
  std::uint8_t page;
  wire::be16 length;
};
static_assert(wire::is_wire_struct<VpdHeader, 4>);

// SPC-4, "Designation descriptor".
struct DesignatorHeader {
  std::uint8_t protocol_and_code_set;  // PROTOCOL IDENTIFIER 7:4, CODE SET 3:0
  std::uint8_t kind;                   // PIV 7, ASSOCIATION 5:4, DESIGNATOR TYPE 3:0
  std::uint8_t reserved2;
  std::uint8_t length;
};
static_assert(wire::is_wire_struct<DesignatorHeader, 4>);

enum class CodeSet : std::uint8_t { binary = 1, ascii = 2, utf8 = 3 };
enum class Association : std::uint8_t { logical_unit = 0, target_port = 1, target_device = 2 };
enum class DesignatorType : std::uint8_t {
  t10_vendor = 1,
  naa = 3,
  relative_target_port = 4,
  target_port_group = 5,
  scsi_name = 8,
  uuid = 0xa,
};

struct ExtendedInquiryBody {
  std::uint8_t checks;    // ACTIVATE_MICROCODE, SPT, GRD_CHK, APP_CHK, REF_CHK
  std::uint8_t ordering;  // UASK_SUP 5, GROUP_SUP 4, PRIOR_SUP 3, HEADSUP 2, ORDSUP 1, SIMPSUP 0
  std::uint8_t caches;    // WU_SUP 3, CRD_SUP 2, NV_SUP 1, V_SUP 0
  std::uint8_t byte7;     // P_I_I_SUP 4, LUICLR 0
  std::uint8_t byte8;     // R_SUP 4, CBCS 0
  std::uint8_t microcode_download;
  wire::be16 self_test_minutes;
  std::uint8_t byte12;  // POA_SUP 7, HRA_SUP 6, VSA_SUP 5
  std::uint8_t max_sense_data;
  wire::Reserved<50> reserved14;
};
static_assert(wire::is_wire_struct<ExtendedInquiryBody, 60>);
static_assert(offsetof(ExtendedInquiryBody, max_sense_data) == 13 - 4);

// SBC-4, "Block Limits VPD page".
struct BlockLimitsBody {
  std::uint8_t flags;  // WSNZ 0
  std::uint8_t max_compare_and_write;
  wire::be16 optimal_granularity;
  wire::be32 max_transfer;
  wire::be32 optimal_transfer;
  wire::be32 max_prefetch;
  wire::be32 max_unmap;
  wire::be32 max_unmap_descriptors;
  wire::be32 unmap_granularity;
  wire::be32 unmap_alignment;  // UGAVALID 31
  wire::be64 max_write_same;
  wire::be32 max_atomic;
  wire::be32 atomic_alignment;
  wire::be32 atomic_granularity;
  wire::be32 max_atomic_with_boundary;
  wire::be32 max_atomic_boundary;
};
static_assert(wire::is_wire_struct<BlockLimitsBody, 60>);
static_assert(offsetof(BlockLimitsBody, max_unmap) == 20 - 4);
static_assert(offsetof(BlockLimitsBody, max_write_same) == 36 - 4);
static_assert(offsetof(BlockLimitsBody, max_atomic) == 44 - 4);

// SBC-4, "Block Device Characteristics VPD page".
struct CharacteristicsBody {
  wire::be16 rotation_rate;
  std::uint8_t product_type;
  std::uint8_t form_factor;  // WABEREQ 7:6, WACEREQ 5:4, NOMINAL FORM FACTOR 3:0
  std::uint8_t flags;        // FUAB 1, VBULS 0
  wire::Reserved<55> reserved9;
};
static_assert(wire::is_wire_struct<CharacteristicsBody, 60>);

// SBC-4, "Logical Block Provisioning VPD page".
struct ProvisioningBody {
  std::uint8_t threshold_exponent;
  std::uint8_t flags;  // LBPU 7, LBPWS 6, LBPWS10 5, LBPRZ 4:2, ANC_SUP 1, DP 0
  std::uint8_t type;   // PROVISIONING TYPE 2:0
  std::uint8_t threshold_percentage;
};
static_assert(wire::is_wire_struct<ProvisioningBody, 4>);

// SPC-4, "Third-party copy descriptors".
struct CopyParameterData {  // 0004h
  wire::be16 type;
  wire::be16 length;
  wire::Reserved<4> reserved4;
  wire::be16 max_targets;
  wire::be16 max_segments;
  wire::be32 max_descriptor_bytes;
  wire::be32 max_inline_bytes;
  wire::Reserved<12> reserved20;
};
static_assert(wire::is_wire_struct<CopyParameterData, 32>);

struct GeneralCopyOperations {  // 8001h
  wire::be16 type;
  wire::be16 length;
  wire::be32 total_concurrent;
  wire::be32 max_identified;
  wire::be32 max_segment_bytes;
  std::uint8_t segment_granularity;
  std::uint8_t inline_granularity;
  wire::Reserved<18> reserved18;
};
static_assert(wire::is_wire_struct<GeneralCopyOperations, 36>);

constexpr std::array unit_pages{
    VpdPage::supported_pages,
    VpdPage::unit_serial_number,
    VpdPage::device_identification,
    VpdPage::extended_inquiry,
    VpdPage::mode_page_policy,
    VpdPage::third_party_copy,
    VpdPage::block_limits,
    VpdPage::block_device_characteristics,
    VpdPage::logical_block_provisioning,
};

bool has_page(VpdPage page, const UnitPages& unit) {
  if (unit.peripheral != Peripheral::block_device) {
    return page == VpdPage::supported_pages || page == VpdPage::device_identification;
  }
  return page != VpdPage::third_party_copy || unit.features.copy;
}

std::uint32_t count32(engine::BlockCount count) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(count.value, 0xffff'ffffu));
}

void put_supported_pages(Answer& answer, const UnitPages& unit) {
  for (const auto page : unit_pages) {
    if (has_page(page, unit)) answer.put(static_cast<std::uint8_t>(page));
  }
}

constexpr std::uint8_t protocol_iscsi = 5;  // SPC-4, "Protocol identifier"

void put_designator(Answer& answer, CodeSet code_set, Association association, DesignatorType type,
                    std::span<const std::byte> bytes) {
  const bool of_protocol = association != Association::logical_unit;
  DesignatorHeader head{};
  head.protocol_and_code_set = static_cast<std::uint8_t>(static_cast<unsigned>(code_set) |
                                                         (of_protocol ? protocol_iscsi << 4 : 0));
  head.kind = static_cast<std::uint8_t>((of_protocol ? 0x80u : 0u) |
                                        static_cast<unsigned>(association) << 4 |
                                        static_cast<unsigned>(type));
  head.length = static_cast<std::uint8_t>(bytes.size());
  answer.put(head);
  answer.put_bytes(bytes);
}

// SCSI name strings end with a NUL and are a multiple of four long.
void put_name(Answer& answer, Association association, std::string name) {
  name.resize((name.size() / 4 + 1) * 4);
  put_designator(answer, CodeSet::utf8, association, DesignatorType::scsi_name,
                 std::as_bytes(std::span(name)));
}

// The last two bytes of the four of a relative target port or target port group designator.
std::array<std::byte, 4> number_designator(std::uint16_t number) {
  return {std::byte{0}, std::byte{0}, static_cast<std::byte>(number >> 8),
          static_cast<std::byte>(number & 0xffu)};
}

void put_unit_designators(Answer& answer, const engine::Uuid& volume) {
  put_designator(answer, CodeSet::binary, Association::logical_unit, DesignatorType::naa,
                 naa_of(volume));
  const std::string t10 = std::string(vendor_identification) + unit_serial_of(volume);
  put_designator(answer, CodeSet::ascii, Association::logical_unit, DesignatorType::t10_vendor,
                 std::as_bytes(std::span(t10)));
  const auto uuid = uuid_designator_of(volume);
  put_designator(answer, CodeSet::binary, Association::logical_unit, DesignatorType::uuid, uuid);
}

void put_port_designators(Answer& answer, const UnitPages& unit) {
  put_designator(answer, CodeSet::binary, Association::target_port,
                 DesignatorType::relative_target_port,
                 number_designator(unit.relative_target_port));
  put_designator(answer, CodeSet::binary, Association::target_port,
                 DesignatorType::target_port_group, number_designator(unit.target_port_group));
  if (unit.target_name.empty()) return;
  // RFC 7143, 4.4.1: the target port's name is the node's, ",t,0x" and the portal group tag.
  constexpr std::string_view digits = "0123456789abcdef";
  std::string port(unit.target_name);
  port += ",t,0x";
  for (const unsigned shift : {12u, 8u, 4u, 0u}) {
    port += digits[(unsigned{unit.relative_target_port} >> shift) & 15u];
  }
  put_name(answer, Association::target_port, std::move(port));
  put_name(answer, Association::target_device, std::string(unit.target_name));
}

void put_extended_inquiry(Answer& answer) {
  ExtendedInquiryBody body{};
  body.ordering = 0x07;  // HEADSUP, ORDSUP, SIMPSUP
  body.max_sense_data = max_sense_bytes;
  answer.put(body);
}

// One policy for all pages and subpages: shared by all nexuses.
void put_mode_page_policy(Answer& answer) {
  answer.put(std::array<std::uint8_t, 4>{0x3f, 0xff, 0x00, 0x00});
}

// `put_list` writes what stands behind the length of `LengthField`; then it is padded to a multiple
// of four.
template <class LengthField, class PutList>
void put_copy_list(Answer& answer, std::uint16_t type, const PutList& put_list) {
  const std::size_t start = answer.full_bytes();
  answer.put(wire::be16{type});
  answer.put(wire::be16{});
  answer.put(LengthField{});
  const std::size_t list_start = answer.full_bytes();
  put_list();
  const std::size_t list_bytes = answer.full_bytes() - list_start;
  answer.put_at(list_start - sizeof(LengthField),
                LengthField(static_cast<std::uint16_t>(list_bytes)));
  answer.put_zeros((4 - (answer.full_bytes() - start) % 4) % 4);
  answer.put_at(start + 2, wire::be16{static_cast<std::uint16_t>(answer.full_bytes() - start - 4)});
}

struct ByteLength {
  std::uint8_t value = 0;
  ByteLength() = default;
  explicit ByteLength(std::uint16_t bytes) : value(static_cast<std::uint8_t>(bytes)) {}
};

void put_copy_commands(Answer& answer) {
  for (const std::uint8_t opcode : {std::uint8_t{0x83}, std::uint8_t{0x84}}) {
    answer.put(opcode);
    const std::size_t count_at = answer.full_bytes();
    answer.put(std::uint8_t{0});
    std::uint8_t count = 0;
    for (const auto& row : command_table()) {
      if (row.opcode != opcode) continue;
      answer.put(row.service_action);
      ++count;
    }
    answer.put_at(count_at, count);
  }
}

void put_third_party_copy(Answer& answer, const CopyLimits& limits) {
  put_copy_list<ByteLength>(answer, 0x0001, [&] { put_copy_commands(answer); });
  CopyParameterData parameters{};
  parameters.type = 0x0004;
  parameters.length = sizeof(parameters) - 4;
  parameters.max_targets = max_copy_targets;
  parameters.max_segments = max_copy_segments;
  parameters.max_descriptor_bytes = max_copy_descriptor_bytes;
  answer.put(parameters);
  put_copy_list<ByteLength>(answer, 0x0008, [&] { answer.put(copy_descriptor_types); });
  // No CSCD descriptor identifiers beyond indices into the list.
  put_copy_list<wire::be16>(answer, 0x000c, [] {});
  GeneralCopyOperations general{};
  general.type = 0x8001;
  general.length = sizeof(general) - 4;
  general.total_concurrent = limits.max_concurrent;
  general.max_identified = limits.max_concurrent;
  general.max_segment_bytes = limits.max_segment_bytes;
  answer.put(general);
}

void put_block_limits(Answer& answer, const BlockLimits& limits, const UnitFeatures& features) {
  BlockLimitsBody body{};
  body.flags = limits.write_same_needs_count ? 1 : 0;
  body.max_compare_and_write =
      static_cast<std::uint8_t>(std::min<std::uint64_t>(limits.max_compare_and_write.value, 0xff));
  body.optimal_granularity =
      static_cast<std::uint16_t>(std::min<std::uint64_t>(limits.optimal_granularity.value, 0xffff));
  body.max_transfer = count32(limits.max_transfer);
  body.optimal_transfer = count32(limits.optimal_transfer);
  body.max_prefetch = count32(limits.max_prefetch);
  if (features.unmap) {
    body.max_unmap = count32(limits.max_unmap);
    body.max_unmap_descriptors = limits.max_unmap_descriptors;
    body.unmap_granularity = count32(limits.unmap_granularity);
    if (limits.unmap_alignment) {
      body.unmap_alignment = 0x8000'0000u | (count32(*limits.unmap_alignment) & 0x7fff'ffffu);
    }
  }
  body.max_write_same = limits.max_write_same.value;
  if (features.write_atomic) {
    body.max_atomic = count32(limits.max_atomic);
    body.atomic_alignment = count32(limits.atomic_alignment);
    body.atomic_granularity = count32(limits.atomic_granularity);
  }
  answer.put(body);
}

void put_characteristics(Answer& answer) {
  constexpr std::uint16_t non_rotating = 1;
  constexpr std::uint8_t fua_as_here = 0x02;              // FUAB
  constexpr std::uint8_t unmapped_blocks_compare = 0x01;  // VBULS
  CharacteristicsBody body{};
  body.rotation_rate = non_rotating;
  body.flags = fua_as_here | unmapped_blocks_compare;
  answer.put(body);
}

void put_provisioning(Answer& answer, const UnitPages& unit) {
  constexpr std::uint8_t unmap_command = 0x80;         // LBPU
  constexpr std::uint8_t unmap_by_write_same = 0x60;   // LBPWS, LBPWS10
  constexpr std::uint8_t unmapped_reads_zeros = 0x04;  // LBPRZ 001b
  constexpr std::uint8_t thin = 2;
  constexpr std::uint8_t fully_provisioned = 0;
  ProvisioningBody body{};
  if (unit.features.unmap) {
    body.flags = unmap_command | unmap_by_write_same | unmapped_reads_zeros;
    body.type = unit.thin ? thin : fully_provisioned;
  }
  answer.put(body);
}

}  // namespace

bool put_vpd_page(Answer& answer, std::uint8_t page_code, const UnitPages& unit) {
  const auto page = static_cast<VpdPage>(page_code);
  if (std::find(unit_pages.begin(), unit_pages.end(), page) == unit_pages.end() ||
      !has_page(page, unit)) {
    return false;
  }
  const std::size_t start = answer.full_bytes();
  VpdHeader head{};
  head.peripheral = static_cast<std::uint8_t>(unit.peripheral);
  head.page = page_code;
  answer.put(head);
  switch (page) {
    case VpdPage::supported_pages:
      put_supported_pages(answer, unit);
      break;
    case VpdPage::unit_serial_number:
      answer.put_text(unit_serial_of(unit.volume));
      break;
    case VpdPage::device_identification:
      if (unit.peripheral == Peripheral::block_device) put_unit_designators(answer, unit.volume);
      put_port_designators(answer, unit);
      break;
    case VpdPage::extended_inquiry:
      put_extended_inquiry(answer);
      break;
    case VpdPage::mode_page_policy:
      put_mode_page_policy(answer);
      break;
    case VpdPage::third_party_copy:
      put_third_party_copy(answer, unit.copy);
      break;
    case VpdPage::block_limits:
      put_block_limits(answer, unit.limits, unit.features);
      break;
    case VpdPage::block_device_characteristics:
      put_characteristics(answer);
      break;
    case VpdPage::logical_block_provisioning:
      put_provisioning(answer, unit);
      break;
  }
  head.length = static_cast<std::uint16_t>(answer.full_bytes() - start - sizeof(head));
  answer.put_at(start, head);
  return true;
}

}  // namespace protocol::scsi
