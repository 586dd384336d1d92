#include "protocol/nvme/log_pages.h"

#include <algorithm>

namespace protocol::nvme {

namespace {

constexpr LogPage io_pages[] = {
    LogPage::supported_log_pages,
    LogPage::error_information,
    LogPage::smart,
    LogPage::firmware_slot,
    LogPage::changed_namespaces,
    LogPage::command_effects,
    LogPage::ana,
    LogPage::persistent_event,
    LogPage::feature_effects,
    LogPage::reservation_notification,
};
constexpr LogPage discovery_pages[] = {
    LogPage::supported_log_pages, LogPage::error_information, LogPage::command_effects,
    LogPage::feature_effects,     LogPage::discovery,
};
constexpr std::uint32_t supported = 1u << 0;
// Of 0Dh: it can be established with its header read, whether it is there or not.
constexpr std::uint32_t establishes_with_header = 1u << 16;

}  // namespace

std::span<const LogPage> io_controller_log_pages() { return io_pages; }
std::span<const LogPage> discovery_controller_log_pages() { return discovery_pages; }

bool has_log_page(std::span<const LogPage> pages, std::uint8_t log_id) {
  return std::find(pages.begin(), pages.end(), static_cast<LogPage>(log_id)) != pages.end();
}

SupportedLogPagesPage build_supported_log_pages(std::span<const LogPage> pages) {
  SupportedLogPagesPage page{};
  for (const auto log : pages) {
    page.lid[static_cast<std::uint8_t>(log)] =
        log == LogPage::persistent_event ? supported | establishes_with_header : supported;
  }
  return page;
}

std::span<const std::byte> log_page_part(std::span<const std::byte> page, std::uint64_t offset,
                                         std::uint64_t length) {
  if (offset >= page.size()) return {};
  const auto rest = page.subspan(static_cast<std::size_t>(offset));
  return rest.first(static_cast<std::size_t>(std::min<std::uint64_t>(length, rest.size())));
}

}  // namespace protocol::nvme
