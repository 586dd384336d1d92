// Standard INQUIRY data (SPC-4, "Standard INQUIRY data").
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/scsi/answer.h"

namespace protocol::scsi {

// PERIPHERAL QUALIFIER and PERIPHERAL DEVICE TYPE: byte 0 here and in every VPD page.
enum class Peripheral : std::uint8_t {
  block_device = 0x00,
  well_known_unit = 0x1e,
  absent = 0x7f,  // no unit at this LUN, and none can be: what INQUIRY to an unused LUN says
};

// TPGS.
enum class TargetPortGroupSupport : std::uint8_t {
  none = 0,
  implicit = 1,
  explicit_only = 2,
  implicit_and_explicit = 3,
};

inline constexpr std::string_view vendor_identification = "FOREBAY ";
inline constexpr std::string_view product_identification = "Forebay Volume";

struct StandardInquiry {
  Peripheral peripheral = Peripheral::block_device;
  std::string_view product = product_identification;  // 16 characters are shown
  std::string_view revision{};                        // 4 characters are shown
  TargetPortGroupSupport target_port_groups = TargetPortGroupSupport::implicit_and_explicit;
  bool third_party_copy = true;  // 3PC
};

inline constexpr std::uint32_t standard_inquiry_bytes = 96;

void put_standard_inquiry(Answer& answer, const StandardInquiry& inquiry);

}  // namespace protocol::scsi
