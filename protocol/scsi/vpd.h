// Vital product data pages (SPC-4, "Vital product data parameters"; SBC-4, likewise).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/foundation/units.h"
#include "engine/foundation/uuid.h"
#include "protocol/scsi/answer.h"
#include "protocol/scsi/command.h"
#include "protocol/scsi/extended_copy.h"
#include "protocol/scsi/inquiry.h"

namespace protocol::scsi {

enum class VpdPage : std::uint8_t {
  supported_pages = 0x00,
  unit_serial_number = 0x80,
  device_identification = 0x83,
  extended_inquiry = 0x86,
  mode_page_policy = 0x87,
  third_party_copy = 0x8f,
  block_limits = 0xb0,
  block_device_characteristics = 0xb1,
  logical_block_provisioning = 0xb2,
};

// All blocks are logical blocks; 0 is "not reported" where the standard says so.
struct BlockLimits {
  engine::BlockCount max_transfer{};                    // MAXIMUM TRANSFER LENGTH; 0: no limit
  engine::BlockCount optimal_transfer{};                // OPTIMAL TRANSFER LENGTH
  engine::BlockCount optimal_granularity{1};            // OPTIMAL TRANSFER LENGTH GRANULARITY
  engine::BlockCount max_prefetch{};                    // MAXIMUM PREFETCH LENGTH
  engine::BlockCount max_compare_and_write{1};          // 0: not offered; at most 255
  engine::BlockCount max_unmap{};                       // of one command; 0 only without UNMAP
  std::uint32_t max_unmap_descriptors = 0;              // 0 only without UNMAP
  engine::BlockCount unmap_granularity{1};              // OPTIMAL UNMAP GRANULARITY
  std::optional<engine::BlockCount> unmap_alignment{};  // UNMAP GRANULARITY ALIGNMENT, UGAVALID
  engine::BlockCount max_write_same{};                  // 0: no limit
  bool write_same_needs_count = false;                  // WSNZ: a count of 0 is refused
  engine::BlockCount max_atomic{};                      // MAXIMUM ATOMIC TRANSFER LENGTH
  engine::BlockCount atomic_alignment{};                // 0: any block
  engine::BlockCount atomic_granularity{};              // 0: any count
};

// Of one logical unit as seen through one target port. Texts outlive the call only.
struct UnitPages {
  Peripheral peripheral = Peripheral::block_device;
  UnitFeatures features{};
  engine::Uuid volume{};
  // Of the SCSI target device, lower case: "iqn....". Empty: designators of device and port are
  // left out.
  std::string_view target_name{};
  std::uint16_t target_port_group = 1;     // of REPORT TARGET PORT GROUPS
  std::uint16_t relative_target_port = 1;  // 1..65535; it is the iSCSI target portal group tag too
  BlockLimits limits{};
  CopyLimits copy{};
  bool thin = true;  // PROVISIONING TYPE 2h instead of 0h; LBPU and the rest follow features.unmap
};

// False, and nothing is put: there is no such page for this peripheral (a well-known unit has 00h
// and 83h only); the command is to be refused, invalid_cdb(2).
[[nodiscard]] bool put_vpd_page(Answer& answer, std::uint8_t page, const UnitPages& unit);

// The longest of them with the longest names, so that a buffer of this size holds any page whole.
inline constexpr std::uint32_t max_vpd_page_bytes = 1024;

}  // namespace protocol::scsi
