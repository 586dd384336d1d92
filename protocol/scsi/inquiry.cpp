#include "protocol/scsi/inquiry.h"

#include "protocol/scsi/fixed_text.h"
#include "protocol/wire/endian.h"
#include "protocol/wire/layout.h"

namespace protocol::scsi {

namespace {

struct StandardInquiryPage {
  std::uint8_t peripheral;
  std::uint8_t removable;  // RMB, bit 7
  std::uint8_t version;
  std::uint8_t response_format;  // NORMACA 5, HISUP 4, RESPONSE DATA FORMAT 3:0
  std::uint8_t additional_length;
  std::uint8_t flags5;  // SCCS 7, TPGS 5:4, 3PC 3, PROTECT 0
  std::uint8_t flags6;  // ENCSERV 6, MULTIP 4
  std::uint8_t flags7;  // CMDQUE 1
  char vendor[8];
  char product[16];
  char revision[4];
  wire::Reserved<22> vendor_specific36;
  wire::be16 version_descriptors[8];
  wire::Reserved<22> reserved74;
};
static_assert(wire::is_wire_struct<StandardInquiryPage, standard_inquiry_bytes>);
static_assert(offsetof(StandardInquiryPage, vendor) == 8);
static_assert(offsetof(StandardInquiryPage, revision) == 32);
static_assert(offsetof(StandardInquiryPage, version_descriptors) == 58);

constexpr std::uint8_t spc_4 = 0x06;
constexpr std::uint8_t hierarchical_luns = 0x10;  // LUNs are as SAM has them
constexpr std::uint8_t spc_format = 0x02;
constexpr std::uint8_t multiple_ports = 0x10;
constexpr std::uint8_t command_queuing = 0x02;
constexpr std::uint8_t third_party_copy_bit = 0x08;

// SPC-4, "Version descriptor values", without claiming a revision: SAM-5, SPC-4, SBC-3, iSCSI.
constexpr std::uint16_t claimed[] = {0x00a0, 0x0460, 0x04c0, 0x0960};

}  // namespace

void put_standard_inquiry(Answer& answer, const StandardInquiry& inquiry) {
  StandardInquiryPage page{};
  page.peripheral = static_cast<std::uint8_t>(inquiry.peripheral);
  page.version = spc_4;
  page.response_format = hierarchical_luns | spc_format;
  page.additional_length = sizeof(page) - 5;
  if (inquiry.peripheral == Peripheral::block_device) {
    page.flags5 = static_cast<std::uint8_t>(static_cast<unsigned>(inquiry.target_port_groups) << 4 |
                                            (inquiry.third_party_copy ? third_party_copy_bit : 0));
  }
  page.flags6 = multiple_ports;
  page.flags7 = command_queuing;
  put_fixed_text(page.vendor, vendor_identification);
  put_fixed_text(page.product, inquiry.product);
  put_fixed_text(page.revision, inquiry.revision);
  std::size_t at = 0;
  for (const auto descriptor : claimed) page.version_descriptors[at++] = descriptor;
  answer.put(page);
}

}  // namespace protocol::scsi
