// Log page identifiers and which of them a controller has (log page 00h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "protocol/nvme/entries.h"

namespace protocol::nvme {

// LID, the values that are answered.
enum class LogPage : std::uint8_t {
  supported_log_pages = 0x00,
  error_information = 0x01,
  smart = 0x02,
  firmware_slot = 0x03,
  changed_namespaces = 0x04,
  command_effects = 0x05,
  ana = 0x0c,
  persistent_event = 0x0d,
  feature_effects = 0x12,
  discovery = 0x70,
  reservation_notification = 0x80,
};

// 00h: for each LID, bit 0 supported, bit 1 index offsets, 31:16 LID specific.
struct SupportedLogPagesPage {
  wire_types::U32 lid[256];
};
static_assert(sizeof(SupportedLogPagesPage) == 1024 && alignof(SupportedLogPagesPage) == 1);

// What I/O controllers and discovery controllers answer.
[[nodiscard]] std::span<const LogPage> io_controller_log_pages();
[[nodiscard]] std::span<const LogPage> discovery_controller_log_pages();
[[nodiscard]] bool has_log_page(std::span<const LogPage> pages, std::uint8_t log_id);
[[nodiscard]] SupportedLogPagesPage build_supported_log_pages(std::span<const LogPage> pages);

// `length` bytes of `page` from `offset` (Get Log Page's LPO and NUMD) as a view; shorter at the
// page's end, where what a host asked beyond it is to be zeros. nullopt-like empty result only for
// offset == size. Refusal by the caller: an offset greater than the page's size is Invalid Field in
// Command.
[[nodiscard]] std::span<const std::byte> log_page_part(std::span<const std::byte> page,
                                                       std::uint64_t offset, std::uint64_t length);

}  // namespace protocol::nvme
