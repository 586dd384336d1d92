// Firmware Slot Information (log page 03h): one read-only slot that holds the running version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/nvme/entries.h"

namespace protocol::nvme {

struct FirmwareSlotPage {
  std::uint8_t active;  // AFI: active slot 2:0, slot after the next reset 6:4 (0: not reported)
  std::uint8_t reserved1[7];
  char slot[7][8];  // space padded; all NUL if the slot is empty
  std::uint8_t reserved64[448];
};
static_assert(sizeof(FirmwareSlotPage) == 512 && alignof(FirmwareSlotPage) == 1);
static_assert(offsetof(FirmwareSlotPage, slot) == 8);

// The same revision as Identify Controller's FR.
[[nodiscard]] FirmwareSlotPage build_firmware_log(std::string_view revision);

}  // namespace protocol::nvme
