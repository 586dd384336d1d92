#include "protocol/scsi/sense.h"

#include <algorithm>
#include <cstring>

#include "engine/foundation/byte_cursor.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

// SPC-4, "Sense key specific sense data": byte 0 has SKSV (bit 7), and of a field pointer C/D (6),
// BPV (3) and BIT POINTER (2:0).
struct SenseKeySpecific {
  std::uint8_t flags;
  wire::be16 value;
};
static_assert(wire::is_wire_struct<SenseKeySpecific, 3>);

// SPC-4, "Fixed format sense data".
struct FixedSense {
  std::uint8_t response_code;  // bit 7: VALID, of INFORMATION
  std::uint8_t obsolete1;
  std::uint8_t sense_key;
  wire::be32 information;
  std::uint8_t additional_length;
  wire::be32 command_specific_information;
  std::uint8_t asc;
  std::uint8_t ascq;
  std::uint8_t field_replaceable_unit;
  SenseKeySpecific specific;
};
static_assert(wire::is_wire_struct<FixedSense, 18>);
static_assert(offsetof(FixedSense, information) == 3);
static_assert(offsetof(FixedSense, additional_length) == 7);
static_assert(offsetof(FixedSense, asc) == 12);
static_assert(offsetof(FixedSense, specific) == 15);

// SPC-4, "Descriptor format sense data".
struct DescriptorSense {
  std::uint8_t response_code;
  std::uint8_t sense_key;
  std::uint8_t asc;
  std::uint8_t ascq;
  wire::Reserved<3> reserved4;
  std::uint8_t additional_length;
};
static_assert(wire::is_wire_struct<DescriptorSense, 8>);

struct InformationDescriptor {
  std::uint8_t type;  // 00h
  std::uint8_t additional_length;
  std::uint8_t valid;  // bit 7
  std::uint8_t reserved3;
  wire::be64 information;
};
static_assert(wire::is_wire_struct<InformationDescriptor, 12>);

struct SenseKeySpecificDescriptor {
  std::uint8_t type;  // 02h
  std::uint8_t additional_length;
  wire::Reserved<2> reserved2;
  SenseKeySpecific specific;
  std::uint8_t reserved7;
};
static_assert(wire::is_wire_struct<SenseKeySpecificDescriptor, 8>);
static_assert(sizeof(DescriptorSense) + sizeof(InformationDescriptor) +
                  sizeof(SenseKeySpecificDescriptor) ==
              max_sense_bytes);

constexpr std::uint8_t current_fixed = 0x70;
constexpr std::uint8_t current_descriptor = 0x72;
constexpr std::uint8_t valid_bit = 0x80;
constexpr std::uint8_t sense_key_specific_valid = 0x80;
constexpr std::uint8_t command_data_bit = 0x40;
constexpr std::uint8_t bit_pointer_valid = 0x08;

SenseKeySpecific specific_of(const Sense& sense) {
  SenseKeySpecific made{};
  if (sense.field) {
    made.flags = sense_key_specific_valid;
    if (sense.field->in_cdb) made.flags |= command_data_bit;
    if (sense.field->bit) {
      made.flags |= static_cast<std::uint8_t>(bit_pointer_valid | (*sense.field->bit & 7u));
    }
    made.value = sense.field->byte;
  } else if (sense.progress) {
    made.flags = sense_key_specific_valid;
    made.value = *sense.progress;
  }
  return made;
}

SenseBytes fixed_bytes(const Sense& sense) {
  FixedSense made{};
  made.response_code = current_fixed;
  made.sense_key = static_cast<std::uint8_t>(sense.key);
  if (sense.information && *sense.information <= 0xffff'ffffu) {
    made.response_code |= valid_bit;
    made.information = static_cast<std::uint32_t>(*sense.information);
  }
  made.additional_length = sizeof(FixedSense) - 8;
  made.asc = sense.code.asc;
  made.ascq = sense.code.ascq;
  made.specific = specific_of(sense);
  SenseBytes bytes;
  std::memcpy(bytes.storage.data(), &made, sizeof(made));
  bytes.size = sizeof(made);
  return bytes;
}

SenseBytes descriptor_bytes(const Sense& sense) {
  SenseBytes bytes;
  std::size_t used = sizeof(DescriptorSense);
  const auto append = [&](const auto& descriptor) {
    std::memcpy(bytes.storage.data() + used, &descriptor, sizeof(descriptor));
    used += sizeof(descriptor);
  };
  if (sense.information) {
    InformationDescriptor made{};
    made.additional_length = sizeof(made) - 2;
    made.valid = valid_bit;
    made.information = *sense.information;
    append(made);
  }
  if (sense.field || sense.progress) {
    SenseKeySpecificDescriptor made{};
    made.type = 0x02;
    made.additional_length = sizeof(made) - 2;
    made.specific = specific_of(sense);
    append(made);
  }
  DescriptorSense head{};
  head.response_code = current_descriptor;
  head.sense_key = static_cast<std::uint8_t>(sense.key);
  head.asc = sense.code.asc;
  head.ascq = sense.code.ascq;
  head.additional_length = static_cast<std::uint8_t>(used - sizeof(head));
  std::memcpy(bytes.storage.data(), &head, sizeof(head));
  bytes.size = static_cast<std::uint8_t>(used);
  return bytes;
}

struct NamedCode {
  SenseCode code;
  std::string_view name;
};
constexpr NamedCode code_names[] = {
    {{0x00, 0x00}, "no additional sense information"},
    {{0x03, 0x00}, "peripheral device write fault"},
    {{0x04, 0x00}, "logical unit not ready, cause not reportable"},
    {{0x04, 0x01}, "logical unit is in process of becoming ready"},
    {{0x04, 0x02}, "logical unit not ready, initializing command required"},
    {{0x04, 0x03}, "logical unit not ready, manual intervention required"},
    {{0x04, 0x0c}, "logical unit not accessible, target port in unavailable state"},
    {{0x08, 0x04}, "unreachable copy target"},
    {{0x0d, 0x01}, "third party device failure"},
    {{0x0d, 0x02}, "copy target device not reachable"},
    {{0x11, 0x00}, "unrecovered read error"},
    {{0x1a, 0x00}, "parameter list length error"},
    {{0x1d, 0x00}, "miscompare during verify operation"},
    {{0x20, 0x00}, "invalid command operation code"},
    {{0x21, 0x00}, "logical block address out of range"},
    {{0x24, 0x00}, "invalid field in CDB"},
    {{0x25, 0x00}, "logical unit not supported"},
    {{0x26, 0x00}, "invalid field in parameter list"},
    {{0x26, 0x04}, "invalid release of persistent reservation"},
    {{0x26, 0x06}, "too many target descriptors"},
    {{0x26, 0x07}, "unsupported target descriptor type code"},
    {{0x26, 0x08}, "too many segment descriptors"},
    {{0x26, 0x09}, "unsupported segment descriptor type code"},
    {{0x26, 0x0a}, "unexpected inexact segment"},
    {{0x26, 0x0b}, "inline data length exceeded"},
    {{0x27, 0x00}, "write protected"},
    {{0x27, 0x02}, "logical unit software write protected"},
    {{0x27, 0x07}, "space allocation failed write protect"},
    {{0x2c, 0x00}, "command sequence error"},
    {{0x29, 0x00}, "power on, reset, or bus device reset occurred"},
    {{0x29, 0x01}, "power on occurred"},
    {{0x29, 0x02}, "SCSI bus reset occurred"},
    {{0x29, 0x03}, "bus device reset function occurred"},
    {{0x29, 0x07}, "I_T nexus loss occurred"},
    {{0x2a, 0x01}, "mode parameters changed"},
    {{0x2a, 0x03}, "reservations preempted"},
    {{0x2a, 0x04}, "reservations released"},
    {{0x2a, 0x05}, "registrations preempted"},
    {{0x2a, 0x06}, "asymmetric access state changed"},
    {{0x2a, 0x09}, "capacity data has changed"},
    {{0x2f, 0x00}, "commands cleared by another initiator"},
    {{0x38, 0x07}, "thin provisioning soft threshold reached"},
    {{0x39, 0x00}, "saving parameters not supported"},
    {{0x3f, 0x03}, "inquiry data has changed"},
    {{0x3f, 0x0e}, "reported LUNs data has changed"},
    {{0x44, 0x00}, "internal target failure"},
    {{0x4b, 0x00}, "data phase error"},
    {{0x4e, 0x00}, "overlapped commands attempted"},
    {{0x53, 0x02}, "medium removal prevented"},
    {{0x55, 0x03}, "insufficient resources"},
    {{0x55, 0x04}, "insufficient registration resources"},
    {{0x67, 0x0a}, "set target port groups command failed"},
};

}  // namespace

SenseBytes encode_sense(const Sense& sense, SenseFormat format) {
  switch (format) {
    case SenseFormat::fixed:
      return fixed_bytes(sense);
    case SenseFormat::descriptor:
      return descriptor_bytes(sense);
  }
  return {};
}

std::string_view name_of(SenseKey key) {
  switch (key) {
    case SenseKey::no_sense:
      return "no sense";
    case SenseKey::recovered_error:
      return "recovered error";
    case SenseKey::not_ready:
      return "not ready";
    case SenseKey::medium_error:
      return "medium error";
    case SenseKey::hardware_error:
      return "hardware error";
    case SenseKey::illegal_request:
      return "illegal request";
    case SenseKey::unit_attention:
      return "unit attention";
    case SenseKey::data_protect:
      return "data protect";
    case SenseKey::blank_check:
      return "blank check";
    case SenseKey::vendor_specific:
      return "vendor specific";
    case SenseKey::copy_aborted:
      return "copy aborted";
    case SenseKey::aborted_command:
      return "aborted command";
    case SenseKey::volume_overflow:
      return "volume overflow";
    case SenseKey::miscompare:
      return "miscompare";
    case SenseKey::completed:
      return "completed";
  }
  return "reserved";
}

std::string_view name_of(SenseCode code) {
  for (const auto& named : code_names) {
    if (named.code == code) return named.name;
  }
  return "unnamed additional sense";
}

}  // namespace protocol::scsi
